"""Return maps over the plane of frequencies as columns of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def columns(values: NDArray[Any], name: str) -> dict[str, NDArray[Any]]:
    """Return an fftshifted map (H, W) as frequency_y, frequency_x and its values."""
    fy, fx = np.meshgrid(
        *(np.fft.fftshift(np.fft.fftfreq(size)) for size in values.shape), indexing="ij"
    )
    return {
        "frequency_y": fy.ravel(), "frequency_x": fx.ravel(), name: values.ravel()
    }  # fmt: skip
