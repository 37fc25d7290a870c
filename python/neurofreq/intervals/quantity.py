"""Statistics of values per image, and curves, with bootstrap intervals."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from neurofreq._shared import results
from neurofreq.intervals._bootstrap import (
    Estimate,
    percentile_interval,
    resampled_means,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Statistic = Callable[[Floats], Floats]

LEVEL = 0.95
N_RESAMPLES = 1000


@dataclasses.dataclass(frozen=True, repr=False)
class Quantity:
    """A statistic of per-image values and how it is bootstrapped.

    Attributes
    ----------
    values : ndarray of float64, shape (N, K)
        One row per image.
    statistic : callable
        Maps means over images, (B, K), to the statistic, (B,).

    Examples
    --------
    >>> import numpy as np
    >>> from neurofreq.measured import Quantity
    >>> values = np.array([[1.0, 2.0], [3.0, 2.0]])
    >>> ratio = Quantity(values, lambda means: means[:, 0] / means[:, 1])
    >>> ratio.estimate().value
    1.0
    >>> ratio
    Quantity(value: 1.000 [0.500, 1.500], images: 2)
    """

    values: Floats
    statistic: Statistic

    def __repr__(self) -> str:
        """Return the estimate in one line."""
        one = self.estimate()
        value = results.bounded(one.value, one.low, one.high)
        return results.line(self, {"value": value, "images": one.n})

    def estimate(self) -> Estimate:
        """Return the statistic over all images with its interval."""
        value = float(self.statistic(self.values.mean(axis=0)[None])[0])
        low, high = percentile_interval(self.resampled(), level=LEVEL)
        return Estimate(value, low, high, len(self.values))

    def minus(self, other: Quantity) -> Estimate:
        """Return this statistic minus another, paired over the same images.

        NaN if both are infinite.
        """
        value = self.estimate().value - other.estimate().value
        with np.errstate(invalid="ignore"):
            difference = self.resampled() - other.resampled()
        low, high = percentile_interval(difference, level=LEVEL)
        return Estimate(value, low, high, len(self.values))

    def resampled(self) -> Floats:
        """Return the statistic of every resample, shape (B,)."""
        return self.statistic(resampled_means(self.values, n_resamples=N_RESAMPLES))


def pointwise(
    values: Floats, transform: Statistic = lambda means: means
) -> tuple[Floats, Floats, Floats]:
    """Return the mean over images of each column, and the ends of its interval.

    `transform` is applied to rows of means, shape (B, K). The ends are NaN where it is
    NaN for all resamples.
    """
    resampled = transform(resampled_means(values, n_resamples=N_RESAMPLES))
    tail = 50.0 * (1.0 - LEVEL)
    ends = np.full((2, resampled.shape[1]), np.nan)
    some = ~np.isnan(resampled).all(axis=0)
    ends[:, some] = np.nanpercentile(resampled[:, some], [tail, 100.0 - tail], axis=0)
    return transform(values.mean(axis=0)[None])[0], ends[0], ends[1]
