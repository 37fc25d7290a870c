"""Measure a small study, extrapolate the full one, and compare 1, 2 and 4 ranks.

Usage: python benches/scale.py --data DIR [--model SPEC ...] [--device cuda] [--quick]

DIR holds CIFAR-10 in an official layout. By default, the networks of the package are
measured. Each process has one CPU core, or beside a GPU its share of the cores. Timing
starts when all processes have imported everything. Every measurement is made with each
network alone, timed without loading. Then ranks, numbered as by torchrun, divide the
whole study. Raw numbers go to benches/results/<date>-<n>cores/scale.json
(scale-cuda.json), tables to docs/results/bench-scale.md, which has the newest record
of each device.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pages import fill

from neurofreq._shared.runtime import processor

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results" / "bench-scale.md"
RESULTS = ROOT / "benches" / "results"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
KINDS = ("clean", "hybrid", "attack", "corruption")
N_CELLS, N_FREQUENCIES = 75, 13
# The full study has as many networks, attacked images and pairings as the paper, which
# mixes and corrupts 10,000 images.
FULL = {"models": 17, "clean": 10_000, "hybrid": 1000, "attack": 1000,
        "corruption": 1000, "pairings": 6}  # fmt: skip
N_PART = 100  # images of one attack item, which one process measures
SMALL = {"clean": 2000, "hybrid": 100, "attack": 100, "corruption": 50, "pairings": 2}
QUICK = {"clean": 50, "hybrid": 10, "attack": 3, "corruption": 2, "pairings": 1}


# --- a process that measures -------------------------------------------------


def work(job: dict[str, Any]) -> None:
    """Run a study on a signal, and print its time and memory.

    On a CPU, the process stays on one core. Otherwise the thread that makes
    corruptions ahead of the model would use another core.
    """
    if job["device"] == "cpu" and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(os.environ["RANK"]) % len(cores)]})
    import torch

    from neurofreq import studies
    from neurofreq.studies import measuring, runner

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.zeros(1, device=job["device"])  # a GPU takes seconds to start
    size = job["size"]
    study = studies.Study(
        f"cifar10:{job['data']}",
        job["models"],
        n_images=size["clean"],
        measurements=job["measurements"],
        settings={f"n_{kind}": size[kind] for kind in KINDS[1:]}
        | {"seeds": list(range(size["pairings"]))},
    )
    print("ready", flush=True)
    sys.stdin.readline()
    start, spent = time.perf_counter(), time.process_time()
    running = measuring.Running(device=job["device"], progress=False)
    items = runner.prepare(study, job["out"], running)
    loaded = time.perf_counter() - start
    items.run()
    if items.failures or len(items.subjects) < len(job["models"]):
        raise SystemExit(f"failed: {job['models']}: {[*items.failures.values()]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {
        "seconds": time.perf_counter() - start,
        "load_seconds": loaded,
        "cpu_seconds": time.process_time() - spent,
        "n_measured": items.n_measured,
        "peak_mb": peak,
    }
    if job["device"] != "cpu":
        result["peak_gpu_mb"] = torch.cuda.max_memory_allocated() / 2**20
    print(json.dumps(result), flush=True)


def run(job: dict[str, Any], n_ranks: int = 1) -> list[dict[str, Any]]:
    """Run a study in processes that start together; return the record of each."""
    threads = 1 if job["device"] == "cpu" else max(1, CORES // n_ranks)
    command = [sys.executable, __file__, "--work", json.dumps(job)]
    processes = []
    for rank in range(n_ranks):
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads),
            "RANK": str(rank), "WORLD_SIZE": str(n_ranks),
        }  # fmt: skip
        processes.append(
            subprocess.Popen(
                command, env=environment, text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )  # fmt: skip
    for one in processes:
        if one.stdout is None or one.stdout.readline() != "ready\n":
            raise SystemExit("a process ended before it was ready; see above")
    for one in processes:
        if one.stdin is not None:
            one.stdin.write("\n")
            one.stdin.flush()
    answers = [one.communicate()[0] for one in processes]
    if any(one.returncode for one in processes):
        raise SystemExit("a process failed; see above")
    return [json.loads(answer.splitlines()[-1]) for answer in answers]


# --- what is measured --------------------------------------------------------


def alone(job: dict[str, Any], names: list[str], kind: str) -> dict[str, Any]:
    """Return the time of one measurement for some networks, without loading."""
    with tempfile.TemporaryDirectory() as out:
        chosen = [one for one in job["models"] if one["name"] in names]
        part = job | {"models": chosen, "measurements": [kind], "out": out}
        (found,) = run(part)
    net = found["seconds"] - found["load_seconds"]
    print(f"{', '.join(names)}: {kind}: {net:.2f} s", flush=True)
    return {"models": names, "kind": kind, "net_seconds": net} | found


def shared(job: dict[str, Any], n_ranks: int) -> dict[str, Any]:
    """Return the records of several ranks that divide the whole study."""
    with tempfile.TemporaryDirectory() as out:
        found = run(job | {"measurements": list(KINDS), "out": out}, n_ranks)
    wall = max(one["seconds"] for one in found)
    print(f"{n_ranks} ranks: {wall:.1f} s", flush=True)
    return {"n_ranks": n_ranks, "seconds": wall, "ranks": found}


def measure(job: dict[str, Any], n_ranks: list[int]) -> dict[str, Any]:
    names = [one["name"] for one in job["models"]]
    items = [alone(job, [name], kind) for kind in KINDS for name in names]
    together = alone(job, names, "corruption")
    return {
        "items": items,
        "together": together,
        "ranks": [shared(job, n) for n in n_ranks],
    }


# --- what follows ------------------------------------------------------------


def per_image(record: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return seconds per image, by kind and network; corruptions per cell.

    Corrupted images are made once for all networks. The sum of the times of the
    networks alone, minus their time together, is the making for all but one.
    """
    size = record["size"]
    units = {
        "clean": size["clean"],
        "hybrid": size["hybrid"] * size["pairings"] * N_FREQUENCIES,
        "attack": size["attack"],
        "corruption": size["corruption"] * N_CELLS,
    }
    found: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for item in record["items"]:
        kind = item["kind"]
        found[kind][item["models"][0]] = item["net_seconds"] / units[kind]
    whole = record["together"]["net_seconds"] / units["corruption"]
    each = found["corruption"]
    making = max(sum(each.values()) - whole, 0.0) / (len(each) - 1)
    found["corruption"] = {n: max(one - making, 0.0) for n, one in each.items()}
    found["making"] = {"": making}
    return found


