"""Write the reproduction page: six claims of Li et al. 2023 and what holds here.

Usage: python benches/reproduction.py STUDY [STUDY ...]

STUDY is the folder of a finished study, such as OUT/study of ``neurofreq figures
--data cifar10:DIR --out OUT``. Claims about regularized networks are taken from
docs/results/regularized-mouse and -monkey, whatever of them there is. Tables go
between the marks of docs/reproduction.md; what was not measured stays blank.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

import neurofreq as nf
from neurofreq.figures import _choose, _measures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from neurofreq.intervals import Estimate
    from neurofreq.studies import Measured
    from neurofreq.studies._analysis import Quantity

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "reproduction.md"
ROBUST = ("adv", "crp", "blur", "pca")
PAPER_REVERSAL = {"adv": 0.163, "blur": 0.2545, "crp": 0.278, "pca": 0.30}
PAPER_BASE = 0.44


class Row(NamedTuple):
    """One line of the page's table of claims."""

    claim: str
    ours: str
    paper: str
    verdict: str


def verdict(low: float, high: float, sign: int) -> str:
    """Say whether an interval of a difference lies on the paper's side of 0."""
    low, high = sorted((sign * low, sign * high))
    if low > 0.0:
        return "holds"
    return "does not hold" if high < 0.0 else "undecided"


def text(value: float, low: float, high: float, digits: int) -> str:
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def regularized(study: str, condition: str, words: str) -> list[Row]:
    """Return claims 1 to 3 of one condition, from the table of its study."""
    path = DOCS / "results" / f"regularized-{study}" / "table.csv"
    claims = [
        ("clean", 100.0, -1, 1, "costs clean accuracy, points", "-4.8", "-1.1"),
        ("noise 0.1", 100.0, 1, 1, "wins under noise of sd 0.1, points", "", ""),
        ("median linf", 1.0, 1, 2, "larger perturbations, 1/255", "1.64", "0.63"),
        ("f_0.5", 1.0, -1, 3, "lower f_0.5, cycles/pixel", "-0.122", "-0.014"),
        ("f_rev", 1.0, -1, 3, "lower f_rev, of Nyquist", "-0.155", "-0.05"),
    ]
    table = pd.read_csv(path) if path.exists() else None
    rows = []
    for quantity, scale, sign, digits, claim, mouse, monkey in claims:
        paper = mouse if study == "mouse" else monkey
        name = f"{words}: {claim}"
        if table is None:
            rows.append(Row(name, "", paper, ""))
            continue
        is_it = (table["quantity"] == quantity) & (table["condition"] == condition)
        one = table[is_it].iloc[0]
        keys = ("difference", "difference_low", "difference_high")
        value, low, high = (scale * one[key] for key in keys)
        n_seeds = int(one["seeds_above"] + one["seeds_below"])
        alike = int(max(one["seeds_above"], one["seeds_below"]))
        found = verdict(low, high, sign) if alike == n_seeds else "undecided"
        found += ", one seed" if n_seeds == 1 else ""
        ours = f"{text(value, low, high, digits)}, {alike}/{n_seeds} seeds"
        rows.append(Row(name, ours, paper, found))
    return rows


def grouped(
    models: Sequence[Measured], measure: Callable[[Measured], Quantity], group: str
) -> Quantity:
    members = [one for one in models if one.group == group]
    names = [one.name for one in members]
    return _measures.mean([measure(one) for one in members], names)


