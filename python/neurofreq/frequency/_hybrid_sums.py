"""Accumulate the answers to hybrid images batch by batch, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared import results
from neurofreq._shared.results import Result
from neurofreq._shared.saved import Saved
from neurofreq.frequency._hybrid import curve_frequencies
from neurofreq.intervals import Estimate, PoissonBootstrap
from neurofreq.plot import Curve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray


class HybridAccumulator(Result, Saved):
    """Which image of hybrids a model recognizes, updated batch by batch and merged.

    Parameters
    ----------
    frequencies : sequence of float, optional
        Mixing frequencies in units of Nyquist, as for `hybrid_curve`.
    n_resamples : int
        Number of Poisson-bootstrap resamples for intervals, at least 1.
    seed : int
        Seed of the weights of images in resamples (`intervals.PoissonBootstrap`).

    Notes
    -----
    Counts are exact, so the result does not depend on the order of the batches or on
    their number at all. Resamples are over low images, each with all its pairings, as
    in `hybrid_curve`.

    Examples
    --------
    A model that recognizes the low image above a mixing frequency of about 0.3:

    >>> import numpy as np
    >>> import neurofreq as nf
    >>> draws = np.random.default_rng(0).normal(0.3, 0.1, size=(500, 1))
    >>> grid = nf.frequency.FREQUENCIES
    >>> low = draws < np.array(grid)
    >>> answers = nf.frequency.HybridAccumulator(n_resamples=200)
    >>> answers = answers.update(np.arange(500), low, ~low)
    >>> found = answers.reversal_frequency()
    >>> round(found.value, 1), found.low < found.value < found.high
    (0.3, True)
    >>> answers
    HybridAccumulator(f_rev: 0.297 [0...] of Nyquist, pairs: 500, frequencies: 13)
    """

    def __init__(
        self,
        frequencies: Sequence[float] | None = None,
        *,
        n_resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.frequency = np.array(curve_frequencies(frequencies))
        n_columns = 2 * len(self.frequency) + 1  # pairs, low answers, high answers
        self._boot = PoissonBootstrap(n_columns, n_resamples=n_resamples, seed=seed)

    @property
    def count(self) -> int:
        """Number of pairs of images so far."""
        return self._boot.count

    def update(
        self, index: ArrayLike, low: ArrayLike, high: ArrayLike
    ) -> HybridAccumulator:
        """Add the answers to some pairs of images, and return the accumulator.

        Parameters
        ----------
        index : array_like of int, shape (n,)
            The position of each low image in the whole data set. An image may come
            again in another pairing.
        low, high : array_like of bool, shape (n, F)
            Whether the model predicts the label of the low (high) image of the hybrid
            at each mixing frequency.

        Raises
        ------
        TypeError, ValueError
            If an argument has another type or shape. Nothing is added then.
        """
        answers = [self._answers(low, "low"), self._answers(high, "high")]
        if len(answers[0]) != len(answers[1]):
            shape = answers[1].shape
            raise ValueError(f"high: got shape {shape}, expected {answers[0].shape}")
        ones = np.ones((len(answers[0]), 1))
        self._boot.update(index, np.concatenate([ones, *answers], axis=1))
        return self

    def merge(self, other: HybridAccumulator) -> HybridAccumulator:
        """Add the answers of another accumulator and return this one.

        Raises
        ------
        TypeError
            If `other` is not a `HybridAccumulator`.
        ValueError
            If frequencies, resamples or seeds differ.
        """
        if not isinstance(other, HybridAccumulator):
            kind = type(other).__name__
            raise TypeError(f"other: got {kind}, expected a HybridAccumulator")
        if not np.array_equal(self.frequency, other.frequency):
            raise ValueError(
                f"other: got frequencies {other.frequency}, expected {self.frequency}"
            )
        self._boot.merge(other._boot)
        return self

    def reversal_frequency(self, *, level: float = 0.95) -> Estimate:
        """Return f_rev in units of Nyquist with its interval; `n` counts pairs.

        NaN if the difference never rises through 0. Raises ValueError before the first
        update, or if `level` is not between 0 and 1.
        """

        def crossing(sums: NDArray[np.float64]) -> NDArray[np.float64]:
            difference = np.ascontiguousarray(
                self._rates(sums, 1) - self._rates(sums, 2)
            )
            return _neurofreq.crossing(self.frequency, difference, 0.0)

        return self._boot.estimate(crossing, level=level)

    def difference(self, *, level: float = 0.95) -> Curve:
        """Return ``p_low - p_high`` (-1 to 1) with its interval; f_rev is marked.

        Raises ValueError before the first update, or if `level` is not between 0 and 1.
        """
        points = [
            self._boot.estimate(
                lambda sums, k=k: (self._rates(sums, 1) - self._rates(sums, 2))[:, k],  # type: ignore[misc]
                level=level,
            )
            for k in range(len(self.frequency))
        ]
        reversal = self.reversal_frequency(level=level)
        return Curve(
            self.frequency,
            [one.value for one in points],
            [one.low for one in points],
            [one.high for one in points],
            reversal.value,
            (reversal.low, reversal.high),
        )

    @property
    def p_low(self) -> NDArray[np.float64]:
        """Fraction of hybrids with the low label predicted, shape (F,); NaN if none."""
        return self._rates(self._boot.sums[None], 1)[0]

    @property
    def p_high(self) -> NDArray[np.float64]:
        """Fraction of hybrids with the high label predicted, shape (F,)."""
        return self._rates(self._boot.sums[None], 2)[0]

    def state(self) -> dict[str, Any]:
        """Return everything as arrays and integers."""
        return {"frequency": self.frequency.copy()} | self._boot.state()

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> HybridAccumulator:
        """Restore an accumulator from its `state`.

        Raises ValueError if a key is missing, or its value is impossible.
        """
        cls.check_keys(state, ("frequency",))
        boot = PoissonBootstrap.from_state(state)
        found = cls(
            np.asarray(state["frequency"]).tolist(),
            n_resamples=len(boot.resampled),
            seed=boot.seed,
        )
        if boot.settings != found._boot.settings:
            raise ValueError(
                f"state: got {len(boot.sums)} sums for {len(found.frequency)} "
                f"frequencies, expected {len(found._boot.sums)}"
            )
        found._boot = boot
        return found

    def to_frame(self) -> pd.DataFrame:
        """Return one row per mixing frequency: p_low, p_high, difference, low, high."""
        curve = self.difference()
        return results.frame(
            {
                "frequency": self.frequency, "p_low": self.p_low,
                "p_high": self.p_high, "difference": curve.y, "low": curve.low,
                "high": curve.high,
            }
        )  # fmt: skip

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the curve (`plot.plot_hybrid_curves`), on new Axes by default."""
        from neurofreq.plot import plot_hybrid_curves

        return plot_hybrid_curves(self.difference(), ax, **kw)

    def _has_picture(self) -> bool:
        return self.count > 0

    def _numbers(self) -> dict[str, Any]:
        numbers: dict[str, Any] = {}
        if self.count:
            one = self.reversal_frequency()
            numbers["f_rev"] = results.bounded(
                one.value, one.low, one.high, "of Nyquist"
            )
        return numbers | {"pairs": self.count, "frequencies": len(self.frequency)}

    def _answers(self, value: ArrayLike, name: str) -> NDArray[np.float64]:
        """Return answers (n, F) as numbers."""
        answers = np.asarray(value)
        if answers.dtype != np.bool_ or answers.shape[1:] != self.frequency.shape:
            raise ValueError(
                f"{name}: got shape {answers.shape} of {answers.dtype}, expected "
                f"(n, {len(self.frequency)}) of bool"
            )
        return answers.astype(np.float64)

    def _rates(self, sums: NDArray[np.float64], part: int) -> NDArray[np.float64]:
        """Return rates (B, F) of low (1) or high (2) answers from sums (B, 2 F + 1)."""
        count = len(self.frequency)
        first = 1 + (part - 1) * count
        with np.errstate(invalid="ignore"):
            return sums[:, first : first + count] / sums[:, :1]
