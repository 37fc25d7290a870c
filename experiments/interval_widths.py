"""Measure how the interval of each quantity depends on the number of images.

Usage: python experiments/interval_widths.py --data cifar10:DIR --kept FOLDER

Measures three networks of the package on CIFAR-10 test images, keeps the raw values in
FOLDER (a killed run resumes), and takes many random subsets of n images. A row of
docs/concepts/intervals.csv has the mean half width of the 95 % bootstrap interval over
the subsets: of a network's quantity, or of the paired difference of two networks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import neurofreq as nf
from neurofreq.measured import Clean, Measured, Quantity

OUT = Path(__file__).resolve().parents[1] / "docs/concepts/intervals.csv"
MODELS = ("standard-0", "standard-1", "adversarial-8")
PAIRS = (("standard-1", "standard-0"), ("adversarial-8", "standard-0"))
SETTINGS = {"n_attack": 50, "n_hybrid": 200, "n_corruption": 50, "fold": True}
SIZES = (25, 50, 100, 200)
N_SUBSETS = 12


def of_images(model: Measured) -> dict[str, tuple[str, float, Quantity]]:
    """Return each quantity of a model with its unit and the factor to this unit."""
    cells = [model.results[f"corruption/{name}"] for name in nf.CORRUPTIONS[:15]]
    correct = np.concatenate([one.correct for one in cells])
    return {
        "f_rev": ("of Nyquist", 1.0, model.hybrid.reversal()),
        "f_half": ("cycles/pixel", 1.0, model.attack.half_power()),
        "median_linf": ("1/255", 255.0, model.attack.size("median")),
        "clean_accuracy": ("points", 100.0, model.clean.accuracy()),
        "corruption_accuracy": ("points", 100.0, Clean(correct).accuracy()),
    }


def widths(
    name: str, unit: str, factor: float, one: Quantity, other: Quantity | None
) -> list[dict[str, object]]:
    """Return a row for each number of images: value and mean half width."""
    found = []
    n_all = len(one.values)
    for n in (size for size in SIZES if size <= n_all):
        halves, values = [], []
        for subset in range(1 if n == n_all else N_SUBSETS):
            rows = np.random.default_rng(subset).permutation(n_all)[:n]
            few = Quantity(one.values[rows], one.statistic)
            estimate = (
                few.estimate()
                if other is None
                else few.minus(Quantity(other.values[rows], other.statistic))
            )
            halves.append(0.5 * (estimate.high - estimate.low))
            values.append(estimate.value)
        value, half = np.mean(values), np.mean(halves)
        row = {"quantity": name, "unit": unit, "n": n}
        found.append(row | {"value": factor * value, "half_width": factor * half})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--kept", type=Path, required=True)
    options = parser.parse_args()
    data = nf.data.load_data(options.data, split="test", n=200)
    models = [f"zoo:{name}" for name in MODELS]
    study = nf.studies.Study(data, models, "intervals", settings=SETTINGS)
    found = nf.studies.run(study, options.kept)
    known = {model.name: of_images(model) for model in found.measured}
    rows: list[dict[str, object]] = []
    for one, other in [*((name, "") for name in MODELS), *PAIRS]:
        for name, (unit, factor, quantity) in known[one].items():
            second = known[other][name][2] if other else None
            each = widths(name, unit, factor, quantity, second)
            rows += [{"model": one, "minus": other} | row for row in each]
    pd.DataFrame(rows).round(5).to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
