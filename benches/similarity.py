"""Compare similarities of responses with torch, NumPy and rsatoolbox, in one run.

Usage: python benches/similarity.py [--repeats 5]

rsatoolbox is optional and timed if it is installed. Contestants take turns. Raw times
go to benches/results/<date>-<n>cores/, the tables into
docs/results/bench-similarity.md.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pages import fill

import neurofreq as nf
from neurofreq._shared.runtime import processor

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
CASES = {"1000 x 8192": (1000, 8192), "5000 x 8000": (5000, 8000)}
SLOW = "1000 x 8192"
"""The only case of rsatoolbox, whose memory grows with pairs times neurons."""


def torch_product(x: np.ndarray) -> np.ndarray:
    """Return the product alone, without means and lengths."""
    rows = torch.from_numpy(x)
    return torch.mm(rows, rows.T).numpy()


def torch_similarity(x: np.ndarray) -> np.ndarray:
    rows = torch.from_numpy(x)
    rows = rows - rows.mean(0)
    rows /= rows.norm(dim=1, keepdim=True)
    return torch.mm(rows, rows.T).numpy()


def numpy_similarity(x: np.ndarray) -> np.ndarray:
    rows = x - x.mean(0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


def correlation_distance(x: np.ndarray) -> np.ndarray:
    """Rsatoolbox's correlation distance: its mean is that over neurons."""
    import rsatoolbox

    dataset = rsatoolbox.data.Dataset(x)
    return rsatoolbox.rdm.calc_rdm(dataset, method="correlation").get_matrices()[0]


def check(x: np.ndarray) -> float:
    """Return the largest error of float32 against float64, over all contestants."""
    exact = numpy_similarity(x.astype(np.float64))
    error = float(np.abs(nf.response_similarity(x) - exact).max())
    assert error < 1e-6, error
    assert np.abs(torch_similarity(x) - exact).max() < 1e-4
    return error


def race(x: np.ndarray, calls: dict[str, Callable[..., Any]], repeats: int) -> Any:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats):
        for name, call in calls.items():
            if name.startswith("rsatoolbox") and turn >= 2:
                continue
            start = time.perf_counter()
            call(x)
            times[name].append(time.perf_counter() - start)
    return times


def measure(case: str, repeats: int) -> dict[str, Any]:
    shape = CASES[case]
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    calls: dict[str, Callable[..., Any]] = {
        "neurofreq": nf.response_similarity,
        "torch.mm alone": torch_product,
        "torch": torch_similarity,
        "numpy": numpy_similarity,
    }
    versions = {"neurofreq": nf.__version__, "torch": torch.__version__}
    if case == SLOW and importlib.util.find_spec("rsatoolbox"):
        calls["rsatoolbox, correlation"] = correlation_distance
        versions["rsatoolbox"] = importlib.metadata.version("rsatoolbox")
    error = check(x)
    return {
        "case": case,
        "date": str(datetime.date.today()),
        "machine": processor(),
        "cores": CORES,
        "threads": {"neurofreq": nf.num_threads(), "torch": torch.get_num_threads()},
        "versions": versions | {"numpy": np.__version__},
        "error_of_float32": error,
        "seconds": race(x, calls, repeats),
    }


def table(record: dict[str, Any]) -> str:
    ours = statistics.median(record["seconds"]["neurofreq"])
    versions = ", ".join(f"{k} {v}" for k, v in record["versions"].items())
    lines = [
        f"**{record['case']}, float32**\n",
        f"{record['date']}, {record['machine']}, {record['cores']} cores; {versions}. "
        f"Largest error against float64: {record['error_of_float32']:.1e}.\n",
        "| | median s | min | max | x neurofreq | runs |",
        "|---|---|---|---|---|---|",
    ]
    for name, seconds in record["seconds"].items():
        median = statistics.median(seconds)
        lines.append(
            f"| {name} | {median:.4g} | {min(seconds):.4g} | {max(seconds):.4g} "
            f"| {median / ours:.3g} | {len(seconds)} |"
        )
    return "\n".join(lines) + "\n\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    folder = ROOT / f"benches/results/{datetime.date.today()}-{CORES}cores"
    folder.mkdir(parents=True, exist_ok=True)
    page = ROOT / "docs/results/bench-similarity.md"
    tables = ""
    for case in CASES:
        record = measure(case, options.repeats)
        slug = case.replace(" ", "")
        path = folder / f"similarity-{slug}.json"
        path.write_text(json.dumps(record, indent=1) + "\n")
        tables += table(record)
        print(table(record), flush=True)
    fill(page, "table", tables)


if __name__ == "__main__":
    main()
