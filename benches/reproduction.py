"""Write the reproduction page: six claims of Li et al. 2023 and what holds here.

Usage: python benches/reproduction.py STUDY [STUDY ...]

STUDY is the folder of a finished study, such as OUT/study of ``neurofreq figures
--data cifar10:DIR --out OUT``. Claims about regularized networks are taken from
docs/results/regularized-mouse and -monkey, whatever of them there is; of the gray
networks of the package under corruptions, from the first STUDY that has both. Tables
go between the marks of docs/reproduction.md; what was not measured stays blank.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

import neurofreq as nf
from neurofreq import _groups
from neurofreq.data._corrupted import SEVERITIES
from neurofreq.figures import _choose, _measures, _panels
from neurofreq.studies import _analysis
from neurofreq.studies._settings import MEASUREMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neurofreq.intervals import Estimate
    from neurofreq.studies import Measured, StudyResult
    from neurofreq.studies._analysis import Quantity

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "reproduction.md"
ROBUST = ("adv", "crp", "blur", "pca")
PAPER_REVERSAL = {"adv": 0.163, "blur": 0.2545, "crp": 0.278, "pca": 0.30}
PAPER_BASE = 0.44
# Sigma of the peak of the blur series, fixed by the paper, and its height above others.
PEAK = 1.5
PAPER_ENDS = {1.0: "about 4", 3.0: "about 6"}
# By severity and frequency group: where the gray pair of Fig 2 is compared, its gain.
PAPER_GAINS = {
    "1": ("at severity 1", "0.7"),
    "2": ("at severity 2", "3.4"),
    "3": ("at severity 3", "6.8"),
    "4": ("at severity 4", "9.5"),
    "5": ("at severity 5", "10.9"),
    "low": ("under low frequencies", "-4.8"),
    "medium": ("under medium frequencies", "10.2"),
    "high": ("under high frequencies", "15.6"),
}


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


def pair(found: Sequence[StudyResult]) -> list[Row]:
    """Return claim 1 under corruptions, of the gray pair of the first study with it."""
    mouse, standard = "gray-mouse", "gray-standard"
    gains: dict[str, Quantity] = {}
    for study in found:
        named = {m.name: m for m in study.measured if _measures.has(m, "corruption")}
        if {mouse, standard} <= named.keys():
            gains = gained(named[mouse], named[standard])
            break
    rows = []
    for key, (words, paper) in PAPER_GAINS.items():
        name = f"1. {mouse} less {standard}, accuracy {words}, points"
        if not gains:
            rows.append(Row(name, "", paper, ""))
            continue
        apart = gains[key].estimate()
        # Of low frequencies the claim is that the gain is the least: see below.
        rows.append(points(name, apart, paper, has_verdict=key != "low"))
    for most, least, paper in (("high", "medium", "5.4"), ("medium", "low", "15.0")):
        name = f"1. it gains more under {most} than under {least} frequencies, points"
        if not gains:
            rows.append(Row(name, "", paper, ""))
            continue
        rows.append(points(name, gains[most].minus(gains[least]), paper))
    one_seed = (f"{row.verdict}, one seed" if row.verdict else "" for row in rows)
    return [row._replace(verdict=v) for row, v in zip(rows, one_seed, strict=True)]


def gained(model: Measured, base: Measured) -> dict[str, Quantity]:
    """Return how much more a model gets right, by severity and by frequency group."""
    ours, theirs = _measures.corrupted(model), _measures.corrupted(base)
    gain = ours.correct.astype(float) - theirs.correct  # a mean of it is paired
    parts = {str(s): gain[:, i] for i, s in enumerate(SEVERITIES)}
    for band in _groups.GROUPS:
        parts[band] = gain[[_groups.group_of(n) == band for n in ours.corruptions]]
    return {key: _analysis.accuracy(part) for key, part in parts.items()}


def points(claim: str, apart: Estimate, paper: str, *, has_verdict: bool = True) -> Row:
    """Return a line about a difference of accuracies that should be above 0."""
    value, low, high = (100.0 * x for x in (apart.value, apart.lower, apart.upper))
    found = verdict(low, high, 1) if has_verdict else ""
    return Row(claim, text(value, low, high, 1), paper, found)


def across(found: Sequence[StudyResult]) -> list[Row]:
    """Return claim 4: size against f_0.5, and f_rev of every robust group."""
    models = _choose.robust("fig4", found).models
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
    members = _panels.grouped(_choose.robust("fig5", found).models)
    for group in ROBUST:
        claim = f"4. {group} has a lower f_rev than base"
        paper = f"{PAPER_REVERSAL[group] - PAPER_BASE:.2f}"
        if group not in members or "base" not in members:
            rows.append(Row(claim, "", paper, ""))
            continue
        # Of the group's mean curve, as the paper's numbers and Figure 5a.
        ours, base = (_measures.mean_reversal(members[g]) for g in (group, "base"))
        apart = ours.minus(base)
        words = text(apart.value, apart.lower, apart.upper, 3)
        rows.append(Row(claim, words, paper, verdict(apart.lower, apart.upper, -1)))
    return rows


def series(found: Sequence[StudyResult]) -> list[Row]:
    """Return claim 5: along the blur series, the peak of accuracy is inside.

    The peak is the paper's sigma, not the best of these images.
    """
    blurred = _choose.robust("fig5", found).series or {}
    rows = []
    for end, paper in PAPER_ENDS.items():
        claim = f"5. corruption accuracy, points: sigma {PEAK} above sigma {end}"
        if not {PEAK, end} <= blurred.keys():
            rows.append(Row(claim, "", paper, ""))
            continue
        peak, other = (_measures.mean_accuracy(blurred[s]) for s in (PEAK, end))
        rows.append(points(claim, peak.minus(other), paper))
    return rows


def numbers(models: Sequence[Measured]) -> str:
    """Return each network's numbers; blank where it was not measured."""
    lines = [
        "| network | group | clean, % | f_0.5, cycles/pixel | mean Linf, 1/255 | "
        "f_rev, of Nyquist | corruption accuracy, % |",
        "|---" * 7 + "|",
    ]
    for one in models:
        cells = [""]
        if _measures.has(one, "clean"):
            cells = [f"{100 * one.arrays['clean']['correct'].mean():.1f}"]
        for needed, measure, scale, digits in (
            ("attack", _measures.half_power, 1.0, 3),
            ("attack", _measures.size, 255.0, 2),
            ("hybrid", _measures.reversal, 1.0, 3),
            ("corruption", _measures.corruption_accuracy, 100.0, 1),
        ):
            if not _measures.has(one, needed):
                cells.append("")
                continue
            e = measure(one).estimate()
            cells.append(
                text(scale * e.value, scale * e.lower, scale * e.upper, digits)
            )
        name = f"{one.name} (gray)" if one.is_gray else one.name
        lines.append(f"| {name} | {one.group} | {' | '.join(cells)} |")
    return "\n".join(lines)


