"""Which of the measured models belong into which figure."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from neurofreq.figures import _measures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neurofreq.studies import Measured, StudyResult

NEEDS = {
    "fig1": (),
    "fig2": ("clean", "attack", "corruption"),
    "fig3": ("hybrid",),
    "fig4": ("attack",),
    "fig5": ("hybrid", "corruption"),
    "fig6": ("attack", "hybrid", "corruption"),
}
"""Measurements without which a model is in none of a figure's panels."""
SIGMA = re.compile(r"blur[-=_ ]?(\d+(?:\.\d+)?)")
# The paper's one blurred network of Figs 4 and 5, and of its ImageNet networks.
PAPERS_SIGMA = {"fig4": 1.5, "fig5": 1.5, "fig6": 3.0}


class Pair(NamedTuple):
    """A baseline and another model of the same images."""

    models: tuple[Measured, Measured]
    data: str
    n_classes: int

    @property
    def title(self) -> str:
        """What both were measured on, in words."""
        name = self.data.removesuffix(" test").removesuffix(" val")
        return f"grayscale {name}" if self.models[0].is_gray else name

    @property
    def chance(self) -> float:
        """The accuracy of guessing; NaN where the classes are not counted."""
        return 1.0 / self.n_classes if self.n_classes else math.nan


class Robust(NamedTuple):
    """The models of a figure about groups.

    Attributes
    ----------
    models : list of Measured
    series : dict of float to Measured or None
        Blurred models by sigma, where there are three.
    note : str
        Which measured ones are left out, and why; empty where none is.
    """

    models: list[Measured]
    series: dict[float, Measured] | None
    note: str


def pairs(name: str, found: Sequence[StudyResult], group: str = "neural") -> list[Pair]:
    """Return a baseline and a model of a group, for each data set that has them.

    Parameters
    ----------
    name : str
        Of the figure.
    found : sequence of StudyResult
        Those of one data set are joined.
    group : str

    Raises
    ------
    ValueError
        If there is none.
    """
    sets: dict[tuple[str, int], list[Measured]] = {}
    for one in found:
        sets.setdefault((one.data, one.n_classes), []).extend(one.measured)
    chosen = []
    for (data, n_classes), measured in sets.items():
        models = [one for one in measured if _has(one, name)]
        for other in models:
            base = _first(models, "base", other.is_gray)
            if other.group == group and base is not None:
                chosen.append(Pair((base, other), data, n_classes))
                break
    if not chosen:
        raise ValueError(
            f"{name}: not drawn, it needs a base and a {group} model of the same "
            f"images{_with(name)}"
        )
    return chosen


def robust(name: str, found: Sequence[StudyResult]) -> Robust:
    """Return the models of Figure 4, 5 or 6.

    Parameters
    ----------
    name : str
    found : sequence of StudyResult

    Returns
    -------
    Robust
        Models that saw gray images made of colour ones stand beside none that saw
        colour: a group is of one kind. Where three blurred models make a series
        and one has the paper's sigma, that one is the group.

    Raises
    ------
    ValueError
        If there are fewer than two.
    """
    models = [m for one in found for m in one.measured if _has(m, name)]
    colour = [one for one in models if not one.is_gray]
    if colour:
        left = {"which saw gray images": [m for m in models if m.is_gray]}
        models = colour
    else:
        left = {}
    series = _series(models)
    if series is not None and PAPERS_SIGMA[name] in series:
        others = [m for s, m in series.items() if s != PAPERS_SIGMA[name]]
        why = "whose blur is not the paper's"
        left[f"{why} (they make the dashed line)" if name != "fig4" else why] = others
        models = [one for one in models if not any(one is m for m in others)]
    if len(models) < 2:
        raise ValueError(f"{name}: not drawn, it needs two models{_with(name)}")
    parts = [
        f"{', '.join(m.name for m in members)}, {why}"
        for why, members in left.items()
        if members
    ]
    return Robust(models, series, f"without {'; '.join(parts)}" if parts else "")


def _series(models: Sequence[Measured]) -> dict[float, Measured] | None:
    """Return the blurred models by the sigma in their names, where three have one."""
    found = {}
    for one in models:
        sigma = SIGMA.search(one.name)
        if one.group == "blur" and sigma is not None:
            found[float(sigma.group(1))] = one
    return found if len(found) >= 3 else None


def _first(models: Sequence[Measured], group: str, is_gray: bool) -> Measured | None:
    fits = (one for one in models if one.group == group and one.is_gray == is_gray)
    return next(fits, None)


def _has(one: Measured, name: str) -> bool:
    return all(_measures.has(one, measurement) for measurement in NEEDS[name])


def _with(name: str) -> str:
    return f" with {', '.join(NEEDS[name])}" if NEEDS[name] else ""
