"""Train the networks of the package on CIFAR-10, measure them, and write their page.

Usage: python experiments/zoo.py --data DIR --work FOLDER [--device cuda] [NAME ...]

DIR holds ``cifar10`` (an official layout, unpacked) and, for the gray network towards
mouse V1, ``neural``. Trains the networks named, or all. A stopped run resumes in
FOLDER. A finished network is stored in the package with its card, and
docs/results/zoo.md is written with all networks of the package.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import neural_targets
import numpy as np
import torch
from _pages import fill
from _regularized_targets import scaled

import neurofreq as nf
from neurofreq import attacks, intervals, models, neural, training
from neurofreq.models import zoo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results" / "zoo.md"
WIDTH = 14
N_ATTACKED = 1000
COLOUR, GRAY = f"resnet18,base_width={WIDTH}", f"resnet18_gray,base_width={WIDTH}"


COMMON = {"batch_size": 512, "lr": 0.4, "precision": "float32"}


class Entry(NamedTuple):
    """A network: its group in the figures, its recipe and the changed settings."""

    group: str
    recipe: str
    epochs: int
    seed: int = 0
    network: str = COLOUR
    changes: Mapping[str, Any] = MappingProxyType({})
    start: str = ""
    """The network with the initial weights; by default, weights are random."""

    @property
    def chosen(self) -> dict[str, Any]:
        """Return the settings that differ from the recipe's fast settings."""
        own = {"network": self.start or self.network, "epochs": self.epochs}
        return own | COMMON | dict(self.changes)

    @property
    def settings(self) -> training.Recipe:
        """Return every training setting, equal on all machines."""
        return training.RECIPES[self.recipe].fast().replace(**self.chosen)

    def command(self, name: str, device: str) -> str:
        """Return the command that trains the network."""
        if self.recipe == "mouse":
            return (
                f"python experiments/zoo.py --data DIR --work FOLDER --device {device} "
                f"{name}"
            )
        options = "".join(f" --set {key}={value}" for key, value in self.chosen.items())
        return (
            f"neurofreq train {self.recipe} --fast{options} --seed {self.seed} "
            f"--data cifar10:DIR --out FOLDER --device {device}"
        )


SMALL = {"batch_size": 128, "lr": 0.1}
TUNED = SMALL | {"weight_decay": 2e-4}
STRONG = TUNED | {"epsilon": 12 / 255, "attack_steps": 2, "attack_step": 0.75}
ENTRIES = {
    "standard-0": Entry("base", "standard", 50),
    "standard-1": Entry("base", "standard", 50, seed=1),
    "adversarial-8": Entry(
        "adv", "adversarial", 10, changes=TUNED, start="zoo:standard-0"
    ),
    "adversarial-12": Entry(
        "adv", "adversarial_pgd", 10, changes=STRONG, start="zoo:standard-1"
    ),
    "noise": Entry("crp", "noise", 50),
    "augmix": Entry("crp", "augmix", 16, changes=SMALL | {"consistency": 0.0}),
    "blur-1.0": Entry("blur", "standard", 50, network=f"{COLOUR},blur=1.0"),
    "blur-1.5": Entry("blur", "standard", 50, network=f"{COLOUR},blur=1.5"),
    "blur-2.0": Entry("blur", "standard", 50, network=f"{COLOUR},blur=2.0"),
    "blur-3.0": Entry("blur", "standard", 50, network=f"{COLOUR},blur=3.0"),
    "pca-64": Entry("pca", "standard", 50, network=f"{COLOUR},pca=64"),
    "gray-standard": Entry("base", "standard", 50, network=GRAY),
    "gray-mouse": Entry("neural", "mouse", 10, network=GRAY, changes=SMALL),
}


class Place(NamedTuple):
    """Folders of data and training runs, and the device."""

    data: Path
    work: Path
    device: str


def trained(name: str, entry: Entry, place: Place) -> torch.nn.Module:
    """Return the trained network; read it if its run is complete."""
    towards: dict[str, Any] = {}
    if entry.recipe == "mouse":
        scans = neural_targets.mouse(place.data / "neural")[:2]
        judged = [scan.responses.select(images=scan.judged) for scan in scans]
        target = neural.mean_target(
            [one.similarity(weights=nf.reliability(one.trials)) for one in judged]
        )
        shown = scaled(scans[0].images[scans[0].judged])
        towards = {"similarity": target, "stimuli": shown}
    return training.train(
        entry.settings,
        nf.data.load_data(f"cifar10:{place.data / 'cifar10'}", split="train"),
        place.work / name,
        seed=entry.seed,
        device=place.device,
        progress=True,
        **towards,
    ).model


