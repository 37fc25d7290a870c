"""Make the tables of regularized_measures.py: estimates with intervals, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from neurofreq import intervals
from neurofreq.corruptions import grouping
from neurofreq.corruptions.folder import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neurofreq.measured.quantities import Quantity

NOISE = (0.02, 0.04, 0.06, 0.08, 0.1)
NAMES = {
    "clean": "clean accuracy",
    **{f"noise {sd:g}": f"accuracy, noise sd {sd:g}" for sd in NOISE},
    "corruptions": "accuracy, 15 corruptions",
    **{f"severity {s}": f"accuracy, severity {s}" for s in SEVERITIES},
    **{band: f"accuracy, {band} frequencies" for band in grouping.GROUPS},
    "high - medium": "accuracy, high minus medium frequencies",
    "medium - low": "accuracy, medium minus low frequencies",
    "f_rev": "f_rev, of Nyquist",
    "median linf": "median Linf, 1/255",
    "median of all": "median Linf, not found as infinite, 1/255",
    "f_0.5": "f_0.5, cycles/pixel",
}
PAPER = {  # sign of the difference from none, as in the paper
    "clean": -1, "noise 0.1": 1, "corruptions": 1, "f_rev": -1, "median linf": 1,
    "f_0.5": -1,
}  # fmt: skip


def estimates(
    found: dict[tuple[str, int], dict[str, Quantity]],
    conditions: tuple[str, ...],
    seeds: list[int],
    base: str = "none",
) -> pd.DataFrame:
    """Return each quantity of each condition: mean over seeds, intervals over images.

    Images are resampled, alike for all networks, so differences from the condition
    `base` are paired. The range over seeds is in separate columns.
    """
    rows = []
    for quantity in NAMES:
        if not all(quantity in one for one in found.values()):
            continue
        values, draws = {}, {}
        for (condition, seed), one in found.items():
            values[condition, seed] = one[quantity].estimate().value
            draws[condition, seed] = one[quantity].resampled()
        for condition in conditions:
            each = np.array([values[condition, seed] for seed in seeds])
            other = np.array([values[base, seed] for seed in seeds])
            drawn = np.mean([draws[condition, seed] for seed in seeds], axis=0)
            others = np.mean([draws[base, seed] for seed in seeds], axis=0)
            low, high = intervals.percentile_interval(drawn)
            less, more = intervals.percentile_interval(drawn - others)
            rows.append(
                {
                    "quantity": quantity, "condition": condition, "value": each.mean(),
                    "low": low, "high": high, "least_seed": each.min(),
                    "most_seed": each.max(), "difference": (each - other).mean(),
                    "difference_low": less, "difference_high": more,
                    "seeds_above": int((each > other).sum()),
                    "seeds_below": int((each < other).sum()),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def shown(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the measured quantities of the page and their titles, each once."""
    measured = rows.set_index(["quantity", "condition"])["value"]
    here = [name for name in NAMES if name in measured.index]
    if measured["median linf"].equals(measured["median of all"]):
        here.remove("median of all")
    return [(name, NAMES[name]) for name in here]


def table(rows: pd.DataFrame, conditions: tuple[str, ...]) -> str:
    """Return the Markdown table: conditions in columns."""
    lines = [
        "| | " + " | ".join(conditions) + " |",
        "|---" * (len(conditions) + 1) + "|",
    ]
    for quantity, title in shown(rows):
        cells = []
        for condition in conditions:
            one = at(rows, quantity, condition)
            cells.append(interval(quantity, one["value"], one["low"], one["high"]))
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(rows: pd.DataFrame, others: list[str], n_seeds: int, what: str) -> str:
    """Return the Markdown table of paired differences from "none" or a control."""
    lines = [
        f"| difference from {what} | " + " | ".join(others) + " |",
        "|---" * (len(others) + 1) + "|",
    ]
    for quantity, title in shown(rows):
        cells = []
        for condition in others:
            one = at(rows, quantity, condition)
            low, high = one["difference_low"], one["difference_high"]
            text = interval(quantity, one["difference"], low, high)
            alike = one["seeds_above" if one["difference"] > 0 else "seeds_below"]
            cells.append(f"{text}, {alike}/{n_seeds}")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdicts(
    rows: pd.DataFrame, conditions: tuple[str, ...], n_seeds: int, what: str
) -> str:
    """Return lines that tell whether each direction of the paper holds.

    `what` names the networks that the differences in `rows` are from.
    """
    lines = []
    for quantity, sign in PAPER.items():
        if quantity not in set(rows["quantity"]):
            continue
        held: dict[str, list[str]] = {
            "holds": [],
            "is reversed": [],
            "is undecided": [],
        }
        for condition in conditions:
            one = at(rows, quantity, condition)
            low, high = one["difference_low"] * sign, one["difference_high"] * sign
            low, high = min(low, high), max(low, high)
            agreed = n_seeds in (one["seeds_above"], one["seeds_below"])
            word = "is undecided"
            if agreed and low > 0:
                word = "holds"
            elif agreed and high < 0:
                word = "is reversed"
            held[word].append(condition)
        words = "; ".join(f"{key} for {', '.join(v)}" for key, v in held.items() if v)
        direction = "higher" if sign > 0 else "lower"
        lines.append(f"- {NAMES[quantity]}, {direction} than for {what}: {words}.")
    return "\n".join(lines)


def at(rows: pd.DataFrame, quantity: str, condition: str) -> pd.Series:
    chosen = (rows["quantity"] == quantity) & (rows["condition"] == condition)
    return rows[chosen].iloc[0]


def interval(quantity: str, value: float, low: float, high: float) -> str:
    if not quantity.startswith(("f_", "median")):
        return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    digits = 2 if quantity.startswith("median") else 3
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def lost(raws: dict[tuple[str, int], dict[str, np.ndarray]], shared: np.ndarray) -> str:
    """Return how many images give sizes and spectra, and how many were not found."""
    counts: dict[str, list[int]] = {}
    for (condition, _), raw in raws.items():
        counts.setdefault(condition, []).append(int(np.isinf(raw["distance"]).sum()))
    words = "; ".join(
        f"{condition} {', '.join(map(str, each))}"
        for condition, each in counts.items()
        if any(each)
    )
    text = f"Sizes and f_0.5 are from {shared.sum()} of {len(shared)} attacked images."
    return f"{text} Images not found, by seed: {words}." if words else text


def against_controls(
    found: dict[tuple[str, int], dict[str, Quantity]],
    conditions: tuple[str, ...],
    seeds: list[int],
    controls: Mapping[str, str],
) -> str:
    """Return the Markdown table of differences between conditions and controls."""
    pairs = {c: b for c, b in controls.items() if {c, b} <= set(conditions)}
    if not pairs:
        return ""
    rows = pd.concat([estimates(found, (c,), seeds, base) for c, base in pairs.items()])
    table = differences(rows, list(pairs), len(seeds), "the control")
    return f"{table}\n\n{verdicts(rows, tuple(pairs), len(seeds), 'the control')}\n\n"


def choices(alphas: pd.DataFrame) -> str:
    """Return the Markdown table of the alphas that were tried with seed 0."""
    lines = [
        "| condition | alpha | held-out accuracy, % | lost, points | chosen |",
        "|---|---|---|---|---|",
    ]
    for row in alphas.to_dict("records"):
        cells = [
            row["condition"], f"{row['alpha']:g}", f"{100 * row['held_out']:.1f}",
            f"{100 * row['lost']:.1f}", "yes" if row["chosen"] else "no",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
