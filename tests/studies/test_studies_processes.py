"""Studies: several processes at once, and killed processes."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import time

import numpy as np
import pytest
import torch
from helpers.small_study import (
    in_small_parts,
    run,
    study,
    undisturbed,
)

from neurofreq import studies
from neurofreq.studies import measuring, worker

N_KILLS = 6  # per study
N_STUDIES = max(1, int(os.environ.get("NEUROFREQ_KILLS", "30")) // N_KILLS)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    in_small_parts(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study that ran without interruption."""
    return undisturbed(tmp_path_factory.mktemp("whole"))


def work(out, log, environment):
    """Run the study in another process, and log the items that it stores."""
    torch.set_num_threads(1)
    os.environ.update(environment)
    measuring.ATTACK_PART = 3
    worker.POLL_SECONDS = 0.01
    keep = worker.Work._keep

    def say(line):
        with open(log, "a") as file:
            file.write(f"{line}\n")

    def kept(self, item, result):
        keep(self, item, result)
        say(f"kept {item} {item.rows}")

    worker.Work._keep = kept
    found = run(study(), out)
    say("complete" if found.is_complete else "incomplete")


@pytest.fixture(scope="module")
def processes():
    """Start processes from a server that has all imports and no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_studies_processes"])
    here = os.path.dirname(__file__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", here, prepend=os.pathsep)
        first = context.Process(target=os.getpid)
        first.start()
        first.join()
    return context


def started(context, out, logs, environments):
    """Return processes that work on the study."""
    workers = [
        context.Process(target=work, args=(out, log, environment))
        for log, environment in zip(logs, environments, strict=True)
    ]
    for one in workers:
        one.start()
    return workers


@pytest.mark.parametrize("is_ranked", [False, True])
def test_two_processes_never_do_the_same_item(tmp_path, whole, processes, is_ranked):
    ranks = [{"RANK": str(r), "WORLD_SIZE": "2"} if is_ranked else {} for r in range(2)]
    logs = [tmp_path / f"{r}.log" for r in range(2)]
    slow = [rank | {"SLEEP": "0.01"} for rank in ranks]
    for one in started(processes, tmp_path / "out", logs, slow):
        one.join(60)
    lines = [log.read_text().splitlines() for log in logs]
    assert [one[-1] for one in lines] == ["complete", "complete"]
    kept = [[line for line in one if line.startswith("kept")] for one in lines]
    assert all(kept), "both must measure items"
    together = kept[0] + kept[1]
    assert len(together) == len(set(together)) == whole.n_measured
    if is_ranked:
        assert "m0: clean" in kept[0][0]
        assert "m0: clean" not in kept[1][0]
    table = (tmp_path / "out" / "study.csv").read_bytes()
    assert table == (whole.out_dir / "study.csv").read_bytes()


@pytest.mark.parametrize("seed", range(N_STUDIES))
def test_a_study_killed_at_any_moment_loses_nothing_finished(
    tmp_path, whole, processes, seed
):
    out, moments = tmp_path / "out", random.Random(seed)
    finished: dict[str, bytes] = {}
    log = tmp_path / "log"
    log.touch()
    for _ in range(N_KILLS):
        (one,) = started(processes, out, [log], [{"SLEEP": "0.02"}])
        time.sleep(moments.uniform(0.0, 0.8))
        one.kill()
        one.join()
        now = {path.stem: path for path in (out / "items").glob("*.json")}
        for stem, path in now.items():
            json.loads(path.read_text())
            with np.load(path.with_suffix(".npz")) as archive:
                assert all(archive[name] is not None for name in archive)
            content = path.with_suffix(".npz").read_bytes()
            assert finished.setdefault(stem, content) == content, "measured again"
        assert set(finished) == set(now), "finished items must stay"
    kept = [line for line in log.read_text().splitlines() if line[:4] == "kept"]
    before = len(finished)
    assert len(kept) == len(set(kept)), "no item may be measured twice"
    assert before - N_KILLS <= len(kept) <= before
    last = run(study(), out)
    assert last.is_complete
    assert last.n_measured == whole.n_measured - before
    assert not list((out / "items").glob(".*"))
    assert not list(out.rglob("*.lock"))
    table = (out / "study.csv").read_bytes()
    assert table == (whole.out_dir / "study.csv").read_bytes()


def die_writing(out):
    """Kill this process while the first item is half written."""

    def half(file, **_):
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    np.savez_compressed = half
    run(study(), out)


def test_what_is_half_written_does_not_count(tmp_path, whole, processes):
    one = processes.Process(target=die_writing, args=(tmp_path,))
    one.start()
    one.join(60)
    assert one.exitcode == -signal.SIGKILL
    assert list((tmp_path / "items").rglob(".*.part"))
    assert not list((tmp_path / "items").glob("*.json"))
    assert run(study(), tmp_path).n_measured == whole.n_measured
    assert not list((tmp_path / "items").rglob("*.part"))


def test_what_another_finished_while_it_was_claimed_is_read(
    tmp_path, whole, monkeypatch
):
    claim = worker.claim

    def late(path):
        shutil.copytree(whole.out_dir / "items", path.parent, dirs_exist_ok=True)
        return claim(path)

    monkeypatch.setattr(worker, "claim", late)
    assert run(study(), tmp_path).n_measured == 0
    assert not list(tmp_path.rglob("*.lock"))


def test_one_rank_of_a_machine_draws_the_bar(tmp_path, monkeypatch, terminal):
    for local in ("1", "0"):
        monkeypatch.setenv("LOCAL_RANK", local)
        studies.run(study(), tmp_path / local)
        assert ("items" in terminal.readouterr().err) == (local == "0")


def test_the_bar_says_what_failed(tmp_path, terminal):
    lost = [*study(1).models, studies.ModelEntry("small_cnn@absent.pt", "lost")]
    studies.run(study(models=lost, measurements=["clean"]), tmp_path)
    assert "1/1 items, 1 failed" in terminal.readouterr().err


def test_the_bar_counts_what_others_finish(tmp_path, whole, monkeypatch):
    counts, show = [], worker.Work._show

    def shown(self):
        counts.append(len(self.finished))
        show(self)

    def beside(*given):
        shutil.copytree(whole.out_dir / "items", tmp_path / "items", dirs_exist_ok=True)
        return clean(*given)

    clean = measuring.clean
    monkeypatch.setattr(measuring, "clean", beside)
    monkeypatch.setattr(worker.Work, "_show", shown)
    assert run(study(), tmp_path).n_measured == 1
    assert counts[:2] == [0, whole.n_measured]
