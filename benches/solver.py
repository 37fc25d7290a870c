"""Compare trust-region steps with foolbox's numba solvers, in one run.

Usage: python benches/solver.py [--repeats 7] [--quick] [--only linf] [--budget 60]

Needs foolbox and numba in the environment. Both solve the same problems in turns:
`one` is a call with one problem, as in foolbox; `batch` is a call with many, divided
by their number and multiplied by the threads. Foolbox is compiled before it is timed;
its first call is measured in separate processes. Raw times go to
benches/results/<date>-<n>cores/solver.json, the table into
docs/results/bench-solver.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from pages import fill

import neurofreq as nf
from neurofreq import _neurofreq
from neurofreq._shared.runtime import processor

try:
    import foolbox
    import numba
    from foolbox.attacks import brendel_bethge as peer
except ImportError as error:
    sys.exit(f"this bench compares with foolbox and numba, not importable: {error}")

ROOT = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
SIZES = (1024, 3072, 150528)
OPTIMIZERS = {
    "linf": peer.LinfOptimizer,
    "l2": peer.L2Optimizer,
    "l1": peer.L1Optimizer,
    "l0": peer.L0Optimizer,
}
MEASURES = {
    "linf": lambda u: np.abs(u).max(),
    "l2": np.linalg.norm,
    "l1": lambda u: np.abs(u).sum(),
    # Foolbox counts in this way.
    "l0": lambda u: int((np.abs(u) > 1e-4).sum()),
}

Problems = dict[str, np.ndarray]


def draw(norm: str, size: int, n: int, binding: bool) -> Problems:
    """Draw images near their origins and near the boundary, as late in an attack."""
    rng = np.random.default_rng(0)
    shape = (n, size)
    origins = rng.beta(0.8, 0.8, shape)
    normals = rng.normal(size=shape) * rng.gamma(0.5, size=shape)
    # Perturbed against the gradient, up to 8/255, and not quite evenly.
    push = np.clip(-20 * normals + rng.normal(0, 0.5, shape), -1, 1) * 8 / 255
    if norm == "l0":
        push *= 4 * (np.abs(push) > 7 / 255) * (rng.uniform(size=shape) < 0.2)
    points = np.clip(origins + push, 0, 1)
    heights = (normals * (points - origins)).sum(1)
    # From just inside the boundary to just outside.
    changes = rng.uniform(-0.02, 0.02, n) * np.abs(heights)
    images = [a.astype(np.float32) for a in (origins, points, normals)]
    radii = np.full(n, 1e-3 * size)
    if binding:
        best, _ = _neurofreq.trust_region_steps(norm, *images, changes, radii)
        shortest = np.abs(changes) / np.linalg.norm(normals, axis=1)
        step = np.linalg.norm(best.astype(float) - images[1], axis=1)
        radii = np.sqrt(shortest * step).clip(1.2 * shortest, 0.5 * step)
    names = ("origins", "points", "normals", "changes", "radii")
    return dict(zip(names, (*images, changes, radii), strict=True))


def rows(problems: Problems, first: int, last: int) -> Problems:
    return {name: array[first:last] for name, array in problems.items()}


def ours(norm: str, problems: Problems) -> np.ndarray:
    return _neurofreq.trust_region_steps(norm, *problems.values())[0]


def theirs(optimizer: Any, problems: Problems) -> np.ndarray:
    origin, point, normal, change, radius = (a[0] for a in problems.values())
    return optimizer.solve(origin, point, normal, 0.0, 1.0, change, radius)


def quality(norm: str, problems: Problems, step: np.ndarray) -> dict[str, float]:
    """Return the size of the step, and by how much it misses the limits."""
    origin, point, normal, change, radius = (a[0] for a in problems.values())
    moved = point + step.astype(float)
    return {
        "size": float(MEASURES[norm](moved - origin)),
        "off_plane": float(abs(normal @ step - change) / abs(change)),
        "beyond_radius": float(max(0, np.linalg.norm(step) / radius - 1)),
        "beyond_box": float(max(0, -moved.min(), moved.max() - 1)),
    }


def race(
    norm: str, size: int, binding: bool, repeats: int, budget: float
) -> dict[str, Any]:
    """Time both in turns, one problem a turn; foolbox until its budget is spent."""
    n = max(CORES * 2, min(32, 2**20 // size))
    problems = draw(norm, size, n, binding)
    optimizer = OPTIMIZERS[norm]()
    small = draw(norm, 64, 1, binding)
    theirs(optimizer, small)
    ours(norm, rows(problems, 0, 1))
    record: dict[str, Any] = {
        "norm": norm, "size": size, "binding": binding, "n_batch": n,
        "one": [], "batch": [], "foolbox": [], "quality": [], "foolbox_quality": [],
    }  # fmt: skip
    for turn in range(repeats):
        problem = rows(problems, turn % n, turn % n + 1)
        start = time.perf_counter()
        found = ours(norm, problem)
        record["one"].append(time.perf_counter() - start)
        step = found[0].astype(float) - problem["points"][0]
        record["quality"].append(quality(norm, problem, step))
        start = time.perf_counter()
        ours(norm, problems)
        each = (time.perf_counter() - start) / n
        record["batch"].append(each * nf.num_threads())
        if sum(record["foolbox"]) > budget:
            continue
        start = time.perf_counter()
        step = theirs(optimizer, problem)
        record["foolbox"].append(time.perf_counter() - start)
        record["foolbox_quality"].append(quality(norm, problem, step))
    return record


def measure_first(norm: str) -> dict[str, float]:
    """Time the first call of each in this fresh process, imports not counted."""
    problem = draw(norm, 1024, 1, binding=False)
    start = time.perf_counter()
    ours(norm, problem)
    middle = time.perf_counter()
    theirs(OPTIMIZERS[norm](), problem)
    return {"neurofreq": middle - start, "foolbox": time.perf_counter() - middle}


def first_call(norm: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--first", norm]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def spread(times: list[float]) -> str:
    low, high = (1e3 * f(times) for f in (min, max))
    return f"{1e3 * statistics.median(times):.3g} ({low:.3g} to {high:.3g})"


def table(report: dict[str, Any]) -> str:
    lines = [
        f"{report['date']}, {report['processor']}, {report['cores']} cores, "
        f"{report['repeats']} interleaved runs, float32; neurofreq "
        f"{report['neurofreq']} on {report['threads']} threads, foolbox "
        f"{report['foolbox']}, numba {report['numba']}, NumPy {report['numpy']}.",
        "",
        "Milliseconds per problem: median (min to max). Ratios are foolbox's median "
        "over ours; `size` is our median norm over foolbox's, and `off plane` "
        "foolbox's worst share of `c`.",
        "",
        "| norm | values | ball | one call | in a batch, per thread | foolbox "
        "| x one | x batch | size | off plane |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in report["results"]:
        one, batch, other = (
            statistics.median(r[key]) for key in ("one", "batch", "foolbox")
        )
        n = len(r["foolbox"])
        sizes = [
            statistics.median(q["size"] for q in r[key][:n])
            for key in ("quality", "foolbox_quality")
        ]
        off = max(q["off_plane"] for q in r["foolbox_quality"])
        lines.append(
            f"| {r['norm']} | {r['size']} | {'binds' if r['binding'] else 'slack'} "
            f"| {spread(r['one'])} | {spread(r['batch'])} | {spread(r['foolbox'])} "
            f"| {other / one:.0f} | {other / batch:.0f} "
            f"| {sizes[0] / max(sizes[1], 1e-12):.4f} | {off:.1e} |"
        )
    lines += ["", "First call in a process, 1024 values, seconds:", ""]
    lines += ["| norm | neurofreq | foolbox |", "|---|---|---|"]
    lines += [
        f"| {norm} | {t['neurofreq']:.4f} | {t['foolbox']:.1f} |"
        for norm, t in report["first_call"].items()
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="1024 values, no files")
    parser.add_argument("--only", default="", help="this norm alone, nothing written")
    parser.add_argument("--budget", type=float, default=60, help="s of foolbox a case")
    parser.add_argument("--first", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.first:
        print(json.dumps(measure_first(options.first)))
        return
    norms = [norm for norm in OPTIMIZERS if options.only in ("", norm)]
    results = []
    for norm in norms:
        for size in SIZES[:1] if options.quick else SIZES:
            for binding in (False, True):
                record = race(norm, size, binding, options.repeats, options.budget)
                results.append(record)
                print(norm, size, binding, *(
                    spread(record[key]) for key in ("one", "batch", "foolbox")
                ), sep=" | ", flush=True)  # fmt: skip
    report = {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": CORES,
        "threads": nf.num_threads(),
        "neurofreq": nf.__version__,
        "foolbox": foolbox.__version__,
        "numba": numba.__version__,
        "numpy": np.__version__,
        "repeats": options.repeats,
        "first_call": {norm: first_call(norm) for norm in norms},
        "results": results,
    }
    print(table(report))
    if options.quick or options.only:
        return
    folder = ROOT / f"benches/results/{report['date']}-{CORES}cores"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "solver.json").write_text(json.dumps(report, indent=1) + "\n")
    page = ROOT / "docs/results/bench-solver.md"
    fill(page, "table", table(report))


if __name__ == "__main__":
    main()
