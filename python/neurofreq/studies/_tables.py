"""The long tables of a study: one row per model, quantity and x."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq.corruptions.folder import SEVERITIES
from neurofreq.corruptions.result import CorruptionAccuracy
from neurofreq.measured import analysis
from neurofreq.measured.quantities import columns, found_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from neurofreq.measured.record import Measured

    Row = tuple[str, float, float, float, float, int]  # quantity, x, value, ..., n

COLUMNS = ("model", "group", "quantity", "x", "value", "low", "high", "n", "weights")


def build(
    measured: Sequence[Measured], corruptions: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Return the tables of everything that is finished, all with the same columns.

    "summary" has one value per quantity, where corrupted accuracy is the mean over
    those of the paper's corruptions that the study asks for. "hybrid" has p_low -
    p_high against the mixing frequency in units of Nyquist; "success" the fraction of
    images changed within a Linf distance; "radial" cumulative power against
    cycles/pixel; "corruption" accuracy against severity. ``low`` and ``high`` are 95 %
    bootstrap intervals over ``n`` images; ``weights`` are "random" or "given". A table
    is empty if nothing is finished.
    """
    attacked = [one.arrays["attack"] for one in measured if "attack" in one.arrays]
    epsilons = analysis.budgets([item["distance"] for item in attacked])

    def hybrid(one: Measured) -> Iterator[Row]:
        if item := one.arrays.get("hybrid"):
            n_images = len(item["difference"])
            yield from _curve("hybrid", analysis.hybrid_curve(item), n_images)

    def successes(one: Measured) -> Iterator[Row]:
        if item := one.arrays.get("attack"):
            curve = analysis.success_curve(item["distance"], epsilons)
            yield from _curve("success", curve, len(item["success"]))

    def radial(one: Measured) -> Iterator[Row]:
        item = one.arrays.get("attack")
        if item and item["radial"].any():
            found = found_only(item)
            curve = analysis.radial_curve(found)
            yield from _curve("radial", curve, len(found["radial"]))

    def summary(one: Measured) -> Iterator[Row]:
        for column in columns(corruptions):
            quantity = column.build(one.arrays, None)
            if quantity is not None:
                found = quantity.estimate()
                bounds = found.value, found.low, found.high
                yield column.key, np.nan, *bounds, found.n

    rows = {
        "summary": summary,
        "hybrid": hybrid,
        "success": successes,
        "radial": radial,
        "corruption": _corruption,
    }
    return {name: _frame(measured, make) for name, make in rows.items()}


def _frame(
    measured: Sequence[Measured], make: Callable[[Measured], Iterator[Row]]
) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (one.name, one.group, *row, one.weights)
        for one in measured
        for row in make(one)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _curve(quantity: str, curve: Any, n_images: int) -> Iterator[Row]:
    """Yield a row per point of a curve."""
    for point in zip(curve.x, curve.y, curve.low, curve.high, strict=True):
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