def full(record: dict[str, Any]) -> dict[str, float]:
    """Return hours of each kind for the full study in one process."""
    seconds = {
        kind: sum(each.values()) / len(each) for kind, each in per_image(record).items()
    }
    units = {
        "clean": FULL["clean"] * FULL["models"],
        "hybrid": FULL["hybrid"] * FULL["pairings"] * N_FREQUENCIES * FULL["models"],
        "attack": FULL["attack"] * FULL["models"],
        "corruption": FULL["corruption"] * N_CELLS * FULL["models"],
        "making": FULL["corruption"] * N_CELLS,
    }
    return {kind: units[kind] * seconds[kind] / 3600 for kind in units}


def largest_item(record: dict[str, Any]) -> float:
    """Return hours of the longest item, the least time for any number of processes."""
    seconds = per_image(record)
    cells = FULL["corruption"] * N_CELLS / 15
    judged = FULL["models"] * sum(seconds["corruption"].values())
    judged /= len(seconds["corruption"])
    attacked = N_PART * max(seconds["attack"].values())
    pairings = FULL["hybrid"] * N_FREQUENCIES * FULL["pairings"]
    mixed = pairings * max(seconds["hybrid"].values())
    corrupted = cells * (seconds["making"][""] + judged)
    return max(attacked, mixed, corrupted) / 3600


def peak(record: dict[str, Any], key: str = "peak_mb") -> float:
    items = [*record["items"], record["together"], *record["ranks"][0]["ranks"]]
    return max(one.get(key, 0.0) for one in items)


# --- the page ----------------------------------------------------------------


def page(records: list[dict[str, Any]]) -> str:
    return "\n".join(
        [*map(heading, records), "", *extrapolated(records), ""]
        + [line for one in records for line in (*items_table(one), "")]
        + [line for one in records for line in (*ranks_table(one), "")]
    )


def heading(record: dict[str, Any]) -> str:
    size = record["size"]
    return (
        f"{record['date']}, {record['device']}: {record['hardware']}, "
        f"{record['cores']} cores; neurofreq {record['neurofreq']}, "
        f"torch {record['torch']}. Measured: "
        f"{', '.join(record['models'])}; {size['attack']} attacked images, "
        f"{size['hybrid']} hybrids in {size['pairings']} pairings, "
        f"{size['corruption']} images in {N_CELLS} cells, {size['clean']} clean.\n"
    )


