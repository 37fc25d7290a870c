"""The report's tables: long tables per measurement, and one row per model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq.corruptions.folder import SEVERITIES
from neurofreq.corruptions.result import CorruptionAccuracy
from neurofreq.measured import analysis
from neurofreq.measured.quantities import columns, found_by_both, found_only

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from neurofreq._shared.files.storage import Arrays
    from neurofreq.measured.quantities import Items
    from neurofreq.studies.settings import Settings


@dataclasses.dataclass(frozen=True)
class Results:
    """The measurements of the report's models, ready to be tabulated and drawn.

    `items` has the finished measurements of each model by their keys: "clean",
    "hybrid", "attack", "corruption/NAME". `images` has the images that each model was
    shown. `corruptions` are the corruptions asked for. `random` are the models with
    random weights.
    """

    items: dict[str, Items]
    images: dict[str, NDArray[Any]]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    data_name: str
    settings: Settings
    corruptions: tuple[str, ...]
    random: frozenset[str] = frozenset()

    def having(self, measurement: str) -> Iterator[tuple[str, Arrays]]:
        """Yield (model, arrays) for models that have finished this measurement."""
        for name, items in self.items.items():
            if measurement in items:
                yield name, items[measurement]

    def corrupted(self) -> dict[str, CorruptionAccuracy]:
        """Return the accuracies of models that have finished all K corruptions.

        Clean accuracy is over the images that were corrupted.
        """
        wanted = [f"corruption/{name}" for name in self.corruptions]
        found = {}
        for model, items in self.items.items():
            if wanted and all(key in items for key in wanted):
                correct = np.stack([items[key]["correct"] for key in wanted])
                clean = items.get("clean", {}).get("correct")
                found[model] = CorruptionAccuracy(
                    self.corruptions,
                    SEVERITIES,
                    correct,
                    None if clean is None else clean[: correct.shape[-1]],
                )
        return found


def build(results: Results) -> dict[str, pd.DataFrame]:
    """Return every table that has rows, by the name of its file."""
    import pandas as pd

    tables = {
        "summary": _summary(results),
        "differences": _differences(results),
        "hybrid": _hybrid(results),
        "attack": _attack(results),
        "success": _success(results),
        "radial": _radial(results),
        "spectrum": _spectrum(results),
        "corruption": _corruption(results),
    }
    return {name: pd.DataFrame(rows) for name, rows in tables.items() if rows}


def _summary(results: Results) -> list[dict[str, Any]]:
    rows = []
    for name, items in results.items.items():
        weights = "random" if name in results.random else "given"
        row: dict[str, Any] = {"model": name, "weights": weights}
        for column in columns(results.corruptions):
            quantity = column.build(items, None)
            estimate = quantity.estimate() if quantity else None
            row[column.key] = estimate.value if estimate else np.nan
            row[f"{column.key}_low"] = estimate.low if estimate else np.nan
            row[f"{column.key}_high"] = estimate.high if estimate else np.nan
            row[f"{column.key}_n"] = estimate.n if estimate else 0
        rows.append(row)
    return rows


def _differences(results: Results) -> list[dict[str, Any]]:
    """Tabulate each model minus the first, paired over the same images."""
    names = list(results.items)
    rows = []
    for name in names[1:]:
        first, other = results.items[names[0]], results.items[name]
        found = found_by_both(first, other)
        for column in columns(results.corruptions):
            ours, theirs = column.build(other, found), column.build(first, found)
            if ours is None or theirs is None:
                continue
            estimate = ours.minus(theirs)
            rows.append(
                {
                    "model": name,
                    "reference": names[0],
                    "quantity": column.key,
                    "difference": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "n": estimate.n,
                }
            )
    return rows


def _hybrid(results: Results) -> list[dict[str, Any]]:
    rows = []
    for name, item in results.having("hybrid"):
        curve = analysis.hybrid_curve(item)
        rows += _rows(
            name, frequency=curve.x, p_low=item["p_low"], p_high=item["p_high"],
            difference=curve.y,
            low=curve.low, high=curve.high,
        )  # fmt: skip
    return rows


def _attack(results: Results) -> list[dict[str, Any]]:
    rows = []
    for name, item in results.having("attack"):
        n = len(item["distance"])
        rows += _rows(
            name, image=np.arange(n), label=results.labels[:n], target=item["targets"],
            distance=item["distance"], success=item["success"], status=item["status"],
            n_queries=item["n_queries"],
        )  # fmt: skip
    return rows


def _success(results: Results) -> list[dict[str, Any]]:
    items = dict(results.having("attack"))
    epsilons = analysis.budgets([item["distance"] for item in items.values()])
    rows = []
    for name, item in items.items():
        curve = analysis.success_curve(item["distance"], epsilons)
        rows += _rows(
            name, epsilon=curve.x, fraction=curve.y, low=curve.low,
            high=curve.high,
        )  # fmt: skip
    return rows


def _radial(results: Results) -> list[dict[str, Any]]:
    rows = []
    for name, item in results.having("attack"):
        if item["radial"].any():
            curve = analysis.radial_curve(found_only(item))
            rows += _rows(
                name, frequency=curve.x, cumulative=curve.y, low=curve.low,
                high=curve.high,
            )  # fmt: skip
    return rows


def _spectrum(results: Results) -> list[dict[str, Any]]:
    return [
        row
        for name, item in results.having("attack")
        for row in map_rows(name, item["power"])
    ]


def map_rows(model: str, power: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return a spectrum as rows of model, frequency_y, frequency_x, power."""
    fy, fx = np.meshgrid(
        *(np.fft.fftshift(np.fft.fftfreq(size)) for size in power.shape), indexing="ij"
    )
    return _rows(
        model, frequency_y=fy.ravel(), frequency_x=fx.ravel(), power=power.ravel()
    )


def _corruption(results: Results) -> list[dict[str, Any]]:
    """Tabulate each corruption that is finished, even if others are not."""
    rows = []
    for name in results.corruptions:
        for model, item in results.having(f"corruption/{name}"):
            found = CorruptionAccuracy((name,), SEVERITIES, item["correct"][None])
            table = found.cells.drop(columns="n")
            rows += _rows(model, **{str(key): table[key] for key in table})
    return rows


def _rows(model: str, **arrays: Any) -> list[dict[str, Any]]:
    """Turn arrays of the same length into rows that begin with the model."""
    lists = [np.asarray(value).tolist() for value in arrays.values()]
    return [
        {"model": model} | dict(zip(arrays, row, strict=True))
        for row in zip(*lists, strict=True)
    ]
