"""Write the output of ``neurofreq robust``: tables and a picture of accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import plot
from neurofreq._shared import runtime
from neurofreq._shared.escapes import to_csv
from neurofreq._shared.files.storage import write_json, write_text
from neurofreq._shared.inputs.pixel import luma as luma_of
from neurofreq._shared.inputs.pixel import to_unit
from neurofreq._shared.networks import luma
from neurofreq._shared.networks.untrained import is_random
from neurofreq.attacks import RobustAccuracy, robust_accuracy
from neurofreq.report import _pictures
from neurofreq.studies.result import folder_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import nn

    from neurofreq.data import ImageSet


def write(
    models: Mapping[str, nn.Module],
    data: ImageSet,
    out: Path,
    *,
    command: str,
    device: torch.device,
    **how: Any,
) -> dict[str, RobustAccuracy]:
    """Write accuracy.csv, images.csv, settings.json and a picture of the accuracy.

    `out` is created if it does not exist. `how` has other arguments of
    `robust_accuracy`. Gray models get the luma of color images.
    """
    import pandas as pd

    folder = folder_for(out)
    pixels = to_unit(np.asarray(data.images))
    labels = np.asarray(data.labels)
    found = {}
    for name, model in models.items():
        is_gray = luma.is_shown(
            name, model, pixels[:2], pixels.shape[1], "auto", device=device
        )
        shown = luma_of(pixels) if is_gray else pixels
        found[name] = robust_accuracy(model, shown, labels, **how)
    tables = {
        "accuracy": [one.by_epsilon.assign(model=name) for name, one in found.items()],
        "images": [one.by_image.assign(model=name) for name, one in found.items()],
    }
    for name, parts in tables.items():
        whole = pd.concat(parts).set_index("model").reset_index()
        write_text(folder / f"{name}.csv", to_csv(whole))
    first = next(iter(found.values()))
    record = {
        "command": command,
        "models": list(found),
        "random_weights": [name for name, one in models.items() if is_random(one)],
        "norm": first.norm,
        "epsilons": first.epsilons.tolist(),
        "n_images": first.n,
        "decision": how.get("decision"),
        "seed": how.get("seed"),
        "neurofreq": runtime.VERSION,
    }
    write_json(folder / "settings.json", record)
    figure = _pictures.new_figure(5.4, 3.9)
    plot.plot_robust_accuracy(found, figure.subplots())
    _pictures.save(figure, folder / "accuracy")
    return found
