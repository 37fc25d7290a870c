"""The result of `robust_accuracy`: accuracy against budget, with intervals."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import intervals
from neurofreq._shared import results
from neurofreq._shared.inputs import validate
from neurofreq._shared.results import Result
from neurofreq.attacks import _result
from neurofreq.attacks._result import host

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from neurofreq.intervals import Estimate
    from neurofreq.plot import Curve


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RobustAccuracy(Result):
    """Accuracy under the strongest of several attacks, for each budget.

    Intervals are percentile bootstrap intervals over images. All budgets use the same
    resamples. The accuracy is an upper bound: a stronger attack could only reduce it.

    Attributes
    ----------
    norm : {"linf", "l2", "l1", "l0"}
    epsilons : ndarray of float64, shape (K,)
        The budgets in the order of the call.
    distance : ndarray or Tensor of float, shape (N,)
        The size of the smallest perturbation found: 0 for an image that is already
        misclassified, infinite if no attack succeeded. The attacks of single budgets
        stop at the first adversarial point, so the distance is close to the minimal one
        only where `broken_by` is "minimal".
    adversarial : ndarray or Tensor, shape (N, C, H, W)
        The adversarial image at this distance; the clean image if there is none.
    broken_by : ndarray of str, shape (N,)
        The attack that found it: "clean" (already misclassified), "minimal",
        "targeted" or "decision"; empty if there is none.
    n_queries, n_gradients : ndarray of int64, shape (N,)
        Forward and backward passes for each image.
    level : float
        Coverage of the intervals.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=8)
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> found = nf.attacks.robust_accuracy(model, data, epsilons=[0.0, 0.5, 0.001])
    >>> found.n, float(found.value[1]), bool(found.value[0] >= found.value[2])
    (8, 0.0, True)
    >>> found.by_epsilon.columns.tolist()
    ['epsilon', 'accuracy', 'low', 'high', 'n']
    >>> found
    RobustAccuracy(norm: linf, images: 8, at 0: ..., at 0.5: 0.0 % [0.0, 0.0], ...)
    >>> found.plot().get_ylabel()
    'accuracy (%)'
    """

    norm: str
    epsilons: NDArray[np.float64]
    distance: Any
    adversarial: Any
    broken_by: NDArray[np.str_]
    n_queries: NDArray[np.int64]
    n_gradients: NDArray[np.int64]
    level: float = 0.95

    @property
    def n(self) -> int:
        """The number of images."""
        return len(self.distance)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each image is classified correctly within each budget, (K, N)."""
        is_broken: NDArray[np.bool_] = host(self.broken_within(self.epsilons))
        return ~is_broken

    @property
    def smallest(self) -> NDArray[np.float64]:
        """The smallest budget that breaks each image, (N,); infinite if none does."""
        budgets = np.where(self.correct, np.inf, self.epsilons[:, None])
        found: NDArray[np.float64] = budgets.min(axis=0)
        return found

    @property
    def value(self) -> NDArray[np.float64]:
        """The accuracy at each budget, (K,)."""
        found: NDArray[np.float64] = self.correct.mean(axis=1)
        return found

    @property
    def low(self) -> NDArray[np.float64]:
        """The lower end of each interval, (K,)."""
        return np.array([one.low for one in self.estimates])

    @property
    def high(self) -> NDArray[np.float64]:
        """The upper end of each interval, (K,)."""
        return np.array([one.high for one in self.estimates])

    @property
    def estimates(self) -> list[Estimate]:
        """The accuracy at each budget with its interval."""
        correct = self.correct.T.astype(np.float64)
        drawn = intervals.resampled_means(correct)
        return [
            intervals.Estimate(
                float(column.mean()),
                *intervals.percentile_interval(draws, level=self.level),
                self.n,
            )
            for column, draws in zip(correct.T, drawn.T, strict=True)
        ]

    @property
    def by_epsilon(self) -> pd.DataFrame:
        """One row per budget, in the order of the call.

        Columns "epsilon", "accuracy", "low", "high", "n".
        """
        found = self.estimates
        columns = {"epsilon": self.epsilons, "accuracy": self.value}
        ends = {key: [getattr(one, key) for one in found] for key in ("low", "high")}
        return results.frame(columns | ends | {"n": self.n})

    @property
    def by_image(self) -> pd.DataFrame:
        """One row per image.

        Columns "index", "distance", "epsilon" (the smallest budget that breaks the
        image), "broken_by", "n_queries", "n_gradients".
        """
        return results.frame(
            {
                "index": np.arange(self.n),
                "distance": host(self.distance),
                "epsilon": self.smallest,
                "broken_by": self.broken_by,
                "n_queries": self.n_queries,
                "n_gradients": self.n_gradients,
            }
        )

    def broken_within(self, epsilons: Any) -> Any:
        """Return which images are known to break within each budget.

        Parameters
        ----------
        epsilons : array_like of float, shape (K,)
            Any budgets. At budgets that are not in `epsilons` of the call, only the
            minimal attack was run.

        Returns
        -------
        ndarray or Tensor of bool, shape (K, N)
        """
        return _result.within(self.distance, validate.epsilons("epsilons", epsilons))

    def curve(self) -> Curve:
        """Return the accuracy against the budget, for ``neurofreq.plot``."""
        from neurofreq.plot import Curve

        order = np.argsort(self.epsilons, kind="stable")
        x, y, low, high = (
            part[order] for part in (self.epsilons, self.value, self.low, self.high)
        )
        return Curve(x, y, low, high)

    def to_frame(self) -> pd.DataFrame:
        """Return `by_epsilon`."""
        return self.by_epsilon

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw accuracy against budget (`plot.plot_robust_accuracy`)."""
        from neurofreq.plot import plot_robust_accuracy

        return plot_robust_accuracy(self, ax, **kw)

    def _numbers(self) -> dict[str, Any]:
        pairs = zip(self.epsilons, self.estimates, strict=True)
        accuracies = {
            f"at {epsilon:.4g}": results.percent(one.value, one.low, one.high)
            for epsilon, one in pairs
        }
        return {"norm": self.norm, "images": self.n} | accuracies

    def __str__(self) -> str:
        """Return the accuracies as plain text."""
        return "\n".join(
            f"{self.norm} {epsilon:.6g}: "
            + results.percent(one.value, one.low, one.high, 5)
            for epsilon, one in zip(self.epsilons, self.estimates, strict=True)
        )
