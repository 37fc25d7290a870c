"""Checks at the Python door: what was got, what was expected, which argument.

Every check raises before any work is done. Messages begin with the argument's
name and have no full stop.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from neurofreq._neurofreq import ModelError

if TYPE_CHECKING:
    from os import PathLike

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
    if isinstance(first, torch.Tensor) != isinstance(second, torch.Tensor):
        raise TypeError(
            f"{names[1]}: got {type(second).__name__}, expected "
            f"{type(first).__name__}, as {names[0]}"
        )
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


def labelled(
    value: Any, truth: Any, name: str = "images"
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return images, bytes or floats in [0, 1], and their labels, on the host.

    Parameters
    ----------
    value : ndarray or Tensor, shape (N, C, H, W)
        uint8, which is not looked through, or float32 or float64 in [0, 1].
    truth : array_like of int, shape (N,)
    name : str
        What the caller calls the images.

    Raises
    ------
    TypeError, ValueError
        As `images` and `labels`.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if getattr(value, "dtype", None) != np.uint8:
        images(value, name, unit_range=True)
    elif value.ndim != 4 or 0 in value.shape:
        raise ValueError(f"{name}: got shape {value.shape}, expected (N, C, H, W)")
    channels_second(value.shape, name)
    if truth is None:
        raise ValueError("labels: got None, expected one per image")
    return value, labels(truth, count=len(value))


def channels_second(shape: tuple[int, ...], name: str = "images") -> None:
    """Refuse the shape of a batch whose channels are on the last axis."""
    if shape[1] not in (1, 3) and shape[3] in (1, 3, 4):
        raise ValueError(
            f"{name}: got shape {tuple(shape)}, expected (N, C, H, W): move the "
            "channels to the second axis"
        )


def distinct(name: str, values: Any) -> tuple[str, ...]:
    """Return names as a tuple of strings, each there once."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: got {values!r}, expected several names, as ['a']")
    found: dict[str, None] = {}
    for one in values:
        if not isinstance(one, str):
            raise TypeError(
                f"{name}: got {one!r} among the names, expected only strings"
            )
        if one in found:
            raise ValueError(f"{name}: got {one!r} twice, expected each name once")
        found[str(one)] = None
    return tuple(found)


def trials(value: Any, name: str = "trials") -> NDArray[np.float64]:
    """Return responses as float64, (n_trials, n_images, n_neurons); NaN is missing.

    Containers with names (xarray, pandas) are read by these names. Masked entries
    and `pandas.NA` are missing.

    Raises
    ------
    TypeError
        Booleans, complex numbers, strings, or a container that is not read.
    ValueError
        Wrong rank, infinite values, or names that leave the axes open.
    """
    from neurofreq import _containers, _recorded  # they use the checks of this module

    recording = _containers.read(value, name)
    values = value if recording is None else recording.trials
    array = _recorded.floats(values, name).astype(np.float64, copy=False)
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


def weights(value: Any, count: int) -> NDArray[np.float64]:
    """Return weights of `count` neurons, finite and 0 or more; ones for None."""
    if value is None:
        return np.ones(count)
    scale = np.asarray(value, dtype=np.float64)
    if scale.ndim != 1:
        raise ValueError(f"weights: got shape {scale.shape}, expected (K,)")
    if len(scale) != count:
        raise ValueError(f"weights: got {len(scale)}, expected {count}, one per neuron")
    if not (np.isfinite(scale).all() and (scale >= 0.0).all()):
        raise ValueError("weights: expected finite values, none below 0")
    if scale.size and not scale.any():
        raise ValueError("weights: got only zeros, expected a positive weight")
    return scale


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


def plain(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return an array of objects as one of strings or numbers, which a file holds."""
    if values.dtype != object:
        return values
    kinds = {str if isinstance(value, str) else type(value) for value in values.flat}
    scalar = all(issubclass(kind, (str, int, float, np.generic)) for kind in kinds)
    if len(kinds) != 1 or not scalar:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(
            f"{name} holds objects ({names}), expected strings or numbers, all of one "
            "type"
        )
    return np.array(values.tolist())


def npz(path: str | PathLike[str], name: str = "path") -> Any:
    """Open an npz file, to be closed by the caller; nothing in it is unpickled."""
    if not zipfile.is_zipfile(path):
        error = ValueError if Path(path).exists() else FileNotFoundError
        raise error(f"{name}: got {path}, expected an npz file")
    return np.load(path, allow_pickle=False)


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


def model(value: Any) -> None:
    """Require something that can be called."""
    if not callable(value):
        raise TypeError(f"model: got {type(value).__name__}, expected a callable")


def classes(n_classes: int, highest: int, name: str | None = None) -> None:
    """Require a logit for the highest label, of the model of that name."""
    if highest >= n_classes:
        of = "" if name is None else f" from {name!r}"
        raise ModelError(
            f"model: got {n_classes} classes{of}, expected at least {highest + 1} to "
            "match the labels"
        )


def device(value: Any) -> torch.device:
    """Return a device that torch can see."""
    try:
        place = torch.device(value)
    except (RuntimeError, TypeError):
        raise ValueError(f"device: got {value}, expected cpu, cuda or cuda:N") from None
    if place.type in ("cuda", "mps", "xpu"):
        n_seen = torch.get_device_module(place.type).device_count()
        if (place.index or 0) >= n_seen:
            raise ValueError(
                f"device: got {value}, expected one that torch can see: it sees "
                f"{n_seen} of {place.type}"
            )
    return place


def integer(name: str, value: Any) -> None:
    """Require an integer."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: got {type(value).__name__}, expected an integer")


def count(name: str, value: int, least: int = 1) -> None:
    """Require an integer of at least `least`."""
    integer(name, value)
    if value < least:
        raise ValueError(f"{name}: got {value}, expected at least {least}")


def pair(name: str, value: Any) -> tuple[int, int]:
    """Return two positive integers, such as a height and a width."""
    values = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(values) != 2:
        raise ValueError(f"{name}: got {value!r}, expected two positive integers")
    for one in values:
        count(name, one)
    return values


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
