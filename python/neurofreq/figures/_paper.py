"""Numbers of Li et al. 2023, PLOS Comput Biol 19(3): e1010932.

The numbers were read off the published figures, to about 0.4 points of accuracy,
0.004 of frequency and 3 % of size. A point whose network the paper does not name
enters only the mean of its group.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Key = tuple[str, str, str, str, float | None]  # figure, panel, who, quantity, x

GROUP_MEAN = "group mean"  # the model of a row about a group
ALL = "all"  # the group of a row about all models
BLUR_SERIES = "blur series"  # the group of the blurred networks along the dashed line

_BANDS = ("accuracy_low", "accuracy_medium", "accuracy_high")

# Fig 2, per panel: baseline, then regularized.
_ACCURACY = {
    "a": ((90.6, 81.7, 75.6, 68.8, 60.6, 49.7), (85.8, 82.4, 79.0, 75.6, 70.1, 60.6)),
    "e": ((49.6, 20.9, 16.4, 12.6, 9.6, 7.7), (48.5, 23.6, 19.4, 15.3, 12.3, 9.6)),
}
_GROUPED = {
    "c": ((79.1, 64.1, 52.1), (74.3, 74.3, 67.7)),
    "g": ((14.8, 13.4, 12.3), (15.6, 15.8, 18.4)),
}
_SIZES = {  # size in 1/255 at which 25, 50, 75, 90 % of the attacks succeed
    "b": ((0.80, 1.20, 1.67, 2.17), (1.86, 2.84, 3.93, 5.07)),
    "f": ((1.27, 1.79, 2.36, 3.03), (1.73, 2.42, 3.25, 4.06)),
}
_POWER = {  # frequency in cycles/pixel below which 25, 50, 75 % of the power lies
    "d": ((0.352, 0.438, 0.492), (0.253, 0.316, 0.388)),
    "h": ((math.nan, 0.315, 0.436), (math.nan, 0.301, 0.411)),
}
SHARES = (25.0, 50.0, 75.0, 90.0)

# Fig 3b: f_rev, and the ends of the curve in percentage points.
_HYBRID = {"base": (0.52, -86.0, 83.0), "neural": (0.365, -80.0, 84.0)}

# Group means. Fig 4b: f_0.5, power below 0.2 in %. Fig 5a: f_rev, ends of the curve.
_PROFILES = {
    "adv": (0.164, 57.0), "blur": (0.188, 53.0), "pca": (0.284, 22.0),
    "crp": (0.351, 24.0), "base": (0.43, 13.0),
}  # fmt: skip
_REVERSALS = {
    "adv": (0.163, -74.0, 87.0), "blur": (0.2545, -82.0, 89.0),
    "crp": (0.278, -89.0, 94.0), "pca": (0.30, -82.0, 89.0),
    "base": (0.44, -88.0, 89.0),
}  # fmt: skip

# Scatter plots: group, label (empty if unknown), x, y.
_PERTURBED = ("f_half", "size")  # cycles/pixel; mean Linf in 1/255
_RESULTS = ("f_rev", "corruption_accuracy")  # units of Nyquist; % over all cells
_POINTS = {
    ("fig4", "c"): (_PERTURBED, (
        ("base", "Base-WideRes", 0.435, 1.16), ("base", "", 0.409, 1.74),
        ("base", "", 0.404, 1.52), ("base", "", 0.431, 1.48), ("base", "", 0.424, 1.02),
        ("base", "", 0.443, 1.02), ("adv", "", 0.1715, 17.05),  # middle of the cluster
        ("crp", "Hendrycks20", 0.386, 1.52), ("crp", "Kireev21", 0.326, 3.48),
        ("blur", "Blur", 0.194, 2.30), ("pca", "PCA", 0.289, 2.70),
    )),
    ("fig6", "a"): (_PERTURBED, (
        ("base", "Base", 0.320, 0.46), ("adv", "", 0.099, 10.5),
        ("adv", "", 0.104, 10.8), ("crp", "", 0.245, 0.91), ("crp", "", 0.245, 0.75),
        ("crp", "", 0.297, 0.68), ("crp", "", 0.317, 0.59), ("crp", "", 0.305, 0.54),
        ("crp", "", 0.340, 0.23), ("blur", "Blur", 0.109, 2.1),
    )),
    ("fig5", "b"): (_RESULTS, (
        ("base", "Base-WideRes", 0.449, 73.5), ("base", "", 0.441, 73.0),
        ("base", "", 0.432, 71.8), ("base", "", 0.400, 71.3), ("base", "", 0.458, 71.3),
        ("base", "", 0.443, 68.2), ("adv", "Rebuffi21", 0.182, 82.8),
        ("adv", "Gowal20", 0.170, 81.8),
        # Only the ranges of the other five points are readable: their middle.
        *(("adv", "", 0.166, 79.5),) * 5,
        ("crp", "Hendrycks20", 0.277, 89.2), ("crp", "Kireev21", 0.285, 88.5),
        ("blur", "Blur", 0.256, 83.3), ("pca", "PCA", 0.305, 81.8),
    )),
    ("fig6", "b"): (_RESULTS, (
        ("base", "Base", 0.197, 38.0), ("adv", "", 0.091, 31.2),
        ("adv", "", 0.076, 30.0), ("crp", "", 0.143, 55.6), ("crp", "", 0.173, 51.4),
        ("crp", "", 0.207, 49.6), ("crp", "", 0.155, 47.3), ("crp", "", 0.163, 46.9),
        ("crp", "", 0.189, 44.0),
    )),
}  # fmt: skip
# The blur series: sigma in pixels, f_rev, accuracy in %.
_SERIES = {
    "fig5": ((3.0, 0.136, 77.0), (1.0, 0.346, 78.7)),
    "fig6": (
        (1.5, math.nan, 41.46), (2.0, math.nan, 42.19), (3.0, math.nan, 42.05),
        (5.0, math.nan, 42.08), (9.0, math.nan, 40.14), (15.0, math.nan, 34.19),
    ),
}  # fmt: skip
# Pearson's r of log size and f_0.5 over the seventeen points of Fig 4c.
_CORRELATION = -0.93


def number(row: dict[str, Any]) -> float:
    """Return the paper's number for a row of a table; NaN if it is unknown."""
    x = None if math.isnan(row["x"]) else round(float(row["x"]), 6)
    key = (row["figure"], row["panel"], who(row), row["quantity"], x)
    return numbers().get(key, math.nan)


