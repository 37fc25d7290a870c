"""The content of settings.json: the settings, data, models and versions of a report."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared import runtime
from neurofreq.measured import quantities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neurofreq.report._beside import Beside
    from neurofreq.studies.measuring import Subject
    from neurofreq.studies.plan import Identity, Plan
    from neurofreq.studies.worker import Work


def settings_record(
    work: Work, others: Sequence[Beside], command: str, missing: list[str]
) -> dict[str, Any]:
    """Return the content of settings.json; only the command may contain paths.

    `others` are the studies whose models are also shown.
    """
    import matplotlib
    import pandas as pd

    images = np.asarray(work.data.images)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%d %B %Y"),
        "command": command,
        "missing": missing,
        "models": [
            *map(_measured_here, work.subjects.values()),
            *(_measured_before(one.plan, m) for one in others for m in one.plan.models),
        ],
        "data": {
            "name": work.data.name,
            "n_images": len(images),
            "n_classes": len(work.data.class_names),
            "height": images.shape[2],
            "width": images.shape[3],
            "channels": images.shape[1],
            "digest": work.plan.data_digest,
        },
        "numbers": dataclasses.asdict(work.plan.settings),
        "n_resamples": quantities.N_RESAMPLES,
        "level": quantities.LEVEL,
        "batch_size": work.running.batch_size,
        "versions": {
            "neurofreq": runtime.VERSION,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pandas": pd.__version__,
            "matplotlib": matplotlib.__version__,
            "python": platform.python_version(),
        },
        "machine": _machine(work),
    }


def _measured_here(subject: Subject) -> dict[str, Any]:
    return {
        "name": subject.name,
        "kind": type(subject.model).__name__,
        "n_parameters": sum(p.numel() for p in subject.model.parameters()),
        "study": None,
        "is_gray": subject.is_gray,
        "digest": subject.digest,
    }


def _measured_before(plan: Plan, model: Identity) -> dict[str, Any]:
    """Return the record of a model of another study, from the plan alone."""
    return {
        "name": model.name,
        "kind": None,
        "n_parameters": None,
        "study": plan.name,
        "is_gray": model.is_gray,
        "digest": model.digest,
    }


def _machine(work: Work) -> str:
    """Return the type of machine, without a name that identifies it."""
    from neurofreq._shared.networks.calling import device_of

    text = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    device = torch.device(
        work.running.device or device_of(next(iter(work.subjects.values())).model)
    )
    if device.type == "cuda":
        text += f", {torch.cuda.get_device_name(device)}"
    return text


def defined(value: Any) -> Any:
    """Return JSON values; undefined numbers become null."""
    if isinstance(value, dict):
        return {key: defined(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [defined(one) for one in value]
    is_undefined = isinstance(value, float) and not np.isfinite(value)
    return None if is_undefined else value
