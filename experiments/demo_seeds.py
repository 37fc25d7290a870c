"""Run the demo with several seeds, and count how often the paper's claims hold.

Usage: python experiments/demo_seeds.py --out OUT [--seeds 0 1 2 3 4]

Trains and measures the two networks of ``neurofreq demo`` with each seed. A finished
seed in OUT is not run again. The numbers go to docs/results/demo/, and the table to
docs/results/demo.md.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd
from _pages import fill

from neurofreq import demo

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results" / "demo.md"
CLAIMS = {  # the sign of the difference from the baseline, as in the paper
    "f_rev": ("reversal frequency, of Nyquist", "lower", -1, 1.0, 3),
    "f_half": ("half-power frequency, cycles/pixel", "lower", -1, 1.0, 3),
    "median_linf": ("median perturbation, 1/255", "larger", 1, 255.0, 2),
    "corruption_accuracy": ("accuracy, 15 corruptions, %", "higher", 1, 100.0, 1),
    "clean_accuracy": ("clean accuracy, %", "lower", -1, 100.0, 1),
}


def measured(seed: int, out: Path) -> pd.DataFrame:
    """Return both values of each claim, their difference and its interval."""
    kept = out / f"seed-{seed}.csv"
    if kept.exists():
        return pd.read_csv(kept)
    start = time.perf_counter()
    report = demo.run(out / f"report-{seed}", seed=seed, progress=False)
    took = time.perf_counter() - start
    values = report.summary.set_index("model")
    rows = report.tables["differences"].set_index("quantity").reindex(CLAIMS)
    found = rows[["difference", "low", "high"]].reset_index()
    found.insert(0, "seed", seed)
    for name in (demo.BASELINE, demo.NEURAL):
        found[name] = [float(values.loc[name, quantity]) for quantity in CLAIMS]
    found.to_csv(kept, index=False)
    print(f"seed {seed}: {took:.0f} s", *demo.sentences(report), sep="\n", flush=True)
    return found


def table(rows: pd.DataFrame) -> str:
    """Return a Markdown table: values by seed, and in how many seeds a claim holds."""
    seeds = rows["seed"].unique()
    lines = [
        f"| | as in the paper | {' | '.join(f'seed {s}' for s in seeds)} | holds in |",
        "|---" * (len(seeds) + 3) + "|",
    ]
    for quantity, (title, direction, sign, factor, digits) in CLAIMS.items():
        cells, n_held = [], 0
        for row in rows[rows["quantity"] == quantity].to_dict("records"):
            both = [factor * row[name] for name in (demo.BASELINE, demo.NEURAL)]
            low, high = sorted((sign * row["low"], sign * row["high"]))
            word = "yes" if low > 0 else "reversed" if high < 0 else "undecided"
            n_held += word == "yes"
            cells.append(f"{both[0]:.{digits}f}, {both[1]:.{digits}f}: {word}")
        share = f"{n_held} of {len(seeds)} seeds"
        lines.append(f"| {title} | {direction} | {' | '.join(cells)} | {share} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = pd.concat([measured(seed, options.out) for seed in options.seeds])
    folder = PAGE.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / "seeds.csv", index=False)
    fill(PAGE, "numbers", table(rows))


if __name__ == "__main__":
    main()
