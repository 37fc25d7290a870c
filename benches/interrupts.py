"""Measure how fast Ctrl-C ends each function, and the cost of checking for signals.

Usage: python benches/interrupts.py [--tries 5] [--only NAME] [--before FOLDER]

Latency: every call is timed once without a signal, then interrupted after a tenth of
that time, at most a second. The time from the signal to the exception is measured.
Cost: FOLDER holds the package `neurofreq` of another build, as a folder or an unpacked
wheel. Kernels of both builds take turns in their own processes, with one thread each,
and their processor time is measured. Raw numbers go to
benches/results/<date>-<n>cores/, the tables into docs/results/bench-interrupts.md.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pages import fill

import neurofreq as nf
from neurofreq import _neurofreq
from neurofreq._shared.runtime import processor

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[[], Any]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/results/bench-interrupts.md"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
ROUNDS = 15
ONE = np.zeros(1, np.uint64)


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape)


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def corrupted(name: str, size: int, severity: int = 5) -> Call:
    batch = images(1, 3, size, size)
    rest = (ONE, "nchw", "imagenet", None)
    return lambda: _neurofreq.corrupt(batch, name, severity, 0, *rest)


def features(n: int, width: int) -> Call:
    one = torch.from_numpy(images(n, width))
    return lambda: nf.similarity_loss(one, torch.eye(n))


def attacked(method: Any) -> Call:
    batch = torch.from_numpy(images(32, 3, 64, 64))
    weights = torch.randn(3 * 64 * 64, 10, generator=torch.Generator().manual_seed(0))
    labels = (batch.flatten(1) @ weights).argmax(1)
    return lambda: method(lambda x: x.flatten(1) @ weights, batch, labels)


def interruptible() -> dict[str, Callable[[], Call]]:
    """Return functions that make each call, by function name and size."""
    # Half of the labels are one class, so random draws often fail.
    half = np.maximum(np.arange(1_000_000) - 499_999, 0)
    kinds = np.random.default_rng(0).integers(0, 1000, 3_000_000)
    calls: dict[str, Callable[[], Call]] = {
        "hybrid_pairs, 3 M labels": lambda: lambda: nf.hybrid_pairs(kinds, seed=0),
        "hybrid_pairs, 1 M labels, half alike": lambda: (
            lambda: nf.hybrid_pairs(half, seed=0)
        ),
        "shuffled_targets, 3 M labels": lambda: (
            lambda: nf.attacks.shuffled_targets(kinds, seed=0)
        ),
        "total power, one image of 6000 x 6000": lambda: partial(
            nf.power_spectrum, images(1, 1, 6000, 6000)
        ),
        "power_spectrum, 2000 images of 224 x 224": lambda: partial(
            nf.power_spectrum, images(2000, 1, 224, 224)
        ),
        "radial_profile, 6000 x 6000": lambda: partial(
            nf.radial_profile, values(6000, 6000)
        ),
        "hybrid_images, 16 of 512 x 512, 20 frequencies": lambda: partial(
            _neurofreq.hybrid_images,
            images(16, 1, 512, 512),
            images(16, 1, 512, 512)[::-1],
            list(np.linspace(0.1, 1, 20)),
        ),
        "response_similarity, 4000 x 8000": lambda: partial(
            nf.response_similarity, values(4000, 8000)
        ),
        "reliability, 10 x 2000 x 2000": lambda: partial(
            _neurofreq.reliability, values(10, 2000, 2000)
        ),
        "split_half_neurons, 10 x 200 x 1000, 100 splits": lambda: partial(
            _neurofreq.split_half_neurons, values(10, 200, 1000), 100, 0, True
        ),
        "similarity_correlation of ranks, 3000 x 3000": lambda: partial(
            _neurofreq.similarity_correlation,
            values(3000, 3000),
            values(3000, 3000),
            True,
        ),
        "noise_ceiling of ranks, 10 x 1000 x 1000": lambda: partial(
            _neurofreq.noise_ceiling, values(10, 1000, 1000), True
        ),
        "resampled_means, 10,000 x 100, 2000 resamples": lambda: partial(
            _neurofreq.resampled_means, values(10_000, 100), 2000, 0
        ),
        "similarity_loss, 2000 x 20,000": lambda: features(2000, 20_000),
        "PGD, 32 images of 64 x 64, 500 steps": lambda: attacked(
            nf.attacks.PGD("linf", 1e-5, steps=500)
        ),
        "BrendelBethge, 32 images of 64 x 64": lambda: attacked(
            nf.attacks.BrendelBethge("l2", steps=300)
        ),
    }
    for name in (*nf.CORRUPTIONS, *nf.EXTRA_CORRUPTIONS):
        calls[f"{name}, one image of 3000 x 3000"] = lambda name=name: corrupted(
            name, 3000
        )
    calls["elastic_transform of severity 1, one image of 3000 x 3000"] = lambda: (
        corrupted("elastic_transform", 3000, 1)
    )
    return calls


def latency(call: Call, delay: float) -> float | None:
    """Return the seconds from the signal to its exception, `None` without one."""
    is_done = False
    start = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, delay)
    try:
        call()
        is_done = True
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return None if is_done else time.perf_counter() - start - delay
    return None


def latencies(tries: int, only: str) -> list[dict[str, Any]]:
    # The timer's signal has the same effect as Ctrl-C.
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    rows = []
    for name, make in interruptible().items():
        if only not in name:
            continue
        call = make()
        start = time.perf_counter()
        # Long calls are not run to their end.
        signal.setitimer(signal.ITIMER_REAL, 20)
        with contextlib.suppress(KeyboardInterrupt):
            call()
        signal.setitimer(signal.ITIMER_REAL, 0)
        work = time.perf_counter() - start
        found = [
            latency(call, min(1, work * (k + 1) / (tries + 2))) for k in range(tries)
        ]
        rows.append({"call": name, "work_s": work, "latency_s": found})
        print(row(rows[-1]), flush=True)
    return rows


def row(record: dict[str, Any]) -> str:
    found = [one for one in record["latency_s"] if one is not None]
    missed = len(record["latency_s"]) - len(found)
    numbers = (
        f"{min(found):.3f} | {statistics.median(found):.3f} | {max(found):.3f}"
        if found
        else "| | "
    )
    name, _, size = record["call"].partition(", ")
    work = record["work_s"]
    shown = "> 20" if work > 19.9 else f"{work:.2f}"
    return f"| {name} | {size} | {shown} | {numbers} | {missed or ''} |"


def kernels() -> dict[str, Call]:
    """Return short calls of every kind of loop that checks for signals."""
    small, large = images(4096, 3, 32, 32), images(64, 3, 224, 224)
    low, high = small[:512], small[512:1024]
    grid = list(np.linspace(0.1, 1, 10))
    rows, ones = images(1000, 8192), np.ones(8192)
    trials = values(10, 100, 400)
    calls: dict[str, Call] = {
        "spectrum, 4096 of 32 x 32": lambda: _neurofreq.total_power(small, True),
        "spectrum, 64 of 224 x 224": lambda: _neurofreq.total_power(large, True),
        "hybrids, 512 of 32 x 32": lambda: _neurofreq.hybrid_images(low, high, grid),
        "hybrids, 32 of 224 x 224": lambda: _neurofreq.hybrid_images(
            large[:32], large[32:], grid
        ),
        "similarity, 1000 x 8192": lambda: _neurofreq.response_similarity_f32(
            rows, ones
        ),
        "similarity, 200 x 2000": lambda: _neurofreq.response_similarity_f32(
            rows[:200, :2000], ones[:2000]
        ),
        "split halves, 10 x 100 x 400": lambda: _neurofreq.split_half_neurons(
            trials, 20, 0, True
        ),
        "resampled means, 1000 x 20": lambda: _neurofreq.resampled_means(
            trials.reshape(1000, 400)[:, :20], 1000, 0
        ),
        "pairs, 50,000 labels": partial(
            _neurofreq.hybrid_pairs, np.arange(50_000) % 10, 0
        ),
    }
    for name in _neurofreq.corruption_names():
        for size, batch in ((32, small[:256]), (224, large[:8])):
            rest = (np.arange(len(batch), dtype=np.uint64), "nchw", "cifar", None)
            calls[f"{name}, {len(batch)} of {size} x {size}"] = (
                lambda name=name, batch=batch, rest=rest: _neurofreq.corrupt(
                    batch, name, 3, 0, *rest
                )
            )
    return calls


def serve() -> None:
    """Time the kernels named on standard input, one per line."""
    nf.set_num_threads(1)
    calls = kernels()
    for name in calls:
        calls[name]()
    print("ready", flush=True)
    for line in sys.stdin:
        call = calls[line.strip()]
        start = time.process_time()
        call()
        print(time.process_time() - start, flush=True)


def compare(before: Path, only: str) -> dict[str, dict[str, list[float]]]:
    """Return processor seconds of every kernel, of both builds in turns."""
    places = {"before": before.resolve(), "now": Path(nf.__file__).parents[1]}
    workers = {
        label: subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, "--serve"],
            env={**os.environ, "PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for label, place in places.items()
    }

    def ask(label: str, name: str) -> float:
        worker = workers[label]
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write(name + "\n")
        worker.stdin.flush()
        return float(worker.stdout.readline())

    for worker in workers.values():
        assert worker.stdout
        assert worker.stdout.readline() == "ready\n"
    seconds = {}
    for name in kernels():
        if only not in name:
            continue
        times: dict[str, list[float]] = {label: [] for label in workers}
        for turn in range(ROUNDS):
            for label in sorted(workers, reverse=bool(turn % 2)):
                times[label].append(ask(label, name))
        seconds[name] = times
        print(cost(name, times), flush=True)
    for worker in workers.values():
        worker.communicate()
    return seconds


def cost(name: str, times: dict[str, list[float]]) -> str:
    before, now = times["before"], times["now"]
    ratio = statistics.median(b / a for a, b in zip(before, now, strict=True))
    return (
        f"| {name} | {1e3 * statistics.median(before):.3g} "
        f"| {1e3 * statistics.median(now):.3g} | {ratio:.3f} "
        f"| {min(now) / min(before):.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of a name; writes nothing")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    machine = {
        "date": str(datetime.date.today()),
        "machine": processor(),
        "cores": CORES,
        "load": os.getloadavg(),
    }
    about = f"{machine['date']}, {machine['machine']}, {CORES} cores"
    if options.before:
        part, found = "cost", compare(options.before, options.only)
        head = (
            f"{about}, one thread, {ROUNDS} rounds\n\n"
            "| kernel | before, ms | now, ms | ratio, median | ratio of minima |\n"
            "|---|---|---|---|---|\n"
        )
        text = head + "\n".join(cost(*item) for item in found.items())
    else:
        part, found = "latency", latencies(options.tries, options.only)
        head = (
            f"{about}, load {machine['load'][0]:.1f} at the start\n\n"
            "| function | input | time without a signal, s | latency, s: min "
            "| median | max | too late |\n"
            "|---|---|---|---|---|---|---|\n"
        )
        text = head + "\n".join(map(row, found))
    if options.only:
        return
    folder = ROOT / f"benches/results/{datetime.date.today()}-{CORES}cores"
    folder.mkdir(parents=True, exist_ok=True)
    record = {**machine, "results": found}
    path = folder / f"interrupts-{part}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    fill(PAGE, part, text)


if __name__ == "__main__":
    main()