def measured(model: torch.nn.Module, place: Place) -> dict[str, NDArray[np.bool_]]:
    """Return which test images are classified correctly: clean, noisy, attacked."""
    test = nf.data.load_data(f"cifar10:{place.data / 'cifar10'}")
    if model.in_channels == 1:
        test = test.gray()
    images, labels = np.asarray(test.images), np.asarray(test.labels)
    rng = np.random.default_rng(0)
    noise = np.float32(0.1) * rng.standard_normal(images.shape, dtype=np.float32)
    model = model.to(place.device)
    attack = attacks.PGD(norm="linf", epsilon=8 / 255, steps=20, restarts=1)
    part = slice(0, N_ATTACKED)
    found = attack(model, images[part], labels[part], seed=0, progress=True)
    right = {"clean": named(model, images) == labels}
    # An image that was misclassified before is no success of the attack.
    right["pgd 8/255"] = right["clean"][part] & ~np.asarray(found.success)
    right["noise 0.1"] = named(model, (images + noise).clip(0, 1)) == labels
    return right


def named(model: torch.nn.Module, images: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the predicted class of every image."""
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = torch.from_numpy(images).split(500)
        logits = [model(part.to(device)).argmax(1).cpu() for part in parts]
    return torch.cat(logits).numpy()


def add(name: str, entry: Entry, place: Place) -> None:
    """Train a network, store it, and measure the stored weights."""
    model = trained(name, entry, place)
    whole = measured(model, place)["clean"].mean()
    card = models.ZooCard(
        name=name,
        spec=entry.network,
        group=entry.group,
        architecture=f"ResNet18 with {WIDTH} base channels",
        in_channels=model.in_channels,
        n_classes=10,
        recipe=entry.command(name, place.device),
        seed=entry.seed,
        data="CIFAR-10, 50,000 training images",
        accuracies={"clean": 100 * float(whole)},
        date=f"{datetime.date.today():%Y-%m-%d}",
    )
    models.write_zoo_model(model.cpu(), card)
    right = measured(models.load_model(f"zoo:{name}"), place)
    scores = {key: round(100 * float(value.mean()), 2) for key, value in right.items()}
    models.write_zoo_model(model, dataclasses.replace(card, accuracies=scores))
    change = 100 * abs(float(right["clean"].mean() - whole))
    print(f"{name}: {scores}; stored as float16: {change:.2f} points", flush=True)
    if change > 0.1:
        raise SystemExit(f"{name}: float16 changes the accuracy by {change:.2f} points")


def page() -> str:
    """Return the table of all networks in the package."""
    rows = [
        "| network | group | clean | PGD 8/255 | noise 0.1 | MB | trained |",
        "|---" * 7 + "|",
    ]
    commands = []
    for card in zoo.zoo_cards():
        size = (zoo.FOLDER / f"{card.name}.safetensors").stat().st_size / 1e6
        scores = card.accuracies
        cells = [
            interval(scores["clean"], 10_000),
            interval(scores["pgd 8/255"], N_ATTACKED),
            interval(scores["noise 0.1"], 10_000),
        ]
        rows.append(
            f"| zoo:{card.name} | {card.group} | {' | '.join(cells)} | {size:.2f} | "
            f"{card.date} |"
        )
        commands.append(f"# {card.name}\n{card.recipe}")
    text = "\n".join(rows)
    return f"{text}\n\n```sh\n{chr(10).join(commands)}\n```\n"


def interval(percent: float, n: int) -> str:
    """Return a percentage of n images with its 95 % bootstrap interval."""
    right = np.zeros(n)
    right[: round(percent * n / 100)] = 1.0
    low, high = intervals.percentile_interval(intervals.resampled_means(right))
    return f"{percent:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def write() -> None:
    """Put the table between the marks of the page."""
    fill(PAGE, "numbers", page())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ENTRIES))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--no-page", action="store_true", help="for several processes: one writes it"
    )
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = True  # batches have one shape
    if unknown := set(options.names) - ENTRIES.keys():
        parser.error(f"NAME: got {', '.join(unknown)}, expected {', '.join(ENTRIES)}")
    place = Place(options.data, options.work, options.device)
    for name in options.names or ENTRIES:
        add(name, ENTRIES[name], place)
    if not options.no_page:
        write()


if __name__ == "__main__":
    main()
