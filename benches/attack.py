"""Compare minimal perturbations with foolbox in one run: distance and wall time.

Usage: python benches/attack.py --data DIR [--images 128] [--models ...] [--norms ...]

DIR holds ``cifar10/`` (the official layout cifar-10-batches-bin, unpacked) and
``models/``; `experiments/gray_resnet.py` trains the grayscale ResNet18. Images,
targets and starting points are the same for all. Foolbox attacks the images as one
batch; its solvers are compiled beforehand, and that time is reported separately. Raw
numbers go to benches/results/<date>-<n>cores/; the tables are in
docs/results/bench-attack.md.

"model_share" is the share of our time that the model's own passes take.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import neurofreq as nf

ROOT = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
FILES = {
    "resnet20": "models/resnet20-12fca82f.th",
    "cnn_a_mix4": "models/cifar_cnn_a_mix4.model",
}


def load_model(name: str, data: Path, gray: Path | None) -> torch.nn.Module:
    if name == "gray-standard":  # ResNet18, 14 base channels, in the package
        return nf.models.load_model("zoo:gray-standard")
    if name != "resnet18_gray16":
        return nf.models.load_model(name, weights=data / FILES[name])
    from safetensors.torch import load_file

    model = nf.models.resnet18_gray(base_width=16)
    model.network.load_state_dict(load_file(gray))
    return model.eval()


def task(name: str, model: torch.nn.Module, data: Path, n: int) -> dict[str, Any]:
    """Return correctly classified images, shuffled targets and starting points."""
    raw = np.fromfile(data / "cifar10/cifar-10-batches-bin/test_batch.bin", np.uint8)
    raw = raw.reshape(-1, 3073)
    labels = raw[:, 0].astype(np.int64)
    images = (
        torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32)) / 255
    )
    if "gray" in name:
        weights = torch.tensor([0.2989, 0.587, 0.114]).view(1, 3, 1, 1)
        images = (images * weights).sum(1, keepdim=True).clamp(0, 1)
    targets = nf.attacks.shuffled_targets(labels, seed=0)
    with torch.no_grad():
        parts = [model(part).argmax(1) for part in images[:2000].split(500)]
    predicted = torch.cat(parts).numpy()
    rows = np.flatnonzero(predicted == labels[:2000])[:n]
    rng = np.random.default_rng(0)
    starts = [rng.choice(np.flatnonzero(predicted == targets[row])) for row in rows]
    return {
        "images": images[rows].clone(),
        "labels": torch.from_numpy(labels[rows]),
        "targets": torch.from_numpy(targets[rows]),
        "starting_points": images[starts].clone(),
    }


class Timed(torch.nn.Module):
    """A model that adds up the time of its forward and backward passes."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model, self.seconds = model, 0.0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Time the forward pass, and register the timing of the backward pass."""
        if images.requires_grad:
            images.register_hook(lambda _: self.add(time.perf_counter()))
        self.add(-time.perf_counter())
        logits = self.model(images)
        self.add(time.perf_counter())
        if images.requires_grad:
            logits.register_hook(lambda _: self.add(-time.perf_counter()))
        return logits

    def add(self, seconds: float) -> None:
        """Add a time, negative at the beginning of a pass."""
        self.seconds += seconds


def ours(attack: Any, model: torch.nn.Module, what: dict[str, Any]) -> dict[str, Any]:
    timed = Timed(model).eval()
    start = time.perf_counter()
    found = attack(timed, **what)
    seconds = time.perf_counter() - start
    return row(found.distance, seconds) | {
        "gradients": float(found.n_gradients.double().mean()),
        "queries": float(found.n_queries.double().mean()),
        "model_share": timed.seconds / seconds,
    }


def foolbox_run(
    norm: str, steps: int, model: torch.nn.Module, what: dict[str, Any]
) -> dict[str, Any]:
    import foolbox

    kind = {"linf": "Linfinity", "l2": "L2", "l1": "L1", "l0": "L0"}[norm]
    attack = getattr(foolbox.attacks, f"{kind}BrendelBethgeAttack")(steps=steps)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    criterion = foolbox.criteria.TargetedMisclassification(what["targets"])
    start = time.perf_counter()
    found = attack.run(
        wrapped, what["images"], criterion, starting_points=what["starting_points"]
    )
    seconds = time.perf_counter() - start
    distance = size(found - what["images"], norm)
    with torch.no_grad():
        is_target = model(found).argmax(1) == what["targets"]
    distance[~is_target] = torch.inf
    return row(distance, seconds) | {"gradients": steps, "queries": steps + 10}


def size(change: torch.Tensor, norm: str) -> torch.Tensor:
    order = {"linf": torch.inf, "l2": 2, "l1": 1, "l0": 0}[norm]
    return torch.linalg.vector_norm(change.flatten(1), order, dim=1)


def row(distance: torch.Tensor, seconds: float) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "median": float(distance.median()),
        "mean": float(distance.mean()),
        "gmean": float(distance.double().log().mean().exp()),
        "distance": distance.tolist(),
    }


