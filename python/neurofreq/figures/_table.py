"""The long table behind a figure: one row per number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq.figures import paper

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from neurofreq.intervals import Estimate
    from neurofreq.measured import Measured
    from neurofreq.plot import Curve

COLUMNS = (
    "figure", "panel", "model", "group", "quantity", "x",
    "value", "low", "high", "n", "unit", "paper", "weights",
)  # fmt: skip


class Table:
    """Collect the rows of one figure, such as "fig2".

    The column "weights" is "random" for models with random weights. Without `models`,
    it is "given" in all rows.
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
        """Add one number; `model` is (name, group).

        The estimate is multiplied by `scale`, which gives the unit `unit`. `x` is the
        point at which the quantity is measured, such as a severity.
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
        """Add a curve of fractions point by point, in percent.

        `n` is the number of images; `scale_x` converts the curve's x to the table's
        unit.
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
            row["paper"] = paper.number(row)
            # The name of a mean over several models is the list of their names.
            is_random = not self._random.isdisjoint(row["model"].split(", "))
            row["weights"] = "random" if is_random else "given"
        return pd.DataFrame(self._rows, columns=list(COLUMNS))


def compare(table: pd.DataFrame) -> pd.DataFrame:
    """Compare each result with the paper's number.

    Parameters
    ----------
    table : DataFrame
        The table of a figure, or the joined tables of several figures.

    Returns
    -------
    DataFrame
        The rows for which the paper's number is known: figure, panel, model, group,
        quantity, x, ours, low, high, unit, paper, difference (ours - paper) and within
        (whether the paper's number lies in our interval).

    Notes
    -----
    Most of the paper's numbers were read off its figures, to about 0.4 points of
    accuracy, 0.004 of frequency and 3 % of size. They apply to the paper's networks and
    data. For other networks and data, they are only a rough guide.

    Examples
    --------
    The table in this example has one row, with invented numbers:

    >>> import pandas as pd
    >>> import neurofreq as nf
    >>> row = {
    ...     "figure": "fig4", "panel": "b", "model": "mine", "group": "neural",
    ...     "quantity": "f_half", "x": float("nan"), "value": 0.125, "low": 0.0625,
    ...     "high": 0.25, "unit": "cycles/pixel", "paper": 0.1875,
    ... }
    >>> compared = nf.figures.compare(pd.DataFrame([row]))
    >>> compared[["ours", "paper", "difference", "within"]]
        ours   paper  difference  within
    0  0.125  0.1875     -0.0625    True
    """
    known = table[table["paper"].notna()].rename(columns={"value": "ours"})
    known["difference"] = known["ours"] - known["paper"]
    known["within"] = known["paper"].between(known["low"], known["high"])
    order = [
        "figure", "panel", "model", "group", "quantity", "x", "ours", "low", "high",
        "unit", "paper", "difference", "within",
    ]  # fmt: skip
    return known[order].reset_index(drop=True)
