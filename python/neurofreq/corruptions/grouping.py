"""Which group of frequencies a corruption belongs to, and which ones are averaged."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from neurofreq._shared.inputs import validate
from neurofreq.corruptions._corrupt import CORRUPTION_GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

# The groups of the paper's Table A, whose corruptions every mean is over.
GROUPS = ("low", "medium", "high")
EXTRA = "extra"


def group_of(name: str) -> str:
    """Return "low", "medium" or "high"; "extra" outside the paper's fifteen."""
    for group in GROUPS:
        if name in CORRUPTION_GROUPS[group]:
            return group
    return EXTRA


def averaged(names: Sequence[str]) -> tuple[str, ...]:
    """Return those of the names that means are over, in their order."""
    return tuple(name for name in names if group_of(name) != EXTRA)


def chosen(
    names: Sequence[str] | None, known: Sequence[str], name: str = "corruptions"
) -> tuple[str, ...]:
    """Return the corruptions asked for; by default the known ones of the paper.

    Parameters
    ----------
    names : sequence of str, optional
    known : sequence of str
        Those that can be had.
    name : str
        What the caller calls them.

    Raises
    ------
    TypeError
        If it is one word, or no sequence.
    ValueError
        If there is none, one twice, or one that is not known.
    """
    if names is None:
        return averaged(known)
    if isinstance(names, str):
        raise TypeError(f"{name}: got {names!r}, expected names, as [{names!r}]")
    if not isinstance(names, Iterable):
        raise TypeError(f"{name}: got {validate.shown(names)}, expected names")
    found = tuple(names)
    for one in found:
        if not isinstance(one, str) or one not in known:
            nearest = difflib.get_close_matches(str(one), known, 1, 0.0)[0]
            raise ValueError(
                f"{name}: got {one!r}, expected some of {', '.join(known)}; the "
                f"nearest is {nearest!r}"
            )
    if not found or len(set(found)) < len(found):
        raise ValueError(f"{name}: got {list(found)}, expected each name once")
    return found
