"""Measure how much of an attack's time is outside of the model, on any device.

Usage: python benches/attack_device.py --data DIR [--device cuda] [--images 256]

DIR holds ``cifar10``. A full-width grayscale ResNet18 is trained for --epochs and
attacked. Then the same passes, with the same batch sizes, are repeated alone. On a
CUDA device, timing a single pass would stop host and device, so the time of the whole
attack is compared with the time of the passes alone. Raw numbers go to
benches/results/<date>-<device>/attack-device.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import neurofreq as nf
from neurofreq import training
from neurofreq._shared.runtime import processor

ROOT = Path(__file__).resolve().parents[1]


class Counted(torch.nn.Module):
    """A model that records the size of every batch, and whether it needs a gradient."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self.passes: list[tuple[int, bool]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Record the pass."""
        self.passes.append((len(images), images.requires_grad))
        return self.model(images)


class Shown(NamedTuple):
    """Correctly classified images, and their target classes."""

    images: torch.Tensor
    labels: torch.Tensor
    targets: torch.Tensor
    candidates: torch.Tensor


def trained(data: nf.data.ImageSet, device: str, epochs: int) -> torch.nn.Module:
    torch.manual_seed(0)
    model = nf.models.resnet18_gray().to(device)
    recipe = training.STANDARD.replace(
        epochs=epochs, schedule="triangle", precision="bfloat16", channels_last=True
    )
    training.fit(model, data.images, data.labels, recipe)
    return model.eval()


def shown(model: torch.nn.Module, data: nf.data.ImageSet, n: int, device: str) -> Shown:
    images = torch.from_numpy(data.images).to(device)
    labels = torch.from_numpy(data.labels)
    targets = torch.from_numpy(nf.attacks.shuffled_targets(data.labels, seed=0))
    with torch.no_grad():
        right = torch.cat([model(part).argmax(1) for part in images.split(500)]).cpu()
    rows = (right == labels).nonzero().flatten()[:n]
    return Shown(images[rows], labels[rows], targets[rows], images[:1000])


def alone(model: torch.nn.Module, passes: list[tuple[int, bool]], what: Shown) -> float:
    """Return the seconds of the same passes alone."""
    pool = torch.cat([what.images, what.candidates])
    _wait(pool)
    start = time.perf_counter()
    for n, has_gradient in passes:
        images = pool[:n].detach().requires_grad_(has_gradient)
        with torch.set_grad_enabled(has_gradient):
            logits = model(images)
        if has_gradient:
            torch.autograd.grad(logits.sum(), images)
    _wait(pool)
    return time.perf_counter() - start


def _wait(images: torch.Tensor) -> None:
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)


def measured(model: torch.nn.Module, norm: str, what: Shown) -> dict[str, Any]:
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    attack = nf.attacks.BrendelBethge(norm)
    rounds = []
    for _ in range(4):  # the first warms up
        counted = Counted(model).eval()
        _wait(what.images)
        start = time.perf_counter()
        found = attack(
            counted, what.images, what.labels, targets=what.targets,
            candidates=what.candidates, batch_size=len(what.images),
        )  # fmt: skip
        _wait(what.images)
        seconds = time.perf_counter() - start
        rounds.append((seconds, alone(model, counted.passes, what)))
    whole, passes = np.median(rounds[1:], axis=0).tolist()
    return {
        "rounds": rounds,
        "seconds": whole,
        "passes_alone": passes,
        "outside": 1.0 - passes / whole,
        "n_passes": len(counted.passes),
        "success": float(found.success.double().mean()),
        "median": float(found.distance.median()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    spec = f"cifar10:{options.data / 'cifar10'}"
    data = nf.data.load_data(spec, split="train").gray()
    model = trained(data, options.device, options.epochs)
    what = shown(model, nf.data.load_data(spec).gray(), options.images, options.device)
    is_cuda = options.device.startswith("cuda")
    device = torch.cuda.get_device_name() if is_cuda else processor()
    results = {norm: measured(model, norm, what) for norm in ("linf", "l2")}
    about = {"device": device, "images": options.images, "torch": torch.__version__}
    day = datetime.date.today().isoformat()
    folder = ROOT / "benches" / "results" / f"{day}-{options.device}"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"about": about, "results": results}, indent=1)
    (folder / "attack-device.json").write_text(text + "\n")
    for norm, one in results.items():
        print(norm, {k: v for k, v in one.items() if k != "rounds"}, flush=True)


if __name__ == "__main__":
    main()
