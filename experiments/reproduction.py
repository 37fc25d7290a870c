"""Write the reproduction page, which tests six claims of Li et al. 2023.

Usage: python experiments/reproduction.py [STUDY ...]

STUDY is the folder of a finished study, such as OUT/study of ``neurofreq figures
--data cifar10:DIR --out OUT``. Without a study, the table of networks is not changed.
The claims about regularized networks are read from docs/results/regularized-mouse and
-monkey, and our numbers beside the paper's from docs/results/figures. The tables are
written between the marks of docs/reproduction.md. Cells that were not measured are
blank.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from _pages import fill

import neurofreq as nf
from neurofreq.figures import choose
from neurofreq.figures import paper as published
from neurofreq.measured import groups
from neurofreq.studies.settings import USUAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neurofreq.intervals import Estimate
    from neurofreq.measured import Measured
    from neurofreq.studies import StudyResult

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "reproduction.md"
ROBUST = ("adv", "crp", "blur", "pca")
PAPER_REVERSAL = {"adv": 0.163, "blur": 0.2545, "crp": 0.278, "pca": 0.30}
PAPER_BASE = 0.44
# Sigma at which the paper's blur series peaks, and how far the peak is above others.
PEAK = 1.5
PAPER_ENDS = {1.0: "about 5", 3.0: "about 6"}
# Claims 1 to 3: quantity of the table, factor, sign of the claim, digits, words, and
# the paper's difference for the mouse and the monkey.
REGULARIZED = [
    ("clean", 100.0, -1, 1, "lower clean accuracy, points", "-4.8", "-1.1"),
    ("noise 0.1", 100.0, 1, 1, "higher accuracy, noise sd 0.1, points", "", ""),
    ("severity 1", 100.0, 1, 1, "higher accuracy, severity 1, points", "0.7", "2.7"),
    ("severity 2", 100.0, 1, 1, "higher accuracy, severity 2, points", "3.4", "3.0"),
    ("severity 3", 100.0, 1, 1, "higher accuracy, severity 3, points", "6.8", "2.7"),
    ("severity 4", 100.0, 1, 1, "higher accuracy, severity 4, points", "9.5", "2.7"),
    ("severity 5", 100.0, 1, 1, "higher accuracy, severity 5, points", "10.9", "1.9"),
    ("low", 100.0, -1, 1, "lower accuracy, low frequencies, points", "-4.8", "0.8"),
    ("high - medium", 100.0, 1, 1,
     "larger gain at high than medium frequencies, points", "5.4", "3.7"),
    ("medium - low", 100.0, 1, 1,
     "larger gain at medium than low frequencies, points", "15.0", "1.6"),
    ("median linf", 1.0, 1, 2, "larger perturbations, 1/255", "1.64", "0.63"),
    ("f_0.5", 1.0, -1, 3, "lower f_0.5, cycles/pixel", "-0.122", "-0.014"),
    ("f_rev", 1.0, -1, 3, "lower f_rev, of Nyquist", "-0.155", "-0.05"),
]  # fmt: skip


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
    table = pd.read_csv(path) if path.exists() else None
    rows = []
    for quantity, scale, sign, digits, claim, mouse, monkey in REGULARIZED:
        paper = mouse if study == "mouse" else monkey
        name = f"{words}: {claim}"
        if table is None or quantity not in set(table["quantity"]):
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


def points(claim: str, apart: Estimate, paper: str) -> Row:
    """Return a row for a difference of accuracies that should be above 0."""
    value, low, high = (100.0 * x for x in (apart.value, apart.low, apart.high))
    return Row(claim, text(value, low, high, 1), paper, verdict(low, high, 1))


def across(found: Sequence[StudyResult]) -> list[Row]:
    """Return claim 4: size against f_0.5, and f_rev of every robust group."""
    models = choose.robust("fig4", found).models
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
    members: dict[str, list[Measured]] = {}
    for one in choose.robust("fig5", found).models:
        members.setdefault(one.group, []).append(one)
    for group in ROBUST:
        claim = f"4. {group} has a lower f_rev than base"
        paper = f"{PAPER_REVERSAL[group] - PAPER_BASE:.2f}"
        if group not in members or "base" not in members:
            rows.append(Row(claim, "", paper, ""))
            continue
        # From the group's mean curve, as in the paper's numbers and Figure 5a.
        ours, base = (
            groups.hybrid_profile(members[g]).crossing() for g in (group, "base")
        )
        apart = ours.minus(base)
        words = text(apart.value, apart.low, apart.high, 3)
        rows.append(Row(claim, words, paper, verdict(apart.low, apart.high, -1)))
    return rows


def series(found: Sequence[StudyResult]) -> list[Row]:
    """Return claim 5: accuracy peaks inside the blur series.

    The peak is at the paper's sigma, not at the best sigma on these images.
    """
    blurred = choose.robust("fig5", found).series or {}
    rows = []
    for end, paper in PAPER_ENDS.items():
        claim = f"5. corruption accuracy, points: sigma {PEAK} above sigma {end}"
        if not {PEAK, end} <= blurred.keys():
            rows.append(Row(claim, "", paper, ""))
            continue
        peak, other = (groups.mean_accuracy(blurred[s]) for s in (PEAK, end))
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
        if one.has("clean"):
            cells = [f"{100 * one.clean.correct.mean():.1f}"]
        for needed, measure, scale, digits in (
            ("attack", lambda model: groups.attack(model).half_power(), 1.0, 3),
            ("attack", lambda model: groups.attack(model).size("mean"), 255.0, 2),
            ("hybrid", lambda model: model.hybrid.reversal(), 1.0, 3),
            ("corruption", groups.corruption_accuracy, 100.0, 1),
        ):
            if not groups.has(one, needed):
                cells.append("")
                continue
            e = measure(one).estimate()
            cells.append(text(scale * e.value, scale * e.low, scale * e.high, digits))
        name = f"{one.name} (gray)" if one.is_gray else one.name
        lines.append(f"| {name} | {one.group} | {' | '.join(cells)} |")
    return "\n".join(lines)


def claims(rows: Sequence[Row]) -> str:
    lines = ["| claim | ours | paper | result |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def of_training() -> str:
    """Return the table of claims 1 to 3."""
    return claims(
        [
            *regularized("mouse", "mouse", "mouse V1, recorded"),
            *regularized("mouse", "simulated", "simulated V1"),
            *regularized("monkey", "monkey", "macaque V1, predicted"),
        ]
    )


def of_networks(found: Sequence[StudyResult]) -> str:
    """Return the table of claims 4 to 6, and that of every network."""
    models, _ = choose.together(found, USUAL)
    models.sort(key=lambda one: one.is_gray)
    rows = [
        *across(found),
        *series(found),
        Row("6. claims 4 and 5 on ImageNet", "", "", ""),
    ]
    whole = next(one for one in models if groups.has(one, *USUAL))
    attacked, mixed = whole.attack.n_images, whole.hybrid.n_images
    corrupted = groups.corrupted(whole).correct.shape[2]
    return (
        f"{claims(rows)}\n## Every network\n\n{attacked} images are attacked, {mixed} "
        f"are mixed to hybrid images, and {corrupted} are shown in each of 75 cells "
        f"(corruption and severity).\n\n{numbers(models)}\n"
    )


def beside() -> str:
    """Return the paper's numbers beside ours of docs/results/figures, blank if none."""
    near = pd.read_csv(DOCS / "results" / "figures" / "compare.csv")
    ours = {}
    for row in near.to_dict("records"):
        place = None if pd.isna(row["x"]) else round(row["x"], 6)
        key = (row["figure"], row["panel"], published.who(row), row["quantity"], place)
        ours[key] = f"{row['ours']:.3g}"
    lines: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for (*key, x), value in published.numbers().items():
        if not pd.isna(value):
            pair = ours.get((*key, x), ""), f"{value:.3g}"
            lines.setdefault(tuple(key), []).append(pair)
    rows = ["| figure | network or group | quantity | ours | paper |", "|---" * 5 + "|"]
    for (figure, panel, who, quantity), pairs in lines.items():
        mine, theirs = (
            ", ".join(filter(None, one)) for one in zip(*pairs, strict=True)
        )
        name = f"{figure.removeprefix('fig')}{panel}"
        rows.append(f"| {name} | {who} | {quantity} | {mine} | {theirs} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", type=Path, metavar="STUDY")
    options = parser.parse_args()
    fill(PAGE, "training", of_training())
    fill(PAGE, "paper", beside())
    if not options.studies:
        return
    found = [nf.studies.load(folder) for folder in options.studies]
    fill(PAGE, "networks", of_networks(found))
    for name in ("fig4", "fig5"):
        print(f"{name}: {choose.robust(name, found).note or 'of all networks'}")


if __name__ == "__main__":
    main()
