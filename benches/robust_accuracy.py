"""Compare `attacks.robust_accuracy` with AutoAttack's standard set by counts of passes.

Usage: python benches/robust_accuracy.py run --data DIR --cifar10 DIR [--images 200]
       python benches/robust_accuracy.py page

AutoAttack is imported from PYTHONPATH (github.com/fra31/auto-attack). Both get the same
images: the first of the test set. A wrapper of the network counts the forward and the
backward passes of both, in images. Each result goes to a CSV in
benches/results/<date>-<n>cores/robust-accuracy/; `page` fills the table in
docs/results/bench-robust-accuracy.md.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pages import fill
from torch import nn

import neurofreq as nf

ROOT = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
FITS = {"linf-2": ("linf", 2 / 255), "linf-8": ("linf", 8 / 255), "l2-0.5": ("l2", 0.5)}
SPECS = {
    "cnn_a_mix4": ("cnn_a_mix4", "models/cifar_cnn_a_mix4.model"),
    "cnn_a_wide": ("cnn_a_wide", "models/cifar_wide.pth"),
    "marabou_large": ("marabou_large", "models/cifar_marabou_large.pth"),
    "resnet20": ("resnet20", "models/resnet20-12fca82f.th"),
    "standard-0": ("zoo:standard-0", None),
    "adversarial-8": ("zoo:adversarial-8", None),
}
# Width and stride of each block of the two networks of cifar10-robust.
BLOCKS = {
    "resnet4b": {"layer1": [(32, 2), (32, 1)], "layer2": [(32, 2), (32, 1)]},
    "sri_resnet_b": {"layer1": [(32, 2)], "layer2": [(64, 2)], "layer3": [(128, 2)]},
}
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)


class Block(nn.Module):
    """Two convolutions with a shortcut, without batch norm."""

    def __init__(self, n_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, width, 3, stride, 1)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
        self.shortcut = nn.Sequential()
        if stride > 1 or n_in != width:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, width, 1, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of the next block."""
        inner = self.conv2(F.relu(self.conv1(x)))
        return F.relu(inner + self.shortcut(x))


class Small(nn.Module):
    """The two networks of cifar10-robust, with their normalization."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 2, 1)
        self.stages, n_in = list(BLOCKS[name]), 16
        for stage, blocks in BLOCKS[name].items():
            built = []
            for width, stride in blocks:
                built.append(Block(n_in, width, stride))
                n_in = width
            whole = built[0] if len(built) == 1 else nn.Sequential(*built)
            setattr(self, stage, whole)
        self.linear1, self.linear2 = nn.Linear(512, 100), nn.Linear(100, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        mean, deviation = (torch.tensor(v)[:, None, None] for v in (MEAN, DEVIATION))
        x = F.relu(self.conv1((x - mean) / deviation))
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return self.linear2(F.relu(self.linear1(x.flatten(1))))


def load(name: str, data: Path) -> nn.Module:
    """Return a network with folded batch norm, the same for both contestants."""
    if name in BLOCKS:
        model: nn.Module = Small(name)
        path = data / f"cifar10-robust/{name}.pth"
        state = torch.load(path, weights_only=True, map_location="cpu")
        model.load_state_dict(state.get("state_dict", state))
    else:
        spec, weights = SPECS[name]
        path = None if weights is None else data / weights
        model = nf.models.load_model(spec, weights=path).eval()
        model = nf.models.fold_batch_norm(model, torch.rand(8, 3, 32, 32))
    return model.eval().requires_grad_(False)


class Counted(nn.Module):
    """A network that counts images in forward and backward passes."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.forwards, self.backwards = model, 0, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Count, and return logits."""
        self.forwards += len(x)
        logits = self.model(x)
        if logits.requires_grad:
            n = len(x)
            logits.register_hook(lambda _: self._back(n))
        return logits

    def _back(self, n: int) -> None:
        self.backwards += n


def autoattack(model: nn.Module, x: Any, y: Any, norm: str, epsilon: float) -> Any:
    from autoattack import AutoAttack

    name = {"linf": "Linf", "l2": "L2"}[norm]
    attack = AutoAttack(
        model, norm=name, eps=epsilon, version="standard", device="cpu", seed=0,
        verbose=False,
    )  # fmt: skip
    found = attack.run_standard_evaluation(x, y, bs=len(x))
    with torch.no_grad():
        return model.model(found).argmax(1) == y


