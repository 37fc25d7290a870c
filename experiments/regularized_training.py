"""Train gray networks towards cortex and other targets, as for mouse and monkey.

Usage: python experiments/regularized_training.py mouse --data DIR --work FOLDER
       python experiments/regularized_training.py monkey --data DIR --work FOLDER

DIR holds ``cifar10/cifar-10-batches-bin``, ``tiny/tiny-imagenet-50`` (unpacked) and
``neural/``. Trains a network for each condition of the study and each seed, and saves
it in FOLDER/<condition>-<seed>. A stopped run resumes. regularized_measures.py
measures the networks.
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
from neurofreq import neural, training

MONKEY_NETWORK = "vgg19_bn,base_width=16,n_classes=50"
SEEDS = (0, 1, 2)
N_STIMULI = 2000


class Study(NamedTuple):
    """The recipe, data and conditions of a study; the first condition is "none"."""

    recipe: training.Recipe
    data: str
    conditions: tuple[str, ...]
    n_hybrid: int
    """Number of images for hybrids, in three pairings."""


MOUSE_CONDITIONS = ("none", "simulated", "threshold", "mouse", "macaque")
STUDIES = {
    "mouse": Study(
        training.MOUSE.fast(epochs=5).replace(precision="float32"),
        "cifar10:{}/cifar10",
        (*MOUSE_CONDITIONS, "shuffled", "shuffled-mouse"),
        1000,
    ),
    "monkey": Study(
        training.MONKEY.fast(epochs=15).replace(
            network=MONKEY_NETWORK, precision="float32"
        ),
        "tinyimagenet:{}/tiny/tiny-imagenet-50",
        ("none", "monkey"),
        300,
    ),
}


@functools.cache
def photographs(data: Path) -> np.ndarray:
    """Return gray TinyImageNet training images, (2000, 1, 64, 64)."""
    folder = data / "tiny/tiny-imagenet-50"
    shown = nf.data.open_tinyimagenet(folder, split="train").sample(N_STIMULI, seed=0)
    return shown.load().gray().images


def stimuli(data: Path) -> np.ndarray:
    """Return the photographs at half their size, (2000, 1, 32, 32)."""
    return scaled(photographs(data))


class Towards(NamedTuple):
    """Target similarities, and their images, (N, 1, 32, 32)."""

    target: neural.Target
    images: np.ndarray


def scaled(images: np.ndarray | torch.Tensor, side: int = 32) -> np.ndarray:
    """Return images scaled to `side` by averaging, in [0, 1]."""
    pixels = torch.as_tensor(images).float()
    smaller = torch.nn.functional.interpolate(pixels, (side, side), mode="area")
    return smaller.clamp(0, 1).numpy()


def recorded(condition: str, data: Path) -> Towards:
    """Return the similarity of recorded mean responses, weighed by reliability.

    Mouse: 50 images, the mean of two regions that share them. Macaque: 220 natural
    frames, nine joined populations.
    """
    if condition == "mouse":
        scans = neural_targets.mouse(data / "neural")[:2]
    else:
        scans = neural_targets.macaque(data / "neural")
    judged = [scan.responses.select(images=scan.judged) for scan in scans]
    target = neural.mean_target(
        [one.similarity(weights=nf.reliability(one.trials)) for one in judged]
    )
    return Towards(target, scaled(scans[0].images[scans[0].judged]))


@functools.cache
def towards(condition: str, data: Path) -> Towards:
    """Return the similarities that a condition trains towards."""
    if condition in ("mouse", "macaque"):
        return recorded(condition, data)
    if condition.startswith("shuffled"):
        whose = "mouse" if condition == "shuffled-mouse" else "macaque"
        target, images = recorded(whose, data)
        return Towards(target.shuffled(seed=0), images)
    if condition == "simulated":
        return Towards(neural.v1_similarity(stimuli(data)), stimuli(data))
    pixels = neural.pixel_similarity(stimuli(data))
    return Towards(neural.threshold_similarity(pixels), stimuli(data))


@functools.cache
def predicted(data: Path, work: Path) -> np.ndarray:
    """Return predicted responses of macaque neurons to the photographs, (2000, K).

    The predictive models of the recordings are cross-validated. Neurons with a
    held-out correlation v below .1 are left out.
    """
    (scan,) = neural_targets.macaque(data / "neural")
    model = neural.PredictiveModel(**scan.settings).fit(
        scan.images, scan.responses, groups=scan.groups, folder=work / "fits"
    )
    return model.predict(photographs(data))[:, model.v > 0.1]


def regularizer(
    condition: str, model: torch.nn.Module, seed: int, study: Study, where: Where
) -> nf.SimilarityRegularizer | training.CoTraining | None:
    """Return the regularizer of a condition."""
    if condition == "none":
        return None
    recipe = study.recipe
    if condition == "monkey":
        return training.CoTraining(
            model,
            recipe.layers,
            predicted(where.data, where.work),
            photographs(where.data),
            batch_size=recipe.batch_size,
            seed=seed,
        )
    return nf.SimilarityRegularizer(
        model,
        recipe.layers,
        *towards(condition, where.data),
        n_pairs=recipe.n_pairs,
        all_pairs=recipe.all_pairs,
        seed=seed,
    )


class Where(NamedTuple):
    """Folders of data and results, and the training device."""

    data: Path
    work: Path
    device: str


def train(study: Study, where: Where, seeds: list[int], conditions: list[str]) -> None:
    spec = study.data.format(where.data)
    shown = nf.data.load_data(spec, split="train").gray()
    for seed in seeds:
        for condition in conditions:
            with torch.random.fork_rng([]):
                torch.manual_seed(seed)
                model = nf.models.load_model(study.recipe.network)
            model.to(where.device)
            history = training.fit(
                model,
                shown.images,
                shown.labels,
                study.recipe,
                regularizer=regularizer(condition, model, seed, study, where),
                folder=where.work / f"{condition}-{seed}",
                seed=seed,
                callback=lambda row: print(row, flush=True),
            )
            score = history[-1]["validation_accuracy"]
            print(f"{condition}, seed {seed}: validation {score:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=tuple(STUDIES))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--conditions", nargs="+")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = True  # batches have one shape
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32 on every device
    options.work.mkdir(parents=True, exist_ok=True)
    study = STUDIES[options.study]
    where = Where(options.data, options.work, options.device)
    train(study, where, options.seeds, options.conditions or list(study.conditions))


if __name__ == "__main__":
    main()
