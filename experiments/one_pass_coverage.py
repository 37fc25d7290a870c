"""Count how often intervals of one pass cover a known value.

Usage: python experiments/one_pass_coverage.py

Draws new images of known spectra, answers to hybrids and answers to corruptions 1000
times, and counts how often the 95 % interval of the accumulator has the true value.
Writes docs/concepts/coverage.csv, and a table into docs/concepts/intervals.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "benches"), str(ROOT / "tests")]

from helpers import coverage  # noqa: E402
from pages import fill  # noqa: E402

N_REPLICATIONS = 1000
N_IMAGES = (100, 200, 400)
N_RESAMPLES = 1000


def main() -> None:
    rows = []
    for name, covers in coverage.CASES.items():
        for n_images in N_IMAGES:
            hits = [
                covers(
                    np.random.default_rng([n_images, seed]),
                    n_images=n_images,
                    n_resamples=N_RESAMPLES,
                    seed=seed,
                )
                for seed in range(N_REPLICATIONS)
            ]
            rows.append(
                {
                    "quantity": name,
                    "images": n_images,
                    "replications": N_REPLICATIONS,
                    "coverage": np.mean(hits),
                }
            )
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(ROOT / "docs/concepts/coverage.csv", index=False)
    lines = ["| quantity | images | coverage (%) |", "|---|---|---|"]
    lines += [
        f"| {row.quantity} | {row.images} | {100 * row.coverage:.1f} |"
        for row in table.itertuples()
    ]
    fill(ROOT / "docs/concepts/intervals.md", "coverage", "\n".join(lines))


if __name__ == "__main__":
    main()
