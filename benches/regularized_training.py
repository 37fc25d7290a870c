"""Train gray CIFAR-10 networks towards several similarity targets.

Usage: python benches/regularized_training.py --data DIR --work FOLDER

DIR holds ``cifar10/cifar-10-batches-bin``, ``tiny/tiny-imagenet-50`` (unpacked) and
``neural/``. Goes through CONDITIONS for every seed and keeps each network in
FOLDER/<condition>-<seed>; a stopped run goes on. regularized_measures.py measures them.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import NamedTuple

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


class Towards(NamedTuple):
    """Similarities, and the images they are of, (N, 1, 32, 32)."""

    target: neural.Target
    images: np.ndarray


def at_half(images: np.ndarray | torch.Tensor, side: int = 32) -> np.ndarray:
    """Return images scaled to `side` by averaging, in [0, 1]."""
    pixels = torch.as_tensor(images).float()
    scaled = torch.nn.functional.interpolate(pixels, (side, side), mode="area")
    return scaled.clamp(0, 1).numpy()


def recorded(condition: str, data: Path) -> Towards:
    """Return the similarity of recorded mean responses, weighed by reliability.

    Mouse: 50 images, the mean of two regions that share them. Macaque: 220 natural
    frames, nine populations side by side.
    """
    if condition == "mouse":
        scans = neural_targets.mouse(data / "neural")[:2]
    else:
        scans = neural_targets.macaque(data / "neural")
    judged = [scan.responses.select(images=scan.judged) for scan in scans]
    target = neural.mean_target(
        [one.similarity(weights=nf.reliability(one.trials)) for one in judged]
    )
    return Towards(target, at_half(scans[0].images[scans[0].judged]))


@functools.cache
def towards(condition: str, data: Path) -> Towards | None:
    """Return what a condition trains towards."""
    if condition == "none":
        return None
    if condition in ("mouse", "macaque"):
        return recorded(condition, data)
    if condition == "shuffled":
        target, images = recorded("macaque", data)
        return Towards(target.shuffled(seed=0), images)
    if condition == "simulated":
        return Towards(neural.v1_similarity(stimuli(data)), stimuli(data))
    pixels = neural.pixel_similarity(stimuli(data))
    return Towards(neural.threshold_similarity(pixels), stimuli(data))


def network(seed: int) -> torch.nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return models.resnet18_gray(base_width=16)


def train(data: Path, work: Path, seeds: list[int], conditions: list[str]) -> None:
    shown = nf.data.load_data(f"cifar10:{data / 'cifar10'}", split="train").gray()
    for seed in seeds:
        for condition in conditions:
            model = network(seed)
            aim = towards(condition, data)
            pull = None
            if aim is not None:
                pull = nf.SimilarityRegularizer(
                    model,
                    "auto",
                    *aim,
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
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    train(options.data, options.work, options.seeds, options.conditions)


if __name__ == "__main__":
    main()
