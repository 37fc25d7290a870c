"""Studies on executors: threads, processes, lost workers, and what travels."""

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from helpers import small_study, spec_study

from neurofreq import studies
from neurofreq.studies import _tasks, worker


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder with networks, and look at other processes' items often."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.02)
    return spec_study.write(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study that ran in this process."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = studies.run(spec_study.write(folder), folder / "out", progress=False)
    assert found.is_complete, found.failed
    return found


def is_as(out, whole):
    """Require the table of the undisturbed study, and no file of a run."""
    assert (out / "study.csv").read_bytes() == (whole / "study.csv").read_bytes()
    assert not list(out.glob(".run-*"))
    assert not list(out.rglob("*.lock"))
    assert not list(out.rglob("*.part"))


class Inline:
    """Run each task at once, through pickle as another process would get it."""

    def __init__(self):
        self.sent = []

    def submit(self, fn, /, *args):
        self.sent.append(pickle.dumps((fn, args)))
        fn, args = pickle.loads(self.sent[-1])
        future = Future()
        try:
            future.set_result(pickle.loads(pickle.dumps(fn(*args))))
        except Exception as error:
            future.set_exception(error)
        return future


def test_an_executor_gives_the_same_table(here, whole, tmp_path):
    inline = Inline()
    found = studies.run(here, "out", executor=inline, n_workers=2, progress=False)
    assert found.is_complete
    assert found.n_measured == whole.n_measured
    is_as(tmp_path / "out", whole.out_dir)
    again = studies.run(here, "out", executor=inline, n_workers=1, progress=False)
    assert again.is_complete
    assert again.n_measured == 0


def test_what_travels_is_small_and_plain(here):
    inline = Inline()
    studies.run(
        here, "out", executor=inline, n_workers=3, measurements=["clean"],
        progress=False, device="cpu", batch_size=5,
    )  # fmt: skip
    assert len(inline.sent) == 3
    for rank, sent in enumerate(inline.sent):
        assert len(sent) < 2000
        _, (task,) = pickle.loads(sent)
        assert json.loads(json.dumps(task._asdict()))["study"] == task.study
        assert task.place == (rank, 3)
        assert (task.batch_size, task.device) == (5, "cpu")
        assert task.study["models"] == here["models"]


def test_threads_of_one_process_take_turns(here, whole, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        found = studies.run(here, "out", executor=pool, progress=False)
    assert found.n_measured == whole.n_measured
    is_as(tmp_path / "out", whole.out_dir)


def test_processes_share_the_items(here, whole, tmp_path, monkeypatch):
    monkeypatch.setenv("SLEEP", "0.01")
    counts = []
    outcomes = _tasks._outcomes

    def counted(futures):
        found = outcomes(futures)
        counts.extend(one.n_measured for one in found[0])
        return found

    monkeypatch.setattr(_tasks, "_outcomes", counted)
    found = studies.run(here, "out", executor="processes:2", progress=False)
    assert found.is_complete
    assert sum(counts) == found.n_measured == whole.n_measured
    is_as(tmp_path / "out", whole.out_dir)


def kept(out):
    return {path.name: path.read_bytes() for path in (out / "items").glob("*.npz")}


def test_a_killed_worker_loses_nothing_finished(here, whole, tmp_path, monkeypatch):
    monkeypatch.setenv("SLEEP", "0.05")
    out, before = tmp_path / "out", {}
    context = multiprocessing.get_context("spawn")

    def kill():
        while len(list((out / "items").glob("*.json"))) < 2:
            time.sleep(0.01)
        os.kill(next(iter(pool._processes)), signal.SIGKILL)

    with ProcessPoolExecutor(2, context) as pool:
        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.warns(RuntimeWarning, match="a worker of the study was lost"):
            found = studies.run(here, out, executor=pool, progress=False)
        killer.join()
    assert found.missing
    before = kept(out)
    assert len(before) >= 2
    last = studies.run(here, out, executor="processes:1", progress=False)
    assert last.is_complete
    assert last.n_measured == whole.n_measured - len(before)
    assert kept(out).items() >= before.items(), "finished items must stay"
    is_as(out, whole.out_dir)


def test_ctrl_c_cancels_and_the_next_run_continues(here, whole, tmp_path):
    (tmp_path / "study.toml").write_text(spec_study.as_toml(here))
    words = ["-m", "neurofreq", "studies", "run", "study.toml", "--out", "out"]
    code = "from neurofreq.cli import main; main()"
    words = [sys.executable, "-c", code, *words[2:], "--executor", "processes:2"]
    one = subprocess.Popen(
        words, env=os.environ | {"SLEEP": "0.1"}, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    while not list((tmp_path / "out" / "items").glob("*.json")):
        assert one.poll() is None
        time.sleep(0.02)
    os.killpg(one.pid, signal.SIGINT)  # as a terminal does
    told = one.communicate(timeout=60)[1]
    assert one.returncode == 130, told
    assert "interrupted" in told
    assert "Traceback" not in told
    n_kept = len(kept(tmp_path / "out"))
    last = studies.run(here, "out", executor=Inline(), n_workers=1, progress=False)
    assert last.n_measured == whole.n_measured - n_kept > 0
    is_as(tmp_path / "out", whole.out_dir)


def test_a_task_of_a_cancelled_call_does_nothing(here, tmp_path):
    task = _tasks.Task(here, str(tmp_path), str(tmp_path), "gone", (0, 1), None, None)
    assert _tasks.take_part(task)[0] == 0
    assert not (tmp_path / "study.json").exists()


def test_a_cancelled_call_ends_after_the_current_item(here, tmp_path, monkeypatch):
    (mark,) = [tmp_path / ".run-here"]
    mark.touch()
    keep = worker.Work._keep

    def last(self, item, result):
        keep(self, item, result)
        mark.unlink(missing_ok=True)

    monkeypatch.setattr(worker.Work, "_keep", last)
    task = _tasks.Task(here, str(tmp_path), str(tmp_path), "here", (0, 1), None, None)
    assert _tasks.take_part(task) == (1, _tasks.socket.gethostname(), None)


def test_models_that_fail_are_told_and_others_measured(here):
    here["models"].append({"spec": "networks.py:absent", "name": "lost"})
    found = studies.run(
        here, "out", executor=Inline(), n_workers=1, measurements=["clean"],
        progress=False,
    )  # fmt: skip
    assert [(one.model, one.measurement) for one in found.failed] == [
        ("lost", "loading")
    ]
    assert not found.missing
    assert found.n_measured == 2


def test_the_error_of_every_worker_is_raised_here(here):
    here["data"] = "npz:absent.npz"
    with pytest.raises((OSError, ValueError), match=r"absent.npz.*worker on"):
        studies.run(here, "out", executor=Inline(), n_workers=2, progress=False)


def test_another_release_or_folder_is_refused(here, tmp_path):
    (tmp_path / ".run-x").touch()
    task = _tasks.Task(here, str(tmp_path), str(tmp_path), "x", (0, 1), None, None)
    other = _tasks.take_part(task._replace(version="0.0.1"))
    assert "got a worker with neurofreq" in str(other.error)
    elsewhere = _tasks.take_part(task._replace(current=str(tmp_path / "no")))
    assert "without the folder" in str(elsewhere.error)


class Dead:
    num_workers = 2

    def submit(self, fn, /, *args):
        future = Future()
        future.set_exception(RuntimeError("no node"))
        return future


def test_workers_that_never_came_are_an_error(here):
    with pytest.raises(RuntimeError, match=r"got 2 lost workers of 2.*no node"):
        studies.run(here, "out", executor=Dead(), progress=False)


def test_objects_without_a_spec_are_refused(tmp_path):
    one = small_study.study()
    with pytest.raises(TypeError, match="data: got an ImageSet, expected a SPEC"):
        studies.run(one, "out", executor=Inline(), n_workers=1)
    one = small_study.study().models
    with pytest.raises(TypeError, match=r"models: got an nn.Module for 'm0', expected"):
        studies.run(
            studies.Study("synthetic", one), "out", executor=Inline(), n_workers=1
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"executor": 3}, "executor: got 3, expected an object with submit"),
        ({"executor": "threads:2"}, "executor: got 'threads:2', expected processes:N"),
        ({"executor": "processes:0"}, "executor: got processes:0, expected a number"),
        ({"executor": "processes:two"}, "executor: got processes:two, expected a num"),
        ({"executor": "dask:here"}, "executor: got 'dask:here', expected dask://HOST"),
        ({"executor": "dask://here"}, "expected dask://HOST:PORT"),
        ({"executor": "ray:2"}, "expected ray or ray://HOST:PORT"),
        ({"executor": "mpi:2"}, "executor: got 'mpi:2', expected mpi"),
        ({"executor": "slurm:partition=gpu"}, "expected slurm:n=N"),
        ({"executor": "slurm:n=2,gpu"}, "expected slurm:n=N"),
        ({"executor": Inline()}, "n_workers: got none with Inline"),
        ({"executor": Inline(), "n_workers": 0}, "n_workers: got 0, expected"),
        ({"executor": Inline(), "resume": False}, "resume: got False with an executor"),
        ({"n_workers": 2}, "n_workers: got 2, expected none without executor"),
    ],
)
def test_bad_executors_are_named(here, options, text):
    with pytest.raises((TypeError, ValueError), match=text):
        studies.run(here, "out", progress=False, **options)
