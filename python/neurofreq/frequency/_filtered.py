"""Hold the accuracy of a model for filtered images."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared import results
from neurofreq._shared.inputs import validate
from neurofreq._shared.results import Result
from neurofreq.intervals.quantity import Quantity, pointwise

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from neurofreq.plot import Curve

PHASES = "phase-noise"
UNITS = {"low-pass": "cycles/pixel", "high-pass": "cycles/pixel", PHASES: "degrees"}
"""The filters, and the unit of their values."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class FilteredAccuracy(Result):
    """Result of `filtered_accuracy`.

    Attributes
    ----------
    filters : ndarray of str, shape (K,)
        "low-pass", "high-pass" or "phase-noise", for each condition.
    values : ndarray of float64, shape (K,)
        Cut-offs in cycles/pixel, or widths of the phase noise in degrees.
    correct : ndarray of bool, shape (N, K)
        Whether each filtered image is classified correctly.
    clean : ndarray of bool, shape (N,)
        The same for unchanged images.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=32)
    >>> model = nf.models.small_cnn()
    >>> found = nf.filtered_accuracy(
    ...     model, data.images, data.labels, filters={"low-pass": [0.1, 0.2, 0.4]}
    ... )
    >>> found.correct.shape
    (32, 3)
    >>> found
    FilteredAccuracy(clean: ... %..., low-pass at half: ..., images: 32)
    >>> found.to_frame().columns.tolist()
    ['filter', 'value', 'unit', 'accuracy', 'low', 'high', 'n']
    >>> axes = found.plot()
    """

    filters: NDArray[np.str_]
    values: NDArray[np.float64]
    correct: NDArray[np.bool_]
    clean: NDArray[np.bool_]

    @property
    def names(self) -> tuple[str, ...]:
        """The filters, each once."""
        return tuple(dict.fromkeys(self.filters.tolist()))

    def curve(self, name: str) -> Curve:
        """Return accuracy against the values of one filter, with its interval.

        The mark is `half`. Raises ValueError for a filter that was not measured.
        """
        from neurofreq.plot import Curve

        at = self._at(name)
        half = self.half(name).estimate()
        return Curve(
            self.values[at],
            *pointwise(self.correct[:, at].astype(np.float64)),
            mark=half.value,
            mark_interval=(half.low, half.high),
        )

    def half(self, name: str) -> Quantity:
        """Return where the accuracy is half of the clean accuracy.

        Parameters
        ----------
        name : str
            A filter that was measured.

        Returns
        -------
        Quantity
            The first cut-off (cycles/pixel) at which the accuracy rises ("low-pass") or
            falls ("high-pass") through half of the clean accuracy, interpolated
            linearly over log2 of frequency; for "phase-noise", the width in degrees at
            which the accuracy falls through it. NaN if no measured value does so.

        Raises
        ------
        ValueError
            For a filter that was not measured.
        """
        at = self._at(name)
        is_phase, sign = name == PHASES, 1.0 if name == "low-pass" else -1.0
        x = self.values[at] if is_phase else np.log2(self.values[at])

        def statistic(means: NDArray[np.float64]) -> NDArray[np.float64]:
            above = means[:, 1:] - 0.5 * means[:, :1]
            found = _neurofreq.crossing(x, sign * above, 0.0)
            return found if is_phase else np.exp2(found)

        both = np.column_stack([self.clean, self.correct[:, at]])
        return Quantity(both.astype(np.float64), statistic)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per condition: filter, value, unit, accuracy, low, high, n."""
        y, low, high = pointwise(self.correct.astype(np.float64))
        return results.frame(
            {
                "filter": self.filters, "value": self.values,
                "unit": [UNITS[str(name)] for name in self.filters],
                "accuracy": y, "low": low, "high": high, "n": len(self.clean),
            }
        )  # fmt: skip

    def plot(self, ax: Axes | None = None, *, filter: str = "", **kw: Any) -> Axes:
        """Draw one filter (`plot.plot_filtered_accuracy`), by default the first."""
        from neurofreq.plot import plot_filtered_accuracy

        name = filter or self.names[0]
        return plot_filtered_accuracy(self.curve(name), ax, filter=name, **kw)

    def _at(self, name: str) -> NDArray[np.int64]:
        validate.one_of("filter", name, self.names)
        return np.flatnonzero(self.filters == name)

    def _numbers(self) -> dict[str, Any]:
        clean = Quantity(self.clean[:, None].astype(np.float64), lambda m: m[:, 0])
        one = clean.estimate()
        numbers = {"clean": results.percent(one.value, one.low, one.high)}
        for name in self.names:
            half = self.half(name).estimate()
            numbers[f"{name} at half"] = results.bounded(
                half.value, half.low, half.high, UNITS[name]
            )
        return numbers | {"images": str(len(self.clean))}
