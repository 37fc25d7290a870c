"""Turn raw values per image into numbers and curves with bootstrap intervals.

Images are resampled with replacement. Quantities over the same number of images share
the same resamples (one seed), so that a difference between two models on the same
images is paired.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from neurofreq import _neurofreq
from neurofreq.intervals import quantity
from neurofreq.intervals.quantity import LEVEL as LEVEL
from neurofreq.intervals.quantity import N_RESAMPLES as N_RESAMPLES
from neurofreq.intervals.quantity import Quantity as Quantity
from neurofreq.plot import Curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from neurofreq.intervals.quantity import Floats as Floats
    from neurofreq.intervals.quantity import Statistic


@dataclasses.dataclass(frozen=True)
class Profile:
    """A mean curve over images, and the level whose crossing gives its frequency.

    `values` has an array (N, K) for each model, with the same images and the same `x`
    (K,). `transform` maps means over images (B, K) to the curve of one model. The
    profile is the mean of the models' curves.
    """

    x: Floats
    values: Sequence[Floats]
    transform: Statistic
    level: float

    def crossing(self, level: float | None = None) -> Quantity:
        """Return the first x at which the curve rises through a level."""
        at = self.level if level is None else level
        return Quantity(
            np.concatenate(self.values, axis=1),
            lambda means: _neurofreq.crossing(self.x, self._curve(means), at),
        )

    def curve(self) -> Curve:
        """Return the curve with its interval, and its crossing as the mark."""
        mark = self.crossing().estimate()
        whole = np.concatenate(self.values, axis=1)
        curve = pointwise(self.x, whole, self._curve)
        return curve._replace(mark=mark.value, mark_interval=(mark.low, mark.high))

    def _curve(self, means: Floats) -> Floats:
        parts = np.split(means, len(self.values), axis=1)
        curve: Floats = np.mean([self.transform(part) for part in parts], axis=0)
        return curve


def hybrid_profile(frequency: Floats, *difference: Floats) -> Profile:
    """Return p_low - p_high against mixing frequency; it crosses 0 at f_rev."""
    return Profile(frequency, difference, lambda means: means, 0.0)


def radial_profile(frequency: Floats, *radial: Floats) -> Profile:
    """Return the share of the power below each frequency; it crosses 0.5 at f_0.5."""
    return Profile(frequency, radial, normalized, 0.5)


def accuracy(correct: NDArray[np.bool_]) -> Quantity:
    """Return the fraction of True values in an array (..., N) over N images."""
    if np.size(correct) == 0:
        raise ValueError("correct: got no images, expected at least one")
    per_image = np.atleast_2d(correct).reshape(-1, correct.shape[-1]).mean(axis=0)
    return Quantity(per_image[:, None], lambda means: means[:, 0])


def median_size(distance: Floats, share: float = 0.5) -> Quantity:
    """Return the median over images of the smallest perturbation, or another quantile.

    An image on which the attack failed has an infinite distance. The quantile comes
    from the distribution function: at each observed size, the fraction of images whose
    distance is at most that size. With an even number of images, the median is the
    midpoint of the two middle distances. The median is infinite if the attack failed
    on at least half of the images.
    """
    sizes = np.unique(distance)
    below = (distance[:, None] <= sizes).astype(np.float64)
    edge = 0.25 / len(distance)

    def statistic(means: Floats) -> Floats:
        first = sizes[(means >= share - edge).argmax(axis=1)]
        second = sizes[(means > min(share + edge, 1.0 - edge)).argmax(axis=1)]
        return 0.5 * (first + second)

    return Quantity(below, statistic)


def mean_size(distance: Floats) -> Quantity:
    """Return the mean distance over the images that have a perturbation."""
    found = np.isfinite(distance)
    values = np.stack([np.where(found, distance, 0.0), found], axis=1)

    def statistic(means: Floats) -> Floats:
        total, share = means.T
        undefined = np.full(len(means), np.nan)
        return np.divide(total, share, out=undefined, where=share > 0.0)

    return Quantity(values, statistic)


def similarity_correlation(first: Floats, second: Floats) -> Quantity:
    """Return the correlation of two similarity matrices (N, N) above their diagonals.

    An image that is drawn k times has weight k in all of its pairs. Pairs of an image
    with itself are left out.
    """
    n = len(first)
    off = 1.0 - np.eye(n)
    a, b = off * first, off * second
    planes = (off, a, b, a * a, b * b, a * b)

    def statistic(means: Floats) -> Floats:
        one, x, y, xx, yy, xy = (((means @ p) * means).sum(axis=1) for p in planes)
        spread = (xx - x * x / one) * (yy - y * y / one)
        with np.errstate(invalid="ignore", divide="ignore"):  # few distinct images
            return (xy - x * y / one) / np.sqrt(spread)

    return Quantity(np.eye(n), statistic)


def success_curve(distance: Floats, epsilons: Floats) -> Curve:
    """Return the fraction of images changed within each budget."""
    return pointwise(epsilons, (distance[:, None] <= epsilons).astype(np.float64))


def robust_accuracy(distance: Floats, epsilons: Floats) -> Curve:
    """Return the fraction of images that are classified correctly within each budget.

    The distances are those of an untargeted attack, 0 for misclassified images.
    """
    return pointwise(epsilons, (distance[:, None] > epsilons).astype(np.float64))


def pointwise(
    x: Floats, values: Floats, transform: Statistic = lambda means: means
) -> Curve:
    """Return the mean over images at each x with its pointwise interval.

    `transform` is applied to rows of means, shape (B, K).
    """
    return Curve(x, *quantity.pointwise(values, transform))


def budgets(distances: list[Floats]) -> Floats:
    """Return 61 budgets from zero to 1.02 times the 99th percentile of the sizes."""
    finite = np.concatenate([d[np.isfinite(d)] for d in distances] or [np.zeros(0)])
    top = 1.02 * float(np.percentile(finite, 99.0)) if finite.size else 0.0
    return np.linspace(0.0, top or 1.0 / 255.0, 61)


def normalized(means: Floats) -> Floats:
    """Return cumulative power as a fraction of the total; zero if there is no power."""
    total = means[:, -1:]
    return np.divide(means, total, out=np.zeros_like(means), where=total > 0.0)
