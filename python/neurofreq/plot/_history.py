"""Draw how training goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neurofreq._shared.inputs import validate
from neurofreq.plot._curves import Curve, _axes, _curves, _draw, _finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_history(
    history: Any, ax: Axes | None = None, *, quantity: str = "loss", **kw: Any
) -> Axes:
    """Draw how a quantity of training changes with the epochs.

    Parameters
    ----------
    history : Trained, or sequence of mappings
        The rows of `training.fit`: each has "epoch" and the quantity.
    ax : Axes, optional
    quantity : str
        Such as "loss" or "validation_accuracy". For "loss", the loss of the held-out
        images is drawn too if the rows have it.
    **kw
        For ``Axes.plot``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is no row, or the rows lack the quantity.

    Examples
    --------
    >>> import neurofreq as nf
    >>> rows = [{"epoch": 1, "loss": 2.1}, {"epoch": 2, "loss": 1.4}]
    >>> axes = nf.plot.plot_history(rows)
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('epoch', 'loss')
    """
    from matplotlib.ticker import MaxNLocator

    quantity = validate.text("quantity", quantity)
    rows = list(getattr(history, "history", history))
    known = sorted({key for row in rows for key in row} - {"epoch"})
    if not all("epoch" in row and quantity in row for row in rows) or not rows:
        raise ValueError(
            f"quantity: got {validate.shown(quantity)}, expected one of "
            f"{', '.join(known) or 'the numbers of a row, of which there is none'}"
        )
    ax = _axes(ax)
    names = {"training": quantity}
    if quantity == "loss" and "validation_loss" in rows[0]:
        names["held-out images"] = "validation_loss"
    x = [row["epoch"] for row in rows]
    named = {
        name if len(names) > 1 else "": Curve(x, [row[key] for row in rows])
        for name, key in names.items()
    }
    for name, curve in _curves(named, "history").items():
        _draw(ax, curve, name, 1.0, **({"marker": "o"} | kw))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _finish(ax, "epoch", quantity.replace("_", " "))
