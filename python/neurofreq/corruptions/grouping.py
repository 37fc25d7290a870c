"""Assign corruptions to frequency groups, and choose those that enter the means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from neurofreq._shared.inputs import validate
from neurofreq.corruptions._corrupt import CORRUPTION_GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

# The groups of the paper's Table A; only their corruptions enter the means.
GROUPS = ("low", "medium", "high")
EXTRA = "extra"


def group_of(name: str) -> str:
    """Return "low", "medium" or "high"; "extra" for corruptions not in the paper."""
    for group in GROUPS:
        if name in CORRUPTION_GROUPS[group]:
            return group
    return EXTRA


def averaged(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the corruptions that enter the means, in order."""
    return tuple(name for name in names if group_of(name) != EXTRA)


def chosen(
    names: Sequence[str] | None, known: Sequence[str], name: str = "corruptions"
) -> tuple[str, ...]:
    """Return the requested corruptions; by default those of the paper in `known`.

    Raises TypeError for anything but a sequence of names, and ValueError for unknown or
    repeated names, or an empty sequence.
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
