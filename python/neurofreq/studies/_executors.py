"""Open executors from text, and count the workers of executors."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

from neurofreq._shared import runtime
from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

FORMS = (
    "processes:N, dask://HOST:PORT, ray, ray://HOST:PORT, mpi or "
    "slurm:n=N[,partition=NAME][,gpus_per_node=1][,timeout_min=600]"
)
# Parameters of submitit that are not particular to Slurm.
_GENERAL = (
    "name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node",
    "tasks_per_node", "stderr_to_stdout",
)  # fmt: skip
_MOST = 10_000  # workers


class Future(Protocol):
    """What an executor returns for a task."""

    def done(self) -> bool:
        """Return whether the task has ended."""

    def result(self) -> Any:
        """Return what the task returned, or raise its error."""

    def cancel(self) -> Any:
        """Cancel the task if it has not started."""


class Executor(Protocol):
    """An executor as in `concurrent.futures`."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future:
        """Run a function of a module in a worker."""


class Opened(NamedTuple):
    """An executor, its number of workers if known, and how to stop its tasks."""

    executor: Executor
    n_workers: int | None
    stop: Callable[[], object] = lambda: None


@contextlib.contextmanager
def opened(value: Any, folder: Path) -> Iterator[Opened]:
    """Yield an executor, and close what was opened here.

    `value` is an executor, which stays open, or one of `FORMS`. Raises TypeError or
    ValueError if it is neither, and ImportError if its package is not installed.
    `folder` gets the files of submitit.
    """
    if not isinstance(value, str):
        if not callable(getattr(value, "submit", None)):
            raise TypeError(
                f"executor: got {validate.shown(value)}, expected an object with "
                f"submit(function, *arguments) as in concurrent.futures, or {FORMS}"
            )
        yield Opened(value, _n_workers(value))
        return
    kind, _, rest = value.partition(":")
    if kind not in _OPENERS:
        raise ValueError(f"executor: got {value!r}, expected {FORMS}")
    with _OPENERS[kind](rest, folder) as found:
        yield found


def _n_workers(executor: Any) -> int | None:
    """Return the number of workers of an executor, or None if it does not tell."""
    client: Any = getattr(executor, "_client", None)  # dask.distributed
    if callable(getattr(client, "nthreads", None)):
        return len(client.nthreads()) or None
    for name in ("num_workers", "_max_workers"):  # mpi4py, and the standard library
        count = getattr(executor, name, None)
        if isinstance(count, int) and count > 0:
            return count
    return None


