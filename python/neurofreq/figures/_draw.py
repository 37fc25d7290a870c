"""Drawing a figure of whole studies: each takes the models that belong in it."""

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
    """A figure of studies.

    Attributes
    ----------
    table : DataFrame
    figure : Figure
    note : str
        What is to be known of the models in it; empty where nothing is.
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
    """Draw one of the paper's figures of all models of studies that belong in it.

    Parameters
    ----------
    name : str
        "fig1" to "fig6".
    found : sequence of StudyResult
        Of `studies.run` or `studies.load`.
    study : Study, optional
        Of `study`, with data loaded: whose images Figures 1 and 3 show, and whose
        networks Figure 1 compares.
    neural : path, optional
        Recorded stimuli and responses of Figure 1: an npz file with ``images``
        beside what `neural.Responses.save` or `neural.Target.save` writes. By
        default the target is that of a simulated V1, and is called so.

    Returns
    -------
    Drawn
        table, figure and note.

    Raises
    ------
    NotDrawnError
        A ValueError: which models it lacks, or why they do not fit.

    Notes
    -----
    Figures 1 to 3 compare a model of the group "neural" with the first of "base"
    that saw the same images; Figure 2 has a row for each data set, at most two;
    Figure 3 falls back on one of "adv". A pair is of one study or of studies that
    agree in data, settings and release. Figures 4 to 6 take every model that has
    all of their measurements, from the first study that has one and from those
    that agree with it; the note names the others. Beside models of colour images
    they leave those out that saw them in gray. Blurred models of three sigmas in
    their names, such as "blur-1.5", make the series of Figures 5 and 6; those with
    the paper's sigma are then the group, where there is one.
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
    note = f"towards: {stimuli.target.label}, {len(shown)} stimuli; "
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
    """Say which pairs are drawn, and what is left out."""
    named = [" and ".join(m.name for m in pair.models) for pair in chosen.pairs]
    parts = [f"of {'; '.join(named[:n_drawn])}"]
    if others := named[n_drawn:]:
        parts.append(f"without {'; '.join(others)}, for which there is no room")
    return "; ".join([*parts, *filter(None, [chosen.note])])


def _images(name: str, study: Study | None) -> ImageSet:
    if study is None or not isinstance(study.data, ImageSet):
        raise NotDrawnError(f"{name}: not drawn, it needs the images (--data)")
    return study.data
