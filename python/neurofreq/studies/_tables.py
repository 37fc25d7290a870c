"""The long tables of a study: one row per model, quantity and place on its axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._accuracy import CorruptionAccuracy
from neurofreq.data._corrupted import SEVERITIES
from neurofreq.studies import _analysis
from neurofreq.studies._quantities import columns, found_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from neurofreq._store import Arrays
    from neurofreq.plot import Curve
    from neurofreq.studies._measured import Measured

    Row = tuple[str, float, float, float, float, int]  # quantity, x, value, ..., n

COLUMNS = ("model", "group", "quantity", "x", "value", "low", "high", "n")


def build(
    measured: Sequence[Measured], corruptions: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Return the tables of what is finished, all with the same columns.

    Parameters
    ----------
    measured : sequence of Measured
    corruptions : sequence of str
        Those that corrupted accuracy is the mean over.

    Returns
    -------
    dict of str to DataFrame
        "summary", one value per quantity; "hybrid", p_low - p_high against the
        mixing frequency in units of Nyquist; "success", the fraction changed
        within a Linf distance; "radial", cumulative power against cycles/pixel;
        "corruption", accuracy against severity. Empty where nothing is finished.
        ``low`` and ``high`` are 95 % bootstrap intervals over ``n`` images.
    """
    attacked = [one.arrays["attack"] for one in measured if "attack" in one.arrays]
    epsilons = _analysis.budgets([item["distance"] for item in attacked])

    def success(item: Arrays) -> Curve:
        return _analysis.success_curve(item["distance"], epsilons)

    def hybrid(one: Measured) -> Iterator[Row]:
        yield from _curve(one, "hybrid", "hybrid", _analysis.hybrid_curve)

    def successes(one: Measured) -> Iterator[Row]:
        yield from _curve(one, "attack", "success", success)

    def summary(one: Measured) -> Iterator[Row]:
        for column in columns(corruptions):
            quantity = column.build(one.arrays, None)
            if quantity is not None:
                found = quantity.estimate()
                bounds = found.value, found.lower, found.upper
                yield column.key, np.nan, *bounds, found.n_images

    rows = {
        "summary": summary,
        "hybrid": hybrid,
        "success": successes,
        "radial": _radial,
        "corruption": _corruption,
    }
    return {name: _frame(measured, make) for name, make in rows.items()}


def _frame(
    measured: Sequence[Measured], make: Callable[[Measured], Iterator[Row]]
) -> pd.DataFrame:
    import pandas as pd

    rows = [(one.name, one.group, *row) for one in measured for row in make(one)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _radial(one: Measured) -> Iterator[Row]:
    if one.arrays.get("attack", {"radial": np.zeros(0)})["radial"].any():
        yield from _curve(
            one,
            "attack",
            "radial",
            lambda item: _analysis.radial_curve(found_only(item)),
        )


def _curve(
    one: Measured, key: str, quantity: str, make: Callable[[Arrays], Curve]
) -> Iterator[Row]:
    """Yield a row per point of a curve, where its measurement is finished."""
    if key not in one.arrays:
        return
    item = one.arrays[key]
    n_images = len(item["difference"] if key == "hybrid" else item["success"])
    curve: Any = make(item)
    for point in zip(curve.x, curve.y, curve.lower, curve.upper, strict=True):
        x, value, low, high = map(float, point)
        yield quantity, x, value, low, high, n_images


def _corruption(one: Measured) -> Iterator[Row]:
    for key, item in one.arrays.items():
        if key.startswith("corruption/"):
            name = key.removeprefix("corruption/")
            cells = CorruptionAccuracy((name,), SEVERITIES, item["correct"][None]).cells
            for row in cells.to_dict("records"):
                bounds = row["accuracy"], row["low"], row["high"]
                yield key, float(row["severity"]), *bounds, int(row["n"])
