"""Convert pixels: bytes to floats, color to gray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from numpy.typing import NDArray

LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in ITU-R 601 luma, as in torchvision."""

_ROUNDING = 1e-4  # resizing may leave pixels this far above 1


def to_unit(images: NDArray[Any]) -> NDArray[Any]:
    """Return uint8 as float32 in [0, 1], and floats unchanged."""
    if images.dtype != np.uint8:
        return images
    return images.astype(np.float32) / np.float32(255)


def luma(images: Any) -> Any:
    """Return the luma (N, 1, H, W) of color images (N, 3, H, W)."""
    # A matrix product would round differently for different numbers of images.
    red, green, blue = (float(np.float32(weight)) for weight in LUMA)
    return red * images[:, :1] + green * images[:, 1:2] + blue * images[:, 2:]


def unscaled(value: Any, name: str) -> Any:
    """Return images as `validate.images` does, but refuse images in [0, 255].

    Standardized images are accepted: they have values below 0.
    """
    value = validate.images(value, name)
    if value.min() >= 0.0 and value.max() > 1.0 + _ROUNDING:
        raise ValueError(
            f"{name}: got values in [{float(value.min()):.6g}, "
            f"{float(value.max()):.6g}], expected [0, 1]: divide by 255 (or "
            "standardize them as the model expects)"
        )
    return value
