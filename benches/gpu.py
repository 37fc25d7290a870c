"""Measure what a GPU is for: steps, the loss, attacks, spectra and hybrid images.

Usage: python benches/gpu.py [--cpu-dry-run] [--only NAME ...] [--budget 330]

On a CUDA device, all measurements take less than six minutes. Raw numbers go to
benches/results/<date>-cuda/gpu.json and a table into docs/results/bench-gpu.md.
Without a device, the script says that there is none. With --cpu-dry-run it runs every
measurement in tiny sizes on the CPU, prints the table and writes no file. A measurement
that fails is recorded with its error, and the others go on.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joint_step
import numpy as np
import torch
from attack_device import Counted, Shown, alone
from gpu_frequency import Sizes, accumulated, curves, hybrids, spectra, timed, wait
from torch.nn.functional import cross_entropy

import neurofreq as nf
from neurofreq import training
from neurofreq._shared.networks import batches, calling

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results" / "bench-gpu.md"
ALPHA = 20.0


class Steps:
    """Steps of one network each, eager or recorded."""

    def __init__(self, sizes: Sizes) -> None:
        rng = np.random.default_rng(0)
        self.sizes, total = sizes, sizes.images + sizes.stimuli
        images = torch.from_numpy(rng.random((total, 1, 32, 32), np.float32))
        self.images = images.to(sizes.device)
        self.labels = torch.from_numpy(rng.integers(0, 10, total)).to(sizes.device)
        self.target = nf.response_similarity(rng.normal(size=(sizes.stimuli, 99)))

    def made(
        self,
        *,
        pull: bool,
        joint: bool = False,
        capture: bool | None = False,
        **how: Any,
    ) -> Callable[[], object]:
        """Return a function that takes one step of a network of its own."""
        sizes = self.sizes
        net = nf.models.resnet18_gray(base_width=sizes.width).to(sizes.device)
        if how.pop("channels_last", False):
            net = net.to(memory_format=torch.channels_last)
        model = torch.compile(net) if how.pop("compiled", False) else net
        regularizer, n = None, len(self.images)
        if pull:
            regularizer = nf.SimilarityRegularizer(
                model, "auto", self.target, self.images[: sizes.stimuli],
                n_pairs=sizes.stimuli // 2, all_pairs=True,
            )  # fmt: skip
            n = sizes.images
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
        step = training.CapturedStep(
            model, optimizer, regularizer, ALPHA, joint=joint, capture=capture, **how
        )
        images, labels = self.images[:n], self.labels[:n]
        return lambda: step(images, labels)

    def plain(self) -> Callable[[], object]:
        """Return a plain step in torch alone."""
        sizes = self.sizes
        net = nf.models.resnet18_gray(base_width=sizes.width).to(sizes.device)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            cross_entropy(net(self.images), self.labels).backward()
            optimizer.step()

        return step


def steps(sizes: Sizes) -> dict[str, float]:
    """Seconds of one step: 64 images and 32 stimuli, or 96 images."""
    made = Steps(sizes)
    return timed(
        {
            "plain, torch": made.plain(),
            "joint, eager": made.made(pull=True),
            "joint in one pass, eager": made.made(pull=True, joint=True),
            "plain, recorded": made.made(pull=False, capture=None),
            "joint, recorded": made.made(pull=True, capture=None),
            "joint in one pass, recorded": made.made(
                pull=True, joint=True, capture=None
            ),
        },
        sizes,
    )


def variants(sizes: Sizes) -> dict[str, Any]:
    """Seconds of a recorded joint step in other precisions, layouts, and compiled."""
    made, found = Steps(sizes), {}
    options: dict[str, dict[str, Any]] = {
        "bfloat16": {"autocast": torch.bfloat16},
        "channels_last": {"channels_last": True},
        "bfloat16, channels_last": {
            "autocast": torch.bfloat16,
            "channels_last": True,
        },
    }
    if sizes.has_compiled:
        options["compiled"] = {"compiled": True}
    for name, how in options.items():
        step = made.made(pull=True, capture=None, **how)
        found |= timed({name: step}, sizes)
    return found


def loss(sizes: Sizes) -> dict[str, float]:
    """Seconds of the similarity loss alone, forward and backward."""
    losses = joint_step.Losses(str(sizes.device), max(1, sizes.stimuli // 32))
    contestants: dict[str, Callable[[], object]] = {
        "neurofreq": lambda: losses.ours().backward(),
        "eager torch": lambda: losses.eager().backward(),
    }
    if sizes.has_compiled:
        contestants["compiled torch"] = lambda: losses.compiled().backward()
    return timed(contestants, sizes)


def attack(sizes: Sizes) -> dict[str, float]:
    """Seconds of an attack for each image of CIFAR size, recorded and eager."""
    data = nf.data.load_data("synthetic", split="train", n=max(64, sizes.attacked))
    torch.manual_seed(0)
    model = nf.models.resnet18_gray(base_width=sizes.width).to(sizes.device)
    recipe = training.STANDARD.replace(epochs=2, batch_size=32, precision="float32")
    training.fit(model, data.images, data.labels, recipe)
    images = torch.from_numpy(data.images[: sizes.attacked]).to(sizes.device)
    call = nf.attacks.BrendelBethge(steps=1000 if sizes.has_compiled else 2)
    labels = data.labels[: sizes.attacked]
    found = _attacked(model.eval(), images, labels, call)
    return found | _recorded(model, images, labels, call)


def large(sizes: Sizes) -> dict[str, float]:
    """Seconds of an attack at 224 px, and of the network's passes alone."""
    import torchvision

    torch.manual_seed(0)
    make = torchvision.models.resnet50 if sizes.has_compiled else _small
    model = make().to(sizes.device).eval()
    side = sizes.large_side
    images = torch.rand(sizes.large, 3, side, side, device=sizes.device)
    with torch.no_grad():
        labels = torch.cat([model(part).argmax(1) for part in images.split(64)])
    call = nf.attacks.BrendelBethge(steps=sizes.steps)
    named = labels.cpu().numpy()
    found = _attacked(model, images, named, call, has_passes=True)
    return found | _recorded(model, images, named, call)


