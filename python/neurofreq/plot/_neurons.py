"""Draw how well neurons are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import validate
from neurofreq.plot._curves import _axes, _finish, color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


def plot_neurons(w: ArrayLike, v: ArrayLike, ax: Axes | None = None, **kw: Any) -> Axes:
    """Draw how well each neuron is predicted against how reliable it is.

    Parameters
    ----------
    w : array_like of float, shape (K,)
        The signal-to-noise weight of each neuron (`neural.reliability`).
    v : array_like of float, shape (K,)
        The correlation of its predictions with the recording; NaN is not drawn.
    ax : Axes, optional
    **kw
        For ``Axes.scatter``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the arguments are not of the same length.

    Examples
    --------
    >>> import neurofreq as nf
    >>> axes = nf.plot.plot_neurons([0.2, 1.0, 0.7], [0.1, 0.6, 0.5])
    >>> axes.get_ylabel()
    'held-out correlation v'
    """
    x, y = validate.real(w, "w"), validate.real(v, "v")
    if x.ndim != 1 or y.shape != x.shape:
        raise ValueError(f"v: got shape {y.shape} for w of {x.shape}, expected (K,)")
    ax = _axes(ax)
    ax.axhline(0.0, color="#999999", linewidth=0.8, linestyle="--")
    shown = np.isfinite(x) & np.isfinite(y)
    keywords: dict[str, Any] = {"s": 14, "color": color(2), "alpha": 0.7} | kw
    ax.scatter(x[shown], y[shown], **keywords)
    return _finish(ax, "signal-to-noise weight w", "held-out correlation v")
