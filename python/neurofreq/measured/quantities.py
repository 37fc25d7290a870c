"""The summary numbers of a model: how each is computed and shown."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq.corruptions import grouping
from neurofreq.measured import analysis

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from neurofreq._shared.files.storage import Arrays
    from neurofreq.measured.analysis import Quantity

    Items = Mapping[str, Arrays]  # measurement -> arrays


@dataclasses.dataclass(frozen=True)
class Column:
    """A number of the summary: how it is computed and shown.

    `key` is its column in summary.csv, followed by `_low` and `_high`. `factor`
    converts from the CSV's unit to the page's. `build` takes the items of a model and a
    mask of attacked images (or None), and returns the quantity, or None if it was not
    measured.
    """

    key: str
    title: str
    unit: str
    factor: float
    decimals: int
    build: Callable[[Items, NDArray[np.bool_] | None], Quantity | None]


def columns(corruptions: Sequence[str]) -> list[Column]:
    """Return the numbers of the summary in their order.

    Corrupted accuracy is the mean over those of the paper's corruptions that are among
    `corruptions`.
    """
    wanted = [f"corruption/{name}" for name in grouping.averaged(corruptions)]

    def corrupted(items: Items, _: Any) -> Quantity | None:
        if not wanted or not all(key in items for key in wanted):
            return None
        stack = np.stack([items[key]["correct"] for key in wanted])
        return analysis.accuracy(stack)

    return [
        Column("clean_accuracy", "clean accuracy", "%", 100.0, 1, _clean),
        Column("f_rev", "reversal frequency f_rev", "of Nyquist", 1.0, 3, _reversal),
        Column("f_half", "half-power frequency f_0.5", "cycles/pixel", 1.0, 3, _half),
        Column("median_linf", "median perturbation", "1/255", 255.0, 2, _median),
        Column("corruption_accuracy", "corrupted accuracy", "%", 100.0, 1, corrupted),
    ]


def found_by_both(first: Items, second: Items) -> NDArray[np.bool_] | None:
    """Return which attacked images have a perturbation in both models."""
    if "attack" not in first or "attack" not in second:
        return None
    a, b = first["attack"]["success"], second["attack"]["success"]
    both: NDArray[np.bool_] = a & b
    return both


def found_only(item: Arrays) -> Arrays:
    """Return an attack's item with the radial rows of its successes only."""
    return item | {"radial": item["radial"][item["success"]]}


def _clean(items: Items, _: Any) -> Quantity | None:
    return analysis.accuracy(items["clean"]["correct"]) if "clean" in items else None


def _reversal(items: Items, _: Any) -> Quantity | None:
    return analysis.reversal(items["hybrid"]) if "hybrid" in items else None


def _half(items: Items, found: NDArray[np.bool_] | None) -> Quantity | None:
    if "attack" not in items:
        return None
    item = items["attack"]
    kept = item["success"] if found is None else found
    if not kept.any():
        return None
    return analysis.half_power(item | {"radial": item["radial"][kept]})


def _median(items: Items, _: Any) -> Quantity | None:
    if "attack" not in items:
        return None
    return analysis.median_size(items["attack"]["distance"])
