"""Write the output of ``neurofreq corruptions``: tables and pictures of accuracy."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from neurofreq import plot
from neurofreq._shared import runtime
from neurofreq._shared.escapes import to_csv
from neurofreq._shared.files.storage import write_json, write_text
from neurofreq._shared.networks.untrained import is_random
from neurofreq.corruptions import corruption_accuracy
from neurofreq.report import _pictures
from neurofreq.studies.result import folder_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from torch import nn

    from neurofreq.corruptions.result import CorruptionAccuracy


def write(
    models: Mapping[str, nn.Module], images: Any, out: Path, *, command: str, **how: Any
) -> dict[str, CorruptionAccuracy]:
    """Write cells.csv, means.csv, settings.json, and pictures by severity and group.

    `out` is created if it does not exist. Finished cells are stored in ``out/items``.
    `command` is stored in settings.json. `how` has other arguments of
    `corruption_accuracy`.
    """
    folder = folder_for(out)
    found = corruption_accuracy(dict(models), images, out=folder / "items", **how)
    for name, table in tables(found).items():
        write_text(folder / f"{name}.csv", to_csv(table))
    first = next(iter(found.values()))
    record = {
        "command": command,
        "models": list(found),
        "random_weights": [name for name, one in models.items() if is_random(one)],
        "corruptions": first.corruptions,
        "severities": first.severities,
        "n_images": first.correct.shape[2],
        "seed": how.get("seed"),
        "textures": None if how.get("textures") is None else str(how["textures"]),
        "neurofreq": runtime.VERSION,
    }
    write_json(folder / "settings.json", record)
    severities = {name: one.curve("severity") for name, one in found.items()}
    groups = {name: one.curve("group") for name, one in found.items()}
    for over, plotted, curves in (
        ("severity", plot.plot_corruption_severity, severities),
        ("group", plot.plot_corruption_groups, groups),
    ):
        figure = _pictures.new_figure(5.4, 3.9)
        plotted(curves, figure.subplots())
        _pictures.save(figure, folder / over)
    return found


def tables(found: Mapping[str, CorruptionAccuracy]) -> dict[str, pd.DataFrame]:
    """Return every cell, and every mean, of all models as long tables."""
    import pandas as pd

    cells, means = [], []
    for model, one in found.items():
        cells.append(one.cells.assign(model=model))
        parts = [
            table.rename(columns={over: "of"}).assign(mean_over=over)
            for over, table in (
                ("severity", one.by_severity),
                ("group", one.by_group),
                ("corruption", one.by_corruption.drop(columns="group")),
            )
        ]
        means.append(pd.concat([*parts, _whole(one)]).assign(model=model))
    first = ["model"]
    return {
        "cells": pd.concat(cells).set_index(first).reset_index(),
        "means": pd.concat(means).set_index([*first, "mean_over", "of"]).reset_index(),
    }


def _whole(one: CorruptionAccuracy) -> pd.DataFrame:
    import pandas as pd

    value, low, high, n = dataclasses.astuple(one.mean)
    row = {"mean_over": "all", "of": "", "accuracy": value, "low": low, "high": high}
    return pd.DataFrame([row | {"n": n}])
