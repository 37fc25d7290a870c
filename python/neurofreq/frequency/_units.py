"""Convert cut-off frequencies to cycles/pixel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from neurofreq._shared.inputs import mixing, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

UNITS: Final = ("cycles/pixel", "nyquist", "cycles/image")
CORNER: Final = math.sqrt(0.5)
"""The largest |f| of a spectrum, at its corners, in cycles/pixel."""


def per_pixel(
    name: str, value: float | Sequence[float], unit: str, shape: Sequence[int]
) -> list[float]:
    """Return cut-offs of images (..., H, W) in cycles/pixel.

    Cycles/image are cycles per shorter side. Raises ValueError for cut-offs that are
    not above 0, or that no frequency of an image reaches.
    """
    given = mixing.frequencies(value, name)
    scale = {"cycles/pixel": 1.0, "nyquist": 0.5}.get(unit) or 1.0 / min(shape[-2:])
    most = CORNER / scale
    for one in given:
        is_within = 0.0 < one <= most * (1.0 + 1e-9)
        limit = f"above 0 and up to {most:.6g} {unit}, the corner of the spectrum"
        validate.within(name, one, is_within, limit)
    return [one * scale for one in given]


def octaves(height: int, width: int) -> list[float]:
    """Return the centers of the octaves of images in cycles/pixel, ascending.

    An octave contains the frequencies above ``center / sqrt(2)`` and up to
    ``sqrt(2) center``. The last center is Nyquist, and the first is at least 1
    cycle/image. Images with a side of one pixel have no octave.
    """
    count = math.floor(math.log2(min(height, width)))
    return [0.5 * 2.0**-k for k in range(count - 1, -1, -1)]
