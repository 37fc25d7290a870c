"""Compare settings of BrendelBethge by counts of gradients, to choose its defaults.

Usage: python benches/attack_schedules.py run --data DIR --cifar10 DIR [--images 60]
       python benches/attack_schedules.py page --out FOLDER

Networks and folders are those of robust_accuracy.py; the images are the first ones of
the test set that a network classifies correctly. The networks of ImageNet get the first
photographs of images/imagenet-sample-80.zip, with the classes that they predict. Each
network and norm goes to a CSV; `page` fills the tables in
docs/results/bench-attack-schedules.md.
"""

from __future__ import annotations

import argparse
import csv
import warnings
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pages import fill
from PIL import Image
from robust_accuracy import CORES, ROOT, SPECS, load

import neurofreq as nf

BB = nf.attacks.BrendelBethge
RESIDUAL = ("resnet20", "standard-0", "adversarial-8")
# The mean and the deviation of the inputs of networks with 1000 classes.
IMAGENET = {
    "squeezenet1_0": ((0.4824, 0.4588, 0.4078), (1.0, 1.0, 1.0)),
    "mobilenet_v2": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
PAGE = ROOT / "docs" / "results" / "bench-attack-schedules.md"
COLUMNS = ("network", "norm", "task", "settings", "image", "gradients", "distance")


def settings(norm: str, task: str) -> dict[str, Any]:
    """Return the attacks to compare."""
    quick = {"patience": 2, "decay": 0.5}
    if task == "targeted":
        slow = {"patience": 3, "decay": 0.7}
        return {
            "quick": BB(norm, **quick),
            "default": BB(norm),
            "descent of 100, quick": BB(norm, descent=100, **quick),
            "descent of 300, default": BB(norm, descent=300, **slow),
        }
    return {
        "version 0.1": BB.v0_1(norm),
        "version 0.1, quick": BB(norm, survey=0, **quick),
        "survey of 3, quick": BB(norm, survey=3, **quick),
        "survey of 9, quick": BB(norm, survey=9, **quick),
        "survey of 9, slow": BB(norm, survey=9, patience=3, decay=0.7),
        "survey of 9, quick, two classes": BB(
            norm, survey=9, n_starts=2, restarts=1, **quick
        ),
    }


def surveys(norm: str) -> dict[str, Any]:
    """Return attacks that survey more and more classes."""
    found = {"version 0.1, quick": BB(norm, survey=0, patience=2, decay=0.5)}
    for k in (3, 9, 30):
        found[f"survey of {k}, quick"] = BB(norm, survey=k, patience=2, decay=0.5)
    return found


def imagenet(name: str, data: Path, n: int) -> tuple[Any, Any, Any]:
    """Return a network of ImageNet, and photographs with the classes it predicts."""
    import torchvision

    mean, deviation = (torch.tensor(v)[:, None, None] for v in IMAGENET[name])
    network = torchvision.models.get_model(name)
    path = data / f"imagenet-classifiers/{name}_half.pth"
    state = torch.load(path, weights_only=True, map_location="cpu")
    network.load_state_dict({k: v.float() if v.is_floating_point() else v
                             for k, v in state.items()})  # fmt: skip

    class Normalized(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network((x - mean) / deviation)

    model = Normalized().eval().requires_grad_(False)
    pixels = []
    with zipfile.ZipFile(data / "images/imagenet-sample-80.zip") as archive:
        for one in sorted(archive.namelist())[:n]:
            with archive.open(one) as file:
                picture = Image.open(file).convert("RGB")
            scale = 256 / min(picture.size)
            picture = picture.resize([round(scale * side) for side in picture.size])
            left, top = ((side - 224) // 2 for side in picture.size)
            pixels.append(np.asarray(picture.crop((left, top, left + 224, top + 224))))
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        return model, images, model(images).argmax(1).numpy()


def images_of(model: Any, folder: Path, n: int) -> tuple[Any, Any, Any]:
    """Return the first images that a network classifies correctly, and targets."""
    data = nf.data.open_data(f"cifar10:{folder}")
    labels = np.asarray(data.labels)
    targets = nf.attacks.shuffled_targets(labels, seed=0)
    pixels = torch.from_numpy(np.asarray(data.images[: 3 * n + 100])).float() / 255
    with torch.no_grad():
        predicted = torch.cat([model(part).argmax(1) for part in pixels.split(100)])
    rows = np.flatnonzero(predicted.numpy() == labels[: len(pixels)])[:n]
    return pixels[rows], labels[rows], targets[rows]


def run(options: argparse.Namespace) -> None:
    warnings.filterwarnings("ignore", message=".*random weights")
    folder = options.out or ROOT / f"benches/results/{date.today()}-{CORES}cores"
    folder = folder / "attack-schedules"
    folder.mkdir(parents=True, exist_ok=True)
    for network in options.networks:
        is_small = network in RESIDUAL or network in IMAGENET
        n = options.images // 3 if is_small else options.images
        targets = None
        if network in IMAGENET:
            model, images, labels = imagenet(network, options.data, n)
        else:
            model = load(network, options.data)
            images, labels, targets = images_of(model, options.cifar10, n)
        for norm in options.norms:
            place = folder / f"{network}-{norm}.csv"
            if place.exists():
                continue
            if network in IMAGENET:
                tasks = {"untargeted": surveys(norm)}
            else:
                tasks = {t: settings(norm, t) for t in ("untargeted", "targeted")}
            rows = []
            for task, attacks in tasks.items():
                wanted = targets if task == "targeted" else None
                for name, attack in attacks.items():
                    found = attack(model, images, labels, targets=wanted)
                    pairs = zip(found.n_gradients.tolist(), found.distance.tolist(),
                                strict=True)  # fmt: skip
                    rows += [
                        (network, norm, task, name, i, gradients, f"{distance:.7g}")
                        for i, (gradients, distance) in enumerate(pairs)
                    ]
                    print(network, norm, task, name, flush=True)
            with place.open("w", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(COLUMNS)
                writer.writerows(rows)
            print(place.name, flush=True)


def page(folder: Path) -> None:
    import pandas as pd

    parts = [pd.read_csv(place) for place in sorted(folder.glob("**/*.csv"))]
    frame = pd.concat(parts)
    least = frame.groupby(["network", "norm", "task", "image"]).distance.transform(
        "min"
    )
    frame["excess"] = frame.distance / least
    for task in ("untargeted", "targeted"):
        lines = ["| network, norm, images | settings | gradients | median | mean "
                 "| excess | > 1 % |", "|---|---|---|---|---|---|---|"]  # fmt: skip
        chosen = frame[frame.task == task]
        for (network, norm), group in chosen.groupby(["network", "norm"], sort=False):
            title = f"{network}, {norm}, {group.image.nunique()}"
            for name, one in group.groupby("settings", sort=False):
                d, excess = one.distance, one.excess
                lines.append(
                    f"| {title} | {name} | {one.gradients.mean():.0f} "
                    f"| {d.median():.4g} | {d.mean():.4g} "
                    f"| {100 * (np.exp(np.log(excess).mean()) - 1):.2f} % "
                    f"| {100 * (excess > 1.01).mean():.0f} % |"
                )
                title = ""
        fill(PAGE, task, "\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run")
    runs.add_argument("--data", type=Path, required=True)
    runs.add_argument("--cifar10", type=Path, required=True)
    runs.add_argument(
        "--images", type=int, default=60, help="a third for residual ones"
    )
    runs.add_argument("--networks", nargs="*", default=[*SPECS, *IMAGENET])
    runs.add_argument("--norms", nargs="*", default=["linf", "l2"])
    runs.add_argument("--out", type=Path)
    pages = commands.add_parser("page")
    pages.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.command == "run":
        run(options)
    else:
        page(options.out / "attack-schedules")


if __name__ == "__main__":
    main()
