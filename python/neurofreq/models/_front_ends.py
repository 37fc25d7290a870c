"""Front ends of a network: normalization, a blur, principal components.

Blur and principal components act on pixels, before the normalization, because principal
components are fitted to pixels. For a blur, the order does not matter: its weights sum
to 1, and channels are independent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.fx
from torch import Tensor, nn

from neurofreq._shared import runtime
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neurofreq._shared.inputs.validate import Array

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of each channel of ImageNet, in [0, 1]."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of each channel of ImageNet."""
CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
"""Mean of each channel of CIFAR-10, in [0, 1]."""
CIFAR10_STD = (0.2023, 0.1994, 0.2010)
"""Standard deviation of each channel of CIFAR-10, as most code has it: the mean of the
standard deviations of the images."""

# Extra columns and power iterations of the randomized SVD.
_OVERSAMPLING = 32
_ITERATIONS = 4


def _require_channels(images: Tensor, n_channels: int) -> None:
    """Refuse images that would broadcast over the channels of the normalization."""
    if images.shape[1] != n_channels:
        raise ValueError(
            f"images: got {images.shape[1]} channels, expected {n_channels}"
        )


# torch.fx keeps the call as one node and does not trace the function.
torch.fx.wrap("_require_channels")


class Normalized(nn.Module):
    """A network with a front end and the normalization ``(x - mean) / std``.

    Parameters
    ----------
    network : nn.Module
        Takes normalized images (N, C, H, W). The names of its layers begin with
        ``network.``, with or without a front end.
    mean, std : sequence of float, length C
        In units of images in [0, 1].
    front : nn.Module, optional
        `Blur`, `PCA` or another map from images to images, on pixels.

    Notes
    -----
    ``state_dict`` holds ``network.…`` and, with a front end, ``front.…``. The
    normalization belongs to the architecture and is not stored. To put a front end
    before any other module, use ``nn.Sequential(Blur(1.5), module)``.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))
    >>> model = nf.models.Normalized(
    ...     network, nf.models.CIFAR10_MEAN, nf.models.CIFAR10_STD, nf.models.Blur(1.0)
    ... )
    >>> model(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    >>> list(model.state_dict())
    ['front.kernel', 'network.1.weight', 'network.1.bias']
    """

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        front: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if len(mean) != len(std):
            raise ValueError(
                f"std: got {len(std)} values, expected {len(mean)} as in mean"
            )
        self.in_channels = len(mean)
        self.register_module("front", front)
        self.network = network
        # Not persistent, because a checkpoint holds only the network.
        shape = (1, len(mean), 1, 1)
        self.register_buffer("mean", torch.tensor(mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(shape), persistent=False)

    network: nn.Module
    front: nn.Module | None
    mean: Tensor
    std: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images in [0, 1], shape (N, C, H, W)."""
        _require_channels(images, self.in_channels)
        if self.front is not None:
            images = self.front(images)
        return self.network((images - self.mean) / self.std)


class Blur(nn.Module):
    """A fixed Gaussian blur of each channel, which keeps the size of the image.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels, more than 0.

    Attributes
    ----------
    kernel : Tensor, shape (2 * half + 1,)
        One axis of the separable kernel, sum 1, with ``half = ceil(2.5 * sigma)``:
        7, 9, 11 and 17 taps for sigma 1, 1.5, 2 and 3. The kernel is a buffer, not a
        parameter. It is part of ``state_dict``, so that `load_model` recognizes weights
        that were trained with a blur.

    Notes
    -----
    Weights are proportional to ``exp(-(x² + y²) / (2 sigma²))`` and padding is
    circular. Therefore the blur commutes with circular shifts, does not change constant
    images, and multiplies each Fourier coefficient by a number. Images may have any
    number of channels; their sides must have at least ``half`` pixels. The blur is
    differentiable.

    References
    ----------
    Li et al. 2023, PLOS Comput Biol 19(3): e1010932, the models "blur" of
    Figures 4 and 5.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> blur = nf.models.Blur(1.5)
    >>> blur.kernel.shape
    torch.Size([9])
    >>> model = torch.nn.Sequential(blur, torch.nn.Conv2d(3, 10, 3))
    >>> model(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 10, 30, 30])
    """

    kernel: Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        sigma = validate.number("sigma", sigma)
        is_size = math.isfinite(sigma) and sigma > 0.0
        validate.within("sigma", sigma, is_size, "a number of pixels above 0")
        half = math.ceil(2.5 * sigma - 1e-9)  # rounding: 2.5 * (12 * 0.1) exceeds 3
        taps = torch.arange(-half, half + 1, dtype=torch.float64) / sigma
        weights = (-taps.square() / 2.0).exp()
        kernel = (weights / weights.sum()).to(torch.get_default_dtype())
        self.register_buffer("kernel", kernel)

    @classmethod
    def from_kernel(cls, kernel: Tensor) -> Blur:
        """Return the blur with a kernel from a ``state_dict``.

        Raises
        ------
        ValueError
            If the kernel is not an odd number of taps that sum to 1.
        """
        is_kernel = kernel.ndim == 1 and len(kernel) % 2 == 1 and len(kernel) > 1
        if not is_kernel or abs(float(kernel.sum()) - 1.0) > 1e-3:
            raise ValueError(
                f"kernel: got shape {tuple(kernel.shape)} with sum "
                f"{float(kernel.sum()):.6g}, expected an odd number of taps with sum 1"
            )
        blur = cls(1.0)
        blur.kernel = kernel.detach().to(torch.get_default_dtype())
        return blur

    @property
    def sigma(self) -> float:
        """Standard deviation in pixels, computed from the kernel."""
        half = len(self.kernel) // 2
        fall = math.log(float(self.kernel[half]) / float(self.kernel[-1]))
        return half / math.sqrt(2.0 * fall)

    def forward(self, images: Tensor) -> Tensor:
        """Return the blurred images, shape (N, C, H, W)."""
        return _blurred(images, self.kernel)

    def extra_repr(self) -> str:
        """Return the text that ``print`` shows between the parentheses."""
        return f"sigma={self.sigma:.4g}"


class PCA(nn.Module):
    """Projection of images on principal components: ``mu + V Vᵀ (x - mu)``.

    Parameters
    ----------
    mean : Tensor, shape (C, H, W)
        In units of images in [0, 1].
    components : Tensor, shape (K, C, H, W)
        Orthonormal. Mean and components are buffers and part of ``state_dict``, so
        they are stored with a network's weights.

    Raises
    ------
    ValueError
        If the shapes do not fit each other or the components are not orthonormal.

    References
    ----------
    Li et al. 2023, the model "PCA" of Figures 4 and 5 (512 components of 3072).

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> basis = torch.linalg.qr(torch.rand(192, 5)).Q
    >>> pca = nf.models.PCA(torch.full((3, 8, 8), 0.5), basis.T.reshape(5, 3, 8, 8))
    >>> once = pca(torch.rand(4, 3, 8, 8))
    >>> torch.allclose(pca(once), once, atol=1e-5)
    True
    """

    mean: Tensor
    components: Tensor

    def __init__(self, mean: Tensor, components: Tensor) -> None:
        super().__init__()
        if mean.ndim != 3 or components.ndim != 4 or components.shape[1:] != mean.shape:
            raise ValueError(
                f"components: got shape {tuple(components.shape)} with a mean of shape "
                f"{tuple(mean.shape)}, expected (K, C, H, W) and (C, H, W)"
            )
        for name, values in (("mean", mean), ("components", components)):
            # Contiguous copies, because safetensors stores no views.
            own = values.detach().to(torch.get_default_dtype(), copy=True)
            self.register_buffer(name, own.contiguous())
        rows = self.components.flatten(1)
        off = float(
            (rows @ rows.T - torch.eye(len(rows), device=rows.device)).abs().max()
        )
        # Stored networks have half precision, which is accurate to three digits.
        validate.within("components", off, off < 1e-2, "V Vᵀ to be the identity")

    @classmethod
    def fit(cls, images: Array, n_components: int = 512, *, seed: int = 0) -> PCA:
        """Return the leading principal components of images, by randomized SVD.

        Parameters
        ----------
        images : ndarray or Tensor, shape (N, C, H, W)
            Training images in [0, 1], float32 or float64. `fit` makes a centered copy.
        n_components : int
            From 1 to the smaller of N - 1 and C * H * W.
        seed : int
            Seed of the random projection. The state of torch's generator does not
            change.

        Raises
        ------
        TypeError, ValueError
            If the images are not valid, or `n_components` is out of range.

        References
        ----------
        Halko, Martinsson & Tropp 2011, SIAM Review 53(2), algorithm 4.4.
        """
        images = validate.images(images, unit_range=True)
        n_components = validate.count("n_components", n_components)
        most = min(len(images) - 1, math.prod(images.shape[1:]))
        is_possible = n_components <= most
        validate.within("n_components", n_components, is_possible, f"1 to {most}")
        # Other memory layouts would change the order of sums and thus the rounding.
        data = calling.as_tensor(images).detach().contiguous()
        mean = data.mean(dim=0)
        centred = (data - mean).flatten(1)
        size = min(n_components + _OVERSAMPLING, *centred.shape)
        with runtime.seeded(validate.seed(seed), data.device):
            _, _, basis = torch.svd_lowrank(centred, q=size, niter=_ITERATIONS)
        return cls(mean, basis.T[:n_components].reshape(-1, *mean.shape))

    def forward(self, images: Tensor) -> Tensor:
        """Return the projected images, shape (N, C, H, W)."""
        return _projected(images, self.mean, self.components)

    def extra_repr(self) -> str:
        """Return the text that ``print`` shows between the parentheses."""
        return f"{len(self.components)} components of {self.mean.numel()}"


# Wrapped, because `fold_batch_norm` cannot trace the checks of shapes inside.
@torch.fx.wrap
def _blurred(images: Tensor, kernel: Tensor) -> Tensor:
    half, n_channels = len(kernel) // 2, images.shape[1]
    if min(images.shape[2:]) < half:
        raise ValueError(
            f"images: got {images.shape[2]}x{images.shape[3]} pixels, expected sides "
            f"of at least {half}, half the width of the blur"
        )
    padded = nn.functional.pad(images, (half,) * 4, mode="circular")
    rows = kernel.expand(n_channels, 1, 1, -1)
    # Half precision would add rounding noise at all frequencies.
    with torch.autocast(images.device.type, enabled=False):
        across = nn.functional.conv2d(padded, rows, groups=n_channels)
        return nn.functional.conv2d(across, rows.transpose(2, 3), groups=n_channels)


@torch.fx.wrap
def _projected(images: Tensor, mean: Tensor, components: Tensor) -> Tensor:
    if images.shape[1:] != mean.shape:
        raise ValueError(
            f"images: got shape {tuple(images.shape)}, expected (N, "
            f"{', '.join(map(str, mean.shape))}), the shape that the components were "
            "fitted to"
        )
    basis = components.flatten(1)
    with torch.autocast(images.device.type, enabled=False):
        weights = (images - mean).flatten(1) @ basis.T
        return mean + (weights @ basis).reshape(images.shape)
