"""Two processes on one folder give the same result as one process."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from helpers.corrupted import NAMES, clean

from neurofreq import data

SCRIPT = textwrap.dedent(
    """
    import sys, time
    sys.path.insert(0, sys.argv[1])
    import torch
    torch.set_num_threads(1)
    import neurofreq as nf
    from neurofreq import data
    kind, out, log = sys.argv[2:]
    if kind == "evaluate":
        from helpers.evaluation import Counting, loader
        arguments = nf.attacks.PGD(steps=3), Counting(), loader(2)
        def work(): return nf.attacks.evaluate(*arguments, out=out)
    elif kind == "corruption_accuracy":
        from helpers.accuracy import Counting, PAPER, clean
        arguments = Counting(), clean()
        def work():
            return nf.corruption_accuracy(*arguments, out=out, severities=[1]).cells
    else:
        from helpers.corrupted import NAMES, clean
        def work():
            data.write_corrupted(
                clean(40), out, names=NAMES, layout=kind, batch_size=1
            )
    print("ready", flush=True)
    sys.stdin.readline()
    found = work()
    if found is not None:
        found.to_csv(log, index=False)
    """
)


def together(kind, out, logs):
    """Run two processes that start at the same time."""
    here = os.path.dirname(__file__)
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error::UserWarning", "-c", SCRIPT, here, kind,
             str(out), str(log)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )
        for log in logs
    ]  # fmt: skip
    for one in processes:
        assert one.stdout.readline() == "ready\n"
    for one in processes:
        one.stdin.write("\n")
        one.stdin.flush()
    for one in processes:
        _, errors = one.communicate(timeout=300)
        assert one.returncode == 0, errors


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["evaluate", "corruption_accuracy"])
def test_two_processes_of_one_out_agree(tmp_path, kind):
    logs = [tmp_path / "0.csv", tmp_path / "1.csv"]
    together(kind, tmp_path / "out", logs)
    first, second = map(pd.read_csv, logs)
    pd.testing.assert_frame_equal(first, second)
    left = [path.suffix for path in (tmp_path / "out").iterdir() if path.is_file()]
    assert set(left) == {".json", ".npz"}
    n_items = {"evaluate": 5, "corruption_accuracy": 16}[kind]
    assert left.count(".json") == left.count(".npz") == n_items


@pytest.mark.timeout(600)
@pytest.mark.parametrize("layout", ["arrays", "files"])
def test_two_processes_write_one_folder(tmp_path, layout):
    together(layout, tmp_path / "out", [tmp_path / "log"] * 2)
    found = data.CorruptedFolder(tmp_path / "out")
    alone = data.write_corrupted(
        clean(40), tmp_path / "alone", names=NAMES, layout=layout
    )
    for name in NAMES:
        for severity in (1, 5):
            ours, theirs = (one.cell(name, severity).images for one in (found, alone))
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith((".part", ".lock"))]
