"""Train gray networks towards cortex and other targets, as for mouse and monkey.

Usage: python experiments/regularized_training.py mouse --data DIR --work FOLDER

The studies are "mouse", "monkey" and "v1". DIR holds ``cifar10/cifar-10-batches-bin``,
``tiny/tiny-imagenet-50`` (unpacked) and ``neural/``; for "v1" also ``mouse-v1-model/``,
``v4-model/`` and ``v4-recordings/``. Trains a network for each condition of the study
and each seed, and saves it in FOLDER/<condition>-<seed>. A stopped run resumes.
regularized_measures.py measures the networks, and trains them too with ``--train``.

In the study "v1", alpha is the largest of a short list with which seed 0 loses at most
5 points of clean accuracy on held-out training images.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import neural_targets
import numpy as np
import pandas as pd
import torch
from _regularized_targets import Towards, WithinSessions, scaled
from _regularized_targets import towards as photographed

import neurofreq as nf
from neurofreq import neural, training

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
MONKEY_NETWORK = "vgg19_bn,base_width=16,n_classes=50"
SEEDS = (0, 1, 2)
N_STIMULI = 2000
LOST = 0.05  # largest loss of clean accuracy, as a fraction of images


class Study(NamedTuple):
    """The recipe, data and conditions of a study; the first condition is "none"."""

    recipe: training.Recipe
    data: str
    conditions: tuple[str, ...]
    towards: Callable[[str, Path, Path], Towards]
    """Returns the target of a condition from the folders of data and results."""
    controls: Mapping[str, str]
    """The control of a condition."""
    n_hybrid: int
    """Number of images for hybrids, in three pairings."""
    n_corruption: int = 1000
    """Number of images in each of 75 cells."""
    n_noise: int | None = None
    """Number of images with noise; None for all."""
    alphas: tuple[float, ...] = ()
    """Weights of the regularizer to choose from, the largest first."""


@functools.cache
def photographs(data: Path) -> np.ndarray:
    """Return gray TinyImageNet training images, (2000, 1, 64, 64)."""
    folder = data / "tiny/tiny-imagenet-50"
    shown = nf.data.open_tinyimagenet(folder, split="train").sample(N_STIMULI, seed=0)
    return shown.load().gray().images


def stimuli(data: Path) -> np.ndarray:
    """Return the photographs at half their size, (2000, 1, 32, 32)."""
    return scaled(photographs(data))


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
def towards(condition: str, data: Path, _: Path) -> Towards:
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


@functools.cache
def images(spec: str) -> nf.data.ImageSet:
    """Return the gray training images."""
    return nf.data.load_data(spec, split="train").gray()


class Where(NamedTuple):
    """Folders of data and networks, the file of chosen alphas, and the device."""

    data: Path
    work: Path
    alphas: Path
    device: str


class Network(NamedTuple):
    """A network of a study; `folder` holds its weights and curves."""

    condition: str
    seed: int
    recipe: training.Recipe
    folder: Path


def regularizer(
    network: Network, model: torch.nn.Module, study: Study, where: Where
) -> nf.SimilarityRegularizer | training.CoTraining | None:
    """Return the regularizer of a network."""
    recipe, seed = network.recipe, network.seed
    if network.condition == "none":
        return None
    if network.condition == "monkey":
        return training.CoTraining(
            model,
            recipe.layers,
            predicted(where.data, where.work),
            photographs(where.data),
            batch_size=recipe.batch_size,
            seed=seed,
        )
    target, shown, sessions = study.towards(network.condition, where.data, where.work)
    if sessions is not None:
        return WithinSessions(
            model, recipe.layers, target, shown, sessions=sessions,
            n_pairs=recipe.n_pairs, seed=seed,
        )  # fmt: skip
    return nf.SimilarityRegularizer(
        model,
        recipe.layers,
        target,
        shown,
        n_pairs=recipe.n_pairs,
        all_pairs=recipe.all_pairs,
        seed=seed,
    )


def is_trained(network: Network) -> bool:
    curves = network.folder / "curves.csv"
    return curves.exists() and len(pd.read_csv(curves)) == network.recipe.epochs


def held_out(network: Network) -> float:
    """Return the accuracy on held-out training images, of the epoch that was kept."""
    rows = pd.read_csv(network.folder / "curves.csv")
    return float(rows.loc[rows["validation_loss"].idxmin(), "validation_accuracy"])


def train(network: Network, study: Study, where: Where) -> None:
    """Train a network if it is missing, or continue its training."""
    if is_trained(network):
        return
    shown = images(study.data.format(where.data))
    with torch.random.fork_rng([]):
        torch.manual_seed(network.seed)
        model = nf.models.load_model(network.recipe.network)
    model.to(where.device)
    training.fit(
        model,
        shown.images,
        shown.labels,
        network.recipe,
        regularizer=regularizer(network, model, study, where),
        folder=network.folder,
        seed=network.seed,
        callback=lambda row: print(row, flush=True),
    )
    print(f"{network.folder.name}: held-out {held_out(network):.3f}", flush=True)


def network(
    study: Study, where: Where, condition: str, seed: int, alpha: float | None = None
) -> Network:
    """Return the network of a condition, with an alpha of the study's list or none."""
    name, recipe = f"{condition}-{seed}", study.recipe
    if alpha is not None:
        name, recipe = f"{name}-alpha-{alpha:g}", recipe.replace(alpha=alpha)
    return Network(condition, seed, recipe, where.work / name)


