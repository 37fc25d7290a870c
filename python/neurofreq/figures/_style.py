"""How all figures look: size, type, and the colour and marker of every group."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

from neurofreq._shared.escapes import literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Print resolution, and a page's width in inches: type is as large as it is read.
DPI = 300
WIDTH = 7.5
INK = "#333333"
_MOST_IN_A_ROW = 4  # entries of a legend, which is as wide as a panel

# Black, orange and green are the paper's for base, neural and blur; the others are
# Okabe and Ito's, so that no two groups are alike to a colour-blind reader, and
# markers repeat what colours say.
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
# Blur is "the green dot" of the paper's captions.
MARKERS = {
    "base": "D", "adv": "s", "crp": "^", "blur": "o", "pca": "v", "neural": "P",
    "shuffle": "X", "pixel": "*",
}  # fmt: skip

# Of groups by any other name, in their order; of a length each, so that two share
# both not before the twentieth.
_SPARE_COLORS = ("#777777", "#882255", "#332288", "#999933", "#661100")
_SPARE_MARKERS = ("h", "<", ">", "p")


class Look(NamedTuple):
    """The colour and the marker of a group."""

    color: str
    marker: str


def looks(groups: Iterable[str]) -> dict[str, Look]:
    """Return how each group of a figure looks.

    Parameters
    ----------
    groups : iterable of str
        In one order in all panels: groups that the paper has not take spare
        colours and markers in it.
    """
    spare = zip(cycle(_SPARE_COLORS), cycle(_SPARE_MARKERS), strict=False)
    return {
        one: Look(COLORS[one], MARKERS[one]) if one in COLORS else Look(*next(spare))
        for one in groups
    }


def new_figure(height: float) -> Figure:
    """Return a figure of a page's width, outside pyplot so that none is left open.

    Parameters
    ----------
    height : float
        In inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained", dpi=DPI)


def panel(ax: Axes, letter: str, title: str = "") -> Axes:
    """Give a panel its letter and title, and its type the size of a page.

    Parameters
    ----------
    ax : Axes
    letter, title : str
    """
    ax.set_title(letter, loc="left", fontsize=10, fontweight="bold", color=INK)
    if title:
        beside = ax.annotate(
            title, (0.0, 1.0), (13, 6.5), xycoords="axes fraction",
            textcoords="offset points", fontsize=8, color=INK,
        )  # fmt: skip
        beside.set_in_layout(False)  # it may be longer than the panel is wide
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontsize(8)
    ax.tick_params(labelsize=7)
    if legend := ax.get_legend():
        for text in legend.get_texts():
            text.set_fontsize(7)
    return ax


def blank(ax: Axes, note: str) -> Axes:
    """Leave a panel without data, and say why.

    Parameters
    ----------
    ax : Axes
    note : str
    """
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
    """Put the groups' markers into the legend, whatever else has a label.

    Parameters
    ----------
    ax : Axes
    groups : iterable of str
    """
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
    # In lines above the axes: inside it would lie on intervals.
    ax.legend(
        handles=handles, frameon=False, fontsize=7, handletextpad=0.4,
        handlelength=1.6, columnspacing=0.8, loc="lower right", labelspacing=0.2,
        bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1, ncols=-(-len(handles) // n_rows),
    )  # fmt: skip
