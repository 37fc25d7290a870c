"""Hold which image of each hybrid a model recognizes, with the reversal frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from neurofreq._shared import results
from neurofreq._shared.results import Result

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


class _Curve(NamedTuple):
    frequency: NDArray[np.float64]
    p_low: NDArray[np.float64]
    p_high: NDArray[np.float64]
    reversal_frequency: float
    interval: tuple[float, float]
    difference: NDArray[np.float64]


class HybridCurve(Result, _Curve):
    """Which of two images a model recognizes, as a function of the mixing frequency.

    Attributes
    ----------
    frequency : ndarray of float64, shape (F,)
        Mixing frequencies, ascending, in units of Nyquist.
    p_low, p_high : ndarray of float64, shape (F,)
        Fraction of hybrids, over images and pairings, for which the model predicts the
        label of the low (high) image, 0 to 1.
    reversal_frequency : float
        f_rev, in units of Nyquist: the mixing frequency where ``p_low - p_high`` first
        rises through 0, interpolated linearly; NaN if the difference never does so.
    interval : tuple of float
        95 % percentile bootstrap interval of `reversal_frequency` over images;
        NaN, NaN if more than half of the resamples never cross 0.
    difference : ndarray of float64, shape (N, F)
        For each low image, the fraction of pairings with the low label predicted, minus
        the fraction with the high label predicted. To bootstrap any other statistic,
        resample these rows.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=16)
    >>> curve = nf.hybrid_curve(nf.models.small_cnn(), data.images, data.labels)
    >>> curve.frequency.shape, curve.p_low.shape, curve.difference.shape
    ((13,), (13,), (16, 13))
    >>> curve
    HybridCurve(f_rev: ... of Nyquist, images: 16, frequencies: 13)
    >>> curve.to_frame().columns.tolist()
    ['frequency', 'p_low', 'p_high']
    >>> axes = curve.plot()
    >>> axes = nf.plot.plot_hybrid_curves({"small_cnn": curve})
    """

    __slots__ = ()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per mixing frequency: "frequency", "p_low", "p_high"."""
        names = ("frequency", "p_low", "p_high")
        return results.frame({name: getattr(self, name) for name in names})

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the curve (`plot.plot_hybrid_curves`), on new Axes by default."""
        from neurofreq.plot import plot_hybrid_curves

        return plot_hybrid_curves(self, ax, **kw)

    def _numbers(self) -> dict[str, Any]:
        where = results.bounded(self.reversal_frequency, *self.interval, "of Nyquist")
        return {
            "f_rev": where,
            "images": len(self.difference),
            "frequencies": len(self.frequency),
        }
