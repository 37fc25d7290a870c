"""The long tables of a study: one row per model, quantity and x."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq.measured import Corrupted, quantities
from neurofreq.measured.record import CORRUPTION
from neurofreq.measured.summary import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from neurofreq.measured import Measured

    Row = tuple[str, float, float, float, float, int]  # quantity, x, value, ..., n

COLUMNS = ("model", "group", "quantity", "x", "value", "low", "high", "n", "weights")


def build(
    measured: Sequence[Measured], corruptions: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Return the tables of all finished measurements, all with the same columns.

    "summary" has one value per quantity; corrupted accuracy is the mean over the
    paper's corruptions that the study measures. "hybrid" has p_low - p_high against
    the mixing frequency in units of Nyquist. "success" has the fraction of images
    changed within a Linf distance. "radial" has cumulative power against cycles/pixel.
    "corruption" has accuracy against severity. "filters" has accuracy against
    cycles/pixel or degrees, with the filter as quantity, and "bands" sensitivity
    against cycles/image. ``low`` and ``high`` are the bounds of
    95 % bootstrap intervals over ``n`` images; ``weights`` is "random" or "given". A
    table is empty if nothing is finished.
    """
    epsilons = quantities.budgets(
        [one.attack.distance for one in measured if one.has("attack")]
    )

    def hybrid(one: Measured) -> Iterator[Row]:
        if one.has("hybrid"):
            yield from _curve("hybrid", one.hybrid.curve(), one.hybrid.n_images)

    def successes(one: Measured) -> Iterator[Row]:
        if one.has("attack"):
            curve = one.attack.success_curve(epsilons)
            yield from _curve("success", curve, one.attack.n_images)

    def radial(one: Measured) -> Iterator[Row]:
        if one.has("attack") and one.attack.has_power:
            found = one.attack.success
            curve = one.attack.radial_curve(found)
            yield from _curve("radial", curve, int(found.sum()))

    def summary(one: Measured) -> Iterator[Row]:
        for column in columns(corruptions):
            quantity = column.build(one, None)
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
        "filters": _filtered,
        "bands": _bands,
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


def _filtered(one: Measured) -> Iterator[Row]:
    if one.has("filters"):
        for name in one.filters.names:
            yield from _curve(name, one.filters.curve(name), len(one.filters.clean))


def _bands(one: Measured) -> Iterator[Row]:
    if one.has("bands"):
        yield from _curve("bands", one.bands.curve(), len(one.bands.clean))


def _corruption(one: Measured) -> Iterator[Row]:
    for key, result in one.results.items():
        if isinstance(result, Corrupted):
            cells = result.accuracy(key.removeprefix(CORRUPTION)).cells
            for row in cells.to_dict("records"):
                bounds = row["accuracy"], row["low"], row["high"]
                yield key, float(row["severity"]), *bounds, int(row["n"])