def _small() -> torch.nn.Module:
    return nf.models.resnet18(base_width=4)


def _attacked(
    model: torch.nn.Module,
    images: torch.Tensor,
    labels: Any,
    call: Any,
    *,
    has_passes: bool = False,
) -> dict[str, float]:
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    counted = Counted(model).eval()
    wait(images.device)
    start = time.perf_counter()
    found = call(counted, images, labels, batch_size=len(images), capture=False)
    wait(images.device)
    seconds = time.perf_counter() - start
    measured = {
        "eager seconds": seconds,
        "eager seconds per image": seconds / len(images),
        "passes": len(counted.passes),
        "success": float(found.success.double().mean()),
    }
    if has_passes:
        shown = torch.from_numpy(np.asarray(labels))
        what = Shown(images, shown, shown, images[:0])
        measured["passes alone"] = alone(model, counted.passes, what)
    return measured


def _recorded(
    model: torch.nn.Module, images: torch.Tensor, labels: Any, call: Any
) -> dict[str, float]:
    """Seconds of the same attack with recorded queries, and the chosen batch size.

    Recorded passes run no Python code, so the model counts none.
    """
    ask = calling.Classifier(model)
    wait(images.device)
    start = time.perf_counter()
    call(model, images, labels, batch_size=len(images))
    wait(images.device)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "seconds per image": seconds / len(images),
        "chosen batch size": batches.chosen(None, ask, images[:1], gradient=True),
    }


MEASURED = (
    steps, loss, spectra, hybrids, accumulated, curves, large, attack, variants,
)  # fmt: skip
"""The most important first, because the budget may end before the last."""


