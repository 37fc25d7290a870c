"""Convert spatial frequencies to cycles per degree of visual angle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_NYQUIST = 0.5  # cycles/pixel
_UNITS = {"cycles/pixel": 1.0, "nyquist": _NYQUIST}
_HALF_DEGREE = math.radians(0.5)


def pixels_per_degree(*, distance: float, pixel_pitch: float) -> float:
    """Return how many image pixels one degree of visual angle covers.

    Parameters
    ----------
    distance : float
        From the eye to the screen, positive; in any unit of length.
    pixel_pitch : float
        Distance on the screen between the centers of adjacent pixels *of the image*,
        positive, in the unit of `distance`. If the image is enlarged by a factor k on
        the screen, this is k times the pitch of the screen.

    Returns
    -------
    float
        ``2 * distance * tan(0.5 degrees) / pixel_pitch``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a finite positive number, or the result overflows.

    Notes
    -----
    The result holds for the degree around the point of the screen that is nearest to
    the eye. Away from this point, a degree covers more pixels: 3 % more at 10 degrees.

    If you know only that an image of W pixels was shown over D degrees, use ``W / D``.

    Examples
    --------
    A screen with 100 pixels on 26.5 mm, seen from 57 cm:

    >>> import neurofreq as nf
    >>> density = nf.frequency.pixels_per_degree(distance=570, pixel_pitch=0.265)
    >>> round(density, 1)
    37.5
    """
    sizes = {"distance": distance, "pixel_pitch": pixel_pitch}
    plain = {name: _positive(name, value) for name, value in sizes.items()}
    density = 2.0 * plain["distance"] * math.tan(_HALF_DEGREE) / plain["pixel_pitch"]
    finite = 0.0 < density < math.inf
    limit = f"a size near that of distance, {plain['distance']}"
    validate.within("pixel_pitch", plain["pixel_pitch"], finite, limit)
    return density


def cycles_per_degree(
    frequency: ArrayLike,
    pixels_per_degree: float,
    *,
    unit: Literal["cycles/pixel", "nyquist"] = "cycles/pixel",
) -> Any:
    """Convert spatial frequencies of images to cycles per degree of visual angle.

    Parameters
    ----------
    frequency : float or array_like of float
        Finite, 0 or more: for example the half-power frequency of a `RadialProfile`, or
        the reversal frequency of a `HybridCurve` with ``unit="nyquist"``.
    pixels_per_degree : float
        Image pixels per degree of visual angle, positive; see `pixels_per_degree`.
    unit : {"cycles/pixel", "nyquist"}
        The unit of `frequency`. "nyquist": a fraction of 0.5 cycles/pixel.

    Returns
    -------
    float, or ndarray of float64 with the shape of `frequency`

    Raises
    ------
    TypeError, ValueError
        If a frequency is negative or not finite, `pixels_per_degree` is not a finite
        positive number, or the unit is unknown.

    Notes
    -----
    A network has no viewing distance: it gets pixels. The conversion therefore says at
    which frequency an observer sees the same pattern, if the images are shown at this
    density. Compare networks with each other in cycles/pixel.

    Examples
    --------
    Images of 32 pixels over 4 degrees; f_0.5 in cycles/pixel, and f_rev in units of
    Nyquist:

    >>> import neurofreq as nf
    >>> nf.frequency.cycles_per_degree(0.25, 32 / 4)
    2.0
    >>> nf.frequency.cycles_per_degree([0.25, 1.0], 32 / 4, unit="nyquist")
    array([1., 4.])
    """
    values = validate.real(frequency, "frequency", kinds="fiu")
    density = _positive("pixels_per_degree", pixels_per_degree)
    scale = _UNITS[validate.one_of("unit", unit, tuple(_UNITS))]
    bad = values[~(np.isfinite(values) & (values >= 0.0))]
    if bad.size:
        raise ValueError(f"frequency: got {bad[0]}, expected finite numbers from 0 up")
    found = values * scale * density
    return float(found) if found.ndim == 0 else found


def _positive(name: str, value: float) -> float:
    """Return a finite positive number."""
    plain = validate.number(name, value)
    validate.within(name, plain, 0.0 < plain < math.inf, "a finite positive number")
    return plain
