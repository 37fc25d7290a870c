"""The same values in another form give the same results, and do not change.

Numbers may be NumPy's or torch's. Arrays may be read-only, reversed, in another
byte order or memory order, in a file, or not aligned. Labels may come in any container
of integers; they are read by position.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from hostile_calls import CALLS, Call
from hostile_values import frozen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def reversed_(good: np.ndarray) -> np.ndarray:
    return good[::-1].copy()[::-1]


def read_only(good: np.ndarray) -> np.ndarray:
    good.flags.writeable = False
    return good


def big_endian(good: np.ndarray) -> np.ndarray:
    return good.astype(good.dtype.newbyteorder(">"))


def one_byte_off(good: np.ndarray) -> np.ndarray:
    buffer = np.zeros(good.nbytes + 1, np.uint8)
    shifted = np.ndarray(good.shape, good.dtype, buffer, offset=1)
    shifted[...] = good
    return shifted


def of_records(good: np.ndarray) -> np.ndarray:
    fields = [("name", "u1"), ("value", good.dtype, good.shape[1:])]
    records = np.zeros(len(good), fields)
    records["value"] = good
    return records["value"]


WHOLE = {
    "int64": np.int64,
    "uint8": np.uint8,
    "int16": np.int16,
    "array": np.array,
    "big-endian array": lambda value: np.array(value, ">i4"),
    "tensor": torch.tensor,
    "int32 tensor": lambda value: torch.tensor(value, dtype=torch.int32),
}
REAL = {
    "float64": np.float64,
    "array": np.array,
    "tensor": lambda value: torch.tensor(value, dtype=torch.float64),
    "tensor with gradient": lambda value: torch.tensor(
        value, dtype=torch.float64, requires_grad=True
    ),
}
ARRAYS = {
    "read-only": read_only,
    "reversed": reversed_,
    "big-endian": big_endian,
    "Fortran": np.asfortranarray,
    "one byte off": one_byte_off,
    "field of records": of_records,
    "every other": lambda good: np.repeat(good, 2, 0)[::2],
}
LABELS = ARRAYS | {
    "list": lambda good: good.tolist(),
    "tuple": lambda good: tuple(good.tolist()),
    "uint8": lambda good: good.astype(np.uint8),
    "uint64": lambda good: good.astype(np.uint64),
    "objects": lambda good: good.astype(object),
    "tensor": torch.from_numpy,
    "int32 tensor": lambda good: torch.from_numpy(good.astype(np.int32)),
    "series of another index": lambda good: pd.Series(
        good, index=np.arange(len(good))[::-1]
    ),
    "nullable series": lambda good: pd.Series(good, dtype="Int64"),
    "categorical": pd.Categorical,
}
FORMS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "count": WHOLE, "optional count": WHOLE, "count from 0": WHOLE,
    "count from 2": WHOLE, "seed": WHOLE, "optional seed": WHOLE, "severity": WHOLE,
    "number": REAL, "positive": REAL, "optional positive": REAL, "share": REAL,
    "budgets": REAL, "flag": {"NumPy's": np.bool_, "array": np.array},
    "seeds": {"array": np.array, "NumPy's": lambda good: [np.int64(s) for s in good]},
    "images": ARRAYS, "signed images": ARRAYS, "pixels": ARRAYS, "pictures": ARRAYS,
    "stored": ARRAYS, "finite": ARRAYS, "trials": ARRAYS, "labels": LABELS,
    "some labels": LABELS,
}  # fmt: skip
DOORS = [
    pytest.param(call, parameter, id=f"{call.name}-{parameter}")
    for call in CALLS
    for parameter, kind in call.kinds.items()
    if kind in FORMS
]


def plain(value: Any) -> Any:
    """Return the content of a result, to compare two results."""
    if isinstance(value, torch.Tensor):
        return plain(value.detach().numpy())
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, pd.DataFrame):
        return value.to_csv()
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, torch.nn.Module):
        return [str(value), plain(value.state_dict())]
    if dataclasses.is_dataclass(value):
        return [plain(getattr(value, one.name)) for one in dataclasses.fields(value)]
    if hasattr(value, "state"):
        return plain(value.state())
    return type(value).__name__, re.sub(r"0x\w+|/\S+", "", repr(value))


def result(call: Call, arguments: dict[str, Any]) -> Any:
    """Return the result of a call; for a missing file, the type of the error."""
    try:
        return plain(call.function(**arguments))
    except FileNotFoundError as error:
        return type(error)


@pytest.mark.parametrize(("call", "parameter"), DOORS)
def test_other_forms_of_a_value_give_the_same_result(
    call: Call, parameter: str, tmp_path: Path, counts
):
    def arguments(name: str) -> dict[str, Any]:
        folder = tmp_path / name
        folder.mkdir()
        return call.good(folder)

    expected = result(call, arguments("plain"))
    faults = []
    forms = FORMS[call.kinds[parameter]]
    for number, (name, form) in enumerate(forms.items()):
        given = arguments(str(number))
        good = given[parameter]
        if good is None or isinstance(good, torch.Tensor):
            continue  # the other values are for other calls, or tensors only
        given[parameter] = form(good)
        before = frozen(given[parameter])
        try:
            found = result(call, given)
        except Exception as error:
            faults.append(f"{name}: {type(error).__name__}: {error}")
            continue
        if found != expected:
            faults.append(f"{name}: another result")
        if frozen(given[parameter]) != before:
            faults.append(f"{name}: changed")
    counts["good values in other forms"] += len(forms)
    assert not faults, "\n".join([f"{len(faults)} of {len(forms)}", *faults])
