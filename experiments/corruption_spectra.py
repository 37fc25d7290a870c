"""Draw which frequencies each corruption changes, on real images.

Usage: python experiments/corruption_spectra.py --tinyimagenet ZIP [--n 200]

Corrupts color validation images of Tiny ImageNet at severity 3 and converts them to
gray afterwards, as in the paper. The spectra are of corrupted - clean. Writes
docs/corruptions/spectra.png (a map per corruption), groups.png (cumulative radial
profiles by group) and half_power.csv.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image

import neurofreq as nf

mpl.use("Agg")
from matplotlib import pyplot as plt

OUT = Path(__file__).resolve().parents[1] / "docs/corruptions"
WEIGHTS = np.array([0.2989, 0.587, 0.114])
COLOURS = {"low": "tab:blue", "medium": "tab:green", "high": "tab:red"}


def load(path: Path, count: int) -> np.ndarray:
    """Return (count, 64, 64, 3) uint8 validation images."""
    archive = zipfile.ZipFile(path)
    names = [n for n in archive.namelist() if "/val/" in n or n.startswith("val/")]
    names = sorted(n for n in names if n.lower().endswith((".jpeg", ".jpg")))
    streams = [io.BytesIO(archive.read(name)) for name in names[:count]]
    return np.stack([np.asarray(Image.open(s).convert("RGB")) for s in streams])


def power(images: np.ndarray, name: str) -> np.ndarray:
    worse = nf.corrupt(images, name, 3, seed=0, layout="nhwc")
    change = (worse.astype(np.float64) - images) @ WEIGHTS / 255
    return np.asarray(nf.power_spectrum(change[:, None], demean=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tinyimagenet", type=Path, required=True)
    parser.add_argument("--n", type=int, default=1000)
    options = parser.parse_args()
    images = load(options.tinyimagenet, options.n)
    powers = {
        name: power(images, name)
        for names in nf.CORRUPTION_GROUPS.values()
        for name in names
    }
    OUT.mkdir(parents=True, exist_ok=True)
    profiles = {
        name: nf.radial_profile(one, n_thresholds=25) for name, one in powers.items()
    }
    rows = ["group,corruption,half_power"]
    for group, names in nf.CORRUPTION_GROUPS.items():
        rows += [f"{group},{n},{profiles[n].half_power:.4f}" for n in names]
        mean = np.mean([profiles[n].half_power for n in names])
        rows.append(f"{group},mean,{mean:.4f}")
    (OUT / "half_power.csv").write_text("\n".join(rows) + "\n")
    print("\n".join(rows))

    figure, axes = plt.subplots(3, 7, figsize=(12, 5.6))
    for row, (group, names) in zip(axes, nf.CORRUPTION_GROUPS.items(), strict=True):
        for axis in row:
            axis.set_axis_off()
        for axis, name in zip(row, names, strict=False):
            axis.imshow(np.log(powers[name]), cmap="jet", extent=(-0.5, 0.5, -0.5, 0.5))
            axis.set_title(name.replace("_", " "), fontsize=8, color=COLOURS[group])
    figure.suptitle(
        f"log power of corrupted - clean, severity 3, {len(images)} Tiny ImageNet "
        "images; rows: low, medium, high"
    )
    figure.tight_layout()
    figure.savefig(OUT / "spectra.png", dpi=110)

    figure, axis = plt.subplots(figsize=(6, 4))
    for group, names in nf.CORRUPTION_GROUPS.items():
        curves = 100 * np.array([profiles[name].cumulative for name in names])
        x = profiles[names[0]].frequency
        axis.plot(x, curves.T, color=COLOURS[group], lw=0.6, alpha=0.6)
        axis.plot(x, curves.mean(0), color=COLOURS[group], lw=3, label=group)
    axis.axhline(50, color="gray", lw=0.5)
    axis.set(xlabel="frequency, cycles/pixel", ylabel="power below, %")
    axis.legend(title="group (mean thick)")
    figure.tight_layout()
    figure.savefig(OUT / "groups.png", dpi=110)


if __name__ == "__main__":
    main()
