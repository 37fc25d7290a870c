"""Measure differences between our corruptions and the package imagecorruptions.

Usage: python benches/corruption_truth.py --photos FOLDER_OR_ZIP --cifar10 FOLDER
           --frost FOLDER --resnet20 WEIGHTS

Both use the constants of ImageNet-C and the photographs of frost. On photographs of
224 pixels, deterministic corruptions are compared pixel by pixel, and random ones by
the mean, spread and half-power frequency of their change. On CIFAR-10 test images, the
accuracy of a ResNet-20 is compared. The tables go into docs/corruptions.md.
`_imagecorruptions.py` describes how to install the package.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import _imagecorruptions
import numpy as np
import torch
from corruptions import SEVERITIES, photographs
from pages import fill

import neurofreq as nf

ROOT = Path(__file__).resolve().parents[1]
DETERMINISTIC = (
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate",
    "jpeg_compression", "gaussian_blur", "saturate",
)  # fmt: skip


def both(
    images: np.ndarray, name: str, severity: int, frost: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return our and their corrupted uint8 images (N, H, W, 3)."""
    np.random.seed(severity)  # noqa: NPY002  (the peer draws from it)
    peer = np.stack([_imagecorruptions.corrupt(i, name, severity) for i in images])
    own = nf.corrupt(
        images, name, severity, seed=severity, layout="nhwc", parameters="imagenet",
        textures=frost,
    )  # fmt: skip
    return own, peer


def half_power(change: np.ndarray) -> float:
    planes = np.ascontiguousarray(change.transpose(0, 3, 1, 2)).astype(np.float32)
    power = nf.power_spectrum(planes / 255, demean=False)
    return nf.radial_profile(power, n_thresholds=200).half_power


def pixels(images: np.ndarray, frost: Path) -> str:
    """Return the two tables on photographs."""
    exact = [
        "| deterministic | largest difference, gray levels | values that differ, % "
        "| by more than one level, % |",
        "|---|---|---|---|",
    ]
    random = [
        "| random | mean change, ours | theirs | s.e. of the difference "
        "| sd of change, ours | theirs | s.e. | f_0.5, ours | theirs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in nf.CORRUPTIONS:
        pairs = [both(images, name, s, frost) for s in SEVERITIES]
        own, peer = (
            np.stack(one).astype(np.float32) for one in zip(*pairs, strict=True)
        )
        print(name, flush=True)
        if name in DETERMINISTIC:
            away = np.abs(own - peer)
            exact.append(
                f"| {name} | {away.max():.0f} | {100 * (away > 0).mean():.2f} "
                f"| {100 * (away > 1).mean():.4f} |"
            )
            continue
        cells = []
        for measure in (np.mean, np.std):
            # Per image, over pixels and severities.
            a, b = (measure(x - images, axis=(0, 2, 3, 4)) for x in (own, peer))
            error = (a - b).std(ddof=1) / np.sqrt(len(images))
            cells.append(f"{a.mean():.2f} | {b.mean():.2f} | {error:.2f}")
        halves = [
            np.mean([half_power(x - images) for x in corrupted])
            for corrupted in (own, peer)
        ]
        random.append(
            f"| {name} | {' | '.join(cells)} | {halves[0]:.3f} | {halves[1]:.3f} |"
        )
    return "\n".join([*exact, "", *random])


def accuracy(data: Any, model: torch.nn.Module, frost: Path) -> str:
    """Return the table of accuracies on CIFAR-10 images."""
    images = np.round(data.images.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    labels = torch.from_numpy(np.asarray(data.labels))
    lines = [
        "| | resnet20 on ours, % | on theirs, % | difference | 95 % | within |",
        "|---|---|---|---|---|---|",
    ]
    for name in nf.CORRUPTIONS:
        right = np.zeros((2, len(images)))
        for severity in SEVERITIES:
            for row, corrupted in enumerate(both(images, name, severity, frost)):
                planes = torch.from_numpy(corrupted).permute(0, 3, 1, 2).float() / 255
                with torch.no_grad():
                    named = torch.cat([model(p).argmax(1) for p in planes.split(250)])
                right[row] += (named == labels).numpy() / len(SEVERITIES)
        difference = right[0] - right[1]
        mean = 100 * difference.mean()
        reach = 196 * difference.std(ddof=1) / np.sqrt(len(images))
        word = "yes" if abs(mean) <= reach else "**no**"
        lines.append(
            f"| {name} | {100 * right[0].mean():.1f} | {100 * right[1].mean():.1f} "
            f"| {mean:+.1f} | +-{reach:.1f} | {word} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("photos", "cifar10", "frost", "resnet20"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--n-photos", type=int, default=16)
    parser.add_argument("--n-cifar", type=int, default=500)
    options = parser.parse_args()
    model = nf.models.load_model("resnet20", weights=options.resnet20)
    data = nf.data.load_data(f"cifar10:{options.cifar10}", n=options.n_cifar)
    tables = (
        f"{options.n_photos} photographs of 224 pixels, five severities each:\n\n"
        + pixels(photographs(options.photos, 224, options.n_photos), options.frost)
        + f"\n\nThe first {options.n_cifar} CIFAR-10 test images, mean over five "
        "severities; the interval is of the paired difference:\n\n"
        + accuracy(data, model, options.frost)
    )
    page = ROOT / "docs/corruptions.md"
    fill(page, "truth", tables)


if __name__ == "__main__":
    main()
