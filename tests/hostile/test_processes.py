"""Kills, Ctrl-C, a full disk and two processes change no result and lose no data.

Every job stores its work in a folder (`hostile_jobs`). After any kind of stop, the next
run in the folder must give the numbers of an undisturbed run.
"""

from __future__ import annotations

import random
import signal
import time

import pytest
import torch
from hostile_jobs import JOBS, LONG
from hostile_server import wait

KILLS = 3  # per job, one after another in one folder
# After each kill, the job starts again in its own process.
pytestmark = pytest.mark.timeout(600)
SECONDS = 2.0  # most processor time between Ctrl-C and the end
PAUSE = 0.02


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Use one thread, as in the children: torch's rounding depends on the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, one_thread):
    """Return the result of a job that runs alone, in this process."""
    known = {}

    def result(job: str) -> str:
        if job not in known:
            known[job] = JOBS[job](tmp_path_factory.mktemp(job))
        return known[job]

    return result


def n_kept(folder) -> int:
    return sum(path.is_file() and path.suffix != ".part" for path in folder.rglob("*"))


def parts(folder) -> list[str]:
    return [path.name for path in folder.rglob("*.part")]


@pytest.mark.parametrize("job", JOBS)
def test_killed_work_goes_on_to_equal_results(
    job, server, undisturbed, tmp_path, counts
):
    expected, draws = undisturbed(job), random.Random(job)
    for _ in range(KILLS):
        child, before = server.start(job, tmp_path, pause=PAUSE), n_kept(tmp_path)
        wait(lambda: n_kept(tmp_path) > before or not child.is_alive)  # noqa: B023
        time.sleep(draws.uniform(0.0, 3 * PAUSE))
        counts["kills"] += child.is_alive
        child.send(signal.SIGKILL)
        child.end()
    assert JOBS[job](tmp_path) == expected
    counts["killed jobs resumed to equal results"] += 1


@pytest.mark.parametrize("job", JOBS)
def test_interrupted_work_goes_on_to_equal_results(
    job, server, undisturbed, tmp_path, counts
):
    expected = undisturbed(job)
    child = server.start(job, tmp_path, pause=PAUSE)
    wait(lambda: n_kept(tmp_path) > 0 or not child.is_alive)
    child.send(signal.SIGINT)
    end = child.end()
    assert end.get("error", "KeyboardInterrupt") == "KeyboardInterrupt", end
    assert not parts(tmp_path)
    assert JOBS[job](tmp_path) == expected
    counts["interrupted jobs resumed to equal results"] += 1


@pytest.mark.parametrize("job", LONG)
def test_ctrl_c_ends_long_work_soon(job, server, tmp_path, counts):
    child = server.start(job, tmp_path, is_long=True)
    begun = child.spent
    wait(lambda: child.spent > begun + 1.0 or not child.is_alive)
    before = child.spent
    child.send(signal.SIGINT)
    try:
        end = child.end()
    finally:
        child.send(signal.SIGKILL)
    counts["signals"] += 1
    assert end["error"] == "KeyboardInterrupt", end
    assert end["spent"] - before < SECONDS, f"{end['spent'] - before:.1f} s"
    counts["heard soon"] += 1


@pytest.mark.parametrize("limit", [100, 700, 3000])
@pytest.mark.parametrize("job", JOBS)
def test_a_full_disk_is_said_and_damages_nothing(
    job, limit, server, undisturbed, tmp_path, counts
):
    expected = undisturbed(job)
    end = server.start(job, tmp_path, limit=limit).end()
    counts["runs without room on disk"] += 1
    if "error" in end:
        assert end["is_os"], end
    else:  # the files were smaller than the limit
        assert end["digest"] == expected
    assert not parts(tmp_path)
    assert JOBS[job](tmp_path) == expected
    counts["went on when there was room"] += 1


@pytest.mark.parametrize("job", JOBS)
def test_two_processes_in_one_folder_agree(job, server, undisturbed, tmp_path, counts):
    expected = undisturbed(job)
    children = [server.start(job, tmp_path, pause=PAUSE) for _ in range(2)]
    ends = [child.end() for child in children]
    counts["pairs of processes in one folder"] += 1
    assert [end.get("digest") for end in ends] == [expected] * 2, ends
    assert not parts(tmp_path)
    assert JOBS[job](tmp_path) == expected
    counts["pairs that agreed"] += 1
