"""Percentile bootstrap over images, and the record of a value with its interval."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Attributes
    ----------
    value, low, high : float
    n : int
        Number of images used.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=32)
    >>> found = nf.corruption_accuracy(nf.models.small_cnn(), data, corruptions=["fog"])
    >>> found.mean.n, found.mean.low <= found.mean.value <= found.mean.high
    (32, True)
    """

    value: float
    low: float
    high: float
    n: int


def resampled_means(
    values: ArrayLike, *, n_resamples: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """Resample images with replacement and average each resample.

    Parameters
    ----------
    values : array_like of float, shape (N,) or (N, K)
        One row per image, one column per quantity; finite.
    n_resamples : int
        Number of resamples B.
    seed : int
        Resample b uses random stream b of this seed. All columns use the same rows.

    Returns
    -------
    ndarray of float64, shape (B, K)
        K = 1 for one-dimensional `values`.

    Raises
    ------
    ValueError
        If `values` is empty, not finite or of a wrong rank, or
        `n_resamples` is less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> correct = np.array([True] * 80 + [False] * 20)
    >>> means = nf.intervals.resampled_means(correct, n_resamples=2000)
    >>> means.shape
    (2000, 1)
    >>> low, high = nf.intervals.percentile_interval(means[:, 0])
    >>> low < 0.8 < high
    True
    """
    rows = validate.real(values, "values")
    if rows.ndim == 1:
        rows = rows[:, None]
    if rows.ndim != 2 or rows.size == 0:
        raise ValueError(f"values: got shape {rows.shape}, expected (N,) or (N, K)")
    if not np.isfinite(rows).all():
        raise ValueError("values: got NaN or infinite values, expected finite ones")
    n_resamples = validate.count("n_resamples", n_resamples)
    return _neurofreq.resampled_means(rows, n_resamples, validate.seed(seed))


def percentile_interval(
    statistic: ArrayLike, *, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a resampled statistic.

    Parameters
    ----------
    statistic : array_like of float, shape (B,)
        The statistic of each resample. NaN means undefined and is left out; infinity is
        kept.
    level : float
        Coverage, between 0 and 1.

    Returns
    -------
    low, high : float
        NaN, NaN if the statistic is undefined in more than half of the resamples,
        because an interval over the other resamples would be too narrow. If a value is
        infinite, percentiles are not interpolated: `low` is the next smaller and `high`
        the next larger value of a resample.

    Raises
    ------
    ValueError
        If `statistic` is empty or `level` is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> low, high = nf.intervals.percentile_interval(np.arange(101), level=0.9)
    >>> round(low), round(high)
    (5, 95)
    """
    values = validate.real(statistic, "statistic").ravel()
    if values.size == 0:
        raise ValueError("statistic: got no values, expected at least one")
    level = validate.number("level", level)
    validate.within("level", level, 0.0 < level < 1.0, "a number between 0 and 1")
    defined = values[~np.isnan(values)]
    if 2 * defined.size < values.size:
        return float("nan"), float("nan")
    tail = 50.0 * (1.0 - level)
    # Interpolation between a finite and an infinite number is undefined.
    is_finite = np.isfinite(defined).all()
    low = np.percentile(defined, tail, method="linear" if is_finite else "lower")
    high = np.percentile(
        defined, 100.0 - tail, method="linear" if is_finite else "higher"
    )
    return float(low), float(high)
