"""Bootstrap in one pass: Poisson weights of images, and sums over resamples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared import results
from neurofreq._shared.inputs import validate
from neurofreq._shared.saved import Saved
from neurofreq.intervals._bootstrap import Estimate, percentile_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray


class PoissonBootstrap(Saved):
    """Sums over images and over bootstrap resamples of them, in one pass.

    In each resample, each image has a Poisson(1) weight, and the sums are over weighted
    images. The weights of an image depend only on `seed` and the image's index. Batches
    may therefore come in any order and in several processes, whose sums are merged.
    Memory does not depend on the number of images.

    Parameters
    ----------
    n_quantities : int
        Number of quantities K of each image.
    n_resamples : int
        Number of resamples R.
    seed : int
        Seed of the weights. Two bootstraps of the same seed and images are paired.

    Attributes
    ----------
    sums : ndarray of float64, shape (K,)
        Sum of each quantity over the rows so far.
    resampled : ndarray of float64, shape (R, K)
        The same sum in each resample.
    count : int
        Number of rows so far.

    Notes
    -----
    A statistic is a function of sums, such as a ratio of two. The ordinary bootstrap
    fixes the number of images in a resample, and here this number is random. Put a
    column of ones into `update`, and divide by its sum, to get means.

    References
    ----------
    Chamandy et al. 2012, Estimating uncertainty for massive data streams.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> correct = np.array([1.0] * 80 + [0.0] * 20)
    >>> rows = np.stack([correct, np.ones(100)], axis=1)
    >>> boot = nf.intervals.PoissonBootstrap(2)
    >>> for index in (np.arange(60, 100), np.arange(60)):
    ...     boot = boot.update(index, rows[index])
    >>> accuracy = boot.estimate(lambda sums: sums[:, 0] / sums[:, 1])
    >>> accuracy.value, accuracy.low < 0.8 < accuracy.high
    (0.8, True)
    >>> boot.save("accuracy.npz")
    >>> nf.intervals.PoissonBootstrap.load("accuracy.npz")
    PoissonBootstrap(rows: 100, quantities: 2, resamples: 1000, seed: 0)
    """

    def __init__(
        self, n_quantities: int, *, n_resamples: int = 1000, seed: int = 0
    ) -> None:
        n_quantities = validate.count("n_quantities", n_quantities)
        n_resamples = validate.count("n_resamples", n_resamples)
        self.seed = validate.seed(seed)
        self.sums = np.zeros(n_quantities)
        self.resampled = np.zeros((n_resamples, n_quantities))
        self.count = 0

    def update(self, index: ArrayLike, values: ArrayLike) -> PoissonBootstrap:
        """Add rows of images and return the bootstrap.

        Parameters
        ----------
        index : array_like of int, shape (n,)
            The position of each row's image in the whole data set, at least 0. Rows
            with the same index have the same weights. An image that is added twice
            counts twice.
        values : array_like of float, shape (n, K)
            Finite.

        Raises
        ------
        TypeError, ValueError
            If an argument has another type, shape or range. Nothing is added then.
        """
        rows = validate.real(values, "values")
        if rows.ndim != 2 or rows.shape[1] != len(self.sums):
            raise ValueError(
                f"values: got shape {rows.shape}, expected (n, {len(self.sums)})"
            )
        if not np.isfinite(rows).all():
            raise ValueError("values: got NaN or infinite values, expected finite ones")
        places = image_index(index, len(rows))
        n_resamples = len(self.resampled)
        added = _neurofreq.poisson_sums(rows, places, n_resamples, self.seed)
        with np.errstate(over="ignore"):
            resampled, sums = self.resampled + added, self.sums + rows.sum(axis=0)
        if not (np.isfinite(sums).all() and np.isfinite(resampled).all()):
            raise ValueError("values: got values whose sums overflow, expected smaller")
        self.resampled, self.sums = resampled, sums
        self.count += len(rows)
        return self

    def merge(self, other: PoissonBootstrap) -> PoissonBootstrap:
        """Add the sums of other images and return this bootstrap.

        Raises
        ------
        TypeError
            If `other` is not a `PoissonBootstrap`.
        ValueError
            If quantities, resamples or seeds differ.
        """
        if not isinstance(other, PoissonBootstrap):
            kind = type(other).__name__
            raise TypeError(f"other: got {kind}, expected a PoissonBootstrap")
        mine, theirs = self.settings, other.settings
        if mine != theirs:
            raise ValueError(
                f"other: got quantities, resamples, seed {theirs}, expected {mine}"
            )
        self.resampled += other.resampled
        self.sums += other.sums
        self.count += other.count
        return self

    def estimate(
        self,
        statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        *,
        level: float = 0.95,
    ) -> Estimate:
        """Return a statistic of the sums with its percentile interval.

        Parameters
        ----------
        statistic : callable
            Maps sums (B, K) to the statistic (B,).
        level : float
            Coverage, between 0 and 1.

        Raises
        ------
        ValueError
            Before the first row, or if `level` is not between 0 and 1.
        """
        if self.count == 0:
            raise ValueError("estimate: got no images yet, expected an update first")
        with np.errstate(invalid="ignore", divide="ignore"):
            found = [
                np.asarray(statistic(s)) for s in (self.sums[None], self.resampled)
            ]
        for one, length in zip(found, (1, len(self.resampled)), strict=True):
            if one.shape != (length,):
                raise ValueError(
                    f"statistic: got shape {one.shape} for {length} rows of sums, "
                    f"expected ({length},)"
                )
        value, drawn = float(found[0][0]), found[1]
        return Estimate(value, *percentile_interval(drawn, level=level), self.count)

    def state(self) -> dict[str, Any]:
        """Return everything as arrays and integers."""
        return {
            "sums": self.sums.copy(),
            "resampled": self.resampled.copy(),
            "count": self.count,
            "seed": self.seed,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> PoissonBootstrap:
        """Restore a bootstrap from its `state`.

        Raises
        ------
        ValueError
            If a key is missing, or its value is impossible.
        """
        cls.check_keys(state, ("sums", "resampled", "count", "seed"))
        sums = validate.real(state["sums"], "state: sums")
        resampled = validate.real(state["resampled"], "state: resampled")
        is_whole = sums.ndim == 1 and resampled.ndim == 2
        if not is_whole or resampled.shape[1:] != sums.shape:
            raise ValueError(
                f"state: got sums of shape {sums.shape} and resampled of shape "
                f"{resampled.shape}, expected (K,) and (R, K)"
            )
        if not (np.isfinite(sums).all() and np.isfinite(resampled).all()):
            raise ValueError("state: got NaN or infinite sums, expected finite ones")
        seed = validate.integer("state: seed", state["seed"])
        found = cls(len(sums), n_resamples=len(resampled), seed=seed)
        found.count = validate.count("state: count", state["count"], 0)
        found.sums, found.resampled = sums.copy(), resampled.copy()
        return found

    def __repr__(self) -> str:
        """Return the number of rows and the settings in one line."""
        quantities, resamples, seed = self.settings
        numbers = {
            "rows": self.count, "quantities": quantities, "resamples": resamples,
            "seed": seed,
        }  # fmt: skip
        return results.line(self, numbers)

    @property
    def settings(self) -> tuple[int, int, int]:
        """Numbers of quantities and resamples, and the seed: equal to merge."""
        return len(self.sums), len(self.resampled), self.seed


def image_index(index: ArrayLike, count: int) -> NDArray[np.uint64]:
    """Return the indices of `count` images; raise if they are not whole and from 0."""
    places = np.asarray(index)
    if places.dtype.kind not in "iu" or places.shape != (count,):
        raise ValueError(
            f"index: got shape {places.shape} of {places.dtype}, expected ({count},) "
            "of integers, one per image"
        )
    if places.size and places.min() < 0:
        raise ValueError(f"index: got {places.min()}, expected integers from 0 up")
    return np.ascontiguousarray(places, dtype=np.uint64)
