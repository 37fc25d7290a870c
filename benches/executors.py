"""Measure how a study divides among the workers of an executor.

Usage: python benches/executors.py [--n-workers 1 2 1 2]

Runs the same study of small networks on ``processes:N`` with one thread each, and
writes benches/results/<date>-<n>cores/executors.json. `whole_s` includes the start of
the processes and their imports, `measuring_s` is from the first stored item to the
last, and `cpu_s` is the processor time of all workers. Efficiency is the time of one
worker divided by N times the time of N workers, and for `cpu_s` the ratio of both.
Other work on the machine disturbs the times, but hardly the processor times.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import neurofreq as nf
from neurofreq._shared.runtime import processor

RESULTS = Path(__file__).resolve().parent / "results"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
STUDY = {
    "data": "synthetic",
    "n_images": 200,
    "models": [f"small_cnn,width={8 + k}@random" for k in range(4)],
    "settings": {"n_attack": 200, "attack_steps": 60, "seeds": [0, 1]},
}


def cpu_seconds() -> float:
    """Return the processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(n_workers: int) -> dict[str, float]:
    """Run the study in a new folder, and return its times in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        start, before = time.time(), cpu_seconds()
        found = nf.studies.run(
            STUDY, folder, executor=f"processes:{n_workers}", progress=False
        )
        end = time.time()
        assert found.is_complete
        items = [path.stat().st_mtime for path in Path(folder, "items").glob("*")]
        return {
            "n_workers": n_workers,
            "whole_s": end - start,
            "measuring_s": max(items) - min(items),
            "cpu_s": cpu_seconds() - before,
            "items": found.n_measured,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-workers", type=int, nargs="+", default=[1, 2, 1, 2])
    options = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = "1"
    rows = [timed(n) for n in options.n_workers]
    means = {
        n: {
            kind: sum(row[kind] for row in rows if row["n_workers"] == n)
            / options.n_workers.count(n)
            for kind in ("whole_s", "measuring_s", "cpu_s")
        }
        for n in sorted(set(options.n_workers))
    }
    for n, mean in means.items():
        for kind in ("whole", "measuring"):
            mean[f"{kind}_efficiency"] = means[1][f"{kind}_s"] / n / mean[f"{kind}_s"]
        mean["cpu_efficiency"] = means[1]["cpu_s"] / mean["cpu_s"]
    today = datetime.date.today().isoformat()
    record = {
        "date": today, "processor": processor(), "cores": CORES,
        "load_before": load, "runs": rows, "means": means,
    }  # fmt: skip
    out = RESULTS / f"{today}-{CORES}cores" / "executors.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
