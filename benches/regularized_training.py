"""Train gray CIFAR-10 networks towards several similarity targets, and measure them.

Usage: python benches/regularized_training.py train --data DIR --work FOLDER
       python benches/regularized_training.py measure --data DIR --work FOLDER

DIR holds ``cifar10/cifar-10-batches-bin``, ``tiny/tiny-imagenet-50`` (unpacked) and
``neural/``. ``train`` goes through CONDITIONS for every seed and keeps each network in
FOLDER/<condition>-<seed>; ``measure`` takes those that are whole and writes
docs/results/regularized-training.md. Both go on where they were stopped.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

import neural_targets
import numpy as np
import torch

import neurofreq as nf
from neurofreq import models, neural, training

CONDITIONS = ("none", "simulated", "threshold", "mouse", "macaque", "shuffled")
SEEDS = (0, 1, 2)
N_STIMULI = 2000
RECIPE = training.MOUSE.fast(epochs=5)


@functools.cache
def stimuli(data: Path) -> np.ndarray:
    """Return gray TinyImageNet images at half their size, (2000, 1, 32, 32)."""
    folder = data / "tiny/tiny-imagenet-50"
    shown = nf.data.open_tinyimagenet(folder, split="train").sample(N_STIMULI, seed=0)
    gray = torch.as_tensor(shown.load().gray().images)
    return torch.nn.functional.avg_pool2d(gray, 2).clamp(0, 1).numpy()


def recorded(condition: str, data: Path, work: Path) -> neural.Target:
    """Return similarities of the stimuli as a fitted population would respond."""
    read = {"mouse": neural_targets.mouse, "macaque": neural_targets.macaque}
    fitted = [
        neural.PredictiveModel(**scan.settings).fit(
            scan.images, scan.responses, groups=scan.groups, folder=work / "fits"
        )
        for scan in read[condition](data / "neural")
    ]
    return neural.neural_similarity(fitted, stimuli(data))


@functools.cache
def target(condition: str, data: Path, work: Path) -> neural.Target | None:
    """Return the target of a condition, made once and kept."""
    kept = work / f"target-{condition}.npz"
    if condition == "none":
        return None
    if not kept.exists():
        if condition == "simulated":
            made = neural.v1_similarity(stimuli(data))
        elif condition == "threshold":
            made = neural.threshold_similarity(neural.pixel_similarity(stimuli(data)))
        elif condition == "shuffled":
            made = recorded("mouse", data, work).shuffled(seed=0)
        else:
            made = recorded(condition, data, work)
        made.save(kept)
    return neural.Target.load(kept)


def network(seed: int) -> torch.nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return models.resnet18_gray(base_width=16)


def train(data: Path, work: Path, seeds: list[int], conditions: list[str]) -> None:
    shown = nf.data.load_data(f"cifar10:{data / 'cifar10'}", split="train").gray()
    for seed in seeds:
        for condition in conditions:
            model = network(seed)
            towards = target(condition, data, work)
            pull = None
            if towards is not None:
                pull = nf.SimilarityRegularizer(
                    model,
                    "auto",
                    towards,
                    stimuli(data),
                    n_pairs=RECIPE.n_pairs,
                    all_pairs=RECIPE.all_pairs,
                    seed=seed,
                )
            history = training.fit(
                model,
                shown.images,
                shown.labels,
                RECIPE,
                regularizer=pull,
                folder=work / f"{condition}-{seed}",
                seed=seed,
                callback=lambda row: print(row, flush=True),
            )
            score = history[-1]["validation_accuracy"]
            print(f"{condition}, seed {seed}: validation {score:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("train", "measure"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    train(options.data, options.work, options.seeds, options.conditions)


if __name__ == "__main__":
    main()
