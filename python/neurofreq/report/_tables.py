"""The report's tables: long tables per measurement, and one row per model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq.frequency import maps
from neurofreq.measured import quantities
from neurofreq.measured.record import CORRUPTION
from neurofreq.measured.summary import columns_of, found_by_both
from neurofreq.report import _filters

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from neurofreq.corruptions import CorruptionAccuracy
    from neurofreq.measured import Measured
    from neurofreq.plot import Curve
    from neurofreq.studies.settings import Settings


@dataclasses.dataclass(frozen=True)
class Results:
    """The measurements of the report's models, as input for tables and pictures.

    `models` are in the order of the tables. `images` has the images that each model was
    shown, by the name of the model. `corruptions` are the requested corruptions.
    """

    models: list[Measured]
    images: dict[str, NDArray[Any]]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    data_name: str
    settings: Settings
    corruptions: tuple[str, ...]
    epsilons: tuple[float, ...] | None = None

    def having(self, key: str) -> list[Measured]:
        """Return the models that have finished this measurement."""
        return [model for model in self.models if model.has(key)]

    def corrupted(self) -> dict[str, CorruptionAccuracy]:
        """Return the accuracies of models that have finished all corruptions.

        Clean accuracy is measured on the images that were corrupted.
        """
        wanted = [CORRUPTION + name for name in self.corruptions]
        return {
            model.name: model.corrupted(self.corruptions)
            for model in self.models
            if wanted and model.has(*wanted)
        }


def build(results: Results) -> dict[str, pd.DataFrame]:
    """Return every table that has rows, by the name of its file."""
    import pandas as pd

    tables = {
        "summary": _summary(results),
        "differences": _differences(results),
        "hybrid": _hybrid(results),
        "attack": _attack(results),
        "success": _success(results),
        "robust": _robust(results),
        "radial": _radial(results),
        "spectrum": _spectrum(results),
        "corruption": _corruption(results),
        **_filters.tables(results),
    }
    return {name: pd.DataFrame(rows) for name, rows in tables.items() if rows}


def _summary(results: Results) -> list[dict[str, Any]]:
    rows = []
    for model in results.models:
        row: dict[str, Any] = {"model": model.name, "weights": model.weights}
        for column in columns_of(results.models, results.corruptions):
            quantity = column.build(model, None)
            estimate = quantity.estimate() if quantity else None
            row[column.key] = estimate.value if estimate else np.nan
            row[f"{column.key}_low"] = estimate.low if estimate else np.nan
            row[f"{column.key}_high"] = estimate.high if estimate else np.nan
            row[f"{column.key}_n"] = estimate.n if estimate else 0
        rows.append(row)
    return rows


def _differences(results: Results) -> list[dict[str, Any]]:
    """Tabulate each model minus the first, paired over the same images."""
    first, *others = results.models
    rows = []
    for other in others:
        found = found_by_both(first, other)
        for column in columns_of(results.models, results.corruptions):
            ours, theirs = column.build(other, found), column.build(first, found)
            if ours is None or theirs is None:
                continue
            estimate = ours.minus(theirs)
            rows.append(
                {
                    "model": other.name,
                    "reference": first.name,
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
    for model in results.having("hybrid"):
        hybrid, curve = model.hybrid, model.hybrid.curve()
        rows += _rows(
            model.name, frequency=curve.x, p_low=hybrid.p_low, p_high=hybrid.p_high,
            difference=curve.y, low=curve.low, high=curve.high,
        )  # fmt: skip
    return rows


def _attack(results: Results) -> list[dict[str, Any]]:
    rows = []
    for model in results.having("attack"):
        attack, n = model.attack, model.attack.n_images
        rows += _rows(
            model.name, image=np.arange(n), label=results.labels[:n],
            target=attack.targets, distance=attack.distance, success=attack.success,
            status=attack.status, n_queries=attack.n_queries,
        )  # fmt: skip
    return rows


def _success(results: Results) -> list[dict[str, Any]]:
    models = results.having("attack")
    epsilons = quantities.budgets([model.attack.distance for model in models])
    rows = []
    for model in models:
        curve = model.attack.success_curve(epsilons)
        rows += _rows(
            model.name, epsilon=curve.x, fraction=curve.y, low=curve.low,
            high=curve.high,
        )  # fmt: skip
    return rows


def robust_curves(results: Results) -> dict[str, Curve]:
    """Return accuracy against budget, by model, for untargeted attacks.

    The budgets are those that were asked for, or those of the success curves.
    """
    models = [one for one in results.having("attack") if not one.attack.is_targeted]
    epsilons = quantities.budgets([model.attack.distance for model in models])
    if results.epsilons is not None:
        epsilons = np.array(results.epsilons)
    return {one.name: one.attack.robust_accuracy(epsilons) for one in models}


def _robust(results: Results) -> list[dict[str, Any]]:
    n = {one.name: one.attack.n_images for one in results.having("attack")}
    rows = []
    for name, curve in robust_curves(results).items():
        rows += _rows(
            name, epsilon=curve.x, accuracy=curve.y, low=curve.low, high=curve.high,
            n=np.full(len(np.asarray(curve.x)), n[name]),
        )  # fmt: skip
    return rows


def _radial(results: Results) -> list[dict[str, Any]]:
    rows = []
    for model in results.having("attack"):
        if model.attack.has_power:
            curve = model.attack.radial_curve(model.attack.success)
            rows += _rows(
                model.name, frequency=curve.x, cumulative=curve.y, low=curve.low,
                high=curve.high,
            )  # fmt: skip
    return rows


def _spectrum(results: Results) -> list[dict[str, Any]]:
    return [
        row
        for model in results.having("attack")
        for row in map_rows(model.name, model.attack.power)
    ]


def map_rows(model: str, power: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return a spectrum as rows of model, frequency_y, frequency_x, power."""
    return _rows(model, **maps.columns(power, "power"))


def _corruption(results: Results) -> list[dict[str, Any]]:
    """Tabulate each corruption that is finished, even if others are not."""
    rows = []
    for name in results.corruptions:
        for model in results.having(CORRUPTION + name):
            found = dataclasses.replace(model.corrupted([name]), clean=None)
            table = found.cells.drop(columns="n")
            rows += _rows(model.name, **{str(key): table[key] for key in table})
    return rows


def _rows(model: str, **arrays: Any) -> list[dict[str, Any]]:
    """Turn arrays of the same length into rows that begin with the model."""
    lists = [np.asarray(value).tolist() for value in arrays.values()]
    return [
        {"model": model} | dict(zip(arrays, row, strict=True))
        for row in zip(*lists, strict=True)
    ]
