"""Check single values: numbers, seeds, flags, words and paths.

`validate` re-exports these checks. Each check returns a plain Python type, so that no
NumPy or torch number reaches JSON, Rust, or torch's own argument checks.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch

MOST = 2**31 - 1
"""The largest count: a product of two fits the 64-bit integers of Rust and torch."""


def integer(name: str, value: Any) -> int:
    """Return an integer as a Python int; refuse bools and floats."""
    value = item(value)
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}: got {_kind(value)}, expected an integer")
    return int(value)


def count(name: str, value: Any, least: int = 1, most: int = MOST) -> int:
    """Return an integer from `least` to `most`."""
    whole = integer(name, value)
    if whole < least:
        raise ValueError(f"{name}: got {whole}, expected at least {least}")
    if whole > most:
        raise ValueError(f"{name}: got {shown(whole)}, expected at most {most}")
    return whole


def seed(value: Any, name: str = "seed") -> int:
    """Return a seed, an integer from 0 to 2**64 - 1."""
    whole = integer(name, value)
    if not 0 <= whole < 2**64:
        raise ValueError(f"{name}: got {shown(whole)}, expected 0 to 2**64 - 1")
    return whole


def seeds(value: Any, name: str = "seeds") -> tuple[int, ...]:
    """Return at least one seed."""
    if isinstance(value, (str, bytes)) or not _is_sequence(value):
        raise TypeError(f"{name}: got {shown(value)}, expected a sequence of seeds")
    found = tuple(seed(one, name) for one in value)
    if not found:
        raise ValueError(f"{name}: got none, expected at least one")
    return found


def number(name: str, value: Any) -> float:
    """Return a real number as a float; refuse bools."""
    value = item(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: got {_kind(value)}, expected a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf if abs(value) == value else -math.inf


def within(name: str, value: float, holds: bool, interval: str) -> None:
    """Raise unless `holds`: the message gives the value and the allowed interval."""
    if not holds:
        raise ValueError(f"{name}: got {shown(value)}, expected {interval}")


def pair(name: str, value: Any) -> tuple[int, int]:
    """Return two positive integers, such as a height and a width."""
    values = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(values) != 2:
        raise ValueError(f"{name}: got {shown(value)}, expected two positive integers")
    return count(name, values[0]), count(name, values[1])


def flag(name: str, value: Any) -> bool:
    """Return True or False; refuse all other values, such as 0 and 1."""
    value = item(value)
    if not isinstance(value, bool):
        raise TypeError(f"{name}: got {shown(value)}, expected True or False")
    return value


def one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    """Return one of the known words."""
    if not isinstance(value, str) or value not in known:
        words = ", ".join(repr(word) for word in known)
        raise ValueError(f"{name}: got {shown(value)}, expected one of {words}")
    return str(value)


def text(name: str, value: Any) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: got {_kind(value)}, expected a string")
    return str(value)


def instance(name: str, value: Any, kind: type) -> None:
    """Require an object of a class."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: got {shown(value)}, expected a {kind.__name__}")


def path(name: str, value: Any) -> Path:
    """Return the path of a file or folder, which need not exist."""
    is_path = isinstance(value, (str, os.PathLike))
    place = os.fspath(value) if is_path else None
    if not isinstance(place, str):
        raise TypeError(f"{name}: got {shown(value)}, expected a path")
    if not place or "\0" in place:
        raise ValueError(f"{name}: got {shown(value)}, expected a path")
    return Path(place)


def shown(value: Any) -> str:
    """Return a value as a message shows it: short values whole, others by type."""
    if not isinstance(value, (bool, int, float, complex, str, bytes, tuple, list)):
        return "None" if value is None else _kind(value)
    try:
        literal = repr(value)
    except ValueError:  # an integer with more digits than Python prints
        return "an integer of too many digits"
    return literal if len(literal) <= 60 else f"{literal[:57]}..."


def _kind(value: Any) -> str:
    """Return the name of a value's type, with the shape of an array."""
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    return f"{kind} of shape {tuple(shape)}" if isinstance(shape, tuple) else kind


def item(value: Any) -> Any:
    """Return the value in a NumPy scalar, or in an array or tensor without axes."""
    if isinstance(value, np.ma.MaskedArray):
        return value
    if isinstance(value, np.generic):
        return value if isinstance(value, np.longdouble) else value.item()
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return item(value[()])
    if isinstance(value, torch.Tensor) and value.ndim == 0:
        try:
            return value.item()
        except (RuntimeError, NotImplementedError):  # no value, as on device "meta"
            return value
    return value


def _is_sequence(value: Any) -> bool:
    """Return whether a value can be iterated, as arrays with axes can."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) > 0
