"""The long table behind a figure: one row per number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq.figures import _paper

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from neurofreq.intervals import Estimate
    from neurofreq.measured.record import Measured
    from neurofreq.plot import Curve

COLUMNS = (
    "figure", "panel", "model", "group", "quantity", "x",
    "value", "low", "high", "n", "unit", "paper", "weights",
)  # fmt: skip


class Table:
    """Collects the rows of one figure.

    Parameters
    ----------
    figure : str
        Such as "fig2".
    models : sequence of Measured
        Whose weights are said in the rows; without them they are "given".
    """

    def __init__(self, figure: str, models: Sequence[Measured] = ()) -> None:
        self.figure = figure
        self._random = {one.name for one in models if one.is_random}
        self._rows: list[dict[str, Any]] = []

    def add(
        self,
        panel: str,
        model: tuple[str, str],
        quantity: str,
        estimate: Estimate,
        unit: str,
        *,
        x: float = float("nan"),
        scale: float = 1.0,
    ) -> None:
        """Add one number.

        Parameters
        ----------
        panel : str
        model : tuple of str
            Its name and group.
        quantity : str
        estimate : Estimate
        unit : str
            Of the value after scaling.
        x : float
            Where the quantity is taken, such as a severity.
        scale : float
            From the estimate's unit to the table's.
        """
        name, group = model
        self._rows.append(
            {
                "figure": self.figure,
                "panel": panel,
                "model": name,
                "group": group,
                "quantity": quantity,
                "x": float(x),
                "value": scale * estimate.value,
                "low": scale * estimate.low,
                "high": scale * estimate.high,
                "n": int(estimate.n),
                "unit": unit,
            }
        )

    def add_curve(
        self,
        panel: str,
        model: tuple[str, str],
        quantity: str,
        curve: Curve,
        n: int,
        unit: str = "%",
        *,
        scale_x: float = 1.0,
    ) -> None:
        """Add a curve of fractions, in per cent, point by point.

        Parameters
        ----------
        panel : str
        model : tuple of str
        quantity : str
        curve : Curve
        n : int
            Images it was taken over.
        unit : str
        scale_x : float
            From the curve's unit of x to the table's.
        """
        from neurofreq.intervals import Estimate

        columns = [
            np.asarray(one, dtype=np.float64)
            for one in (curve.x, curve.y, curve.low, curve.high)
        ]
        for x, value, low, high in zip(*columns, strict=True):
            point = Estimate(value, low, high, n)
            self.add(panel, model, quantity, point, unit, x=scale_x * x, scale=100.0)

    def frame(self) -> pd.DataFrame:
        """Return the rows, with the paper's number where it is known."""
        import pandas as pd

        for row in self._rows:
            row["paper"] = _paper.number(row)
            # A point of several models has all their names.
            is_random = not self._random.isdisjoint(row["model"].split(", "))
            row["weights"] = "random" if is_random else "given"
        return pd.DataFrame(self._rows, columns=list(COLUMNS))


def compare(table: pd.DataFrame) -> pd.DataFrame:
    """Say how far each result is from the paper's.

    Parameters
    ----------
    table : DataFrame
        Of a figure, or several joined.

    Returns
    -------
    DataFrame
        The rows whose number in the paper is known: figure, panel, model, group,
        quantity, x, ours, low, high, unit, paper, difference (ours less the
        paper's) and within, whether the paper's lies in our interval.

    Notes
    -----
    The paper's numbers were mostly read off its figures, to about 0.4 points of
    accuracy, 0.004 of frequency and 3 % of size. They are of its own networks and
    data; of others they are an orientation.

    Examples
    --------
    >>> table, figure = nf.figures.fig4(models)  # doctest: +SKIP
    >>> print(nf.figures.compare(table))  # doctest: +SKIP
    """
    known = table[table["paper"].notna()].rename(columns={"value": "ours"})
    known["difference"] = known["ours"] - known["paper"]
    known["within"] = known["paper"].between(known["low"], known["high"])
    order = [
        "figure", "panel", "model", "group", "quantity", "x", "ours", "low", "high",
        "unit", "paper", "difference", "within",
    ]  # fmt: skip
    return known[order].reset_index(drop=True)