def chosen(study: Study, where: Where, condition: str) -> float | None:
    """Return the alpha that was chosen for a condition, or None if there is none."""
    if not where.alphas.exists():
        return None
    rows = pd.read_csv(where.alphas)
    rows = rows[(rows["condition"] == condition) & rows["chosen"]]
    return None if rows.empty else float(rows["alpha"].iloc[0])


def choose(study: Study, where: Where, condition: str) -> float:
    """Return the alpha of a condition; train seed 0 with some, and keep the choice.

    The largest alpha that loses at most `LOST` is chosen; the smallest if none does.
    """
    base = network(study, where, "none", 0)
    train(base, study, where)
    tried = []
    for alpha in study.alphas:
        one = network(study, where, condition, 0, alpha)
        train(one, study, where)
        lost = held_out(base) - held_out(one)
        tried.append(
            {
                "condition": condition, "alpha": alpha, "held_out": held_out(one),
                "held_out_none": held_out(base), "lost": lost, "chosen": False,
            }
        )  # fmt: skip
        if lost <= LOST:
            break
    tried[-1]["chosen"] = True
    known = [pd.read_csv(where.alphas)] if where.alphas.exists() else []
    where.alphas.parent.mkdir(parents=True, exist_ok=True)
    pd.concat([*known, pd.DataFrame(tried)]).to_csv(where.alphas, index=False)
    return float(tried[-1]["alpha"])


def networks(
    study: Study,
    where: Where,
    seeds: Iterable[int],
    conditions: Iterable[str],
    *,
    make: bool = True,
) -> Iterator[Network]:
    """Return networks one by one, and train them first; with `make` False, do not.

    With `make` False, conditions without a chosen alpha are left out.
    """
    for seed in seeds:
        for condition in conditions:
            alpha = None
            if study.alphas and condition != "none":
                alpha = chosen(study, where, condition)
                if alpha is None and not make:
                    continue
                alpha = choose(study, where, condition) if alpha is None else alpha
            one = network(study, where, condition, seed, alpha)
            if make:
                train(one, study, where)
            yield one


MOUSE_CONDITIONS = ("none", "simulated", "threshold", "mouse", "macaque")
V1_CONDITIONS = (
    "none", "mouse", "shuffled", "pixel", "simulated", "v4-recorded", "v4-predicted",
)  # fmt: skip
STUDIES = {
    "mouse": Study(
        training.MOUSE.fast(epochs=5).replace(precision="float32"),
        "cifar10:{}/cifar10",
        (*MOUSE_CONDITIONS, "shuffled", "shuffled-mouse"),
        towards,
        {"mouse": "shuffled-mouse", "macaque": "shuffled"},
        1000,
    ),
    "monkey": Study(
        training.MONKEY.fast(epochs=15).replace(
            network=MONKEY_NETWORK, precision="float32"
        ),
        "tinyimagenet:{}/tiny/tiny-imagenet-50",
        ("none", "monkey"),
        towards,
        {},
        300,
    ),
    "v1": Study(
        training.MOUSE.fast(epochs=2).replace(
            precision="float32", batch_size=64, n_pairs=6, validation=0.04
        ),
        "cifar10:{}/cifar10",
        V1_CONDITIONS,
        photographed,
        {c: "shuffled" for c in V1_CONDITIONS if c not in ("none", "shuffled")},
        500,
        n_corruption=500,
        n_noise=2000,
        alphas=(20.0, 6.0, 2.0),
    ),
}


def parser(description: str) -> argparse.ArgumentParser:
    """Return the command line that both scripts share."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("study", choices=tuple(STUDIES))
    made.add_argument("--data", type=Path, required=True)
    made.add_argument("--work", type=Path, required=True)
    made.add_argument(
        "--seeds", type=int, nargs="+", choices=SEEDS, default=SEEDS, help="of networks"
    )
    made.add_argument("--conditions", nargs="+", help="by default all")
    made.add_argument("--device", default="cpu")
    return made


def prepared(options: argparse.Namespace) -> tuple[Study, Where, Path]:
    """Return a study, its folders and its page; set torch's precision."""
    torch.backends.cudnn.benchmark = True  # batches have one shape
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32 on every device
    options.work.mkdir(parents=True, exist_ok=True)
    study, page = STUDIES[options.study], RESULTS / f"regularized-{options.study}.md"
    options.conditions = options.conditions or study.conditions
    alphas = page.with_suffix("") / "alphas.csv"
    return study, Where(options.data, options.work, alphas, options.device), page


def main() -> None:
    options = parser(__doc__.splitlines()[0]).parse_args()
    study, where, _ = prepared(options)
    for one in networks(study, where, options.seeds, options.conditions):
        print(f"{one.folder.name}: held-out {held_out(one):.3f}", flush=True)


if __name__ == "__main__":
    main()
