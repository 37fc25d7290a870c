"""Common corruptions of images, in batches."""

from __future__ import annotations

import difflib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import numpy as np
import torch

from neurofreq import _neurofreq, _validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Batch = TypeVar("Batch", NDArray[Any], torch.Tensor)

CORRUPTIONS: Final[tuple[str, ...]] = tuple(_neurofreq.corruption_names())
"""The corruptions that exist, in the published order."""

_FREQUENCY: Final = {
    "low": ("snow", "frost", "fog", "brightness", "contrast"),
    "medium": (
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "elastic_transform",
        "pixelate",
        "jpeg_compression",
    ),
    "high": ("gaussian_noise", "shot_noise", "impulse_noise"),
}

CORRUPTION_GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        group: tuple(name for name in names if name in CORRUPTIONS)
        for group, names in _FREQUENCY.items()
    }
)
"""Corruptions by the frequencies they alter: low, medium, high (Li et al. 2023,
Table A); only those that exist."""


def corrupt(
    images: Batch,
    name: str,
    severity: int,
    *,
    seed: int,
    layout: Literal["nhwc", "nchw"] | None = None,
    parameters: Literal["auto", "cifar", "tinyimagenet", "imagenet"] = "auto",
    first_index: int = 0,
) -> Batch:
    """Corrupt each image of a batch.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, H, W, C) or (N, C, H, W)
        uint8 from 0 to 255, or float32 or float64 in [0, 1]; at least 16 by 16
        pixels, any number of channels.
    name : str
        One of `CORRUPTIONS`.
    severity : int
        1 (weak) to 5 (strong).
    seed : int
        With the index of an image it determines that image's randomness,
        whatever the batch, the layout or the thread count.
    layout : {"nhwc", "nchw"}, optional
        Where the channels are. May be left out if exactly one of the second and
        the last axis has length 1 or 3.
    parameters : {"auto", "cifar", "tinyimagenet", "imagenet"}
        The published constants of CIFAR-10-C, Tiny ImageNet-C or ImageNet-C.
        "auto" goes by the shorter side: up to 48 pixels "cifar", up to 144
        "tinyimagenet", above "imagenet".
    first_index : int
        Index of the first image: pass the start of a batch within its data set
        to get what one call on the whole set would give.

    Returns
    -------
    ndarray or Tensor
        As `images`: same kind, shape, dtype and device, values in range. A new
        array without gradient.

    Raises
    ------
    TypeError
        Not an array or tensor, or another dtype.
    ValueError
        Unknown name (the nearest is named), severity or parameters, an
        ambiguous or wrong layout, images too small, empty, NaN or out of range.

    Notes
    -----
    uint8 results are truncated, not rounded, as in the published code, which
    darkens by half a grey level on average.

    Differences from the paper: it reads the published CIFAR-10-C, Tiny
    ImageNet-C and ImageNet-C files, which also went through 8 bits and, for
    the ImageNet ones, JPEG; images here are corrupted on the fly. Random
    corruptions have the published distribution, not the published draws.

    References
    ----------
    Hendrycks & Dietterich 2019, arXiv 1903.12261; Li et al. 2023, Fig 2.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> clean = np.full((2, 32, 32, 3), 128, dtype=np.uint8)
    >>> nf.corrupt(clean, "gaussian_noise", 3, seed=0).shape
    (2, 32, 32, 3)
    """
    array = _pixels(images)
    if name not in CORRUPTIONS:
        nearest = difflib.get_close_matches(str(name), CORRUPTIONS, 1, 0.0)[0]
        raise ValueError(
            f"name: got {name!r}, expected one of {', '.join(CORRUPTIONS)}; "
            f"the nearest is {nearest!r}"
        )
    if severity not in (1, 2, 3, 4, 5):
        raise ValueError(f"severity: got {severity!r}, expected 1 to 5")
    layout = _layout(array.shape, layout)
    if parameters == "auto":
        side = min(array.shape[1:3] if layout == "nhwc" else array.shape[2:4])
        parameters = (
            "cifar" if side <= 48 else "tinyimagenet" if side <= 144 else "imagenet"
        )
    corrupted = _neurofreq.corrupt(
        array,
        name,
        int(severity),
        _validate.seed(seed),
        _validate.seed(first_index, "first_index"),
        layout,
        parameters,
    )
    if isinstance(images, torch.Tensor):
        return torch.from_numpy(corrupted).to(images.device)
    return corrupted


def _pixels(images: Any) -> NDArray[Any]:
    """Return checked images as an array, without a copy where possible."""
    if isinstance(images, torch.Tensor):
        images = images.detach().cpu().numpy()
    if not isinstance(images, np.ndarray):
        raise TypeError(
            f"images: got {type(images).__name__}, expected a NumPy array or tensor"
        )
    if images.dtype not in (np.uint8, np.float32, np.float64):
        raise TypeError(
            f"images: got dtype {images.dtype}, expected uint8, float32 or float64"
        )
    if images.ndim != 4:
        raise ValueError(
            f"images: got shape {images.shape}, expected (N, H, W, C) or (N, C, H, W)"
        )
    if images.dtype != np.uint8:
        _validate.images(images, unit_range=True)
    return images


def _layout(
    shape: tuple[int, ...], layout: Literal["nhwc", "nchw"] | None
) -> Literal["nhwc", "nchw"]:
    if layout is not None:
        if layout not in ("nhwc", "nchw"):
            raise ValueError(f"layout: got {layout!r}, expected 'nhwc' or 'nchw'")
        return layout
    is_first, is_last = shape[1] in (1, 3), shape[3] in (1, 3)
    if is_first == is_last:
        raise ValueError(
            f"layout: images of shape {shape} may be either, expected "
            "layout='nhwc' or layout='nchw'"
        )
    return "nchw" if is_first else "nhwc"
