"""Numbers of Li et al. 2023, PLOS Comput Biol 19(3): e1010932, read from paper.csv.

The numbers were read off the published figures, to about 0.4 points of accuracy,
0.004 of frequency and 3 % of size. A row of paper.csv is a group ("group mean"), a
point of the blur series, or a network of a scatter plot. If the paper does not name a
network, its label is empty, and the network enters only the mean of its group. In two
clusters of the group "adv", single points could not be read: the point in Figure 4c is
the center of the cluster, and five points in Figure 5b are at the middle of their
range.
"""

from __future__ import annotations

import csv
import functools
import math
from pathlib import Path
from typing import Any

Key = tuple[str, str, str, str, float | None]  # figure, panel, `who`, quantity, x

GROUP_MEAN = "group mean"  # the model of a row about a group
ALL = "all"  # the group of a row about all models
BLUR_SERIES = "blur series"  # the group of the networks along the dashed line


def number(row: dict[str, Any]) -> float:
    """Return the paper's number for a row of a table; NaN if it is unknown."""
    x = None if math.isnan(row["x"]) else round(float(row["x"]), 6)
    key = (row["figure"], row["panel"], who(row), row["quantity"], x)
    return numbers().get(key, math.nan)


def who(row: dict[str, Any]) -> str:
    """Return the key of a row's model or group in the paper's numbers.

    In Figs 2 and 3, the key is the role. In the other figures, the key of a group mean
    is its group, and the key of a network is its label.
    """
    role = row["figure"] in ("fig2", "fig3") or row["group"] in (ALL, BLUR_SERIES)
    about_group = role or row["model"] == GROUP_MEAN
    return of_group(row["group"]) if about_group else label(row["model"])


def of_group(group: str) -> str:
    """Return the key of a group, which cannot be the label of a network."""
    return f"group {group}"


def label(model: str) -> str:
    """Return a registry model's label in the paper's figures, or the name itself."""
    return _labels().get(model, model)


@functools.cache
def _labels() -> dict[str, str]:
    from neurofreq import models

    return {row.name: row.label for row in models.list_models() if row.label}


@functools.cache
def numbers() -> dict[Key, float]:
    """Return every number by (figure, panel, label or group, quantity, x).

    If the paper shows single networks, a group's number is the mean over its networks.
    """
    found: dict[Key, float] = {}
    members: dict[Key, list[float]] = {}
    text = Path(__file__).with_name("paper.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        panel, value = (row["figure"], row["panel"]), float(row["value"])
        x = float(row["x"]) if row["x"] else None
        group: Key = (*panel, of_group(row["group"]), row["quantity"], x)
        members.setdefault(group, []).append(value)
        found.setdefault(group, value)  # keeps the order of the rows
        if row["model"] not in ("", GROUP_MEAN, ALL, BLUR_SERIES):
            found[(*panel, row["model"], row["quantity"], x)] = value
    means = {key: math.fsum(many) / len(many) for key, many in members.items()}
    return found | means
