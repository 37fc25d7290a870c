"""Check arguments; errors name the argument, the value and what was expected.

Every check raises before any work is done. Messages begin with the argument's name and
end without a full stop.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from neurofreq._shared.files import archives
from neurofreq._shared.inputs.arrays import array as array
from neurofreq._shared.inputs.arrays import host as host
from neurofreq._shared.inputs.arrays import layout as layout
from neurofreq._shared.inputs.arrays import real as real
from neurofreq._shared.inputs.arrays import tensor as tensor
from neurofreq._shared.inputs.perturbations import epsilons as epsilons
from neurofreq._shared.inputs.perturbations import norm as norm
from neurofreq._shared.inputs.scalars import count as count
from neurofreq._shared.inputs.scalars import flag as flag
from neurofreq._shared.inputs.scalars import instance as instance
from neurofreq._shared.inputs.scalars import integer as integer
from neurofreq._shared.inputs.scalars import number as number
from neurofreq._shared.inputs.scalars import one_of as one_of
from neurofreq._shared.inputs.scalars import pair as pair
from neurofreq._shared.inputs.scalars import path as _path
from neurofreq._shared.inputs.scalars import path as path
from neurofreq._shared.inputs.scalars import seed as seed
from neurofreq._shared.inputs.scalars import seeds as seeds
from neurofreq._shared.inputs.scalars import shown as shown
from neurofreq._shared.inputs.scalars import text as text
from neurofreq._shared.inputs.scalars import within as within

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[Any] | torch.Tensor"

_DEVICES = ("cpu", "cuda", "mps", "xpu")
_LARGEST = 2**63 - 1  # largest label in int64
_ROUNDING = 1e-6  # rounding may make a similarity exceed 1 by this much


def images(value: Any, name: str = "images", *, unit_range: bool = False) -> Any:
    """Check a batch of images (N, C, H, W) and return it as a plain array or tensor.

    Accepts finite float32 and float64 of any byte order and strides; `unit_range` also
    requires values in [0, 1]. The result shares memory where possible. Raises TypeError
    for other types and dtypes, and ValueError for a wrong shape or wrong values.
    """
    plain = batch(value, name)
    finite(plain, name, unit_range=unit_range)
    return plain


def finite(plain: Array, name: str, *, unit_range: bool = False) -> None:
    """Require finite values, in [0, 1] if `unit_range`, for an array of any shape."""
    low, high = _extremes(plain)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name}: got NaN or infinite values, expected finite ones")
    if unit_range and (low < 0.0 or high > 1.0):
        raise ValueError(f"{name}: got values in {_range(low, high)}, expected [0, 1]")


def batch(value: Any, name: str = "images") -> Any:
    """Check and return images as `images` does, without a check of their values."""
    plain = array(value, name)
    dtype = str(plain.dtype).removeprefix("torch.")
    if dtype not in ("float32", "float64"):
        hint = "; divide by 255 and convert" if dtype == "uint8" else ""
        raise TypeError(f"{name}: got dtype {dtype}, expected float32 or float64{hint}")
    layout(plain, name)
    return plain


def same(first: Array, second: Array, names: tuple[str, str]) -> None:
    """Require the same kind, shape, dtype and device of two batches."""
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
    """Return class labels, integers of 0 or more, as a contiguous int64 array (N,).

    Tensors may be on any device. Raises TypeError for other types, and ValueError for a
    wrong rank or length and for negative labels.
    """
    found = _integers(host(value, name), name)
    if found.ndim != 1:
        raise ValueError(f"{name}: got shape {found.shape}, expected (N,)")
    if count is not None and len(found) != count:
        raise ValueError(f"{name}: got {len(found)}, expected {count}, one per image")
    if found.size and not 0 <= found.min() <= found.max() <= _LARGEST:
        bad = found.max() if found.min() >= 0 else found.min()
        raise ValueError(f"{name}: got {bad}, expected labels from 0 to {_LARGEST}")
    return np.ascontiguousarray(found, dtype=np.int64)


def _integers(found: NDArray[Any], name: str) -> NDArray[Any]:
    """Require integers; check object arrays (from pandas) entry by entry."""
    if found.dtype == object:
        whole = [integer(name, one) for one in found.flat]
        if whole and max(map(abs, whole)) > _LARGEST:
            raise ValueError(f"{name}: got a label outside [-{_LARGEST}, {_LARGEST}]")
        found = np.array(whole, dtype=np.int64).reshape(found.shape)
    if found.size and found.dtype.kind not in "iu":
        raise TypeError(f"{name}: got dtype {found.dtype}, expected integers")
    return found


def stored(value: Any, name: str = "images") -> NDArray[Any]:
    """Return uint8, float32 or float64 images as an array on the host."""
    plain = array(value, name)
    dtype = str(plain.dtype).removeprefix("torch.")
    if dtype not in ("uint8", "float32", "float64"):
        raise TypeError(
            f"{name}: got dtype {dtype}, expected uint8, float32 or float64"
        )
    return host(plain, name)


def labelled(
    value: Any, truth: Any, name: str = "images"
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return images (uint8, or floats in [0, 1]) and their labels, on the host.

    Raises the errors of `images` and `labels`.
    """
    plain = stored(value, name)
    if plain.dtype == np.uint8:
        layout(plain, name)
    else:
        images(plain, name, unit_range=True)
    if truth is None:
        raise ValueError("labels: got None, expected one per image")
    return plain, labels(truth, count=len(plain))


