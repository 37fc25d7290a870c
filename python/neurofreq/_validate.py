"""Checks at the Python door: what was got, what was expected, which argument.

Every check raises before any work is done. Messages begin with the argument's
name and have no full stop.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[Any] | torch.Tensor"

_ROUNDING = 1e-6  # how far a similarity may exceed 1 by rounding


def images(value: Array, name: str = "images", *, unit_range: bool = False) -> Array:
    """Check a batch of images and return it unchanged.

    Parameters
    ----------
    value : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64, N >= 1, finite.
    name : str
        What the caller calls it.
    unit_range : bool
        Also require values in [0, 1].

    Raises
    ------
    TypeError
        Not an array or tensor, or a dtype other than float32 and float64.
    ValueError
        Wrong rank, an empty axis, NaN or infinity, or values out of range.
    """
    batch(value, name)
    low, high = _extremes(value)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name}: got NaN or infinite values, expected finite ones")
    if unit_range and (low < 0.0 or high > 1.0):
        raise ValueError(
            f"{name}: got values in [{low:.6g}, {high:.6g}], expected [0, 1]"
        )
    return value


def batch(value: Array, name: str = "images") -> None:
    """Check what `images` checks, except the values themselves."""
    if not isinstance(value, (np.ndarray, torch.Tensor)):
        raise TypeError(
            f"{name}: got {type(value).__name__}, expected a NumPy array or tensor"
        )
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in ("float32", "float64"):
        hint = "; divide by 255 and convert" if dtype == "uint8" else ""
        raise TypeError(f"{name}: got dtype {dtype}, expected float32 or float64{hint}")
    if value.ndim != 4:
        raise ValueError(
            f"{name}: got shape {tuple(value.shape)}, expected (N, C, H, W)"
        )
    if 0 in value.shape:
        raise ValueError(
            f"{name}: got shape {tuple(value.shape)}, expected no empty axis"
        )


def same(first: Array, second: Array, names: tuple[str, str]) -> None:
    """Require two batches of one kind, shape, dtype and device."""
    for attribute in ("shape", "dtype", "device"):
        a = getattr(first, attribute, "numpy")
        b = getattr(second, attribute, "numpy")
        if attribute == "shape":
            a, b = tuple(a), tuple(b)
        if a != b:
            raise ValueError(
                f"{names[1]}: got {attribute} {b}, expected that of {names[0]}, {a}"
            )


def labels(
    value: Any, name: str = "labels", *, count: int | None = None
) -> NDArray[np.int64]:
    """Return class labels as a one-dimensional int64 NumPy array.

    Parameters
    ----------
    value : array_like of int, shape (N,)
        Non-negative integers; tensors may be on any device.
    name : str
        What the caller calls it.
    count : int, optional
        The length it must have.

    Raises
    ------
    TypeError
        If the values are not integers.
    ValueError
        Wrong rank or length, or a negative label.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name}: got dtype {array.dtype}, expected integers")
    if array.ndim != 1:
        raise ValueError(f"{name}: got shape {array.shape}, expected (N,)")
    if count is not None and len(array) != count:
        raise ValueError(f"{name}: got {len(array)}, expected {count}, one per image")
    if array.size and array.min() < 0:
        raise ValueError(f"{name}: got {array.min()}, expected labels from 0 up")
    return np.ascontiguousarray(array, dtype=np.int64)


def trials(value: Any, name: str = "trials") -> NDArray[np.float64]:
    """Return responses as float64, (n_trials, n_images, n_neurons); NaN allowed."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != 3:
        raise ValueError(
            f"{name}: got shape {array.shape}, expected (n_trials, n_images, n_neurons)"
        )
    infinite = np.isinf(array).any(axis=(0, 1))
    if infinite.any():
        raise ValueError(
            f"{name}: got infinite responses of neuron {int(infinite.argmax())}, "
            "expected finite ones or NaN"
        )
    return array


def similarity(value: Any, name: str = "similarity") -> NDArray[np.float64]:
    """Return similarities as float64, symmetric, in [-1, 1] to the last bit.

    Parameters
    ----------
    value : array_like of float, shape (N, N)
        Tensors may be on any device. Rounding is forgiven.
    name : str
        What the caller calls it.

    Raises
    ------
    ValueError
        Not square, fewer than two images, NaN or infinity, not symmetric, or
        values outside [-1, 1].
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    matrix = np.asarray(value, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name}: got shape {matrix.shape}, expected (N, N)")
    if len(matrix) < 2:
        raise ValueError(f"{name}: got {len(matrix)} images, expected at least two")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name}: got NaN or infinite values, expected finite ones")
    if np.abs(matrix - matrix.T).max() > _ROUNDING:
        raise ValueError(f"{name}: got a matrix that is not symmetric")
    low, high = matrix.min(), matrix.max()
    if max(-low, high) > 1.0 + _ROUNDING:
        raise ValueError(
            f"{name}: got values in [{low:.6g}, {high:.6g}], expected [-1, 1]"
        )
    return matrix.clip(-1.0, 1.0)


def index(name: str, value: Any, length: int) -> NDArray[np.int64]:
    """Return indices from 0 to length - 1, of indices or a mask."""
    array = np.asarray(value)
    if array.dtype == bool:
        if array.shape != (length,):
            raise ValueError(
                f"{name}: got a mask of shape {array.shape}, expected ({length},)"
            )
        return np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"{name}: got {array.dtype} of shape {array.shape}, "
            "expected indices or a mask"
        )
    if array.size and not (array.min() >= 0 and array.max() < length):
        raise ValueError(
            f"{name}: got {array.min()} to {array.max()}, expected 0 to {length - 1}"
        )
    return array.astype(np.int64)


def seed(value: int, name: str = "seed") -> int:
    """Return a seed, an integer from 0 to 2**64 - 1."""
    integer(name, value)
    if not 0 <= value < 2**64:
        raise ValueError(f"{name}: got {value}, expected 0 to 2**64 - 1")
    return int(value)


def one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    """Require one of the known words."""
    if value not in known:
        words = ", ".join(repr(word) for word in known)
        raise ValueError(f"{name}: got {value!r}, expected one of {words}")


def integer(name: str, value: Any) -> None:
    """Require an integer."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: got {type(value).__name__}, expected an integer")


def count(name: str, value: int, least: int = 1) -> None:
    """Require an integer of at least `least`."""
    integer(name, value)
    if value < least:
        raise ValueError(f"{name}: got {value}, expected at least {least}")


def number(name: str, value: Any) -> float:
    """Return a number as a float."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: got {type(value).__name__}, expected a number")
    return float(value)


def within(name: str, value: float, holds: bool, interval: str) -> None:
    """Require that a number is where it must be, as the caller found."""
    if not holds:
        raise ValueError(f"{name}: got {value}, expected {interval}")


def _extremes(value: Array) -> tuple[float, float]:
    """Minimum and maximum; NaN where any value is NaN."""
    if isinstance(value, torch.Tensor):
        low, high = value.detach().aminmax()
        return float(low), float(high)
    return float(value.min()), float(value.max())
