"""Measure the peak memory of attacks, for this build and another one.

Usage: python benches/attack_memory.py [--before FOLDER]

Attacks 64 images of 3 x 224 x 224 values (38.5 MB) on a linear network, whose own
memory is small. Every attack runs in its own process, first on 8 images, then on all.
The table has the peak of the second call minus the memory in use before it, with the
result (Linux only). FOLDER holds the package `neurofreq` of another build. Raw numbers
go to benches/results/<date>-<n>cores/attack-memory.json, the table into
docs/results/bench-attack.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from interrupts import CORES, ROOT
from pages import fill

import neurofreq as nf
from neurofreq._shared.runtime import processor

SHAPE = (64, 3, 224, 224)
ATTACKS: dict[str, Any] = {
    "PGD": nf.attacks.PGD("linf", 1e-4, steps=5),
    "BrendelBethge": nf.attacks.BrendelBethge("l2", steps=5),
    "Boundary": nf.attacks.Boundary("l2", max_queries=60),
}
BATCHES = (4,)


def memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(x.split()[1]) for x in lines if x.startswith(name))


def measure(attack: str, batch: int) -> int:
    """Return the bytes at the peak of one call beyond those before it."""
    torch.manual_seed(0)
    images = torch.rand(SHAPE)
    weights = torch.randn(images[0].numel(), 5) / 224

    def model(batch: torch.Tensor) -> torch.Tensor:
        return batch.flatten(1) @ weights

    labels = model(images).argmax(1)
    method = ATTACKS[attack]
    method(model, images[:8], labels[:8], batch_size=batch)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    method(model, images, labels, batch_size=batch)
    return memory("VmHWM") - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(measure(options.one[0], int(options.one[1])))
        return
    places = {"now": Path(nf.__file__).parents[1]}
    if options.before:
        places = {"before": options.before.resolve(), **places}
    found: dict[str, dict[str, int]] = {}
    for attack in ATTACKS:
        for batch in BATCHES:
            case = found.setdefault(f"{attack}, {batch} at a time", {})
            for label, place in places.items():
                command = [sys.executable, "-W", "ignore", __file__]
                output = subprocess.check_output(
                    [*command, "--one", attack, str(batch)],
                    env={**os.environ, "PYTHONPATH": str(place)},
                )
                case[label] = int(output)
            print(attack, batch, case, flush=True)
    size = 4 * torch.Size(SHAPE).numel()
    head = [f"| attack, images in a batch | {' | '.join(places)} |"]
    head.append("|---" * (1 + len(places)) + "|")
    rows = [
        f"| {name} | "
        + " | ".join(f"{b / 1e6:.0f} MB ({b / size:.1f})" for b in case.values())
        + " |"
        for name, case in found.items()
    ]
    record = {
        "date": str(datetime.date.today()),
        "machine": processor(),
        "cores": CORES,
        "images": SHAPE,
        "bytes": found,
    }
    folder = ROOT / f"benches/results/{record['date']}-{CORES}cores"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "attack-memory.json").write_text(json.dumps(record, indent=1) + "\n")
    page = ROOT / "docs/results/bench-attack.md"
    about = f"{record['date']}, {record['machine']}, {CORES} cores\n\n"
    fill(page, "memory", about + "\n".join([*head, *rows]))


if __name__ == "__main__":
    main()
