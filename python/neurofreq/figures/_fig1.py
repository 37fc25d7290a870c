"""Figure 1: neural similarity regularization, drawn from measured similarities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.escapes import literal
from neurofreq._shared.inputs import validate
from neurofreq.figures import choose, compared
from neurofreq.figures._spaces import aligned, coordinates, order
from neurofreq.figures._style import COLORS, INK, new_figure
from neurofreq.figures._table import Table
from neurofreq.figures.registry import Drawn, NotDrawnError, registered
from neurofreq.intervals import Estimate
from neurofreq.measured import quantities
from neurofreq.neural import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from numpy.typing import ArrayLike, NDArray

    from neurofreq.figures.registry import Asked

    Floats = NDArray[np.float64]

_TITLES = ("model, before training", "model, after training")
_MEASURED = ("recording", "predicted from recordings")


def fig1(
    stimuli: ArrayLike,
    neural: ArrayLike,
    before: ArrayLike,
    after: ArrayLike,
    *,
    titles: Sequence[str] = _TITLES,
    n_shown: int = 12,
    cmap: str = "RdBu_r",
) -> tuple[pd.DataFrame, Figure]:
    """Draw Figure 1: the similarities before and after training towards a target.

    Parameters
    ----------
    stimuli : array_like of float, shape (N, C, H, W)
        In [0, 1], C = 1 or 3.
    neural, before, after : array_like of float, shape (N, N), or Target
        Similarities of the stimuli in the neural response space, and in the
        model's feature space before and after training; N >= 4. The source of a
        target is written below its matrix. If the target was not recorded, the title
        above the matrix says this.
    titles : sequence of str
        Titles of the two model spaces.
    n_shown : int
        Number of stimuli drawn as pictures, at even distances in the order of the
        matrices.
    cmap : str
        Colormap of the matrices.

    Returns
    -------
    table : DataFrame
        similarity_correlation of each model space with the neural space, and the
        difference after - before (paired over images); mds_1 and mds_2 of every
        stimulus, with the index of the stimulus as x. The group of every row is the
        source of the neural similarities.
    figure : Figure
        Left: the stimuli. Then, for each space, its similarity matrix, and the stimuli
        as points in the plane that preserves the similarities best. All matrices have
        the same order and color scale. Points of the same color are the same stimulus.

    Raises
    ------
    ValueError
        If a matrix is not a similarity matrix, `stimuli` are not images in [0, 1] with
        1 or 3 channels, or the numbers of images differ.

    Notes
    -----
    The order follows the second eigenvector of the graph Laplacian of the neural
    similarities (spectral seriation). The planes are classical multidimensional
    scaling. The planes of the model are aligned with the neural plane by rotation,
    reflection and scale. Intervals are 95 %, bootstrap over stimuli.

    Differences from the paper: Fig 1 of the paper is a sketch; this figure shows
    measurements.

    References
    ----------
    Li et al. 2023, Fig 1.

    Examples
    --------
    >>> import neurofreq as nf
    >>> stimuli = nf.data.load_data("synthetic", n=16).images
    >>> target = nf.neural.v1_similarity(stimuli)
    >>> networks = map(nf.models.load_model, ["zoo:gray-standard", "zoo:gray-mouse"])
    >>> before, after = (
    ...     nf.neural.teacher_similarity(network, "network.layer2", stimuli)
    ...     for network in networks
    ... )
    >>> table, figure = nf.figures.fig1(stimuli, target, before, after)
    >>> table["quantity"].unique().tolist()
    ['similarity_correlation', 'mds_1', 'mds_2']
    """
    n_shown = validate.count("n_shown", n_shown)
    given = {"neural": neural, "before": before, "after": after}
    spaces = {key: validate.similarity(matrix, key) for key, matrix in given.items()}
    checked = validate.images(stimuli, "stimuli", unit_range=True)
    pictures = np.asarray(checked, dtype=np.float64)
    if pictures.shape[1] not in (1, 3):
        raise ValueError(f"stimuli: got {pictures.shape[1]} channels, expected 1 or 3")
    for key, matrix in spaces.items():
        if len(matrix) != len(pictures) or len(matrix) < 4:
            raise ValueError(
                f"{key}: got {len(matrix)} images and stimuli of shape "
                f"{pictures.shape}, expected (N, C, H, W) and N >= 4 of each"
            )
    table = Table("fig1")
    heads, source = _heads(neural, titles)
    correlations = _correlate(table, spaces, source)
    ranks = order(spaces["neural"])
    planes = {key: coordinates(matrix) for key, matrix in spaces.items()}
    for key in ("before", "after"):
        planes[key] = aligned(planes[key], planes["neural"])
    for key, plane in planes.items():
        for axis in (0, 1):
            for image, value in enumerate(plane[:, axis]):
                one = Estimate(float(value), np.nan, np.nan, len(plane))
                table.add("", (key, source), f"mds_{axis + 1}", one, "", x=image)
    shown = ranks[np.linspace(0, len(ranks) - 1, min(n_shown, len(ranks))).astype(int)]
    figure = new_figure(4.4)
    parts = figure.subfigures(1, 2, width_ratios=[1.25, 6.25], squeeze=False)
    left, right = parts.ravel()
    _stimuli(left, pictures, shown, ranks)
    broken = source.replace(" (", "\n(", 1)  # the source is wider than the matrix
    texts = {"neural": f"target: {broken}" if source else "target of the training"}
    for key in ("before", "after"):
        one = correlations[key]
        text = f"r = {one.value:.2f} [{one.low:.2f}, {one.high:.2f}] with target"
        texts[key] = text
    _draw_spaces(right, spaces, planes, ranks, (heads, texts), (pictures, shown), cmap)
    return table.frame(), figure


@registered("fig1", needs=(), has_images=True)
def _from_studies(asked: Asked) -> Drawn:
    """Draw the first pair whose networks are both in the study."""
    images, study = asked.images("fig1"), asked.study
    entries = {entry.name: entry for entry in study.models} if study else {}
    for pair in choose.pairs("fig1", asked.found).pairs:
        base, regularized = pair.models
        if {base.name, regularized.name} <= entries.keys():
            break
    else:
        raise NotDrawnError(
            "fig1: not drawn, it needs a base and a neural model of this study"
        )
    stimuli = compared.simulated(images)
    if asked.neural is not None:
        stimuli = compared.recorded(asked.neural)
    like = images.gray().images if base.is_gray else images.images
    shown = compared.seen(stimuli.images, like)
    spaces = [compared.space(entries[one.name].load(), shown) for one in pair.models]
    titles = (f"{base.title}\nnot regularized", f"{regularized.title}\nregularized")
    note = f"target: {stimuli.target.label}, {len(shown)} stimuli; "
    note += "models: mean over the default layers, equal weights"
    return Drawn(*fig1(shown, stimuli.target, *spaces, titles=titles), note)


def _heads(neural: Any, titles: Sequence[str]) -> tuple[dict[str, str], str]:
    """Return the title of each space and the source of the target."""
    if len(titles) != 2:
        raise ValueError(f"titles: got {len(titles)}, expected two: before, after")
    target, source = "neural responses", ""
    if isinstance(neural, Target):
        source = neural.label
        if neural.source not in _MEASURED:
            target = f"{neural.source}, not recorded"
    before, after = titles
    return {"neural": target, "before": before, "after": after}, source


def _correlate(
    table: Table, spaces: dict[str, Floats], source: str
) -> dict[str, Estimate]:
    """Add the correlations with the neural space to the table, and return them."""
    with_neural = {
        key: quantities.similarity_correlation(spaces["neural"], spaces[key])
        for key in ("before", "after")
    }
    found = {key: one.estimate() for key, one in with_neural.items()}
    found["after less before"] = with_neural["after"].minus(with_neural["before"])
    for key, estimate in found.items():
        table.add("", (key, source), "similarity_correlation", estimate, "")
    return found


def _stimuli(
    figure: SubFigure,
    pictures: NDArray[Any],
    shown: NDArray[np.intp],
    ranks: NDArray[np.intp],
) -> None:
    """Draw some stimuli in two columns, framed in the color of their points."""
    axes = figure.subplots(-(-len(shown) // 2), 2, squeeze=False).ravel()
    tints = _tints(ranks)
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    for ax, index in zip(axes, shown, strict=False):
        ax.imshow(_tile(pictures[index]), cmap="gray", vmin=0.0, vmax=1.0)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(color=tints[index], linewidth=1.2)
    figure.suptitle("stimuli", fontsize=8.5, color=INK)


def _draw_spaces(
    figure: SubFigure,
    spaces: dict[str, Floats],
    planes: dict[str, Floats],
    ranks: NDArray[np.intp],
    words: tuple[dict[str, str], dict[str, str]],
    pictures: tuple[NDArray[Any], NDArray[np.intp]],
    cmap: str,
) -> None:
    """Draw each space as a column: the matrix, the text below it, and the plane."""
    heads, texts = words
    figure.get_layout_engine().set(wspace=0.06)  # type: ignore[call-arg]
    axes = figure.subplots(2, len(spaces), squeeze=False)
    off = ~np.eye(len(ranks), dtype=bool)
    top = max(float(np.quantile(np.abs(m[off]), 0.99)) for m in spaces.values())
    for column, (key, matrix) in enumerate(spaces.items()):
        ax = axes[0, column]
        image = ax.imshow(matrix[np.ix_(ranks, ranks)], cmap=cmap, vmin=-top, vmax=top)
        ax.set(xticks=[], yticks=[])
        tint = COLORS["neural"] if key == "neural" else INK
        ax.set_title(literal(heads[key]), fontsize=8.5, color=tint)
        ax.set_xlabel(texts[key], fontsize=7, color=INK)
        _plane(axes[1, column], planes[key], ranks, pictures)
    for ax in axes[:, 2]:  # an arrow from "before" to "after"
        arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.2}
        at = {"xycoords": "axes fraction", "textcoords": "axes fraction"}
        ax.annotate("", (-0.01, 0.5), (-0.085, 0.5), **at, arrowprops=arrow)
    axes[0, 0].set_ylabel("similarity of stimuli", fontsize=8, color=INK)
    axes[1, 0].set_ylabel("stimuli in the plane", fontsize=8, color=INK)
    bar = figure.colorbar(image, ax=axes[0], fraction=0.03, pad=0.01, shrink=0.85)
    bar.ax.tick_params(labelsize=6, length=2)
    bar.set_label("similarity", fontsize=7)
    bar.outline.set_linewidth(0.5)


def _plane(
    ax: Axes,
    plane: Floats,
    ranks: NDArray[np.intp],
    pictures: tuple[NDArray[Any], NDArray[np.intp]],
) -> None:
    """Draw stimuli as points colored by their order, and some as pictures."""
    from matplotlib.colors import Normalize
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    images, shown = pictures
    tints = _tints(ranks)
    ax.scatter(plane[:, 0], plane[:, 1], c=tints, s=9, linewidth=0)
    for index in shown:
        tile = OffsetImage(
            _tile(images[index]), zoom=12.0 / images.shape[-1], cmap="gray",
            norm=Normalize(0.0, 1.0), resample=True,
        )  # fmt: skip
        frame = {"linewidth": 0.9, "edgecolor": tints[index]}
        place = (float(plane[index, 0]), float(plane[index, 1]))
        ax.add_artist(AnnotationBbox(tile, place, pad=0.05, bboxprops=frame))
    ends = np.stack([plane.min(axis=0), plane.max(axis=0)])
    reach = 0.6 * float(np.ptp(ends, axis=0).max())
    (left, right), (bottom, top) = ends.mean(axis=0)[:, None] + [-reach, reach]
    ax.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    ax.set_aspect("equal")
    ax.spines[:].set_color("#bbbbbb")


def _tints(ranks: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the color of each stimulus by its rank, shape (N, 4)."""
    from matplotlib import colormaps

    place = np.empty(len(ranks))
    place[ranks] = np.linspace(0.0, 1.0, len(ranks))
    return np.asarray(colormaps["viridis"](place))


def _tile(picture: NDArray[Any]) -> NDArray[Any]:
    """Return an image in the form that imshow takes."""
    return picture[0] if len(picture) == 1 else np.moveaxis(picture, 0, -1)