def extrapolated(records: list[dict[str, Any]]) -> list[str]:
    """Return the table of the full study, in hours."""
    words = {
        "clean": "clean, 10,000 images",
        "hybrid": "hybrids",
        "attack": "attack",
        "making": "making corruptions",
        "corruption": "judging corruptions",
    }
    devices = [one["device"] for one in records]
    lines = [
        f"**The full study**: {FULL['models']} networks like these, {FULL['attack']} "
        f"attacked images, {FULL['hybrid']} hybrids in {FULL['pairings']} pairings and "
        f"{N_FREQUENCIES} frequencies, {FULL['corruption']} images in {N_CELLS} cells. "
        "Times are in hours.",
        "",
        f"| measurement | {' | '.join(f'1 {name} | share' for name in devices)} |",
        "|---" * (1 + 2 * len(devices)) + "|",
    ]
    hours = [full(one) for one in records]
    for kind, word in words.items():
        cells = [
            f"{h[kind]:.3f} | {100 * h[kind] / sum(h.values()):.0f} %" for h in hours
        ]
        lines.append(f"| {word} | {' | '.join(cells)} |")
    totals = [f"**{sum(h.values()):.3f}** | " for h in hours]
    lines.append(f"| **all** | {' | '.join(totals)} |")
    for record, h in zip(records, hours, strict=True):
        best = max(sum(h.values()) / 8, largest_item(record))
        gpu = peak(record, "peak_gpu_mb")
        beside = f", and {gpu:.0f} MB on the device" if gpu else ""
        lines += [
            "",
            f"8 {record['device']}s with a process each: {best:.3f} hours (not "
            "measured; an eighth of the time, or the longest item if that is longer). "
            "Peak memory of a process of "
            f"the small study: {peak(record):.0f} MB{beside}.",
        ]
    return lines


def items_table(record: dict[str, Any]) -> list[str]:
    """Return milliseconds per image of every network and kind."""
    seconds = per_image(record)
    lines = [
        f"**Milliseconds per image, {record['device']}**, one process; for hybrids and "
        "corruptions per hybrid and per corrupted image. Making a corrupted image "
        f"takes {1e3 * seconds['making']['']:.3g}, once for all networks.",
        "",
        f"| | {' | '.join(KINDS)} |",
        "|---" * (1 + len(KINDS)) + "|",
    ]
    for name in record["models"]:
        cells = [f"{1e3 * seconds[kind][name]:.3g}" for kind in KINDS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def ranks_table(record: dict[str, Any]) -> list[str]:
    """Return wall time, speed-up and efficiency of several ranks."""
    lines = [
        f"**Ranks on one machine, {record['device']}**: the whole small study with "
        "loading. Efficiency is the speed-up divided by the number of ranks, or by the "
        "number of cores if that is smaller.",
        "",
        "| ranks | seconds | speed-up | efficiency | processor time, s | peak, MB |",
        "|---" * 6 + "|",
    ]
    base = record["ranks"][0]["seconds"]
    for one in record["ranks"]:
        n, gain = one["n_ranks"], base / one["seconds"]
        most = min(n, record["cores"]) if record["device"] == "CPU core" else n
        spent = sum(rank["cpu_seconds"] for rank in one["ranks"])
        memory = sum(rank["peak_mb"] for rank in one["ranks"])
        lines.append(
            f"| {n} | {one['seconds']:.1f} | {gain:.2f} | {100 * gain / most:.0f} % | "
            f"{spent:.1f} | {memory:.0f} |"
        )
    return lines


def newest() -> list[dict[str, Any]]:
    """Return the newest record of each device."""
    found = []
    for name in ("scale.json", "scale-cuda.json"):
        paths = sorted(RESULTS.glob(f"*/{name}"))
        found += [json.loads(paths[-1].read_text())] if paths else []
    return found


# --- the command -------------------------------------------------------------


def described(options: argparse.Namespace) -> dict[str, Any]:
    """Return the description of machine and measurements in a record."""
    import torch

    import neurofreq as nf

    is_cuda = options.device != "cpu"
    name = torch.cuda.get_device_name(options.device) if is_cuda else processor()
    return {
        "date": datetime.date.today().isoformat(),
        "device": "GPU" if is_cuda else "CPU core",
        "hardware": name,
        "cores": CORES,
        "neurofreq": nf.__version__,
        "torch": torch.__version__,
        "size": QUICK if options.quick else SMALL,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", action="append", metavar="[NAME=]SPEC[@WEIGHTS]")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--quick", action="store_true", help="tiny, not written")
    options = parser.parse_args()
    if options.work:
        work(json.loads(options.work))
        return
    if options.data is None:
        parser.error("--data: got none, expected the folder of CIFAR-10")
    if options.ranks[0] != 1:
        parser.error(f"--ranks: got {options.ranks}, expected 1 first")
    from neurofreq import figures

    data = str(options.data.resolve())
    made = figures.study(
        f"cifar10:{data}", options.model or (), zoo=not options.model, n_images=1
    )
    models = [{"spec": one.spec, "name": one.name} for one in made.models]
    if len(models) < 2:
        parser.error(f"--model: got {len(models)}, expected two networks or more")
    record = described(options) | {"models": [one["name"] for one in models]}
    job = {"data": data, "models": models, "device": options.device,
           "size": record["size"]}  # fmt: skip
    record |= measure(job, options.ranks)
    if options.quick:
        print(page([record]))
        return
    folder = RESULTS / f"{record['date']}-{CORES}cores"
    folder.mkdir(parents=True, exist_ok=True)
    name = "scale.json" if options.device == "cpu" else "scale-cuda.json"
    (folder / name).write_text(json.dumps(record, indent=1) + "\n")
    fill(PAGE, "numbers", page(newest()))


if __name__ == "__main__":
    main()
