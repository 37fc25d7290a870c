"""The network behind `PredictiveModel`: a shared core and a read-out per neuron.

The core is a densely connected CNN: every layer sees the outputs of all previous
layers. Its first layer is learned or fixed. The fixed layer computes the contrast
energy of Gabor pairs, for recordings with too few images to learn filters from. A
neuron reads all channels of the core, at several scales, at one point of the image.
Each neuron has its own position, width and channel weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GaborEnergy(nn.Module):
    """Fixed first layer: contrast energy of Gabor pairs, and the image itself.

    Energy is the root of the summed squares of two phases, for six orientations and
    wavelengths of 4, 8 and 16 pixels. Energy and luminance have half the resolution.
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
        """Return even, then odd filters of all orientations, with mean zero."""
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
    """Convolution, batch norm, ELU; each layer gets the outputs of all previous layers.

    One input channel is an image. Several input channels come from `GaborEnergy`; they
    are standardized and are part of the output, beside the layers' outputs. `kernels`
    are the odd sizes of the first kernel on an image and of all other kernels.
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

    In training, a position is drawn from the neuron's Gaussian, so that position and
    width get a gradient; otherwise the position is the Gaussian's mean. `mean` (K,) is
    the response if all weights are zero; for a neuron without responses, `mean` is NaN
    and the bias is 0. Each scale has half the resolution of the previous scale. For the
    weighted sum z, the response is ``ELU(z) + 1`` if `positive`, else z.
    """

    def __init__(
        self, mean: Tensor, n_channels: int, n_scales: int, positive: bool
    ) -> None:
        super().__init__()
        n_neurons = len(mean)
        self.n_scales = n_scales
        self.positive = positive
        # Drawn on the CPU, so that the values are the same on every device.
        near = torch.empty(n_neurons, 2, device="cpu")
        self.position = nn.Parameter(near.uniform_(-0.3, 0.3))
        self.width = nn.Parameter(torch.full_like(near, 0.3))
        shape = n_neurons, n_scales * n_channels
        weights = torch.randn(shape, device="cpu")
        self.weights = nn.Parameter(weights * 0.1 / weights.shape[1] ** 0.5)
        if positive:  # the inverse of ELU(z) + 1
            mean = torch.where(mean > 1.0, mean - 1.0, mean.clamp_min(1e-3).log())
        self.bias = nn.Parameter(mean.nan_to_num())

    def forward(
        self, features: Tensor, draw: torch.Generator | Tensor | None = None
    ) -> Tensor:
        """Return responses, (N, K); with `draw`, positions are random.

        `draw` is a generator, or normal deviates with the shape of `position`.
        If training diverged and a neuron's position is NaN, its responses are NaN.
        """
        position: Tensor = self.position
        if draw is not None:
            if isinstance(draw, torch.Generator):
                draw = torch.randn(position.shape, generator=draw, device=draw.device)
            position = position + self.width * draw.to(position)
        # torch's gradient of grid_sample at NaN writes outside its memory.
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
        """Return responses to the output of the front, which is computed only once."""
        features: Tensor = self.core(inputs)
        responses: Tensor = self.readout(features, draw)
        return responses
