"""Run a study on an executor: each task works on the study's folder like a process.

A task carries the study as plain values and opens data and models itself. Tasks share
only the folder (see `worker`), so a lost worker loses nothing but its current item. The
file ``.run-TOKEN`` exists while the results of a call are wanted: if it is deleted, the
tasks of the call end after their current item, and tasks that start later do nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import socket
import threading
import time
import warnings
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from neurofreq._shared import runtime
from neurofreq._shared.files import storage
from neurofreq._shared.inputs import validate
from neurofreq._shared.progress import bar
from neurofreq.studies import worker
from neurofreq.studies.measuring import Running
from neurofreq.studies.plan import FILE, Plan
from neurofreq.studies.preparing import prepare
from neurofreq.studies.specification import Study

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neurofreq.studies._executors import Future, Opened

# Torch's modes and the current folder belong to a process, so one task at a time.
_ONE_TASK = threading.Lock()
_TRAVELS = (ValueError, TypeError, FileNotFoundError, OSError, ImportError)


class Task(NamedTuple):
    """What travels to a worker: plain values only, some hundred bytes."""

    study: dict[str, Any]
    folder: str
    current: str  # relative paths in the specs start here
    token: str
    place: tuple[int, int]
    batch_size: int | None
    device: str | None
    version: str = runtime.VERSION


class Outcome(NamedTuple):
    """What a worker returns; the results themselves are in the folder."""

    n_measured: int
    host: str
    error: Exception | None = None


def plain(study: Study) -> dict[str, Any]:
    """Return the study as plain values, from which `Study` makes it again.

    Raises TypeError if data or a model are Python objects instead of specs.
    """
    if not isinstance(study.data, str):
        raise TypeError(
            f"data: got an {type(study.data).__name__}, expected a SPEC such as "
            "npz:FILE with an executor, because each worker opens the data itself"
        )
    for entry in study.models:
        if not isinstance(entry.spec, str):
            raise TypeError(
                f"models: got an nn.Module for {entry.name!r}, expected a SPEC such as "
                "file.py:factory@WEIGHTS with an executor, because each worker opens "
                "the models itself"
            )
    return {
        "data": study.data,
        "models": [dataclasses.asdict(entry) for entry in study.models],
        "name": study.name,
        "n_images": study.n_images,
        "measurements": list(study.measurements),
        "settings": dict(study.settings),
        "keep_adversarial": study.keep_adversarial,
    }


def take_part(task: Task) -> Outcome:
    """Work on the items of a study, in a worker, until all are settled."""
    host = socket.gethostname()
    with _ONE_TASK:
        try:
            return Outcome(_n_measured(task), host)
        except Exception as error:
            return Outcome(0, host, _portable(error, host))


def _n_measured(task: Task) -> int:
    """Measure, and return the number of items that this task measured."""
    wanted = _mark(Path(task.folder), task.token)
    if not wanted.exists():
        return 0
    if task.version != runtime.VERSION:
        raise ValueError(
            f"executor: got a worker with neurofreq {runtime.VERSION}, expected "
            f"{task.version}"
        )
    with _in_folder(task.current):
        running = Running(task.batch_size, task.device, progress=False)
        work = prepare(Study(**task.study), task.folder, running)
        work.is_wanted, work.place = wanted.exists, task.place
        with contextlib.suppress(KeyboardInterrupt):
            work.run()
    is_loaded = not any(model.traceback for model in work.plan.models)
    if is_loaded and not work.missing():  # nothing is left for later tasks
        wanted.unlink(missing_ok=True)
    return work.n_measured


def gather(opened: Opened, task: Task, name: str, *, progress: bool) -> int:
    """Submit a task for each worker, and wait for them; Ctrl-C cancels the tasks.

    Returns the number of items that the tasks measured. Raises the error of the workers
    if no worker could open the study, and RuntimeError if all were lost before that.
    """
    folder, token = Path(task.folder), secrets.token_hex(4)
    wanted, before = _mark(folder, token), _stamp(folder)
    futures: list[Future] = []
    wanted.touch()
    try:
        for rank in range(task.place[1]):
            one = task._replace(token=token, place=(rank, task.place[1]))
            futures.append(opened.executor.submit(take_part, one))
        _wait(futures, folder, before, name, progress)
    except BaseException as error:
        for future in futures:
            with contextlib.suppress(Exception):  # the task may have ended
                future.cancel()
        opened.stop()
        if not isinstance(error, KeyboardInterrupt) or _stamp(folder) == before:
            raise
    finally:
        wanted.unlink(missing_ok=True)
    outcomes, lost = _outcomes(futures)
    errors = [one.error for one in outcomes if one.error is not None]
    if outcomes and len(errors) == len(outcomes):
        raise errors[0]
    if _stamp(folder) == before:
        raise RuntimeError(
            f"executor: got {len(lost)} lost workers of {len(futures)}, expected one "
            f"that opens the study{f' ({lost[0]!r})' if lost else ''}"
        )
    for reason in [*errors, *lost]:
        warnings.warn(
            f"a worker of the study was lost ({type(reason).__name__}: {reason}); "
            "other workers or the next run measure its items",
            RuntimeWarning,
            stacklevel=4,
        )
    return sum(one.n_measured for one in outcomes)


def _wait(
    futures: list[Future],
    folder: Path,
    before: tuple[int, int] | None,
    name: str,
    progress: bool,
) -> None:
    """Show the number of finished items until all tasks have ended."""
    done: list[Path] = []
    with bar(total=0, desc=name, unit="item", progress=progress) as shown:
        while not all(future.done() for future in futures):
            time.sleep(worker.POLL_SECONDS)
            if progress and not done and _stamp(folder) != before:
                plan, store = Plan.read(folder), storage.Store(folder / "items")
                done = [store.path(item.record, ".json") for item in plan.items]
                shown.total = len(done)
            shown.n = sum(path.exists() for path in done)
            shown.refresh()


def _outcomes(futures: list[Future]) -> tuple[list[Outcome], list[Exception]]:
    """Return the results of ended tasks, and the errors of lost workers."""
    outcomes: list[Outcome] = []
    lost: list[Exception] = []
    for future in futures:
        if not future.done():  # after Ctrl-C
            continue
        try:
            outcomes.append(future.result())
        except CancelledError:
            continue
        except Exception as error:
            lost.append(error)
    return outcomes, lost


def _mark(folder: Path, token: str) -> Path:
    """Return the file that exists while the results of a call are wanted."""
    return folder / f".run-{token}"


def _stamp(folder: Path) -> tuple[int, int] | None:
    """Return a value that changes when a worker writes the plan."""
    try:
        status = (folder / FILE).stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino


def _portable(error: Exception, host: str) -> Exception:
    """Return an error of a built-in type, which every executor can send."""
    for kind in _TRAVELS:
        if type(error) is kind:
            return kind(f"{error} (worker on {host})")
    return RuntimeError(f"{type(error).__name__}: {error} (worker on {host})")


@contextlib.contextmanager
def _in_folder(current: str) -> Iterator[None]:
    """Work in this folder, as the process that submitted the task."""
    before = Path.cwd()
    if not validate.path("executor", current).is_dir():
        raise ValueError(
            f"executor: got a worker without the folder {current}, expected one that "
            "shares the current folder"
        )
    os.chdir(current)
    try:
        yield
    finally:
        os.chdir(before)
