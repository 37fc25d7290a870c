"""Running a study: data and models are loaded, then the work is done."""

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
    batch_size: int = 256,
    measurements: Sequence[str] | None = None,
) -> StudyResult:
    """Measure every model of a study; keep each item as it completes.

    Parameters
    ----------
    spec : Study, mapping or path of a TOML file
        As `read` takes it.
    out_dir : path
        Made where it is missing. Any number of processes, on any machines that
        share it, may run the same study at once: none measures what another does.
    resume : bool
        Read finished items whose settings, model and data agree; otherwise
        forget them first, which one process alone can do.
    progress : bool
        One bar over all items, whoever measures them, with the time left; under
        ``torchrun``, of the first rank of each machine.
    device : torch.device or str, optional
        Where models named by specs and all batches go; by default where each
        model is. Under ``torchrun``, "cuda" is each rank's own device.
    batch_size : int
        Images per call of a model.
    measurements : sequence of str, optional
        Instead of the study's own.

    Returns
    -------
    StudyResult

    Raises
    ------
    TypeError, ValueError, OSError
        If the spec, the data or an argument is wrong. A model that cannot be
        loaded and an item that fails are written down instead, with their
        tracebacks, and the rest go on.

    Notes
    -----
    Ctrl-C ends measuring, not the call: the result says what is missing. What
    decides an item is in its record, so that a change of another setting, of
    names or groups measures nothing again.

    A model is known by its state (names, shapes, types and values of its parameters
    and of all buffers) and by its answers, in evaluation mode, to probe images: some of
    the data, changed ones, noise and extreme images. They are kept beside the items and
    compared within rounding (half the digits of the coarsest floating-point type in
    use), so that another batch size, processor or device measures nothing again, nor
    does a comment, a new name or another file. A model of the same name and state that
    answers differently is told in one line and measured again; models of one state that
    answer differently stand side by side. A model that draws at random in evaluation
    mode is told, and known as far as torch's seed or its state says.

    Items of releases before 0.2 hold no answers: they are read, by `load` and the
    figures, and a run measures them again.

    The result and its tables are of this run's measurements. `load` and study.csv
    also show other measurements that are finished for every model, and a model
    that could not be loaded here but by another run with the same data and settings.

    Examples
    --------
    >>> import neurofreq as nf
    >>> found = nf.studies.run("zoo.toml", "out")  # doctest: +SKIP
    >>> found.tables["summary"]  # doctest: +SKIP
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
    """Load data and models, write the plan, and return the work to be done.

    Parameters
    ----------
    study : Study
    out_dir : path
    running : Running
    is_strict : bool
        Raise what goes wrong instead of writing it down.
    """
    data = study.data
    if isinstance(data, ImageSet):
        data = data.load()  # bytes as floats, files into memory
    else:
        data = load_data(data, split="test", n=study.n_images)
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
    """Load the models and try each; one that cannot be is written down."""
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
    """Return the device; of several ranks on a machine, each has its own."""
    if device is None or "LOCAL_RANK" not in os.environ:
        return device
    place = torch.device(device)
    if place.type == "cuda" and place.index is None:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return place
