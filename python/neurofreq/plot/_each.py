"""Draw quantities of single images: distributions, and correlations with others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import validate
from neurofreq.plot._curves import COLORS, _axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


def plot_distribution(values: ArrayLike, ax: Axes | None = None, **kw: Any) -> Axes:
    """Draw how the half-power frequencies of images are distributed.

    Parameters
    ----------
    values : array_like of float, shape (N,)
        Half-power frequencies in cycles/pixel. NaN is left out; the dashed line marks
        the median of the others.
    ax : Axes, optional
    **kw
        For ``Axes.hist``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If no value is finite.

    Examples
    --------
    >>> import neurofreq as nf
    >>> found = nf.frequency.image_spectra(nf.data.load_data("synthetic", n=32).images)
    >>> nf.plot.plot_distribution(found.half_power).get_xlabel()
    'half-power frequency (cycles/pixel)'
    """
    numbers = validate.real(values, "values").ravel()
    known = numbers[np.isfinite(numbers)]
    if not known.size:
        raise ValueError("values: got no finite value, expected at least one")
    ax = _axes(ax)
    options: dict[str, Any] = {"bins": 30, "color": COLORS[0]} | kw
    ax.hist(known, **options)
    ax.axvline(float(np.median(known)), color="#333333", linestyle="--", linewidth=1.0)
    ax.set(xlabel="half-power frequency (cycles/pixel)", ylabel="images")
    return ax


def plot_relations(table: pd.DataFrame, ax: Axes | None = None, **kw: Any) -> Axes:
    """Draw correlations with their intervals, one row for each pair.

    Parameters
    ----------
    table : DataFrame
        `frequency.SpectrumRelations.table`: columns "quantity", "with", "rho", "low"
        and "high".
    ax : Axes, optional
    **kw
        For ``Axes.errorbar``.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If `table` lacks a column.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=32)
    >>> found = nf.frequency.image_spectra(data.images)
    >>> related = found.related({"label": data.labels})
    >>> len(nf.plot.plot_relations(related.table).get_yticks())
    9
    """
    missing = {"quantity", "with", "rho", "low", "high"} - set(
        getattr(table, "columns", ())
    )
    if missing:
        raise TypeError(
            f"table: got {validate.shown(table)} without {sorted(missing)}, expected "
            "the table of SpectrumRelations"
        )
    ax = _axes(ax)
    places = np.arange(len(table))[::-1]
    middle = table["rho"].to_numpy()
    sides = np.stack([middle - table["low"], table["high"] - middle])
    ax.axvline(0.0, color="#999999", linewidth=0.8)
    options: dict[str, Any] = {"fmt": "o", "color": COLORS[0]} | kw
    ax.errorbar(middle, places, xerr=np.maximum(sides, 0.0), **options)
    names = [
        f"{a} with {b}" for a, b in zip(table["quantity"], table["with"], strict=True)
    ]
    ax.set_yticks(places, names)
    ax.set(xlim=(-1.05, 1.05), xlabel="rank correlation")
    return ax
