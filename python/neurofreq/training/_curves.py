"""Learning curves: a table of all epochs and its picture."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from neurofreq._shared.escapes import literal, to_csv
from neurofreq._shared.files import storage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

SPLIT = "validation_"


def write_table(history: Sequence[dict[str, float]], folder: Path) -> None:
    """Write ``curves.csv``: the rows of `nf.training.fit` (at least one row)."""
    import pandas as pd

    text = to_csv(pd.DataFrame(list(history)))
    storage.write_text(folder / "curves.csv", text)


def write_picture(history: Sequence[dict[str, float]], folder: Path) -> None:
    """Write ``curves.png``, the figure of `draw`."""
    picture = io.BytesIO()
    draw(history).savefig(picture, format="png", dpi=150)
    storage.write_bytes(folder / "curves.png", picture.getvalue())


def draw(history: Sequence[dict[str, float]]) -> Figure:
    """Return a figure of losses, validation scores and learning rate by epoch.

    `history` has at least one row of `nf.training.fit`.
    """
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    panels = _panels(history[-1])
    figure = Figure(figsize=(3.2 * len(panels), 2.6), layout="constrained")
    axes: Any = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, names) in zip(axes, panels.items(), strict=True):
        for name in names:
            values = [row.get(name, float("nan")) for row in history]
            label = name.replace("_", " ").removeprefix("weight of ")
            axis.plot(epochs, values, ".-", markersize=4, label=literal(label))
        axis.set(xlabel="epoch", title=title)
        if len(names) > 1:
            axis.legend(frameon=False, fontsize="small")
    return figure


def _panels(row: dict[str, float]) -> dict[str, list[str]]:
    """Return the columns of each panel that has any."""
    weights = [name for name in row if name.startswith("weight of ")]
    scale = [name for name in row if name.startswith("log variance")]
    known = {"epoch", "lr", "loss", "cross_entropy", "validation_loss"}
    known |= {"validation_accuracy", *weights, *scale}
    panels = {
        "cross-entropy": ["cross_entropy", "validation_loss"],
        "accuracy": ["validation_accuracy"],
        "regularizer": [name for name in row if name not in known],
        "weights of layers": weights,
        "log variances": scale,
        "learning rate": ["lr"],
    }
    present = {title: [n for n in names if n in row] for title, names in panels.items()}
    return {title: names for title, names in present.items() if names}