def body(found: Sequence[StudyResult]) -> str:
    """Return what stands between the marks."""
    models, _ = _choose.together(found, MEASUREMENTS)
    models.sort(key=lambda one: one.is_gray)
    rows = [
        *regularized("mouse", "mouse", "1-3. mouse V1, recorded"),
        *regularized("mouse", "simulated", "1-3. simulated V1 in its place"),
        *regularized("monkey", "monkey", "1-3. macaque V1, predicted"),
        *pair(found),
        *across(found),
        *series(found),
        Row("6. the same on ImageNet", "", "", ""),
    ]
    lines = ["| claim | ours | paper | |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    whole = next(m for m in models if all(_measures.has(m, k) for k in MEASUREMENTS))
    attacked = len(whole.arrays["attack"]["distance"])
    mixed = len(whole.arrays["hybrid"]["difference"])
    corrupted = whole.arrays["corruption/fog"]["correct"].shape[1]
    return (
        f"{chr(10).join(lines)}\n\n## Every network\n\n{attacked} images attacked, "
        f"{mixed} of hybrids, {corrupted} in each of 75 cells.\n\n{numbers(models)}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", type=Path, metavar="STUDY")
    options = parser.parse_args()
    found = [nf.studies.load(folder) for folder in options.studies]
    written = body(found)
    for name in ("fig4", "fig5"):
        print(f"{name}: {_choose.robust(name, found).note or 'of all networks'}")
    before, mark, rest = PAGE.read_text().partition("<!-- numbers -->\n")
    after = rest.partition("<!-- end -->")[2]
    PAGE.write_text(f"{before}{mark}{written}<!-- end -->{after}")


if __name__ == "__main__":
    main()
