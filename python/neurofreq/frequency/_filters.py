"""Filter images by spatial frequency and by orientation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate
from neurofreq.frequency import _units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from neurofreq._shared.inputs.validate import Array

Kind: TypeAlias = Literal["ideal", "gaussian", "butterworth"]
Unit: TypeAlias = Literal["cycles/pixel", "nyquist", "cycles/image"]

KINDS = ("ideal", "gaussian", "butterworth")
"""How the gain of a filter falls around its cut-off (`low_pass`)."""


def low_pass(
    images: Array,
    cutoff: float | Sequence[float],
    *,
    kind: Kind = "gaussian",
    order: float = 2.0,
    unit: Unit = "cycles/pixel",
) -> Any:
    """Keep the low spatial frequencies of images.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64, any finite values. Arrays of any strides are read without a
        copy.
    cutoff : float or sequence of float
        Cut-off frequency, above 0 and up to the corner of the spectrum (0.7071
        cycles/pixel).
    kind : {"gaussian", "ideal", "butterworth"}
        How the gain falls around the cut-off c: ``2^-(|f| / c)^2``, 1 up to c and 0
        above, or ``1 / (1 + (|f| / c)^(2 order))``. The first and the last have gain
        1/2 at c.
    order : float
        Order of "butterworth", above 0.
    unit : {"cycles/pixel", "nyquist", "cycles/image"}
        Unit of `cutoff`: Nyquist is 0.5 cycles/pixel; cycles/image are cycles per
        shorter side.

    Returns
    -------
    ndarray or Tensor, shape (N, C, H, W), or (F, N, C, H, W) for F cut-offs
        Same type and dtype, not clipped; a tensor stays on its device and has a
        gradient. The mean of each plane does not change.

    Raises
    ------
    TypeError
        If `images` is not an array or tensor of float32 or float64.
    ValueError
        A wrong rank, an empty axis, NaN or infinite values, or a wrong cut-off, kind,
        order or unit.

    Notes
    -----
    Images are periodic for the discrete Fourier transform: opposite edges blur into
    each other. "butterworth" is the squared magnitude of the filter of that order in
    signal processing, as its forward and backward pass gives. A Gaussian blur with the
    standard deviation s (pixels) has the cut-off ``sqrt(2 ln 2) / (2 pi s)``, about
    ``0.1874 / s``.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> x = np.arange(32)
    >>> coarse, fine = np.cos(2 * np.pi * x / 16), np.cos(2 * np.pi * x / 4)
    >>> image = np.broadcast_to(coarse + fine, (1, 1, 32, 32))
    >>> low = nf.frequency.low_pass(image, 0.1, kind="ideal")
    >>> bool(np.allclose(low[0, 0, 0], coarse))
    True
    """
    images = validate.images(images)
    highs = _cutoffs("cutoff", cutoff, unit, images)
    return _passed(images, 0.0, highs, kind, order, is_one=_is_one(cutoff))


def high_pass(
    images: Array,
    cutoff: float | Sequence[float],
    *,
    kind: Kind = "gaussian",
    order: float = 2.0,
    unit: Unit = "cycles/pixel",
    keep_mean: bool = True,
) -> Any:
    """Keep the high spatial frequencies of images.

    The gain is 1 minus the gain of `low_pass`, so both results add up to the image
    (plus its mean with `keep_mean`).

    Parameters
    ----------
    images, cutoff, kind, order, unit
        As in `low_pass`.
    keep_mean : bool
        Keep the mean of each plane. Without it, the result has negative values.

    Returns
    -------
    ndarray or Tensor
        As from `low_pass`.

    Raises
    ------
    TypeError, ValueError
        As `low_pass`.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=4).images
    >>> high = nf.frequency.high_pass(images, 8, unit="cycles/image", keep_mean=False)
    >>> low = nf.frequency.low_pass(images, 8, unit="cycles/image")
    >>> bool(np.allclose(low + high, images, atol=1e-6))
    True
    """
    images = validate.images(images)
    lows = _cutoffs("cutoff", cutoff, unit, images)
    keep_mean = validate.flag("keep_mean", keep_mean)
    return _passed(
        images, lows, np.inf, kind, order, keep_mean=keep_mean, is_one=_is_one(cutoff)
    )


def band_pass(
    images: Array,
    low: float,
    high: float,
    *,
    kind: Kind = "gaussian",
    order: float = 2.0,
    unit: Unit = "cycles/pixel",
    keep_mean: bool = True,
) -> Any:
    """Keep the spatial frequencies of images between two cut-offs.

    The gain is the difference of two low-pass filters, so adjacent bands add up to the
    image; of the "gaussian" kind, this is a difference of Gaussians.

    Parameters
    ----------
    images, kind, order, unit
        As in `low_pass`.
    low, high : float
        Cut-offs, of which `high` is the larger one. An "ideal" band excludes `low` and
        includes `high`.
    keep_mean : bool
        As in `high_pass`.

    Returns
    -------
    ndarray or Tensor, shape (N, C, H, W)
        As from `low_pass`.

    Raises
    ------
    TypeError, ValueError
        As `low_pass`; also for an "ideal" band without a frequency of these images.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=4).images
    >>> octave = nf.frequency.band_pass(images, 0.125, 0.25, kind="ideal")
    >>> power = nf.power_spectrum(octave)
    >>> bool(power[16, 16 + 4] < 1e-6 < power[16, 16 + 5])  # 0.125, 0.156 cycles/pixel
    True
    """
    images = validate.images(images)
    numbers = {"low": low, "high": high}
    low, high = (
        _cutoffs(name, validate.number(name, value), unit, images)[0]
        for name, value in numbers.items()
    )
    validate.within("high", numbers["high"], low < high, f"above low, {low:.6g}")
    keep_mean = validate.flag("keep_mean", keep_mean)
    return _passed(images, low, high, kind, order, keep_mean=keep_mean)


def orientation_pass(
    images: Array,
    orientation: float,
    width: float,
    *,
    kind: Kind = "gaussian",
    order: float = 2.0,
    keep_mean: bool = True,
) -> Any:
    """Keep the bars and edges of images around one orientation.

    Parameters
    ----------
    images, kind, order
        As in `low_pass`.
    orientation : float
        Orientation of the bars, 0 to 180 degrees: 0 is horizontal, 45 rises to the
        right, 90 is vertical.
    width : float
        Full width of the range of orientations in degrees, above 0 and up to 180. It
        ends where the gain is 1/2 (or falls to 0, if `kind` is "ideal").
    keep_mean : bool
        As in `high_pass`.

    Returns
    -------
    ndarray or Tensor, shape (N, C, H, W)
        As from `low_pass`.

    Raises
    ------
    TypeError, ValueError
        As `low_pass`; also for a range without a frequency of these images.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> bars = np.cos(2 * np.pi * np.arange(16) / 4)
    >>> vertical = np.broadcast_to(bars, (1, 1, 16, 16))
    >>> same = nf.frequency.orientation_pass(vertical, 90, 40, kind="ideal")
    >>> none = nf.frequency.orientation_pass(vertical, 0, 40, kind="ideal")
    >>> bool(np.allclose(same, vertical)), bool(np.allclose(none, 0))
    (True, True)
    """
    images = validate.images(images)
    orientation = validate.number("orientation", orientation)
    is_angle = 0.0 <= orientation <= 180.0
    validate.within("orientation", orientation, is_angle, "0 to 180 degrees")
    width = validate.number("width", width)
    validate.within("width", width, 0.0 < width <= 180.0, "above 0 and up to 180")
    keep_mean = validate.flag("keep_mean", keep_mean)
    bars = (orientation, width)
    return _passed(images, 0.0, np.inf, kind, order, keep_mean=keep_mean, bars=bars)


def _cutoffs(name: str, value: Any, unit: str, images: Array) -> list[float]:
    """Return checked cut-offs in cycles/pixel."""
    unit = validate.one_of("unit", unit, _units.UNITS)
    return _units.per_pixel(name, value, unit, images.shape)


def _is_one(value: Any) -> bool:
    """Return whether a cut-off is a single number."""
    return int(getattr(value, "ndim", np.ndim(value))) == 0


def _passed(
    images: Array,
    low: ArrayLike,
    high: ArrayLike,
    kind: str,
    order: float,
    *,
    keep_mean: bool = True,
    bars: tuple[float, float] | None = None,
    is_one: bool = True,
) -> Any:
    """Return the images after each filter; without the first axis if `is_one`."""
    kind = validate.one_of("kind", kind, KINDS)
    order = validate.number("order", order)
    validate.within("order", order, 0.0 < order < np.inf, "a finite number above 0")
    filters = [
        (float(one), float(other), kind, order, bars, keep_mean)
        for one, other in np.broadcast(low, high)
    ]
    if isinstance(images, torch.Tensor):
        spectrum, width = _neurofreq.spectrum_tensor(images), images.shape[-1]
        each = [_neurofreq.filtered_tensor(spectrum, width, one) for one in filters]
        return each[0] if is_one else torch.stack(each)
    found = _neurofreq.filtered(images, filters)
    return found[0] if is_one else found
