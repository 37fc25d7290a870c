"""Studies on dask.distributed, Ray, submitit and mpi4py, each with real processes."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from helpers import spec_study

from neurofreq import studies

pytestmark = [
    pytest.mark.filterwarnings("default"),  # the packages' own warnings
    pytest.mark.timeout(300),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return spec_study.write(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study that ran in this process."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return studies.run(spec_study.write(folder), folder / "out", progress=False)


def is_as(out, whole):
    assert (out / "study.csv").read_bytes() == (whole / "study.csv").read_bytes()
    assert not list(out.glob(".run-*"))
    assert not list(out.rglob("*.lock"))


@contextlib.contextmanager
def dask(folder, n_workers):
    """Start a scheduler and workers in processes of their own; yield both."""
    file = folder / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen(
        [
            *command[:2], f"{command[2]}scheduler", "--host", "127.0.0.1",
            "--port", "0", "--no-dashboard", "--scheduler-file", str(file),
        ],
        **quiet,
    )  # fmt: skip
    workers = [
        subprocess.Popen(
            [
                *command[:2], f"{command[2]}worker", "--scheduler-file", str(file),
                "--no-nanny", "--nthreads", "1", "--no-dashboard",
                "--local-directory", str(folder / f"worker{index}"),
            ],
            **quiet,
        )
        for index in range(n_workers)
    ]  # fmt: skip
    try:
        yield file, workers
    finally:
        for one in (*workers, scheduler):
            one.kill()
            one.wait()


def joined(distributed, file, n_workers):
    """Return a client when all workers have joined."""
    while not file.exists():
        time.sleep(0.05)
    client = distributed.Client(scheduler_file=str(file), set_as_default=False)
    client.wait_for_workers(n_workers, timeout=120)
    return client


def test_dask_by_its_address(here, whole, tmp_path):
    distributed = pytest.importorskip("distributed")
    with dask(tmp_path, 2) as (file, _), joined(distributed, file, 2) as client:
        address = client.scheduler.address.replace("tcp", "dask")
        found = studies.run(here, "out", executor=address, progress=False)
    assert found.is_complete
    assert found.n_measured == whole.n_measured
    is_as(tmp_path / "out", whole.out_dir)


def test_dask_goes_on_without_a_killed_worker(here, whole, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("SLEEP", "0.05")
    items = tmp_path / "out" / "items"
    before = {}

    with (
        dask(tmp_path, 2) as (file, workers),
        joined(distributed, file, 2) as client,
    ):

        def kill():
            while len(list(items.glob("*.json"))) < 2:
                time.sleep(0.01)
            os.kill(workers[0].pid, signal.SIGKILL)
            before.update({p: p.read_bytes() for p in items.glob("*.npz")})

        killer = threading.Thread(target=kill)
        killer.start()
        executor = client.get_executor()
        found = studies.run(here, "out", executor=executor, progress=False)
        killer.join()
        assert workers[0].wait() == -signal.SIGKILL
    assert found.is_complete
    assert before
    assert all(path.read_bytes() == content for path, content in before.items())
    is_as(tmp_path / "out", whole.out_dir)


def test_ray_on_one_machine(here, whole, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False,
        object_store_memory=100_000_000,
    )  # fmt: skip
    try:
        found = studies.run(here, "out", executor="ray", progress=False)
    finally:
        ray.shutdown()
    assert found.is_complete
    assert found.n_measured == whole.n_measured
    is_as(tmp_path / "out", whole.out_dir)


@pytest.mark.parametrize("is_text", [True, False])
def test_submitit_with_its_local_executor(here, whole, tmp_path, is_text):
    submitit = pytest.importorskip("submitit")
    executor = "slurm:n=2,cluster=local,timeout_min=5"
    if not is_text:
        executor = submitit.AutoExecutor(tmp_path / "logs", cluster="local")
    n_workers = None if is_text else 2
    found = studies.run(
        here, "out", executor=executor, n_workers=n_workers, progress=False
    )
    assert found.is_complete
    assert found.n_measured == whole.n_measured
    is_as(tmp_path / "out", whole.out_dir)


def test_submitit_refuses_unknown_parameters(here):
    pytest.importorskip("submitit")
    with pytest.raises(ValueError, match="executor: got 'slurm:n=1"):
        studies.run(here, "out", executor="slurm:n=1,cluster=local,nodes=two")


MPI = """
from neurofreq import studies

if __name__ == "__main__":
    found = studies.run("study.toml", "out", executor="mpi", progress=False)
    print(found.is_complete, found.n_measured)
"""


def test_mpi_with_processes_of_mpiexec(here, whole, tmp_path):
    pytest.importorskip("mpi4py")
    beside = os.path.dirname(sys.executable)
    mpiexec = shutil.which("mpiexec", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    if mpiexec is None:
        pytest.skip("needs mpiexec")
    (tmp_path / "study.toml").write_text(spec_study.as_toml(here))
    (tmp_path / "script.py").write_text(MPI)
    words = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", "script.py"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.stdout.split() == ["True", str(whole.n_measured)], found.stderr
    is_as(tmp_path / "out", whole.out_dir)


@pytest.mark.parametrize(
    ("text", "package"),
    [("dask://h:1", "distributed"), ("ray", "ray"), ("slurm:n=1", "submitit")],
)
def test_an_absent_package_is_named(here, monkeypatch, text, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"got no package {package!r}"):
        studies.run(here, "out", executor=text, progress=False)
