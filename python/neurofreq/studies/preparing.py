"""Load the data and models of a study, write its plan, and return its work."""

from __future__ import annotations

import dataclasses
import traceback
from typing import TYPE_CHECKING

from neurofreq._shared.files import storage
from neurofreq._shared.networks import untrained
from neurofreq._shared.networks.fingerprint import Known
from neurofreq.data import ImageSet, load_data
from neurofreq.studies import result
from neurofreq.studies._subjects import Views
from neurofreq.studies.plan import Identity, Plan
from neurofreq.studies.settings import make_settings
from neurofreq.studies.worker import Work

if TYPE_CHECKING:
    import os

    from neurofreq.studies.measuring import Running, Subject
    from neurofreq.studies.specification import Study


def prepare(
    study: Study,
    out_dir: str | os.PathLike[str],
    running: Running,
    *,
    is_strict: bool = False,
) -> Work:
    """Load data and models, write the plan, and return the work.

    With `is_strict`, errors are raised instead of stored as failures.
    """
    data = study.data
    if isinstance(data, ImageSet):
        data = data.load(progress=running.progress)  # floats in memory
    else:
        data = load_data(
            data, split="test", n=study.n_images, progress=running.progress
        )
    settings = make_settings(data, **study.settings)
    folder = result.folder_for(out_dir)
    views = Views(data, settings.gray, fold=settings.fold)
    known = Known(folder / "items")
    subjects, identities = _loaded(study, views, running, known, is_strict)
    digest = storage.data_digest(data.images, data.labels)
    plan = Plan(
        study.name,
        data.name,
        digest,
        identities,
        settings,
        tuple(study.measurements),
        n_classes=len(data.class_names),
    )
    plan.write(folder)
    return Work(
        plan,
        subjects,
        data,
        storage.Store(folder / "items"),
        running,
        keep_adversarial=study.keep_adversarial,
        is_strict=is_strict,
    )


def _loaded(
    study: Study, views: Views, running: Running, known: Known, is_strict: bool
) -> tuple[list[Subject], tuple[Identity, ...]]:
    """Load the models and try each; store the traceback of a model that fails."""
    subjects, identities = [], []
    for entry in study.models:
        identity = Identity(entry.name, entry.group)
        try:
            model = entry.load(running.device)
            one = views.subject(entry.name, model, running, known)
        except Exception:
            if is_strict:
                raise
            text = traceback.format_exc()
            identities.append(dataclasses.replace(identity, traceback=text))
            continue
        subjects.append(one)
        identities.append(
            dataclasses.replace(
                identity,
                digest=one.digest,
                is_gray=one.is_gray,
                is_random=untrained.is_random(model),
            )
        )
    return subjects, tuple(identities)