@contextlib.contextmanager
def _processes(rest: str, _: Path) -> Iterator[Opened]:
    """Start processes on this machine, which share its processors."""
    count = _count("processes", rest)
    context = multiprocessing.get_context("spawn")  # torch has threads: no fork
    n_threads = max(1, (os.cpu_count() or 1) // count)
    pool = ProcessPoolExecutor(count, context, _start, (n_threads,))

    def stop() -> None:
        """End the processes, which lose only the items that they measure."""
        for process in list((pool._processes or {}).values()):
            process.terminate()

    try:
        yield Opened(pool, count, stop)
    finally:
        pool.shutdown(cancel_futures=True)


def _start(n_threads: int) -> None:
    """Prepare a process of `_processes`: the caller stops it after Ctrl-C.

    The user's numbers of threads in the environment stay.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(n_threads)
    if "RAYON_NUM_THREADS" not in os.environ:
        runtime.set_num_threads(n_threads)


@contextlib.contextmanager
def _dask(rest: str, _: Path) -> Iterator[Opened]:
    """Connect to a scheduler of dask.distributed."""
    address = rest.removeprefix("//")
    if not rest.startswith("//") or ":" not in address:
        raise ValueError(f"executor: got 'dask:{rest}', expected dask://HOST:PORT")
    distributed = _package("distributed")
    with distributed.Client(f"tcp://{address}", set_as_default=False) as client:
        executor = client.get_executor()
        yield Opened(executor, _n_workers(executor))


@contextlib.contextmanager
def _ray(rest: str, _: Path) -> Iterator[Opened]:
    """Connect to Ray, or start it on this machine."""
    if rest and not rest.startswith("//"):
        raise ValueError(f"executor: got 'ray:{rest}', expected ray or ray://HOST:PORT")
    ray = _package("ray")
    was_open = ray.is_initialized()
    if not was_open:
        ray.init(f"ray:{rest}" if rest else None, log_to_driver=False)
    try:
        executor = _RayExecutor(ray)
        yield Opened(executor, executor.num_workers, executor.stop)
    finally:
        if not was_open:
            ray.shutdown()


class _RayExecutor:
    """Tasks of Ray with the interface of an executor; a task has one CPU, or one GPU.

    Ray does not start a lost task again, because other tasks measure its items.
    """

    def __init__(self, ray: ModuleType) -> None:
        self._ray = ray
        resources = ray.cluster_resources()
        self._options = {"num_cpus": 1, "max_retries": 0}
        if resources.get("GPU", 0) >= 1:
            self._options["num_gpus"] = 1
        kind = "GPU" if "num_gpus" in self._options else "CPU"
        self.num_workers = max(1, int(resources.get(kind, 1)))
        self._tasks: list[Any] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future:
        """Run a function of a module as a task."""
        task = self._ray.remote(**self._options)(fn).remote(*args)
        self._tasks.append(task)
        return task.future()

    def stop(self) -> None:
        """Cancel the tasks; a running task gets KeyboardInterrupt."""
        for task in self._tasks:
            self._ray.cancel(task)


@contextlib.contextmanager
def _mpi(rest: str, _: Path) -> Iterator[Opened]:
    """Use the processes of ``mpiexec -n N python -m mpi4py.futures``."""
    if rest:
        raise ValueError(f"executor: got 'mpi:{rest}', expected mpi")
    with _package("mpi4py", "mpi4py.futures").MPIPoolExecutor() as pool:
        yield Opened(pool, pool.num_workers)


@contextlib.contextmanager
def _slurm(rest: str, folder: Path) -> Iterator[Opened]:
    """Submit one job of Slurm per worker, through submitit."""
    pairs = [word.partition("=") for word in rest.split(",")]
    values: dict[str, Any] = {
        key: int(value) if value.isdecimal() else value for key, _, value in pairs
    }
    if not all(key and value for key, _, value in pairs) or "n" not in values:
        raise ValueError(
            f"executor: got 'slurm:{rest}', expected slurm:n=N[,KEY=VALUE], with the "
            "parameters of submitit or sbatch as keys"
        )
    count = _count("slurm:n", str(values.pop("n")))
    submitit = _package("submitit")
    cluster = values.pop("cluster", "slurm")
    executor = submitit.AutoExecutor(folder / "submitit", cluster=cluster)
    named = {
        key if key in _GENERAL else f"slurm_{key}": value
        for key, value in ({"name": "neurofreq"} | values).items()
    }
    try:
        executor.update_parameters(**named)
    except (AssertionError, NameError, ValueError) as error:  # of submitit
        raise ValueError(f"executor: got 'slurm:{rest}', {error}") from error
    yield Opened(executor, count)


_OPENERS: dict[str, Callable[[str, Path], Any]] = {
    "processes": _processes, "dask": _dask, "ray": _ray, "mpi": _mpi, "slurm": _slurm,
}  # fmt: skip


def _count(where: str, text: str) -> int:
    """Return a number of workers from text."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _MOST):
        raise ValueError(
            f"executor: got {where}:{text}, expected a number of workers from 1 to "
            f"{_MOST}"
        )
    return int(text)


def _package(name: str, module: str = "") -> ModuleType:
    """Import an optional package; raise ImportError that names how to install it."""
    try:
        return importlib.import_module(module or name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"executor: got no package {name!r}, expected it installed "
            f"(pip install {name}, or neurofreq[cluster])"
        ) from error
