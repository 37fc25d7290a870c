"""Draw a figure from whole studies: choose the models that it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from neurofreq._shared.inputs import validate
from neurofreq.data import ImageSet
from neurofreq.figures import choose, compared
from neurofreq.figures._fig1 import fig1
from neurofreq.figures._fig2 import fig2
from neurofreq.figures._fig3 import fig3
from neurofreq.figures._fig4 import fig4
from neurofreq.figures._fig5 import fig5
from neurofreq.figures._fig6 import fig6
from neurofreq.figures._measures import NotMeasuredError
from neurofreq.figures.choose import NEEDS, NotDrawnError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from neurofreq.figures.choose import Pairs
    from neurofreq.studies import Study, StudyResult


class Drawn(NamedTuple):
    """A figure drawn from studies.

    Attributes
    ----------
    table : DataFrame
        One row per number, with the columns that `neurofreq.figures` describes.
    figure : Figure
    note : str
        Which models are left out, and why; other remarks on the models shown.
        Empty without a remark.
    """

    table: pd.DataFrame
    figure: Figure
    note: str


def draw(
    name: str,
    found: Sequence[StudyResult],
    *,
    study: Study | None = None,
    neural: str | os.PathLike[str] | None = None,
) -> Drawn:
    """Draw one of the paper's figures from all fitting models of the studies.

    Parameters
    ----------
    name : str
        "fig1" to "fig6".
    found : sequence of StudyResult
        Results of `studies.run` or `studies.load`.
    study : Study, optional
        A study with its data loaded, as `study` returns it. Figures 1 and 3 show its
        images, and Figure 1 compares its networks.
    neural : path, optional
        Recorded stimuli and responses for Figure 1: an npz file with ``images`` and
        the arrays that `neural.Responses.save` or `neural.Target.save` writes. By
        default the target comes from a simulated V1, and its label says this.

    Returns
    -------
    Drawn
        table, figure and note.

    Raises
    ------
    NotDrawnError
        A ValueError that says which models are missing, or why they do not fit.

    Notes
    -----
    Figures 1 to 3 compare a model of the group "neural" with the first model of the
    group "base" that was shown the same images. Figure 2 has a row for each data set,
    at most two. Figure 3 uses a model of the group "adv" if there is none of the group
    "neural". Both models of a pair come from one study, or from studies that agree in
    data, settings and release.

    Figures 4 to 6 show every model that has all measurements of the figure. The models
    come from the first study that has such a model and from the studies that agree
    with it; the note names the other studies. If some models were shown color images,
    models that were shown gray versions of color images are left out. Blurred models
    of at least three sigmas make the series of Figures 5 and 6; sigma is read from the
    name, such as "blur-1.5". The models with the paper's sigma, if there are any, then
    form the group "blur".
    """
    validate.one_of("name", name, tuple(NEEDS))
    try:
        return _drawn(name, found, study, neural)
    except NotMeasuredError as error:
        raise NotDrawnError(f"{name}: not drawn: {error}") from error


def _drawn(
    name: str,
    found: Sequence[StudyResult],
    study: Study | None,
    neural: str | os.PathLike[str] | None,
) -> Drawn:
    if name == "fig1":
        return _spaces(found, study, neural)
    if name == "fig2":
        return _pairs(found)
    if name == "fig3":
        return _hybrids(found, study)
    chosen = choose.robust(name, found)
    if name == "fig4":
        return Drawn(*fig4(chosen.models), chosen.note)
    figure = fig5 if name == "fig5" else fig6
    return Drawn(*figure(chosen.models, series=chosen.series), chosen.note)


def _spaces(
    found: Sequence[StudyResult],
    study: Study | None,
    neural: str | os.PathLike[str] | None,
) -> Drawn:
    images = _images("fig1", study)
    entries = {entry.name: entry for entry in study.models} if study else {}
    for pair in choose.pairs("fig1", found).pairs:
        base, regularized = pair.models
        if {base.name, regularized.name} <= entries.keys():
            break
    else:
        raise NotDrawnError(
            "fig1: not drawn, it needs a base and a neural model of this study"
        )
    stimuli = compared.simulated(images)
    if neural is not None:
        stimuli = compared.recorded(neural)
    like = images.gray().images if base.is_gray else images.images
    shown = compared.seen(stimuli.images, like)
    spaces = [compared.space(entries[one.name].load(), shown) for one in pair.models]
    titles = (f"{base.title}\nnot regularized", f"{regularized.title}\nregularized")
    note = f"target: {stimuli.target.label}, {len(shown)} stimuli; "
    note += "models: mean over the default layers, equal weights"
    return Drawn(*fig1(shown, stimuli.target, *spaces, titles=titles), note)


def _pairs(found: Sequence[StudyResult]) -> Drawn:
    chosen = choose.pairs("fig2", found)
    two = chosen.pairs[:2]
    table, figure = fig2(
        [model for pair in two for model in pair.models],
        titles=[pair.title for pair in two],
        chance=[pair.chance for pair in two],
    )
    return Drawn(table, figure, _names(chosen, 2))


def _hybrids(found: Sequence[StudyResult], study: Study | None) -> Drawn:
    images = _images("fig3", study)
    chosen = choose.pairs("fig3", found, ("neural", "adv"))
    pair = chosen.pairs[0]
    roles = ("base", pair.models[1].group)
    shown = images.gray() if pair.models[0].is_gray else images
    other = int((images.labels != images.labels[0]).argmax())
    low, high = np.asarray(shown.images[0]), np.asarray(shown.images[other])
    table, figure = fig3(pair.models, low, high, roles=roles)
    return Drawn(table, figure, _names(chosen, 1))


def _names(chosen: Pairs, n_drawn: int) -> str:
    """Say which pairs are drawn and which are left out."""
    named = [" and ".join(m.name for m in pair.models) for pair in chosen.pairs]
    parts = [f"of {'; '.join(named[:n_drawn])}"]
    if others := named[n_drawn:]:
        parts.append(f"not drawn for lack of space: {', '.join(others)}")
    return "; ".join([*parts, *filter(None, [chosen.note])])


def _images(name: str, study: Study | None) -> ImageSet:
    if study is None or not isinstance(study.data, ImageSet):
        raise NotDrawnError(f"{name}: not drawn, it needs the images (--data)")
    return study.data
