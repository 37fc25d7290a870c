"""The network behind `PredictiveModel`: a shared core, one point per neuron.

The core is a densely connected CNN; every layer sees the outputs of all layers
before it. Its first layer is learned, or fixed: the contrast energy of Gabor pairs,
for recordings of too few images to learn filters from. A neuron reads all of the
core's channels, at several scales, at one point of the image: a position and a
width of its own, and a weight per channel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GaborEnergy(nn.Module):
    """Fixed first layer: contrast energy of Gabor pairs, and the image itself.

    Six orientations at wavelengths of 4, 8 and 16 pixels, the root of the summed
    squares of two phases, and luminance, all at half the resolution.
    """

    WAVELENGTHS = (4, 8, 16)
    N_ORIENTATIONS = 6
    n_channels = len(WAVELENGTHS) * N_ORIENTATIONS + 1

    def __init__(self) -> None:
        super().__init__()
        for wavelength in self.WAVELENGTHS:
            pairs = self._pairs(wavelength)
            self.register_buffer(f"pairs_{wavelength}", pairs, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return energies and luminance, (N, n_channels, H / 2, W / 2), rounded up."""
        channels = [F.avg_pool2d(images, 2, ceil_mode=True)]
        for wavelength in self.WAVELENGTHS:
            pairs = getattr(self, f"pairs_{wavelength}")
            margin = pairs.shape[-1] // 2
            framed = F.pad(images, (margin,) * 4, mode="replicate")
            drive = F.conv2d(framed, pairs, stride=2)
            even, odd = drive.split(self.N_ORIENTATIONS, 1)  # type: ignore[no-untyped-call]
            channels.append((even.square() + odd.square()).sqrt())
        return torch.cat(channels, 1)

    def _pairs(self, wavelength: int) -> Tensor:
        """Return even, then odd filters of all orientations, without mean."""
        reach = wavelength * 3 // 4
        y, x = torch.meshgrid(*[torch.arange(-reach, reach + 1.0)] * 2, indexing="ij")
        angle = torch.arange(self.N_ORIENTATIONS)[:, None, None] / self.N_ORIENTATIONS
        along = x * torch.cos(torch.pi * angle) + y * torch.sin(torch.pi * angle)
        phase = 2.0 * torch.pi * along / wavelength
        window = torch.exp(-(x.square() + y.square()) / (2 * (0.4 * wavelength) ** 2))
        window = window / window.sum()
        pairs = torch.cat([window * torch.cos(phase), window * torch.sin(phase)])
        return (pairs - window * pairs.sum((1, 2), keepdim=True))[:, None]


class Core(nn.Module):
    """Convolution, batch norm, ELU; each layer gets what the layers before gave.

    Parameters
    ----------
    n_inputs : int
        Channels that come in: 1, an image, or those of `GaborEnergy`, which are
        standardised and handed on beside the layers' outputs.
    n_channels, n_layers : int
        Channels of each layer, and how many learned layers there are.
    kernels : (int, int)
        Odd size of the first kernel on an image, and of all others.
    """

    def __init__(
        self, n_inputs: int, n_channels: int, n_layers: int, kernels: tuple[int, int]
    ) -> None:
        super().__init__()
        self.on_images = n_inputs == 1
        self.norm = nn.BatchNorm2d(n_inputs, affine=False)
        self.layers = nn.ModuleList()
        n_before = n_inputs
        for layer in range(n_layers):
            first = self.on_images and layer == 0
            kernel = kernels[0] if first else kernels[1]
            padding = kernel // 2
            convolution = nn.Conv2d(
                n_before, n_channels, kernel, padding=padding, bias=False
            )
            self.layers.append(
                nn.Sequential(convolution, nn.BatchNorm2d(n_channels), nn.ELU())
            )
            n_before = n_channels if first else n_before + n_channels
        self.n_channels = n_before

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of all layers, (N, n_channels, H, W)."""
        if self.on_images:
            outputs = self.layers[0](inputs)
            rest = list(self.layers)[1:]
        else:
            outputs, rest = self.norm(inputs), list(self.layers)
        for layer in rest:
            outputs = torch.cat([outputs, layer(outputs)], 1)
        return outputs

    def roughness(self) -> Tensor:
        """Return the Laplacian's share of the power of learned kernels on images."""
        if not self.on_images:
            return torch.zeros(())
        kernels = self.layers[0][0].weight  # type: ignore[index]
        laplace = kernels.new_tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
        edges = F.conv2d(kernels, laplace[None, None], padding=1)
        return edges.square().sum() / kernels.square().sum().clamp_min(1e-12)


