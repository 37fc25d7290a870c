"""Figure 4: spectra and sizes of minimal perturbations of robust models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from neurofreq._shared.escapes import literal
from neurofreq._shared.inputs import validate
from neurofreq.figures import _panels, choose
from neurofreq.figures._style import INK, looks, new_figure, panel
from neurofreq.figures._table import Table
from neurofreq.figures.registry import Drawn, registered
from neurofreq.measured import groups
from neurofreq.plot import CMAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure, SubFigure

    from neurofreq.figures.registry import Asked
    from neurofreq.measured import Measured

_COLUMNS = (7, 8)  # maps in a row: seven, or eight if this needs fewer rows
_MAP = 1.08  # inches, height of a row of maps with their titles


def fig4(
    models: Sequence[Measured],
    *,
    size: Literal["mean", "median"] = "mean",
    cmap: str = CMAP,
) -> tuple[pd.DataFrame, Figure]:
    """Draw Figure 4: frequency analysis of adversarial attacks on robust models.

    Parameters
    ----------
    models : sequence of Measured
        With "attack". All models of a group are attacked on the same images.
    size : {"mean", "median"}
        The mean is over the images that have a perturbation. The median is over all
        images; an image without a perturbation counts as infinitely large.
    cmap : str
        Colormap of the maps; ``nf.plot.PAPER_CMAP`` is that of the paper.

    Returns
    -------
    table : DataFrame
        Panel b: the profiles ("power_below", in % at x cycles/pixel) and f_half of the
        group means. Panel c: f_half (cycles/pixel), size (1/255, largest pixel change)
        and their correlation over models, and "not_found", the number of attacked
        images without a perturbation, if it is not 0. The maps of panel a are not in
        the table; they are in ``Measured.attack.power``.
    figure : Figure
        (a) Mean power of the perturbations. Each map has a logarithmic scale between
        its own minimum and maximum; zero frequency is blank. (b) Radial profiles: a
        thin line per model, a thick line with its interval per group, f_0.5 marked.
        (c) Size against f_0.5, with intervals of both.

    Raises
    ------
    ValueError
        If no model has an attack, some models have an attack and others do not, the
        images or frequencies differ within a group, an attack found nothing, or `size`
        is unknown.

    Notes
    -----
    Intervals are 95 %, bootstrap over images. An image without a perturbation has no
    power and no size. Therefore n is the number of images with a perturbation; for a
    group, the number of images with a perturbation in any of its models.

    Differences from the paper: the size is the largest absolute pixel change,
    not the largest signed change.

    References
    ----------
    Li et al. 2023, Fig 4.

    Examples
    --------
    The labels in this example are the network's own predictions:

    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=2).images
    >>> data = nf.data.ImageSet(images, [4, 6], (), "mine")
    >>> spec = {
    ...     "data": data,
    ...     "models": ["zoo:gray-mouse"],
    ...     "measurements": ["attack"],
    ...     "settings": {"attack_steps": 5, "targeted": False},
    ... }
    >>> found = nf.studies.run(spec, "out", progress=False)
    >>> table, figure = nf.figures.fig4(found.measured)
    >>> table["quantity"].unique().tolist()
    ['power_below', 'power_below_0.2', 'f_half', 'size']
    """
    validate.one_of("size", size, ("mean", "median"))
    groups.check(models, "attack")
    table = Table("fig4", models)
    rows = _rows(models)
    figure = new_figure(_MAP * len(rows) + 2.9)
    figure.get_layout_engine().set(wspace=0.17)  # type: ignore[union-attr, call-arg]
    parts = figure.subfigures(
        2, 1, height_ratios=[_MAP * len(rows), 2.9], squeeze=False
    )
    above, below = parts.ravel()
    _maps(above, rows, cmap)
    left, right = below.subplots(1, 2)
    _panels.profiles(left, table, "b", models)
    _panels.sizes(right, table, "c", models, size)
    panel(left, "b")
    panel(right, "c")
    return table.frame(), figure


@registered("fig4", needs=("attack",), sigma=1.5)
def _from_studies(asked: Asked) -> Drawn:
    chosen = choose.robust("fig4", asked.found)
    return Drawn(*fig4(chosen.models, cmap=asked.cmap), chosen.note)


def _rows(models: Sequence[Measured]) -> list[list[Measured]]:
    """Lay out the groups in rows: small groups share a row."""
    groups = list(_panels.grouped(models).values())
    return min((_filled(groups, most) for most in _COLUMNS), key=len)


def _filled(groups: list[list[Measured]], most: int) -> list[list[Measured]]:
    rows: list[list[Measured]] = [[]]
    for members in groups:
        if rows[-1] and len(rows[-1]) + len(members) > most:
            rows.append([])
        for model in members:
            if len(rows[-1]) == most:
                rows.append([])
            rows[-1].append(model)
    return rows


def _maps(figure: SubFigure, rows: list[list[Measured]], cmap: str) -> None:
    """Draw the map of each model below its name, in the color of its group."""
    n_columns = max(_COLUMNS[0], *map(len, rows))
    axes = figure.subplots(len(rows), n_columns, squeeze=False)
    tints = looks(_panels.grouped([model for row in rows for model in row]))
    for line, row in zip(axes, rows, strict=True):
        previous = ""
        for ax, model in zip(line, row, strict=False):
            _panels.power_map(ax, model, cmap)
            tint = tints[model.group].color
            ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
            ax.set_title(
                literal(_short(model.name)) + model.title.removeprefix(model.name),
                fontsize=6.5,
                color=tint,
                pad=2,
            )
            ax.spines[:].set(color=tint, linewidth=1.2)
            if model.group != previous:
                text = ax.text(
                    -0.01, 0.5, literal(model.group), transform=ax.transAxes,
                    rotation=90, ha="right", va="center", fontsize=8,
                    fontweight="bold", color=tint,
                )  # fmt: skip
                # In the other columns, the gap between the maps has room for the text.
                text.set_in_layout(ax is line[0])
                previous = model.group
        for ax in line[len(row) :]:
            ax.set_axis_off()
    figure.text(0.004, 0.99, "a", va="top", fontsize=10, fontweight="bold", color=INK)


def _short(name: str, most: int = 16) -> str:
    """Return a name that fits above its map: the paper's label, or the name's end."""
    from neurofreq.figures.paper import label

    shown = label(name)
    return shown if len(shown) <= most else f"…{shown[1 - most :]}"