def compile_solvers(norm: str, what: dict[str, Any]) -> float:
    """Return the seconds of foolbox's first step, in which numba compiles."""
    n_inputs = what["images"][0].numel()
    torch.manual_seed(0)
    layers = torch.nn.Flatten(), torch.nn.Linear(n_inputs, 10)
    model = torch.nn.Sequential(*layers).eval()
    images = what["images"][:2]
    with torch.no_grad():
        labels = model(images).argmax(1)
        pool = model(what["images"]).argmax(1)
    others = [int((pool != label).nonzero()[0]) for label in labels]
    few = {
        "images": images,
        "targets": pool[others],
        "starting_points": what["images"][others],
    }
    return foolbox_run(norm, 20, model, few)["seconds"]


def case(name: str, norm: str, options: argparse.Namespace) -> dict[str, Any]:
    model = load_model(name, options.data, options.gray)
    what = task(name, model, options.data, options.images)
    folded = nf.models.fold_batch_norm(model, what["images"][:8])
    results = {"foolbox compiling": {"seconds": compile_solvers(norm, what)}}

    def run(label: str, result: dict[str, Any]) -> None:
        results[label] = result
        shown = {k: v for k, v in result.items() if k != "distance"}
        print(name, norm, label, json.dumps(shown), flush=True)

    default = nf.attacks.BrendelBethge(norm)
    run("neurofreq", ours(default, model, what))
    run("neurofreq, folded", ours(default, folded, what))
    # Weights in channels-last order too.
    last = copy.deepcopy(folded).to(memory_format=torch.channels_last)
    ordered = what | {"channels_last": True}
    run("neurofreq, folded, channels last", ours(default, last, ordered))
    run("foolbox, 100 steps", foolbox_run(norm, 100, model, what))
    quick = nf.attacks.BrendelBethge(norm, patience=2, decay=0.5)
    run("neurofreq, quick, folded", ours(quick, folded, what))
    run("foolbox, 1000 steps", foolbox_run(norm, 1000, model, what))
    # As many walks as fit into foolbox's time, each with its own starting point.
    once = results["neurofreq, folded"]["seconds"]
    walks = int(results["foolbox, 1000 steps"]["seconds"] / once)
    walks = max(1, min(walks, options.walks))
    long = nf.attacks.BrendelBethge(norm, n_starts=walks, restarts=walks - 1)
    pool = {k: v for k, v in what.items() if k != "starting_points"}
    pool["candidates"] = task(name, model, options.data, 1800)["images"]
    run(f"neurofreq, folded, {walks} walks", ours(long, folded, pool))
    return results


def scaling() -> dict[str, Any]:
    """Return time per pixel for more and larger images, on a linear classifier."""
    found: dict[str, Any] = {}
    attack = nf.attacks.BrendelBethge(steps=20, last_radius=1e-9)
    shapes = [(n, (1, 28, 28)) for n in (16, 64, 256, 1024, 4096)]
    shapes += [(32, s) for s in ((1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 224, 224))]
    for n, shape in shapes:
        torch.manual_seed(0)
        layers = torch.nn.Flatten(), torch.nn.Linear(int(np.prod(shape)), 10)
        model = torch.nn.Sequential(*layers).eval()
        images = torch.rand(n, *shape) * 0.5 + 0.25
        with torch.no_grad():
            labels = model(images).argmax(1)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            attack(model, images, labels)
            times.append(time.perf_counter() - start)
        each = min(times) / (n * int(np.prod(shape)))
        found[f"{n} x {shape}"] = {"seconds": times, "ns_per_pixel": each * 1e9}
        print(n, shape, f"{each * 1e9:.1f} ns per pixel", flush=True)
    return found


def table(folder: Path) -> str:
    """Return the Markdown tables of a folder of raw numbers."""
    lines = []
    for path in sorted(folder.glob("attack-*-l*.json")):
        results = json.loads(path.read_text())["results"]
        compiling = results.pop("foolbox compiling")["seconds"]
        n = len(results["neurofreq"]["distance"])
        slowest = results["foolbox, 1000 steps"]["seconds"]
        name = path.stem.removeprefix("attack-")
        lines += [
            f"\n**{name}**, {n} images; foolbox compiled for {compiling:.0f} s before\n"
        ]
        lines += ["| | seconds | x foolbox 1000 | median | mean | gradients | model |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for label, one in results.items():
            share = f"{one['model_share']:.0%}" if "model_share" in one else "-"
            lines += [
                f"| {label} | {one['seconds']:.1f} | {slowest / one['seconds']:.1f} | "
                f"{one['median']:.5f} | {one['mean']:.5f} | {one['gradients']:.0f} | "
                f"{share} |"
            ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--gray", type=Path, help="weights of the grayscale ResNet18")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--walks", type=int, default=30)
    parser.add_argument("--models", nargs="*", default=list(FILES))
    parser.add_argument("--norms", nargs="*", default=["linf", "l2"])
    parser.add_argument("--scaling", action="store_true", help="only how cost grows")
    parser.add_argument("--table", type=Path, help="only print a folder's tables")
    options = parser.parse_args()
    if options.table:
        print(table(options.table))
        return
    machine = f"{datetime.date.today().isoformat()}-{CORES}cores"
    folder = ROOT / "benches" / "results" / machine
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "neurofreq": nf.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "processor": platform.processor(),
        "threads": torch.get_num_threads(),
    }
    if options.scaling:
        text = json.dumps({"about": about, "scaling": scaling()}, indent=1)
        (folder / "attack-scaling.json").write_text(text + "\n")
        return
    for name in options.models:
        for norm in options.norms:
            results = case(name, norm, options)
            text = json.dumps({"about": about, "results": results})
            (folder / f"attack-{name}-{norm}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