def who(row: dict[str, Any]) -> str:
    """Return the key of a row's model or group in the paper's numbers.

    Rows of Figs 2 and 3 are found by their role. In the other figures, a group mean is
    found by its group, and a network by its label.
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
    """Return every number by (figure, panel, label or group, quantity, x)."""
    return dict(itertools.chain(_pairs(), _curves(), _scatters()))


def _pairs() -> Iterator[tuple[Key, float]]:
    """Yield the numbers of Figs 2 and 3."""
    severities = [float(severity) for severity in range(6)]
    for position, role in enumerate(("base", "neural")):
        who = of_group(role)
        for panels, quantity, places in (
            (_ACCURACY, "accuracy", severities),
            (_SIZES, "size_at_success", SHARES),
            (_POWER, "frequency_at_power", SHARES[:3]),
        ):
            for panel, values in panels.items():
                for x, value in zip(places, values[position], strict=True):
                    yield ("fig2", panel, who, quantity, x), value
        for panel, bars in _GROUPED.items():
            for band, value in zip(_BANDS, bars[position], strict=True):
                yield ("fig2", panel, who, band, None), value
        yield from _hybrid("fig3", "b", who, _HYBRID[role])


def _curves() -> Iterator[tuple[Key, float]]:
    """Yield the numbers of Figs 4b and 5a."""
    for group, (half, power) in _PROFILES.items():
        who = of_group(group)
        yield ("fig4", "b", who, "f_half", None), half
        yield ("fig4", "b", who, "power_below_0.2", None), power
    for group, values in _REVERSALS.items():
        yield from _hybrid("fig5", "a", of_group(group), values)


def _hybrid(
    figure: str, panel: str, who: str, values: tuple[float, float, float]
) -> Iterator[tuple[Key, float]]:
    f_rev, start, end = values
    yield (figure, panel, who, "f_rev", None), f_rev
    yield (figure, panel, who, "p_low_minus_p_high", 0.0), start
    yield (figure, panel, who, "p_low_minus_p_high", 1.0), end


def _scatters() -> Iterator[tuple[Key, float]]:
    """Yield the numbers of Figs 4c, 5b and 6: named points and group means."""
    yield (
        ("fig4", "c", of_group(ALL), "correlation_log_size_f_half", None),
        _CORRELATION,
    )
    for (figure, panel), (quantities, points) in _POINTS.items():
        for position, quantity in enumerate(quantities, start=2):
            members: dict[str, list[float]] = {}
            for point in points:
                value = float(point[position])
                if point[1]:
                    yield (figure, panel, str(point[1]), quantity, None), value
                members.setdefault(str(point[0]), []).append(value)
            for group, values in members.items():
                mean = math.fsum(values) / len(values)
                yield (figure, panel, of_group(group), quantity, None), mean
    for figure, series in _SERIES.items():
        for sigma, *values in series:
            for quantity, value in zip(_RESULTS, values, strict=True):
                yield (figure, "b", of_group(BLUR_SERIES), quantity, sigma), value
