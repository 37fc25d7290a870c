"""Measure decision-based attacks by queries, and compare with foolbox's.

Usage: python benches/decision.py --data DIR [--images 32] [--queries 5000]
[--models cnn_a_mix4 zoo:standard-0 ...] [--foolbox]

Data, images, targets and starting points are as in attack.py; untargeted attacks start
from noise, with seed 0. The distance after a number of queries is the smallest
adversarial distance so far. Raw numbers go to benches/results/<date>-<n>cores/, the
tables to docs/results/bench-decision.md. With --foolbox, foolbox's attacks run on the
targeted L2 task, and the model counts their queries.
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
from pages import fill

import neurofreq as nf

BUDGETS = (250, 500, 1000, 2000, 5000)
# The proposals of each norm; the first one is the default.
PROPOSALS = {"l2": ("bands", "estimate"), "linf": ("signs", "estimate")}
PAGE = ROOT / "docs" / "results" / "bench-decision.md"
FILES = {
    "marabou_large": "models/cifar_marabou_large.pth",
    "cnn_a_wide": "models/cifar_wide.pth",
}
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
    model: torch.nn.Module,
    what: dict[str, Any],
    norm: str,
    proposal: str,
    budget: int,
) -> list[dict[str, float]]:
    attack = nf.attacks.Boundary(norm, max_queries=budget, proposal=proposal)
    found = attack(model, **what, trajectory=True)
    rows = []
    for queries in (n for n in BUDGETS if n <= budget):
        sizes = [
            path[path[:, 0] <= queries, 1].min(initial=np.inf)
            for path in found.trajectory
        ]
        rows.append({"queries": queries, "median": float(np.median(sizes))})
    return rows


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


def network(name: str, data: Path) -> torch.nn.Module:
    if ":" in name:
        return nf.models.load_model(name)
    if name in FILES:
        return nf.models.load_model(name, weights=data / FILES[name])
    return load_model(name, data, None)


def measured(
    name: str, data: Path, n_images: int, budget: int, with_foolbox: bool
) -> dict[str, Any]:
    """Return the rows of every attack on one network, by its label."""
    model = network(name, data)
    targeted = task(name, model, data, n_images)
    model = nf.models.fold_batch_norm(model, targeted["images"][:8])
    untargeted = {key: targeted[key] for key in ("images", "labels")}
    results: dict[str, Any] = {}
    for norm, proposals in PROPOSALS.items():
        for mode, what in (("untargeted", untargeted), ("targeted", targeted)):
            for proposal in proposals:
                label = f"{norm} {mode} {proposal}"
                results[label] = ours(model, what, norm, proposal, budget)
                print(name, label, json.dumps(results[label]), flush=True)
    for label in STEPS if with_foolbox else ():
        results[f"foolbox {label}"] = theirs(model, targeted, label, budget)["rows"]
        print(name, label, json.dumps(results[f"foolbox {label}"]), flush=True)
    return results


def table(every: dict[str, Any]) -> str:
    """Return the medians of all networks as a table."""
    budgets = "".join(f" {n} |" for n in BUDGETS)
    lines = [
        f"| network (images) | norm | attack | `proposal` |{budgets}",
        "|---" * (4 + len(BUDGETS)) + "|",
    ]
    for name, kept in every.items():
        for label, rows in kept["results"].items():
            if label.startswith("foolbox"):
                continue
            norm, mode, proposal = label.split()
            digits = 2 if norm == "l2" else 4
            cells = [f" {one['median']:.{digits}f} |" for one in rows]
            cells += [" |"] * (len(BUDGETS) - len(rows))
            row = f"| {name} ({kept['images']}) | {norm} | {mode} | {proposal} |"
            lines.append(row + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--models", nargs="*", default=["cnn_a_mix4"])
    parser.add_argument("--foolbox", action="store_true")
    options = parser.parse_args()
    machine = f"{datetime.date.today().isoformat()}-{CORES}cores"
    folder = ROOT / "benches" / "results" / machine
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "decision.json"
    every = json.loads(path.read_text()) if path.exists() else {}
    for name in options.models:
        results = measured(
            name, options.data, options.images, options.queries, options.foolbox
        )
        every[name] = {"images": options.images, "results": results}
        path.write_text(json.dumps(every, indent=1) + "\n")
    fill(PAGE, "medians", table(every))


if __name__ == "__main__":
    main()
