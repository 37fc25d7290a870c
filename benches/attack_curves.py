"""Draw how the distance falls with the queries, for several settings of the attack.

Usage: python benches/attack_curves.py --data DIR [--gray WEIGHTS] [--images 64]

Data are as in attack.py. Draws docs/results/bench-attack/*.png: the geometric mean
over images of the nearest distance so far, relative to the final value of the best
setting, against queries with a gradient. Images that have ended keep their distance.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from attack import ROOT, load_model, task

import neurofreq as nf

QUERIES = np.unique(np.geomspace(10, 1010, 120).astype(int))


def settings(norm: str) -> dict[str, Any]:
    """Return the settings to compare."""
    make = nf.attacks.BrendelBethge
    return {
        "default": make(norm),
        "momentum 0.5": make(norm, momentum=0.5),
        "momentum 0.85": make(norm, momentum=0.85),
        "patience 2, decay 0.5": make(norm, patience=2, decay=0.5),
        "patience 5": make(norm, patience=5),
        "published": make.published(norm),
    }


def curve(attack: Any, model: Any, what: dict[str, Any]) -> tuple[Any, float]:
    """Return the geometric mean distance at each count, and the mean count."""
    found = attack(model, **what, trajectory=True)
    rows = []
    for path in found.trajectory:
        last = np.searchsorted(path[:, 0], QUERIES, side="right") - 1
        rows.append(np.log(path[np.maximum(last, 0), 1]))
    return np.exp(np.mean(rows, axis=0)), float(found.n_queries.double().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--gray", type=Path)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--models", nargs="*", default=["cnn_a_mix4"])
    options = parser.parse_args()
    folder = ROOT / "docs" / "results" / "bench-attack"
    folder.mkdir(parents=True, exist_ok=True)
    for name in options.models:
        model = load_model(name, options.data, options.gray)
        what = task(name, model, options.data, options.images)
        figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
        for ax, norm in zip(axes, ("linf", "l2"), strict=True):
            curves = {k: curve(v, model, what) for k, v in settings(norm).items()}
            least = min(values[-1] for values, _ in curves.values())
            for label, (values, count) in curves.items():
                shown = max(count, 20) >= QUERIES
                (line,) = ax.plot(QUERIES, values / least, lw=0.8, alpha=0.4)
                ax.plot(
                    QUERIES[shown],
                    values[shown] / least,
                    color=line.get_color(),
                    label=f"{label} ({count:.0f})",
                )
                print(name, norm, label, f"{count:.0f}", f"{values[-1] / least:.4f}")
            ax.set(xscale="log", ylim=(0.99, 1.3), title=f"{name}, {norm}")
            ax.set(xlabel="queries", ylabel="distance / best")
            ax.legend(fontsize=7, title="mean queries in brackets", title_fontsize=7)
        figure.savefig(folder / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main()
