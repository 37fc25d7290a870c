"""Hold accuracy for every cell of a corruption benchmark, and compute means."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neurofreq import intervals
from neurofreq._shared import results
from neurofreq._shared.inputs import validate
from neurofreq._shared.results import Result
from neurofreq.corruptions import grouping

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from neurofreq.intervals import Estimate
    from neurofreq.plot import Curve

CLEAN = "clean"


class Cells(Result):
    """A base of accuracies for every corruption and severity: their means and tables.

    Means are over the corruptions in the paper's groups. Other corruptions ("extra")
    have cells, but do not enter the means.
    """

    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    level: float

    @abstractmethod
    def _estimates(self, weights: NDArray[np.float64]) -> list[Estimate]:
        """Return one mean over cells for each row of weights (Q, K, S)."""

    @abstractmethod
    def _of_clean(self) -> Estimate | None:
        """Return the accuracy on clean images; None if not measured."""

    @property
    def cells(self) -> pd.DataFrame:
        """One row per corruption and severity, and one for the clean images.

        Columns "corruption", "severity", "group", "accuracy", "low", "high", "n".
        """
        keys = [
            {"corruption": name, "severity": severity, "group": grouping.group_of(name)}
            for name in self.corruptions
            for severity in self.severities
        ]
        n_cells = len(keys)
        shape = len(self.corruptions), len(self.severities)
        weights = np.eye(n_cells).reshape(n_cells, *shape)
        rows = [
            key | _row(estimate)
            for key, estimate in zip(keys, self._estimates(weights), strict=True)
        ]
        clean = self._of_clean()
        if clean is not None:
            start = {"corruption": CLEAN, "severity": 0, "group": CLEAN}
            rows.insert(0, start | _row(clean))
        return results.frame(rows)

    @property
    def by_severity(self) -> pd.DataFrame:
        """Mean over corruptions at each severity; 0 is the clean images (Fig 2a)."""
        weights = [self._weights(severity=severity) for severity in self.severities]
        rows = [
            {"severity": severity} | _row(estimate)
            for severity, estimate in self._pairs(self.severities, weights)
        ]
        clean = self._of_clean()
        if clean is not None:
            rows.insert(0, {"severity": 0} | _row(clean))
        return results.frame(rows)

    @property
    def by_group(self) -> pd.DataFrame:
        """Mean over the corruptions of each group and over severities (Fig 2c)."""
        present = [grouping.group_of(name) for name in self.corruptions]
        groups = [group for group in grouping.GROUPS if group in present]
        weights = [self._weights(group=group) for group in groups]
        pairs = self._pairs(groups, weights)
        return results.frame(
            [{"group": group} | _row(estimate) for group, estimate in pairs]
        )

    @property
    def by_corruption(self) -> pd.DataFrame:
        """Mean over severities for each corruption."""
        weights = [
            np.outer(np.array(self.corruptions) == name, self._one_severity())
            for name in self.corruptions
        ]
        return results.frame(
            [
                {"corruption": name, "group": grouping.group_of(name)} | _row(estimate)
                for name, estimate in self._pairs(self.corruptions, weights)
            ]
        )

    @property
    def mean(self) -> Estimate:
        """Mean over corruptions and severities (Figs 5b and 6b)."""
        return self._estimates(self._weights()[None])[0]

    def curve(self, over: Literal["severity", "group"]) -> Curve:
        """Return `by_severity` or `by_group` as a curve for ``neurofreq.plot``."""
        from neurofreq.plot import Curve

        validate.one_of("over", over, ("severity", "group"))
        table = self.by_severity if over == "severity" else self.by_group
        return Curve(table[over], table["accuracy"], table["low"], table["high"])

    def to_frame(self) -> pd.DataFrame:
        """Return `cells`."""
        return self.cells

    def plot(
        self,
        ax: Axes | None = None,
        *,
        over: Literal["severity", "group"] = "severity",
        **kw: Any,
    ) -> Axes:
        """Draw accuracy by severity, or by frequency group of the corruptions.

        See `plot.plot_corruption_severity` and `plot.plot_corruption_groups`.
        """
        from neurofreq import plot

        curve = self.curve(over)
        if over == "severity":
            return plot.plot_corruption_severity(curve, ax, **kw)
        return plot.plot_corruption_groups(curve, ax, **kw)

    def _numbers(self) -> dict[str, Any]:
        mean = self.mean
        return {
            "mean": results.percent(mean.value, mean.low, mean.high),
            "corruptions": len(self.corruptions),
            "severities": len(self.severities),
            "images": mean.n,
        }

    def __str__(self) -> str:
        """Return the means as plain text."""
        one = self.mean
        lines = [f"{'mean':12} {results.percent(one.value, one.low, one.high, 5)}"]
        for over, table in (("severity", self.by_severity), ("group", self.by_group)):
            lines += [
                f"{over + ' ' + str(row[over]):12} "
                + results.percent(row["accuracy"], row["low"], row["high"], 5)
                for row in table.to_dict("records")
            ]
        return "\n".join(lines)

    def _one_severity(self) -> NDArray[np.float64]:
        return np.full(len(self.severities), 1.0 / len(self.severities))

    def _weights(
        self, *, severity: int | None = None, group: str | None = None
    ) -> NDArray[np.float64]:
        """Return the weight of every cell (K, S) in a mean; NaN if all are 0."""
        groups = [grouping.group_of(name) for name in self.corruptions]
        rows = np.array(
            [one != grouping.EXTRA and group in (None, one) for one in groups]
        )
        columns = np.array([severity in (None, one) for one in self.severities])
        share = np.outer(rows, columns).astype(np.float64)
        return share / share.sum() if share.any() else np.full(share.shape, np.nan)

    def _pairs(self, keys: Sequence[Any], weights: list[NDArray[np.float64]]) -> Any:
        found = self._estimates(np.stack(weights)) if weights else []
        return zip(keys, found, strict=True)


@dataclasses.dataclass(frozen=True, repr=False)
class CorruptionAccuracy(Cells):
    """Correctness of a model on every corrupted image, and accuracies with intervals.

    Intervals are percentile bootstrap intervals over images. Images are resampled
    together with all their corruptions, so that means over cells use the same images.
    Means are over the corruptions in the paper's groups. Other corruptions ("extra")
    have cells, but do not enter the means.

    Attributes
    ----------
    corruptions : tuple of str
    severities : tuple of int
    correct : ndarray of bool, shape (K, S, N)
        Whether each image is classified correctly, by corruption, severity and image.
    clean : ndarray of bool, shape (M,), or None
        Whether each clean image is classified correctly; None if not measured.
    level : float
        Coverage of the intervals.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=32)
    >>> names = ["fog", "gaussian_noise"]
    >>> found = nf.corruption_accuracy(nf.models.small_cnn(), data, corruptions=names)
    >>> found.correct.shape
    (2, 5, 32)
    >>> found.by_group["group"].tolist()
    ['low', 'high']
    >>> found.mean.low <= found.mean.value <= found.mean.high
    True
    >>> found
    CorruptionAccuracy(mean: ... %..., corruptions: 2, severities: 5, images: 32)
    >>> found.plot().get_xlabel(), found.plot(over="group").get_ylabel()
    ('severity', 'accuracy (%)')
    """

    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    correct: NDArray[np.bool_]
    clean: NDArray[np.bool_] | None = None
    level: float = 0.95

    def _estimates(self, weights: NDArray[np.float64]) -> list[Estimate]:
        """Return one mean over cells for each row of weights (Q, K, S)."""
        n_images = self.correct.shape[2]
        values = self.correct.reshape(-1, n_images).T.astype(np.float64)
        flat = weights.reshape(len(weights), -1)
        return _estimates(values @ flat.T, n_images, self.level)

    def _of_clean(self) -> Estimate | None:
        if self.clean is None:
            return None
        values = self.clean[:, None].astype(np.float64)
        return _estimates(values, len(values), self.level)[0]


def _estimates(
    values: NDArray[np.float64], n_images: int, level: float
) -> list[Estimate]:
    """Return the mean of each column over images, with its interval."""
    defined = np.isfinite(values).all(axis=0)
    resampled = np.full((1, values.shape[1]), np.nan)
    if defined.any():
        drawn = intervals.resampled_means(values[:, defined])
        resampled = np.full((len(drawn), values.shape[1]), np.nan)
        resampled[:, defined] = drawn
    return [
        intervals.Estimate(
            float(column.mean()), *intervals.percentile_interval(draws, level=level),
            n_images,
        )
        for column, draws in zip(values.T, resampled.T, strict=True)
    ]  # fmt: skip


def _row(estimate: Estimate) -> dict[str, Any]:
    return {
        "accuracy": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
    }
