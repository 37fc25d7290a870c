"""Pixels: bytes to floats, colour to gray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Weights of ITU-R 601 luma, as torchvision's rgb_to_grayscale has them.
LUMA = (0.2989, 0.587, 0.114)

_ROUNDING = 1e-4  # how far resizing may leave pixels above 1


def to_unit(images: NDArray[Any]) -> NDArray[Any]:
    """Return bytes as float32 in [0, 1], and floats as they are.

    Parameters
    ----------
    images : ndarray
        uint8 from 0 to 255, or floats in [0, 1].
    """
    if images.dtype != np.uint8:
        return images
    return images.astype(np.float32) / np.float32(255)


def luma(images: Any) -> Any:
    """Return the luma of colour images.

    Parameters
    ----------
    images : ndarray or Tensor of float, shape (N, 3, H, W)
        An image's luma does not depend on the others.

    Returns
    -------
    ndarray or Tensor of float, shape (N, 1, H, W)
    """
    # A matrix product would round differently for other numbers of images.
    red, green, blue = (float(np.float32(weight)) for weight in LUMA)
    return red * images[:, :1] + green * images[:, 1:2] + blue * images[:, 2:]


def unscaled(value: Any, name: str) -> Any:
    """Return images as `validate.images` does, and refuse those in 0 to 255.

    Images that the caller standardised have values below 0 and may go beyond 1.
    """
    value = validate.images(value, name)
    if value.min() >= 0.0 and value.max() > 1.0 + _ROUNDING:
        raise ValueError(
            f"{name}: got values in [{float(value.min()):.6g}, "
            f"{float(value.max()):.6g}], expected [0, 1]: divide by 255 (or "
            "standardise them as the model expects)"
        )
    return value