class PointReadout(nn.Module):
    """Read channels at one Gaussian position per neuron, at several scales.

    In training a position is drawn from the neuron's Gaussian, so that a
    gradient reaches position and width; otherwise it is the mean.

    Parameters
    ----------
    mean : Tensor, shape (K,)
        Mean response of each neuron: what is returned for weights of zero. NaN
        for a neuron that nothing is known of: its bias is 0.
    n_channels : int
        Channels of the core.
    n_scales : int
        Each halves the resolution of the one before.
    positive : bool
        Whether responses are ``ELU(z) + 1`` of the weighted sum z, or z itself.
    """

    def __init__(
        self, mean: Tensor, n_channels: int, n_scales: int, positive: bool
    ) -> None:
        super().__init__()
        n_neurons = len(mean)
        self.n_scales = n_scales
        self.positive = positive
        # Draws are made on the host, so that they are the same on every device.
        near = torch.empty(n_neurons, 2, device="cpu")
        self.position = nn.Parameter(near.uniform_(-0.3, 0.3))
        self.width = nn.Parameter(torch.full_like(near, 0.3))
        shape = n_neurons, n_scales * n_channels
        weights = torch.randn(shape, device="cpu")
        self.weights = nn.Parameter(weights * 0.1 / weights.shape[1] ** 0.5)
        if positive:  # the inverse of ELU(z) + 1
            mean = torch.where(mean > 1.0, mean - 1.0, mean.clamp_min(1e-3).log())
        self.bias = nn.Parameter(mean.nan_to_num())

    def forward(self, features: Tensor, draw: torch.Generator | None = None) -> Tensor:
        """Return responses, (N, K); positions are drawn where `draw` is given.

        A neuron whose position is NaN, as after a step that diverged, has NaN.
        """
        position: Tensor = self.position
        if draw is not None:
            noise = torch.randn(position.shape, generator=draw, device=draw.device)
            noise = noise.to(position)
            position = position + self.width * noise
        # torch's gradient of a sample at NaN writes outside memory.
        lost = position.isnan().any(1)
        grid = (
            position.nan_to_num()
            .clamp(-1.0, 1.0)[None, :, None]
            .expand(len(features), -1, -1, -1)
        )
        scales = []
        for scale in range(self.n_scales):
            if scale:
                features = F.avg_pool2d(features, 2, ceil_mode=True)
            at = F.grid_sample(
                features, grid, align_corners=False, padding_mode="border"
            )
            scales.append(at[..., 0])
        drive = torch.einsum("nck,kc->nk", torch.cat(scales, 1), self.weights)
        drive = (drive + self.bias).masked_fill(lost, torch.nan)
        return F.elu(drive) + 1.0 if self.positive else drive


class Network(nn.Module):
    """A fixed front, the core and the read-out."""

    def __init__(self, front: nn.Module, core: Core, readout: PointReadout) -> None:
        super().__init__()
        self.front = front
        self.core = core
        self.readout = readout

    def forward(self, images: Tensor) -> Tensor:
        """Return responses, (N, K), to images (N, 1, H, W)."""
        return self.learned(self.front(images))

    def learned(self, inputs: Tensor, draw: torch.Generator | None = None) -> Tensor:
        """Return responses to what the front gave, which is computed once."""
        features: Tensor = self.core(inputs)
        responses: Tensor = self.readout(features, draw)
        return responses
