"""Measure how much time the background thread of corruption_accuracy saves.

Usage: python benches/corruption_accuracy.py --data DIR [--images 2000]

DIR holds cifar10/cifar-10-batches-bin and the checkpoints, as for benches/attack.py.
For each model, four methods are timed: making corruptions alone, the model alone, both
in turn (depth 0: a plain loop, batch by batch), and overlapped as in
`corruption_accuracy`. If both parts use all cores, the overlapped time is at least
their sum. If the model is on another device or leaves cores idle, it is at least the
larger of the two. Each method is timed with all threads and with one thread for each
part. "elsewhere" stands for a model on a device: it waits 20 ms per batch and uses no
core. The methods take turns, and ratios are taken within a round. The table is in
docs/results/bench-corruption-accuracy.md, raw numbers go to benches/results/.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from attack import CORES, ROOT, load_model

import neurofreq as nf
from neurofreq._shared.inputs.pixel import to_unit
from neurofreq._shared.networks import calling
from neurofreq.corruptions import grid
from neurofreq.corruptions.grouping import averaged

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH, SEVERITY, ROUNDS, WAIT = 256, 3, 5, 0.02


class Elsewhere(torch.nn.Module):
    """A model that waits and uses no core."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Wait, and predict class 0."""
        time.sleep(WAIT)
        return torch.eye(10)[:1].expand(len(images), 10)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(model: Any, data: nf.data.ImageSet, names: tuple[str, ...]) -> dict:
    """Time the four methods in turn, for several rounds."""
    source, n = grid.Corrupting(data, 0), len(data)
    parts = [grid.Part(name, SEVERITY, 0, n) for name in names]
    shown = {"model": grid.Shown(model)}
    batches = [(p, s, min(s + BATCH, n)) for p in parts for s in range(0, n, BATCH)]
    clean = to_unit(data.images)

    def corrupting() -> None:
        for part, start, stop in batches:
            to_unit(source.pixels(part, start, stop))

    def judging() -> None:
        for _, start, stop in batches:
            calling.predict(model, clean[start:stop], batch_size=BATCH)

    def in_turn() -> None:
        for part, start, stop in batches:
            images = to_unit(source.pixels(part, start, stop))
            calling.predict(model, images, batch_size=BATCH)

    def overlapped() -> None:
        work = [(part, ["model"]) for part in parts]
        grid.judge(work, source, shown, lambda *_: None)

    ways = {
        "corrupting": corrupting,
        "model": judging,
        "in turn": in_turn,
        "overlapped": overlapped,
    }
    in_turn()  # warm
    rounds = [{name: seconds(way) for name, way in ways.items()} for _ in range(ROUNDS)]
    middle = {name: median(one[name] for one in rounds) for name in ways}
    ratios = [one["overlapped"] / one["in turn"] for one in rounds]
    return {"median": middle | {"ratio": median(ratios)}, "rounds": rounds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument(
        "--models", nargs="*", default=["cnn_a_mix4", "resnet20", "elsewhere"]
    )
    options = parser.parse_args()
    data = nf.data.open_cifar10(options.data / "cifar10", n=options.images)
    names = averaged(nf.CORRUPTIONS)
    folder = ROOT / "benches/results" / f"{datetime.date.today()}-{CORES}cores"
    folder.mkdir(parents=True, exist_ok=True)
    results = {"images": len(data), "corruptions": names, "severity": SEVERITY}
    for threads in dict.fromkeys((1, CORES)):
        torch.set_num_threads(threads)
        nf.set_num_threads(threads)
        for name in options.models:
            is_file = name != "elsewhere"
            model = load_model(name, options.data, None) if is_file else Elsewhere()
            results[f"{name}, {threads} each"] = found = measure(model, data, names)
            found["load"] = os.getloadavg()[0]
            print(name, threads, json.dumps(found["median"]), flush=True)
            text = json.dumps(results, indent=1) + "\n"
            (folder / "corruption-accuracy.json").write_text(text)


if __name__ == "__main__":
    main()