def across(models: Sequence[Measured]) -> list[Row]:
    """Return claim 4: size against f_0.5, and f_rev of every robust group."""
    table, _ = nf.figures.fig4(models)
    r = table[table["quantity"] == "correlation_log_size_f_half"].iloc[0]
    rows = [
        Row(
            f"4. over {len(models)} networks, Pearson's r of log size and f_0.5",
            text(r["value"], r["low"], r["high"], 2),
            "-0.93 (17)",
            verdict(r["low"], r["high"], -1),
        )
    ]
    base = grouped(models, _measures.reversal, "base")
    for group in ROBUST:
        claim = f"4. {group} has a lower f_rev than base"
        paper = f"{PAPER_REVERSAL[group] - PAPER_BASE:.2f}"
        if not any(one.group == group for one in models):
            rows.append(Row(claim, "", paper, ""))
            continue
        apart: Estimate = grouped(models, _measures.reversal, group).minus(base)
        ours = text(apart.value, apart.lower, apart.upper, 3)
        rows.append(Row(claim, ours, paper, verdict(apart.lower, apart.upper, -1)))
    return rows


def series(models: Sequence[Measured]) -> list[Row]:
    """Return claim 5: along the blur series, the peak of accuracy is inside."""
    blurred = {
        float(match.group(1)): one
        for one in models
        if one.group == "blur" and (match := _choose.SIGMA.search(one.name))
    }
    claim = "5. corruption accuracy, points: sigma {} above sigma {}"
    paper = {1.0: "about 4", 3.0: "about 6"}
    if not {1.0, 1.5, 2.0, 3.0} <= blurred.keys():
        return [Row(claim.format(1.5, end), "", paper[end], "") for end in paper]
    found = {s: _measures.corruption_accuracy(one) for s, one in blurred.items()}
    best = max((1.5, 2.0), key=lambda sigma: found[sigma].estimate().value)
    rows = []
    for end in (1.0, 3.0):
        apart = found[best].minus(found[end])
        low, high = 100 * apart.lower, 100 * apart.upper
        ours = text(100 * apart.value, low, high, 1)
        rows.append(
            Row(claim.format(best, end), ours, paper[end], verdict(low, high, 1))
        )
    return rows


def numbers(models: Sequence[Measured]) -> str:
    """Return each network's numbers."""
    lines = [
        "| network | group | clean, % | f_0.5, cycles/pixel | mean Linf, 1/255 | "
        "f_rev, of Nyquist | corruption accuracy, % |",
        "|---" * 7 + "|",
    ]
    for one in models:
        clean = float(one.arrays["clean"]["correct"].mean())
        cells = [f"{100 * clean:.1f}"]
        for quantity, scale, digits in (
            (_measures.half_power(one), 1.0, 3),
            (_measures.size(one), 255.0, 2),
            (_measures.reversal(one), 1.0, 3),
            (_measures.corruption_accuracy(one), 100.0, 1),
        ):
            e = quantity.estimate()
            cells.append(
                text(scale * e.value, scale * e.lower, scale * e.upper, digits)
            )
        lines.append(f"| {one.name} | {one.group} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", type=Path, metavar="STUDY")
    options = parser.parse_args()
    found = [nf.studies.load(folder) for folder in options.studies]
    everything = [one for study in found for one in study.measured]
    models = [one for one in everything if not one.is_gray]
    rows = [
        *regularized("mouse", "mouse", "1-3. mouse V1, recorded"),
        *regularized("mouse", "simulated", "1-3. simulated V1 in its place"),
        *regularized("monkey", "monkey", "1-3. macaque V1, predicted"),
        *across(_choose.robust("fig4", found).models),
        *series(models),
        Row("6. the same on ImageNet", "", "", ""),
    ]
    lines = ["| claim | ours | paper | |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    attacked = len(models[0].arrays["attack"]["distance"])
    mixed = len(models[0].arrays["hybrid"]["difference"])
    corrupted = models[0].arrays["corruption/fog"]["correct"].shape[1]
    body = (
        f"{chr(10).join(lines)}\n\n## Every network\n\n{attacked} images attacked, "
        f"{mixed} of hybrids, {corrupted} in each of 75 cells.\n\n{numbers(models)}\n"
    )
    before, mark, rest = PAGE.read_text().partition("<!-- numbers -->\n")
    after = rest.partition("<!-- end -->")[2]
    PAGE.write_text(f"{before}{mark}{body}<!-- end -->{after}")


if __name__ == "__main__":
    main()
