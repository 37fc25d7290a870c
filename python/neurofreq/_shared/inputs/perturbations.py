"""Check norms, as users of other packages write them, and sizes of perturbations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import arrays, scalars

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ORDERS: dict[float, str] = {math.inf: "linf", 2.0: "l2", 1.0: "l1", 0.0: "l0"}
NORMS = tuple(_ORDERS.values())
_WORDS = {"inf": "linf", "infinity": "linf", "2": "l2", "1": "l1", "0": "l0"}


def norm(name: str, value: Any, known: tuple[str, ...]) -> str:
    """Return the canonical name of a norm: "linf", "l2", "l1" or "l0".

    Accepts these names in any case, with or without the "l", and the orders inf, 2, 1
    and 0 as numbers. Raises ValueError for anything else, and for norms that are not
    among `known`.
    """
    found = _canonical(scalars.item(value))
    if found not in known:
        words = ", ".join(repr(word) for word in known)
        got = scalars.shown(value)
        raise ValueError(f"{name}: got {got}, expected one of {words}")
    return found


def epsilons(name: str, value: Any) -> NDArray[np.float64]:
    """Return budgets (K,), finite numbers of 0 or more, in the given order."""
    found = arrays.real(value, name)
    if found.ndim != 1:
        raise ValueError(f"{name}: got shape {found.shape}, expected one axis")
    if found.size == 0:
        raise ValueError(f"{name}: got no budgets, expected at least one")
    bad = found[~((found >= 0.0) & (found < np.inf))]
    if bad.size:
        raise ValueError(f"{name}: got {bad[0]}, expected finite numbers of 0 or more")
    return found


def _canonical(value: Any) -> str:
    """Return the canonical name, or an empty string for anything else."""
    if isinstance(value, str):
        word = value.lower().removeprefix("l").removeprefix("_").removeprefix("-")
        return _WORDS.get(word, "")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _ORDERS.get(value, "")
    return ""
