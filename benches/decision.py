"""Compare decision-based attacks with foolbox's in one run: distance and queries.

Usage: python benches/decision.py --data DIR [--images 32] [--queries 10000]

Data, images, targets and starting points are as in attack.py. The model counts the
queries of all contestants. The distance after a number of queries is the smallest
adversarial l2 distance so far. Raw numbers go to benches/results/<date>-<n>cores/, the
table is in docs/results/bench-decision.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attack import CORES, ROOT, load_model, task

import neurofreq as nf

BUDGETS = (500, 1000, 2000, 5000, 10000)
# Steps of foolbox's attacks that need about these numbers of queries.
STEPS = {
    "BoundaryAttack": (1000, 2000, 5000, 10000),
    "HopSkipJumpAttack": (5, 9, 16, 25),
}


class Counted(torch.nn.Module):
    """A model that counts the images that it gets."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model, self.n_images = model, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Count the images and classify them."""
        self.n_images += len(images)
        return self.model(images)


def ours(
    model: torch.nn.Module, what: dict[str, Any], proposal: str, budget: int
) -> Any:
    attack = nf.attacks.Boundary("l2", max_queries=budget, proposal=proposal)
    start = time.perf_counter()
    found = attack(model, **what, trajectory=True)
    seconds = time.perf_counter() - start
    rows = []
    for queries in (n for n in BUDGETS if n <= budget):
        sizes = [path[path[:, 0] <= queries, 1].min() for path in found.trajectory]
        rows.append({"queries": queries, "median": float(np.median(sizes))})
    return {"seconds": seconds, "rows": rows}


def theirs(model: torch.nn.Module, what: dict[str, Any], name: str, budget: int) -> Any:
    import foolbox

    rows = []
    for steps in STEPS[name]:
        counted = Counted(model).eval()
        attack = getattr(foolbox.attacks, name)(steps=steps)
        start = time.perf_counter()
        found = attack.run(
            foolbox.PyTorchModel(counted, bounds=(0, 1), device="cpu"),
            what["images"],
            foolbox.criteria.TargetedMisclassification(what["targets"]),
            starting_points=what["starting_points"],
        )
        size = (found - what["images"]).flatten(1).norm(dim=1)
        rows.append(
            {
                "queries": counted.n_images / len(size),
                "median": float(size.median()),
                "seconds": time.perf_counter() - start,
            }
        )
        if rows[-1]["queries"] > budget:
            break
    return {"rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--queries", type=int, default=10000)
    parser.add_argument("--models", nargs="*", default=["cnn_a_mix4"])
    options = parser.parse_args()
    machine = f"{datetime.date.today().isoformat()}-{CORES}cores"
    folder = ROOT / "benches" / "results" / machine
    folder.mkdir(parents=True, exist_ok=True)
    for name in options.models:
        model = load_model(name, options.data, None)
        what = task(name, model, options.data, options.images)
        results = {}
        for label in ("estimate", "published"):
            results[f"neurofreq, {label}"] = ours(model, what, label, options.queries)
            print(name, label, json.dumps(results[f"neurofreq, {label}"]), flush=True)
        for label in STEPS:
            results[f"foolbox, {label}"] = theirs(model, what, label, options.queries)
            print(name, label, json.dumps(results[f"foolbox, {label}"]), flush=True)
        text = json.dumps({"images": options.images, "results": results}, indent=1)
        (folder / f"decision-{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
