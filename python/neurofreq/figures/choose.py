"""Choose which of the measured models a figure shows."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from neurofreq.figures.registry import FIGURES, NotDrawnError
from neurofreq.measured import groups
from neurofreq.studies.result import differing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neurofreq.measured import Measured
    from neurofreq.studies import StudyResult

_SIGMA = re.compile(r"blur[-=_ ]?(\d+(?:\.\d+)?)")
_LEAST = 3  # a series needs this many sigmas
_PART = "not completely measured"


class Pair(NamedTuple):
    """A baseline and another model that was shown the same images."""

    models: tuple[Measured, Measured]
    data: str
    n_classes: int

    @property
    def title(self) -> str:
        """The name of the images that both models were measured on."""
        name = self.data.removesuffix(" test").removesuffix(" val")
        return f"grayscale {name}" if self.models[0].is_gray else name

    @property
    def chance(self) -> float:
        """The accuracy of guessing; NaN if the number of classes is not known."""
        return 1.0 / self.n_classes if self.n_classes else math.nan


class Pairs(NamedTuple):
    """The pairs of a figure, one per data set, and a note on the models left out."""

    pairs: list[Pair]
    note: str

    def names(self, n_drawn: int) -> str:
        """Return a note: the pairs that are drawn, and the pairs that are left out."""
        named = [" and ".join(m.name for m in pair.models) for pair in self.pairs]
        parts = [f"of {'; '.join(named[:n_drawn])}"]
        if others := named[n_drawn:]:
            parts.append(f"not drawn for lack of space: {', '.join(others)}")
        return "; ".join([*parts, *filter(None, [self.note])])


class Robust(NamedTuple):
    """The models of a figure that compares groups.

    `series` has the blurred models by sigma; it is None if there are fewer than three
    sigmas. `note` has the measured models that are left out and the reasons; it may be
    empty.
    """

    models: list[Measured]
    series: dict[float, list[Measured]] | None
    note: str


def pairs(
    name: str, found: Sequence[StudyResult], partners: Sequence[str] = ("neural",)
) -> Pairs:
    """Return a baseline and a model of another group for each data set.

    Results on the same data set are joined. The other group is the first of `partners`
    for which there is a pair. A data set without such a pair is left out. Raises
    NotDrawnError if no data set has a pair, and ValueError if the models of all pairs
    of a data set were measured in different ways.
    """
    sets: dict[tuple[str, int], list[tuple[StudyResult, Measured]]] = {}
    for one in found:
        members = [(one, model) for model in one.measured]
        sets.setdefault((one.data, one.n_classes), []).extend(members)
    note = ""
    for group in partners:
        part = [
            model.name
            for one in found
            for model in one.measured
            if model.group in ("base", group) and not FIGURES[name].shows(model)
        ]
        note = f"without {', '.join(part)}, {_PART}" if part else ""
        chosen = [
            Pair(models, *key)
            for key, members in sets.items()
            if (models := _pair(name, members, group)) is not None
        ]
        if chosen:
            return Pairs(chosen, note)
    raise NotDrawnError(
        f"{name}: not drawn, it needs a base and a {partners[-1]} model of the same "
        f"images{_with(name)}" + f"; it is {note}" * bool(note)
    )


def robust(name: str, found: Sequence[StudyResult]) -> Robust:
    """Return the models of Figure 4, 5 or 6.

    The models come from studies that agree, see `together`. Models that were shown gray
    versions of color images are never combined with models that were shown color
    images. If there are blurred models with three or more sigmas, and some have the
    paper's sigma (finished or not), models with other sigmas are left out of the group
    "blur". Raises NotDrawnError if there are fewer than two models.
    """
    models, parts = together(found, FIGURES[name].needs)
    whole = [one for one in models if FIGURES[name].shows(one)]
    is_gray = all(one.is_gray for one in whole)
    line = series([one for one in whole if one.is_gray == is_gray])
    # Include unfinished models, so that the group does not change when they finish.
    sigmas = series([one for one in models if one.is_gray == is_gray])
    is_series = len(sigmas) >= _LEAST and FIGURES[name].sigma in sigmas
    is_line = len(line) >= _LEAST and name != "fig4"
    chosen: list[Measured] = []
    left: dict[str, list[str]] = {}
    for one in models:
        if not FIGURES[name].shows(one):
            why = _PART
        elif one.is_gray != is_gray:
            why = "measured on gray images"
        elif is_series and sigma_of(one) not in (None, FIGURES[name].sigma):
            why = "whose blur is not the paper's"
            why += " (they make the dashed line)" * is_line
        else:
            chosen.append(one)
            continue
        left.setdefault(why, []).append(one.name)
    parts += [f"{', '.join(names)}, {why}" for why, names in left.items()]
    note = f"without {'; '.join(parts)}" if parts else ""
    if len(chosen) < 2:
        raise NotDrawnError(
            f"{name}: not drawn, it needs two models{_with(name)}"
            + f"; it is {note}" * bool(note)
        )
    return Robust(chosen, line if len(line) >= _LEAST else None, note)


def together(
    found: Sequence[StudyResult], measurements: Sequence[str]
) -> tuple[list[Measured], list[str]]:
    """Return the models of studies whose numbers can be compared, and notes.

    The first study with a model that has the measurements is the reference. The models
    are those of the reference, of studies that agree with it in data, settings and
    release, and of studies without these measurements. Each note names one of the other
    studies and its difference.
    """
    models: list[Measured] = []
    left: list[str] = []
    first = None
    for one in found:
        is_measured = any(groups.has(model, *measurements) for model in one.measured)
        if is_measured and first is None:
            first = one
        why = differing(first, one, measurements) if first and is_measured else ""
        if why:
            left.append(f"the models of {one.out_dir}, measured with {why}")
        else:
            models += one.measured
    # If several studies list a model, the measured one is used.
    known = {one.name for one in models if one.results}
    return [one for one in models if one.results or one.name not in known], left


def series(models: Sequence[Measured]) -> dict[float, list[Measured]]:
    """Return the blurred models by the sigma in their names."""
    found: dict[float, list[Measured]] = {}
    for one in models:
        sigma = sigma_of(one)
        if sigma is not None:
            found.setdefault(sigma, []).append(one)
    return found


def sigma_of(one: Measured) -> float | None:
    """Return the sigma in a blurred model's name, or None."""
    sigma = _SIGMA.search(one.name) if one.group == "blur" else None
    return float(sigma.group(1)) if sigma else None


def _pair(
    name: str, members: Sequence[tuple[StudyResult, Measured]], group: str
) -> tuple[Measured, Measured] | None:
    """Return the first pair of a baseline and a model that were measured alike."""
    whole = [(one, model) for one, model in members if FIGURES[name].shows(model)]
    apart = ""
    for theirs, other in whole:
        for ours, base in whole:
            if (base.group, other.group) != ("base", group):
                continue
            if base.is_gray != other.is_gray:
                continue
            why = differing(ours, theirs, FIGURES[name].needs)
            if not why:
                return base, other
            apart = apart or (
                f"models: got {other.name} of {theirs.out_dir} with {why}, expected "
                f"it measured like {base.name} of {ours.out_dir}"
            )
    if apart:
        raise ValueError(apart)
    return None


def _with(name: str) -> str:
    return f" with {', '.join(FIGURES[name].needs)}" if FIGURES[name].needs else ""
