"""Read the names of norms, as users of other packages write them."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from neurofreq._shared.inputs import scalars

_ORDERS = {math.inf: "linf", 2.0: "l2", 1.0: "l1", 0.0: "l0"}
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


def _canonical(value: Any) -> str:
    """Return the canonical name, or an empty string for anything else."""
    if isinstance(value, str):
        word = value.lower().removeprefix("l").removeprefix("_").removeprefix("-")
        return _WORDS.get(word, "")
    if isinstance(value, Real) and not isinstance(value, bool):
        return _ORDERS.get(float(value), "") if abs(value) <= 2 else _infinite(value)
    return ""


def _infinite(value: Real) -> str:
    return "linf" if value == math.inf else ""