def goals(found: dict[str, Any]) -> list[tuple[str, float, str]]:
    """Return the ratios of the goals: what, the ratio, the goal."""
    rows = []

    def add(what: str, goal: str, part: str, above: str, below: str) -> None:
        values = found.get(part, {})
        if above in values and below in values:
            rows.append((what, values[above] / values[below], goal))

    joint, plain = "joint, recorded", "plain, recorded"
    add("joint step, recorded / plain eager", "<= 0.35", "steps", joint, "plain, torch")
    add("joint step, recorded / plain recorded", "<= 1.15", "steps", joint, plain)
    eager = "joint, eager"
    add("joint step, eager / plain eager", "", "steps", eager, "plain, torch")
    add("loss / compiled torch", "< 1", "loss", "neurofreq", "compiled torch")
    add("loss / eager torch", "", "loss", "neurofreq", "eager torch")
    for name in [one for one in found.get("spectra", {}) if one.startswith("neuro")]:
        size = name.partition(", ")[2]
        add(f"torch / spectra, {size}", ">= 2", "spectra", f"torch, {size}", name)
        add(f"copy / spectra, {size}", ">= 0.5", "spectra", f"copy, {size}", name)
    add("torch / hybrids", ">= 2", "hybrids", "torch", "neurofreq")
    for part in ("attack", "large"):
        add(f"{part}: recorded / eager", "< 1", part, "seconds", "eager seconds")
    add("large: recorded / passes alone", "<= 1.1", "large", "seconds", "passes alone")
    each = found.get("attack", {}).get("seconds per image")
    if each is not None:
        rows.append(("attack: seconds per image", each, "<= 0.0015"))
    for name in ("hybrid curve, 13 frequencies", "sensitivity, 16x16"):
        alone = f"{name.partition(',')[0]}, passes"
        add(f"{name} / its passes", "<= 1.2", "curves", name, alone)
    once, often = "accumulated", "read after each batch"
    add("sums of spectra / read after each batch", "< 1", "accumulated", once, often)
    return rows


def table(raw: dict[str, Any]) -> str:
    """Return the text of the page."""
    lines = [
        f"{raw['day']}, {raw['machine']}; torch {raw['torch']}, neurofreq "
        f"{raw['neurofreq']}; {raw['seconds']:.0f} s in all.\n",
        "| ratio | measured | goal |",
        "|---|---|---|",
    ]
    lines += [f"| {what} | {r:.4g} | {goal} |" for what, r, goal in goals(raw["found"])]
    lines += ["\n| measurement | value |", "|---|---|"]
    for part, values in raw["found"].items():
        lines += [
            f"| {part}: {name} | {value:.4g} |" if isinstance(value, float | int)
            else f"| {part}: {name} | {value} |"
            for name, value in values.items()
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def measured(sizes: Sizes, only: list[str], budget: float) -> dict[str, Any]:
    """Return all measurements by name, within a budget of seconds."""
    start, found = time.perf_counter(), {}
    for one in MEASURED:
        name = one.__name__
        if only and name not in only:
            continue
        if time.perf_counter() - start > budget:
            found[name] = {"not measured": f"after {budget:.0f} s"}
            continue
        try:
            found[name] = one(sizes)
        except Exception as error:  # the others must go on: a device is rare
            traceback.print_exc()
            found[name] = {"failed": f"{type(error).__name__}: {error}"[:300]}
        print(name, found[name], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu-dry-run", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--budget", type=float, default=330.0, help="seconds")
    options = parser.parse_args()
    is_dry = options.cpu_dry_run
    if not is_dry and not torch.cuda.is_available():
        print("There is no CUDA device, so nothing is measured.")
        return
    device = torch.device("cpu" if is_dry else "cuda")
    start = time.perf_counter()
    found = measured(Sizes.of(device, tiny=is_dry), options.only, options.budget)
    raw = {
        "day": datetime.date.today().isoformat(),
        "machine": "dry run" if is_dry else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "neurofreq": nf.__version__,
        "seconds": time.perf_counter() - start,
        "found": found,
    }
    text = table(raw)
    print(text)
    if is_dry:
        failed = [name for name, values in found.items() if "failed" in values]
        if failed:
            raise SystemExit(f"failed: {', '.join(failed)}")
        return
    folder = ROOT / "benches" / "results" / f"{raw['day']}-cuda"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.json").write_text(json.dumps(raw, indent=1) + "\n")
    PAGE.write_text(
        "# Time on a GPU\n\n`python benches/gpu.py` measures all numbers in one run. "
        f"Times are medians, in seconds.\n\n{text}"
    )


if __name__ == "__main__":
    main()
