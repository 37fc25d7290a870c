"""The style of all figures: size, type, and the color and marker of every group."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

from neurofreq._shared.escapes import literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Print resolution, and the page width in inches. A figure of this width has the font
# sizes of print.
DPI = 300
WIDTH = 7.5
INK = "#333333"
_MOST_IN_A_ROW = 4  # legend entries that fit into the width of a panel

# Black, orange and green are the paper's colors of base, neural and blur. The others
# are from the palette of Okabe and Ito, which color-blind readers can tell apart. The
# markers distinguish the groups without color.
COLORS = {
    "base": "#1b1b1b",
    "adv": "#0072b2",
    "crp": "#cc79a7",
    "blur": "#009e73",
    "pca": "#e69f00",
    "neural": "#d55e00",
    "shuffle": "#56b4e9",
    "pixel": "#8c6d31",
}
"""Color of each group of models."""
# The paper's captions call blur "the green dot".
MARKERS = {
    "base": "D", "adv": "s", "crp": "^", "blur": "o", "pca": "v", "neural": "P",
    "shuffle": "X", "pixel": "*",
}  # fmt: skip
"""Marker of each group of models."""
_TITLES = {
    "base": "standard",
    "adv": "adversarial training",
    "crp": "trained on corruptions",
    "blur": "blurred input",
    "pca": "PCA of the input",
    "neural": "towards cortex",
    "shuffle": "shuffled target",
    "pixel": "pixel target",
}

# For all other groups, in their order. Five colors and four markers give 20 pairs, so
# that only the 21st group repeats a pair.
_SPARE_COLORS = ("#777777", "#882255", "#332288", "#999933", "#661100")
_SPARE_MARKERS = ("h", "<", ">", "p")


class Look(NamedTuple):
    """The color and the marker of a group."""

    color: str
    marker: str


def title(group: str) -> str:
    """Return the name of a group in legends of curves, with its meaning if known."""
    named = literal(group)
    return f"{named}: {_TITLES[group]}" if group in _TITLES else named


def looks(groups: Iterable[str]) -> dict[str, Look]:
    """Return the color and marker of each group of a figure.

    Groups that are not in the paper get spare colors by their order. The order must
    therefore be the same in all panels.
    """
    spare = zip(cycle(_SPARE_COLORS), cycle(_SPARE_MARKERS), strict=False)
    return {
        one: Look(COLORS[one], MARKERS[one]) if one in COLORS else Look(*next(spare))
        for one in groups
    }


def new_figure(height: float) -> Figure:
    """Return a figure with the page width and this height in inches.

    The figure is made without pyplot, because pyplot would keep it open.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained", dpi=DPI)


def panel(ax: Axes, letter: str, title: str = "") -> Axes:
    """Write a panel's letter and title, and set the font sizes of its labels."""
    ax.set_title(letter, loc="left", fontsize=10, fontweight="bold", color=INK)
    if title:
        beside = ax.annotate(
            title, (0.0, 1.0), (13, 6.5), xycoords="axes fraction",
            textcoords="offset points", fontsize=8, color=INK,
        )  # fmt: skip
        beside.set_in_layout(False)  # a long title must not shrink the panel
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontsize(8)
    ax.tick_params(labelsize=7)
    if legend := ax.get_legend():
        for text in legend.get_texts():
            text.set_fontsize(7)
    return ax


def blank(ax: Axes, note: str) -> Axes:
    """Leave a panel blank, and write the reason into it."""
    ax.set_axis_off()
    ax.text(
        0.5,
        0.5,
        note,
        transform=ax.transAxes,
        horizontalalignment="center",
        verticalalignment="center",
        fontsize=8,
        color="#777777",
    )
    return ax


def group_legend(ax: Axes, groups: Iterable[str]) -> None:
    """Put a legend of groups above the axes, followed by the other labeled artists."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=look.color, marker=look.marker, linestyle="",
            label=literal(one), markersize=4.5,
        )
        for one, look in looks(groups).items()
    ]  # fmt: skip
    handles += ax.get_legend_handles_labels()[0]  # type: ignore[arg-type]
    n_rows = -(-len(handles) // _MOST_IN_A_ROW)
    # The legend is above the axes, because inside it would cover intervals.
    ax.legend(
        handles=handles, frameon=False, fontsize=7, handletextpad=0.4,
        handlelength=1.6, columnspacing=0.8, loc="lower right", labelspacing=0.2,
        bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1, ncols=-(-len(handles) // n_rows),
    )  # fmt: skip