def ours(model: nn.Module, x: Any, y: Any, norm: str, epsilon: float) -> Any:
    found = nf.attacks.robust_accuracy(model, x, y, epsilons=[epsilon], norm=norm)
    size = nf.attacks.perturbation_size(found.adversarial, x, norm)
    with torch.no_grad():  # in another batch than the attack, and without its numbers
        is_wrong = model.model(found.adversarial).argmax(1) != y
    inside = (found.adversarial >= 0) & (found.adversarial <= 1)
    fits = (size <= torch.tensor(epsilon).to(size)) & inside.flatten(1).all(1)
    return ~(is_wrong & fits)


METHODS = {"autoattack": autoattack, "neurofreq": ours}


def run(options: argparse.Namespace) -> None:
    """Measure, and write one CSV for each network, fit and method."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    found = nf.data.open_data(f"cifar10:{options.cifar10}")
    x = torch.from_numpy(np.asarray(found.images[: options.images])).float() / 255
    y = torch.from_numpy(np.asarray(found.labels[: options.images], np.int64))
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.models:
        model = load(name, options.data)
        for fit in options.fits:
            for method in options.methods:
                place = options.out / f"{name}-{fit}-{method}.csv"
                if not place.exists():
                    measure(model, x, y, fit, method, place)


def measure(
    model: nn.Module, x: Any, y: Any, fit: str, method: str, place: Path
) -> None:
    """Run one method on one network, and write its numbers."""
    torch.manual_seed(0)
    counted, start = Counted(model).eval(), time.perf_counter()
    with torch.no_grad():
        right = model(x).argmax(1) == y
    robust = METHODS[method](counted, x, y, *FITS[fit])
    passes = {"forwards": counted.forwards, "backwards": counted.backwards}
    seconds = round(time.perf_counter() - start)
    with place.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["image", "clean", "robust", *passes])
        for at, (clean, holds) in enumerate(zip(right, robust, strict=True)):
            out.writerow([at, int(clean), int(holds), *passes.values()])
    shown = {"robust": int(robust.sum()), **passes, "seconds": seconds}
    print(place.stem, json.dumps(shown), flush=True)


def page(folder: Path) -> None:
    """Fill the table of the page from the CSVs."""
    fits = {"linf-2": "Linf 2/255", "linf-8": "Linf 8/255", "l2-0.5": "L2 0.5"}
    lines = [
        "| network | budget | images | clean | AutoAttack | `robust_accuracy` | broken "
        "only by AutoAttack | broken only by ours | passes of AutoAttack | passes of "
        "ours | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in [*SPECS, *BLOCKS]:
        for fit, shown in fits.items():
            places = [folder / f"{name}-{fit}-{method}.csv" for method in METHODS]
            if all(place.exists() for place in places):
                lines.append(f"| {name} | {shown} | {row(*map(read, places))} |")
    fill(ROOT / "docs/results/bench-robust-accuracy.md", "table", "\n".join(lines))


def read(place: Path) -> Any:
    """Return the columns of a CSV as arrays."""
    with place.open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([int(one[name]) for one in rows]) for name in rows[0]}


def row(theirs: Any, mine: Any) -> str:
    """Return the cells of a row; both were measured on the same images."""
    if not np.array_equal(theirs["clean"], mine["clean"]):
        raise ValueError("got results on different images, expected the same ones")
    n = len(mine["clean"])
    share = [f"{one.mean():.3f}" for one in (theirs["clean"], theirs["robust"])]
    only_theirs = int((mine["robust"] > theirs["robust"]).sum())
    only_mine = int((theirs["robust"] > mine["robust"]).sum())
    passes = [int(one["forwards"][0] + one["backwards"][0]) for one in (theirs, mine)]
    cells = [
        n, *share, f"{mine['robust'].mean():.3f}", only_theirs, only_mine,
        *(f"{count / n:.0f}" for count in passes), f"{passes[0] / passes[1]:.1f}",
    ]  # fmt: skip
    return " | ".join(map(str, cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", choices=["run", "page"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cifar10", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", nargs="*", default=[*SPECS, *BLOCKS])
    parser.add_argument("--fits", nargs="*", default=list(FITS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    machine = f"{datetime.date.today().isoformat()}-{CORES}cores"
    place = ROOT / "benches" / "results" / machine / "robust-accuracy"
    parser.add_argument("--out", type=Path, default=place)
    options = parser.parse_args()
    if options.job == "run":
        run(options)
    else:
        page(options.out)


if __name__ == "__main__":
    sys.exit(main())
