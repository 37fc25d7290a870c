"""Compare the time of corruptions with the package imagecorruptions, in one run.

Usage: python benches/corruptions.py --images FOLDER_OR_ZIP [--quick]

Photographs are scaled to 32 and 224 pixels, and 256 of them make a batch (repeated if
there are fewer). For each corruption, the five severities are timed on one thread and
on all threads, and the peer on a few images one by one, in turns. If the process has
one core, processor time is measured, because other processes may use that core. Raw
times go to benches/results/<date>-<n>cores/corruptions-<size>.json, tables to
docs/results/bench-corruptions.md. `_imagecorruptions.py` describes how to install the
peer.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import os
import statistics
import time
import zipfile
from pathlib import Path
from typing import Any

import _imagecorruptions
import cv2
import numpy as np
from pages import fill
from PIL import Image

import neurofreq as nf
from neurofreq._shared.runtime import processor

ROOT = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
SIZES = {32: "cifar", 224: "imagenet"}
BATCH = 256
# Number of images for the peer, per corruption and severity.
N_PEER = {32: 32, 224: 3}
SEVERITIES = range(1, 6)
THREADS = sorted({1, CORES})
clock = time.process_time if CORES == 1 else time.perf_counter


def photographs(path: Path, size: int, count: int) -> np.ndarray:
    """Return (count, size, size, 3): center squares, scaled."""
    if path.is_dir():
        files = sorted(
            p for p in path.rglob("*") if p.suffix.lower() in (".jpg", ".png")
        )
        streams: list[Any] = list(files)
    else:
        archive = zipfile.ZipFile(path)
        names = [n for n in archive.namelist() if n.lower().endswith((".jpg", ".jpeg"))]
        streams = [io.BytesIO(archive.read(name)) for name in sorted(names)]
    squares = []
    for stream in streams[:count]:
        picture = Image.open(stream).convert("RGB")
        side = min(picture.size)
        left, top = ((length - side) // 2 for length in picture.size)
        square = picture.crop((left, top, left + side, top + side))
        squares.append(
            np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))
        )
    return np.resize(np.stack(squares), (count, size, size, 3))


def ours(images: np.ndarray, name: str, severity: int, parameters: Any) -> float:
    start = clock()
    nf.corrupt(images, name, severity, seed=0, layout="nhwc", parameters=parameters)
    return (clock() - start) / len(images)


def theirs(images: np.ndarray, name: str, severity: int) -> float:
    start = clock()
    for image in images:
        _imagecorruptions.corrupt(image, name, severity)
    return (clock() - start) / len(images)


def race(images: np.ndarray, size: int) -> dict[str, Any]:
    """Return seconds per image: per corruption and contestant, five severities."""
    few = images[: N_PEER[size]]
    results: dict[str, Any] = {}
    for name in nf.CORRUPTIONS:
        times: dict[str, list[float]] = {
            key: [] for key in (*map(str, THREADS), "imagecorruptions")
        }
        for severity in SEVERITIES:
            theirs(few[:1], name, severity)  # warm: imports, files, plans
            for threads in THREADS:
                nf.set_num_threads(threads)
                ours(images[:4], name, severity, SIZES[size])
                times[str(threads)].append(ours(images, name, severity, SIZES[size]))
            times["imagecorruptions"].append(theirs(few, name, severity))
        results[name] = times
        print(size, name, {k: f"{1e3 * np.mean(t):.3f}" for k, t in times.items()})
    return results


def table(record: dict[str, Any]) -> str:
    many = [str(threads) for threads in record["threads"]]
    words = [f"{one} thread{'s' * (one != '1')}" for one in many]
    lines = [
        f"**{record['size']} x {record['size']} x 3, batch of {record['batch']}**",
        "",
        f"{record['date']}, {record['processor']}, {record['cores']} "
        f"{'core' if record['cores'] == 1 else 'cores'}; neurofreq "
        f"{record['neurofreq']}, imagecorruptions 1.1.2 with OpenCV {record['cv2']} on "
        "one thread. Milliseconds per image, mean over the five severities.",
        "",
        "| | imagecorruptions | "
        + " | ".join(
            [f"neurofreq, {one}" for one in words]
            + [f"ratio, {one}" for one in words]
            + ["smallest ratio of a severity, 1 thread |"]
        ),
        "|---|---|" + 2 * len(many) * "---|" + "---|",
    ]
    totals = np.zeros(1 + len(many))
    for name, times in record["results"].items():
        means = [statistics.mean(times[key]) for key in ("imagecorruptions", *many)]
        totals += means
        least = min(
            p / o for p, o in zip(times["imagecorruptions"], times["1"], strict=True)
        )
        lines.append(row(name, means, f"{least:.1f}"))
    lines.append(row("**all nineteen**", totals, ""))
    return "\n".join([*lines, "", ""])


def row(name: str, seconds: Any, last: str) -> str:
    times = [f"{1e3 * one:.3g}" for one in seconds]
    ratios = [f"{seconds[0] / one:.1f}" for one in seconds[1:]]
    return f"| {' | '.join([name, *times, *ratios, last])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="16 images, not written")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    folder = ROOT / f"benches/results/{datetime.date.today()}-{CORES}cores"
    page = ROOT / "docs/results/bench-corruptions.md"
    tables = []
    for size in SIZES:
        count = 16 if options.quick else BATCH
        record = {
            "size": size,
            "batch": count,
            "date": datetime.date.today().isoformat(),
            "processor": processor(),
            "cores": CORES,
            "threads": THREADS,
            "clock": clock.__name__,
            "neurofreq": nf.__version__,
            "cv2": cv2.__version__,
            "numpy": np.__version__,
            "peer_images": N_PEER[size],
            "results": race(photographs(options.images, size, count), size),
        }
        tables.append(table(record))
        print(tables[-1])
        if not options.quick:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"corruptions-{size}.json"
            path.write_text(json.dumps(record, indent=1) + "\n")
    if not options.quick:
        fill(page, "table", "".join(tables))


if __name__ == "__main__":
    main()
