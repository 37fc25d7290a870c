"""The figures by name: their measurements, and drawing them from whole studies.

The module of a figure registers the figure (`registered`); `draw` draws it by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from neurofreq._shared import results
from neurofreq._shared.inputs import validate
from neurofreq.data import ImageSet
from neurofreq.measured import NotMeasuredError, groups
from neurofreq.plot import CMAP
from neurofreq.plot.colormaps import known_cmap

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from neurofreq.measured import Measured
    from neurofreq.studies import Study, StudyResult


class NotDrawnError(ValueError):
    """A figure cannot be drawn from these models.

    The message begins with the name of the figure.

    Examples
    --------
    >>> import neurofreq as nf
    >>> try:
    ...     nf.figures.draw("fig4", [])
    ... except nf.figures.NotDrawnError as error:
    ...     print(str(error).split(":")[0])
    fig4
    """


class Drawn(NamedTuple):
    """A figure drawn from studies.

    Attributes
    ----------
    table : DataFrame
        One row per number, with the columns that `neurofreq.figures` describes.
    figure : Figure
    note : str
        The models that are left out and the reasons, and other remarks; empty if there
        is no remark.

    Examples
    --------
    `draw` returns such a tuple; this example makes one:

    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> import neurofreq as nf
    >>> drawn = nf.figures.Drawn(pd.DataFrame({"value": [0.1]}), Figure(), "")
    >>> table, figure, note = drawn
    >>> drawn.table is table, drawn.figure is figure, drawn.note
    (True, True, '')
    >>> drawn
    Drawn(numbers: 1, note: none)
    """

    table: pd.DataFrame
    figure: Figure
    note: str

    def __repr__(self) -> str:
        """Return the number of rows and the note in one line."""
        numbers = {"numbers": len(self.table), "note": self.note or "none"}
        return results.line(self, numbers)

    def _repr_html_(self) -> str:
        return results.img(self.figure, "figure") + results.paragraph(self.note)

    def to_frame(self) -> pd.DataFrame:
        """Return `table`."""
        return self.table


class Asked(NamedTuple):
    """The inputs of a figure: the arguments of `draw`."""

    found: Sequence[StudyResult]
    study: Study | None
    neural: str | os.PathLike[str] | None
    cmap: str = CMAP

    def images(self, name: str) -> ImageSet:
        """Return the images of the study; raise NotDrawnError if there is none."""
        if self.study is None or not isinstance(self.study.data, ImageSet):
            raise NotDrawnError(f"{name}: not drawn, it needs the images (--data)")
        return self.study.data


@dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper.

    Attributes
    ----------
    name : str
    needs : tuple of str
        The measurements that a model needs to appear in the figure.
    draw : callable
        Draws the figure from `Asked`.
    has_images : bool
        Whether the figure shows images. Then the stored numbers of a study are not
        enough to draw it.
    data : tuple of str
        The data sets for which the figure is drawn by default: "small" (CIFAR-10,
        TinyImageNet and others) or "imagenet".
    sigma : float or None
        Sigma, in pixels, of the blurred network that the paper's figure shows.

    Examples
    --------
    >>> import neurofreq as nf
    >>> figure = nf.figures.FIGURES["fig5"]
    >>> figure.needs, figure.has_images
    (('hybrid', 'corruption'), False)
    """

    name: str
    needs: tuple[str, ...]
    draw: Callable[[Asked], Drawn]
    has_images: bool
    data: tuple[str, ...]
    sigma: float | None

    def shows(self, model: Measured) -> bool:
        """Return whether a model has all measurements that the figure needs."""
        return groups.has(model, *self.needs)


FIGURES: dict[str, PaperFigure] = {}
"""Every figure by its name, in the order of the paper."""


def registered(
    name: str,
    *,
    needs: tuple[str, ...],
    has_images: bool = False,
    data: tuple[str, ...] = ("small",),
    sigma: float | None = None,
) -> Callable[[Callable[[Asked], Drawn]], Callable[[Asked], Drawn]]:
    """Return a decorator that registers the function that draws a figure."""

    def register(draw: Callable[[Asked], Drawn]) -> Callable[[Asked], Drawn]:
        FIGURES[name] = PaperFigure(name, needs, draw, has_images, data, sigma)
        return draw

    return register


def draw(
    name: str,
    found: Sequence[StudyResult],
    *,
    study: Study | None = None,
    neural: str | os.PathLike[str] | None = None,
    cmap: str = CMAP,
) -> Drawn:
    """Draw a figure of the paper from all models of the studies that fit.

    Parameters
    ----------
    name : str
        "fig1" to "fig6".
    found : sequence of StudyResult
        Results of `studies.run` or `studies.load`.
    study : Study, optional
        A study with its data loaded, such as the result of `study`. Figures 1 and 3
        show images of the study, and Figure 1 compares networks of the study.
    neural : path, optional
        Recorded stimuli and responses for Figure 1: an npz file with ``images`` and
        the arrays that `neural.Responses.save` or `neural.Target.save` writes. By
        default the target comes from a simulated V1, and its label names this source.
    cmap : str
        Colormap of the spectra in Figures 2 and 4, a name that matplotlib knows;
        ``nf.plot.PAPER_CMAP`` is that of the paper.

    Returns
    -------
    Drawn
        table, figure and note.

    Raises
    ------
    NotDrawnError
        If models are missing or do not fit; the message has the reason. It is a
        ValueError.

    Notes
    -----
    Figures 1 to 3 compare a model of the group "neural" with the first model of the
    group "base" that was shown the same images. Figure 2 has one row per data set, for
    at most two data sets. Figure 3 uses a model of the group "adv" if no model is in
    the group "neural". Both models of a pair come from one study, or from studies that
    agree in data, settings and release.

    Figures 4 to 6 show every model that has all measurements of the figure. The models
    come from the first study that has such a model and from the studies that agree
    with it; the note names the other studies. If some models were shown color images,
    models that were shown gray versions of color images are left out. If there are
    blurred models with at least three sigmas, Figures 5 and 6 have a blur series; sigma
    is read from the name, such as "blur-1.5". The group "blur" then has only the models
    with the paper's sigma, if there are any.

    Examples
    --------
    The labels in this example are the networks' own predictions:

    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=2).images
    >>> data = nf.data.ImageSet(images, [4, 6], (), "mine")
    >>> spec = {
    ...     "data": data,
    ...     "models": ["zoo:gray-standard", "zoo:gray-mouse"],
    ...     "measurements": ["attack"],
    ...     "settings": {"attack_steps": 5, "targeted": False},
    ... }
    >>> found = nf.studies.run(spec, "out", progress=False)
    >>> table, figure, note = nf.figures.draw("fig4", [found])
    >>> note
    ''
    >>> table["model"].unique().tolist()
    ['gray-standard', 'gray-mouse', 'group mean']
    >>> figure.savefig("fig4.png")
    """
    validate.one_of("name", name, tuple(FIGURES))
    cmap = known_cmap(cmap)
    try:
        return FIGURES[name].draw(Asked(found, study, neural, cmap))
    except NotMeasuredError as error:
        raise NotDrawnError(f"{name}: not drawn: {error}") from error
