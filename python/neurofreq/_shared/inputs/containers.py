"""Read containers with named axes: pandas, xarray and tensors with names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared.inputs import recorded, validate
from neurofreq._shared.inputs.labelled import (
    ACCEPTED,
    WORDS,
    Axis,
    Recording,
    by_names,
    role_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LABELLED = {
    "pandas": ("DataFrame", "Series"),
    "xarray": ("DataArray", "Dataset", "DataTree", "Variable"),
    "polars": ("DataFrame", "LazyFrame", "Series"),
    "pyarrow": ("Table", "RecordBatch"),
}


def read(value: Any, name: str) -> Recording | None:
    """Return the recording in a container with named axes; None for an array.

    Raises TypeError for containers of other packages. Raises ValueError if the names
    do not determine the axes, or two values have the same trial, image and neuron.
    """
    if isinstance(value, (list, tuple)) and any(kind_of(item) for item in value):
        raise TypeError(
            f"{name}: got a sequence of {type(value[0]).__name__}, expected one array "
            "or container"
        )
    kind = kind_of(value)
    if kind is None:
        return None
    return _placed(*_opened(value, kind, name), name)


def named(value: Any, names: Any, name: str) -> Recording:
    """Return the recording in an array whose axes have these names.

    Raises TypeError for a container with names of its own, and ValueError as `read`.
    """
    if (kind := kind_of(value)) is not None:
        raise TypeError(
            f"axes: got names for a {type(value).__name__} of {kind}, whose axes have "
            "names, expected None"
        )
    words = validate.distinct("axes", names)
    values = recorded.floats(value, name)
    if len(words) != values.ndim:
        raise ValueError(
            f"axes: got {len(words)} names, expected {values.ndim} for {name} of shape "
            f"{values.shape}"
        )
    pairs = zip(words, values.shape, strict=True)
    return _placed(values, [Axis(word, length, {}) for word, length in pairs], name)


def _placed(values: NDArray[Any], axes: list[Axis], name: str) -> Recording:
    """Return values with named axes as a recording; see `read`."""
    if 0 in values.shape:
        raise ValueError(f"{name}: got shape {values.shape}, expected no empty axis")
    known = [any(axis.holds(role) for role in WORDS) for axis in axes]
    for axis, is_known in zip(axes, known, strict=True):
        if not is_known and axis.length != 1:
            raise ValueError(
                f"{name}: got {axis.name!r} of length {axis.length}, expected "
                f"length 1, or {ACCEPTED}"
            )
    dropped = tuple(k for k, is_known in enumerate(known) if not is_known)
    kept = [axis for axis, is_known in zip(axes, known, strict=True) if is_known]
    return by_names(values.squeeze(dropped), kept, name)


def kind_of(value: Any) -> str | None:
    """Return the package of a container with named axes, or None; imports nothing."""
    if isinstance(value, torch.Tensor):
        return "torch" if any(getattr(value, "names", ())) else None
    for cls in type(value).__mro__:
        package = cls.__module__.partition(".")[0]
        if cls.__name__ in _LABELLED.get(package, ()):
            return package
    return None


def _opened(value: Any, kind: str, name: str) -> tuple[NDArray[Any], list[Axis]]:
    """Return the values of a container, and its axes with their labels."""
    if kind == "torch":
        sizes = zip(value.names, value.shape, strict=True)
        axes = [Axis(str(dim), size, {}) for dim, size in sizes]
        return recorded.floats(value.rename(None), name), axes
    if kind == "pandas":
        return frame_values(value, name), _frame_axes(value, name)
    # Only the DataArray of xarray has both attributes.
    if kind == "xarray" and hasattr(value, "coords") and hasattr(value, "dtype"):
        return recorded.floats(value.values, name), _array_axes(value)
    inside = [repr(key) for key in getattr(value, "data_vars", ())]
    hint = f": choose one of its variables ({', '.join(inside[:5])})" if inside else ""
    raise TypeError(
        f"{name}: got {type(value).__name__} of {kind}, expected an array, a pandas "
        f"DataFrame or an xarray DataArray{hint}"
    )


def _array_axes(array: Any) -> list[Axis]:
    """Return the axes of an xarray DataArray with their coordinates."""
    axes = []
    for dim, length in zip(array.dims, array.shape, strict=True):
        along = {
            str(key): coordinate.values
            for key, coordinate in array.coords.items()
            if coordinate.dims == (dim,)
        }
        # A coordinate with several levels holds tuples: read each level separately.
        if getattr(array.indexes.get(dim), "nlevels", 1) > 1:
            along.pop(str(dim), None)
        axes.append(Axis(str(dim), length, along))
    return axes


def frame_values(frame: Any, name: str) -> NDArray[Any]:
    """Return the values of a numeric frame or series."""
    dtypes = [frame.dtype] if frame.ndim == 1 else set(frame.dtypes)
    for dtype in dtypes:
        if getattr(dtype, "kind", "O") not in "iufO":
            raise TypeError(f"{name}: got dtype {dtype}, expected real numbers")
    if all(isinstance(dtype, np.dtype) for dtype in dtypes):
        return recorded.floats(frame.to_numpy(), name)
    if all(dtype.kind in "iuf" for dtype in dtypes):
        return frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return recorded.floats(frame.astype(object).to_numpy(), name)


def _frame_axes(frame: Any, name: str) -> list[Axis]:
    """Return the axes of a frame or series with their levels."""
    if frame.ndim == 1:
        return [_levels(frame.index, "index", name)]
    index, columns = frame.index, frame.columns
    words = [str(c) for c in columns if columns.nlevels == 1 and role_of(c)]
    if words:
        raise ValueError(
            f"{name}: got columns {words} among those of neurons, expected them in "
            "the index (set_index), or a long table for Responses.from_frame"
        )
    axes = [_levels(index, "index", name), _levels(columns, "columns", name)]
    if index.nlevels == columns.nlevels == 1 and index.name is columns.name is None:
        return [_unnamed(index, "image", name), _unnamed(columns, "neuron", name)]
    for k, of in enumerate((index, columns)):
        if of.nlevels == 1 and of.name is None:
            is_image = axes[1 - k].holds("neuron") and not axes[1 - k].holds("image")
            axes[k] = _unnamed(of, "image" if is_image else "neuron", name)
    return axes


def _levels(index: Any, where: str, name: str) -> Axis:
    """Return a pandas index as an axis; without labels if the index has no name."""
    if index.nlevels == 1:
        labels = {} if index.name is None else {str(index.name): index}
    elif None in index.names:
        raise ValueError(
            f"{name}: got a level without a name in the {where}, expected {ACCEPTED}"
        )
    else:
        levels = map(index.get_level_values, range(index.nlevels))
        labels = {str(level.name): level for level in levels}
    return Axis(where, len(index), labels)


def is_counted(index: Any) -> bool:
    """Return whether a pandas index is the default one, 0, 1, ..."""
    return type(index).__name__ == "RangeIndex" and index.equals(
        type(index)(len(index))
    )


def _unnamed(index: Any, role: str, name: str) -> Axis:
    """Return an index without a name as an axis of distinct images or neurons."""
    if not index.is_unique:
        twice = index[index.duplicated()].tolist()[0]
        raise ValueError(
            f"{name}: got {twice!r} twice in an index without a name, expected "
            f"distinct {role}s, or {ACCEPTED}"
        )
    if is_counted(index):
        return Axis(role, len(index), {})
    import pandas as pd

    # Keep the given order: these labels may not be indices of images.
    return Axis(
        role,
        len(index),
        {role: pd.CategoricalIndex(index, categories=index, ordered=True)},
    )


def trials(value: Any, name: str = "trials") -> NDArray[np.float64]:
    """Return responses as float64, (n_trials, n_images, n_neurons); NaN is missing.

    Containers (xarray, pandas) are read by the names of their axes. Masked entries and
    `pandas.NA` become NaN. Raises TypeError for booleans, complex numbers, strings and
    other containers, and ValueError for a wrong rank, infinite values and ambiguous
    names.
    """
    recording = read(value, name)
    values = value if recording is None else recording.trials
    array = recorded.floats(values, name).astype(np.float64, copy=False)
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
