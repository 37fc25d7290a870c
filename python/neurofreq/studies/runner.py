"""Run a study: load data and models, then measure."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING, Any

import torch

from neurofreq._shared.escapes import to_csv
from neurofreq._shared.files import storage
from neurofreq._shared.inputs import validate
from neurofreq.studies import _executors, _tasks, result, specification
from neurofreq.studies.measuring import Running
from neurofreq.studies.preparing import prepare
from neurofreq.studies.worker import rank_and_count, shows_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    executor: Any = None,
    n_workers: int | None = None,
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
    executor : executor or str, optional
        Measure in the workers of an executor with ``submit(function, *arguments)``, as
        in `concurrent.futures`: `ProcessPoolExecutor`, ``client.get_executor()`` of
        dask.distributed, mpi4py.futures, submitit. Or one of the texts
        "processes:N", "dask://HOST:PORT", "ray", "ray://HOST:PORT", "mpi" and
        "slurm:n=N,partition=NAME,...", which open an executor and close it. See Notes.
    n_workers : int, optional
        Number of tasks that the executor gets; by default its number of workers.

    Returns
    -------
    StudyResult

    Raises
    ------
    TypeError, ValueError, OSError
        If the spec, the data or an argument is wrong. If a model cannot be loaded or an
        item fails, nothing is raised: the run stores the traceback and continues with
        the other models and items. With an executor, also if data or a model are
        Python objects instead of specs, with `resume` False, or if no worker could
        open the study.
    RuntimeError
        If all workers of an executor were lost before one of them opened the study.

    Warns
    -----
    RuntimeWarning
        If a worker of an executor was lost. Its items are measured by other workers,
        or by the next run.

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

    With an executor, each worker gets one task of some hundred bytes without code. It
    opens data and models from their specs, and works on the items as a process that
    shares the folder. Workers therefore need the same folder, the same specs and the
    same release of neurofreq. Paths in specs are relative to the current folder of the
    caller, in which a task works. A process runs one task at a time, so give each
    worker one thread. ``n_measured`` counts the items of tasks that ended. After
    Ctrl-C, "processes" and "slurm" stop at once and the other executors after the
    current items. A script that uses "processes" needs
    ``if __name__ == "__main__":``.

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

    The next run reads what is finished, also when it has an executor:

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(1) as executor:
    ...     found = nf.studies.run(spec, "out", executor=executor, progress=False)
    >>> found.is_complete, found.n_measured
    (True, 0)
    """
    study = specification.read(spec)
    if measurements is not None:
        study = dataclasses.replace(study, measurements=measurements)
    resume, progress = (
        validate.flag("resume", resume), validate.flag("progress", progress)
    )  # fmt: skip
    if n_workers is not None:
        n_workers = validate.count("n_workers", n_workers)
    if executor is not None:
        return _on_executor(
            study, out_dir, executor, n_workers, resume=resume,
            running=Running(batch_size, progress=progress), device=device,
        )  # fmt: skip
    if n_workers is not None:
        raise ValueError(
            f"n_workers: got {n_workers!r}, expected none without executor"
        )
    rank, n_ranks = rank_and_count()
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
        _write_table(found if whole == work.plan else result.load(found.out_dir))
    return found


def _on_executor(
    study: Study,
    out_dir: str | os.PathLike[str],
    executor: Any,
    n_workers: int | None,
    *,
    resume: bool,
    running: Running,
    device: torch.device | str | None,
) -> StudyResult:
    """Run a study on an executor, and read the results from the folder."""
    if not resume:
        raise ValueError("resume: got False with an executor, expected True")
    values = _tasks.plain(study)
    folder = result.folder_for(out_dir)
    with _executors.opened(executor, folder) as found:
        count = n_workers or found.n_workers
        if count is None:
            raise ValueError(
                f"n_workers: got none with {type(found.executor).__name__}, which does "
                "not tell its number of workers; expected a number"
            )
        task = _tasks.Task(
            values, str(folder.resolve()), os.getcwd(), "", (0, count),
            running.batch_size, None if device is None else str(device),
        )  # fmt: skip
        n_measured = _tasks.gather(found, task, study.name, progress=running.progress)
    _write_table(result.load(folder))
    kept = result.kept(folder, study.measurements)
    return dataclasses.replace(kept, n_measured=n_measured)


def _write_table(found: StudyResult) -> None:
    """Write all numbers of a study as study.csv."""
    storage.write_text(found.out_dir / "study.csv", to_csv(found.tables["study"]))


def _place(device: torch.device | str | None) -> torch.device | str | None:
    """Return the device; under torchrun, "cuda" becomes the rank's own device."""
    if device is None or "LOCAL_RANK" not in os.environ:
        return device
    place = torch.device(device)
    if place.type == "cuda" and place.index is None:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return place