def distinct(name: str, values: Any) -> tuple[str, ...]:
    """Return names as a tuple of strings; raise if a name occurs twice."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(
            f"{name}: got {values!r}, expected a sequence of names, such as ['a']"
        )
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


def similarity(value: Any, name: str = "similarity") -> NDArray[np.float64]:
    """Return a similarity matrix (N, N) as float64, symmetric, clipped to [-1, 1].

    Tensors may be on any device. Raises ValueError for matrices that are not square,
    finite and symmetric, for fewer than two images, and for values out of range by more
    than rounding.
    """
    matrix = real(value, name)
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
    """Return the weights of `count` neurons, finite and not negative; ones for None."""
    if value is None:
        return np.ones(count)
    scale = real(value, "weights")
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
    """Return indices from 0 to length - 1, given indices or a mask."""
    found = host(value, name)
    if found.dtype == bool:
        if found.shape != (length,):
            raise ValueError(
                f"{name}: got a mask of shape {found.shape}, expected ({length},)"
            )
        return np.flatnonzero(found)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise ValueError(
            f"{name}: got {found.dtype} of shape {found.shape}, "
            "expected indices or a mask"
        )
    if found.size and not (found.min() >= 0 and found.max() < length):
        raise ValueError(
            f"{name}: got {found.min()} to {found.max()}, expected 0 to {length - 1}"
        )
    return found.astype(np.int64)


def plain(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return an object array as strings or numbers of one type, for a file."""
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


def npz(path: str | PathLike[str], name: str = "path") -> archives.Archive:
    """Return the arrays of an npz file; each is read on access."""
    place = _path(name, path)
    if not zipfile.is_zipfile(place):
        error = ValueError if place.exists() else FileNotFoundError
        raise error(f"{name}: got {place}, expected an npz file")
    return archives.Archive(place)


def model(value: Any) -> None:
    """Require a callable that is not a class."""
    if isinstance(value, type):
        raise TypeError(
            f"model: got the class {value.__name__}, expected an instance of it"
        )
    if not callable(value):
        raise TypeError(f"model: got {type(value).__name__}, expected a callable")


def device(value: Any) -> torch.device:
    """Return a device that torch can use."""
    try:
        place = torch.device(value)
        is_known = place.type in _DEVICES
    except (RuntimeError, TypeError):
        is_known = False
    if not is_known:
        raise ValueError(f"device: got {value}, expected cpu, cuda or cuda:N")
    if place.type != "cpu":
        n_seen = torch.get_device_module(place.type).device_count()
        if (place.index or 0) >= n_seen:
            raise ValueError(
                f"device: got {value}, expected one that torch can see: it sees "
                f"{n_seen} of {place.type}"
            )
    return place


def _extremes(value: Array) -> tuple[float, float]:
    """Return minimum and maximum; NaN if any value is NaN."""
    if isinstance(value, torch.Tensor):
        low, high = value.detach().aminmax()
        return float(low), float(high)
    return float(value.min()), float(value.max())


def _range(low: float, high: float) -> str:
    """Return a range with enough digits to show values outside [0, 1] as such."""
    ends = [
        f"{end:.6g}" if (0.0 <= float(f"{end:.6g}") <= 1.0) == (0.0 <= end <= 1.0)
        else repr(end)
        for end in (low, high)
    ]  # fmt: skip
    return f"[{', '.join(ends)}]"
