"""Run a study: load data and models, then measure."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import traceback
from typing import TYPE_CHECKING, Any

import torch

from neurofreq._shared.escapes import to_csv
from neurofreq._shared.files import storage
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import untrained
from neurofreq._shared.networks.fingerprint import Known
from neurofreq.data import ImageSet, load_data
from neurofreq.studies import result, specification
from neurofreq.studies._subjects import Views
from neurofreq.studies.measuring import Running
from neurofreq.studies.plan import Identity, Plan
from neurofreq.studies.settings import make_settings
from neurofreq.studies.worker import Work, rank_and_count, shows_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from neurofreq.studies.measuring import Subject
    from neurofreq.studies.result import StudyResult
    from neurofreq.studies.specification import Study


def run(
    spec: Study | Mapping[str, Any] | str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    *,
    resume: bool = True,
    progress: bool = True,
    device: torch.device | str | None = None,
    batch_size: int | None = None,
    measurements: Sequence[str] | None = None,
) -> StudyResult:
    """Measure every model of a study, and store each item when it completes.

    Parameters
    ----------
    spec : Study, mapping or path of a TOML file
        See `read`.
    out_dir : path
        Created if it does not exist. Any number of processes, on any machines that
        share the folder, may run the same study at once: no item is measured twice.
    resume : bool
        With True, read finished items that have the same settings, model and data.
        With False, delete them and measure again; only a single process can do this.
    progress : bool
        Show one progress bar, with the time left, over the items of all processes.
        Under ``torchrun``, the first rank of each machine shows the bar.
    device : torch.device or str, optional
        Device for the batches and for models that are loaded from a spec. By default,
        the device of each model. Under ``torchrun``, "cuda" is the rank's own device.
    batch_size : int, optional
        Images per call of a model. By default each measurement chooses by the device.
    measurements : sequence of str, optional
        Measure these instead of the study's measurements.

    Returns
    -------
    StudyResult

    Raises
    ------
    TypeError, ValueError, OSError
        If the spec, the data or an argument is wrong. If a model cannot be loaded or an
        item fails, nothing is raised: the run stores the traceback and continues with
        the other models and items.

    Notes
    -----
    Ctrl-C ends measuring, but the call still returns a result that lists the missing
    measurements. The record of an item holds everything that decides its numbers. If
    you change another setting, a name or a group, nothing is measured again.

    A model is identified by its state (names, shapes, types and values of parameters
    and of all buffers) and by its answers, in evaluation mode, to probe images: some
    images of the data, changed images, noise and extreme images. The answers are stored
    beside the items and compared within rounding (half the digits of the coarsest
    floating-point type in use). A change of batch size, processor, device, source
    comments, model name or weights file therefore does not repeat a measurement. If a
    model with the same name and state answers differently, the run reports this and
    measures the model again. Two models with the same state and different answers have
    separate items. If a model draws random numbers in evaluation mode, the run reports
    this. The answers of such a model are compared for one fixed torch seed; if torch's
    seed does not control the draws, only the state identifies the model.

    Items from releases before 0.2 have no stored answers. `load` and the figures read
    these items, but a run measures them again.

    The result and its tables have the measurements of this run. `load` and study.csv
    also have other measurements that are finished for every model, and models that
    only another run with the same data and settings could load.

    Examples
    --------
    A TOML file may hold the same keys as this mapping:

    >>> import neurofreq as nf
    >>> spec = {
    ...     "data": "synthetic",
    ...     "n_images": 16,
    ...     "models": ["small_cnn@random", "small_cnn,width=8@random"],
    ...     "measurements": ["clean", "hybrid"],
    ...     "settings": {"seeds": [0]},
    ... }
    >>> found = nf.studies.run(spec, "out", progress=False)
    >>> found.is_complete
    True
    >>> found.tables["summary"]["quantity"].unique().tolist()
    ['clean_accuracy', 'f_rev']
    """
    study = specification.read(spec)
    if measurements is not None:
        study = dataclasses.replace(study, measurements=measurements)
    rank, n_ranks = rank_and_count()
    resume, progress = (
        validate.flag("resume", resume), validate.flag("progress", progress)
    )  # fmt: skip
    if not resume and n_ranks > 1:
        raise ValueError("resume: got False under torchrun, expected True")
    progress = progress and shows_progress()
    work = prepare(study, out_dir, Running(batch_size, _place(device), progress))
    if not resume:
        work.forget()
    with contextlib.suppress(KeyboardInterrupt):
        work.run()
    found = result.StudyResult(
        validate.path("out_dir", out_dir),
        work.measured(),
        result.failed(work.plan, work.failures),
        tuple(work.missing()),
        work.n_measured,
        work.plan,
    )
    whole = work.plan.write(found.out_dir)
    if rank == 0:
        shown = found if whole == work.plan else result.load(found.out_dir)
        text = to_csv(shown.tables["study"])
        storage.write_text(found.out_dir / "study.csv", text)
    return found


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


def _place(device: torch.device | str | None) -> torch.device | str | None:
    """Return the device; under torchrun, "cuda" becomes the rank's own device."""
    if device is None or "LOCAL_RANK" not in os.environ:
        return device
    place = torch.device(device)
    if place.type == "cuda" and place.index is None:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return place
