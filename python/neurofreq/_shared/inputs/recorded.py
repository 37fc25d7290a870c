"""Read recorded numbers as float arrays, with NaN for missing values."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared.inputs import arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray


_NESTED = (torch.Tensor, np.ma.MaskedArray, list, tuple)


def floats(value: Any, name: str) -> NDArray[Any]:
    """Return an array of float32 or float64, with NaN for missing entries.

    Masked entries, None and `pandas.NA` are missing. Tensors may be on any device and
    may require a gradient. Raises TypeError for booleans, complex numbers, strings and
    other objects, and ValueError for nested sequences of unequal lengths.
    """
    array = np.ma.asarray(_array(value, name))
    values, missing = np.asarray(array.data), np.ma.getmaskarray(array)
    if values.dtype == object:
        values, missing = _of_objects(values, missing, name)
    if values.size and values.dtype.kind not in "iuf":
        raise TypeError(f"{name}: got dtype {values.dtype}, expected real numbers")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    if missing.any():
        values = np.where(missing, values.dtype.type(np.nan), values)
    return values


def _array(value: Any, name: str) -> Any:
    """Return an array; it is masked if `value` or its items are."""
    if isinstance(value, torch.Tensor):
        return arrays.host(value, name)
    if isinstance(value, np.ma.MaskedArray):
        return value
    if isinstance(value, (list, tuple)):
        nested = any(isinstance(item, _NESTED) for item in value)
        value = [_array(item, name) for item in value] if nested else list(value)
    try:
        if isinstance(value, list) and any(map(np.ma.isMaskedArray, value)):
            return np.ma.stack(value)
        return np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{name}: got sequences of unequal lengths, expected one array"
        ) from None


def _of_objects(
    values: NDArray[Any], missing: NDArray[np.bool_], name: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return an object array as float64, and a mask of its missing entries."""
    numbers = np.zeros(values.shape)
    missing = missing.copy()
    for place, item in np.ndenumerate(values):
        if is_missing(item):
            missing[place] = True
        elif not missing[place]:
            if isinstance(item, (bool, np.bool_)) or not isinstance(item, Real):
                raise TypeError(
                    f"{name}: got {type(item).__name__}, expected real numbers"
                )
            numbers[place] = item
    return numbers, missing


def is_missing(item: Any) -> bool:
    """Return whether an item means a missing value."""
    if item is None or item is np.ma.masked or type(item).__name__ == "NAType":
        return True
    return isinstance(item, (float, np.floating)) and bool(np.isnan(item))
