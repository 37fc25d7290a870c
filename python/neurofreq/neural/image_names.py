"""Names of images: check that rows of responses belong to the stimuli."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared.inputs import containers, labelled, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

KEY = "images.names"
"""The key of the names in an npz file, where "images" may be pixels."""


def names(value: Any, count: int) -> NDArray[Any] | None:
    """Return `count` distinct names as a read-only array; None for None.

    Raises ValueError for a wrong number or rank, a repeated name, or objects.
    """
    if value is None:
        return None
    array = np.array(validate.plain("images:", np.asarray(value)))
    if array.shape != (count,):
        raise ValueError(
            f"images: got names of shape {array.shape}, expected ({count},)"
        )
    _require_distinct(array)
    array.flags.writeable = False
    return array


def descriptors(
    name: str, table: Mapping[str, ArrayLike] | None, length: int
) -> dict[str, NDArray[Any]]:
    """Return checked descriptors of `length` images or neurons."""
    checked = {
        key: validate.plain(f"{name}: {key!r}", np.array(values))
        for key, values in (table or {}).items()
    }
    for key, values in checked.items():
        if values.shape != (length,):
            raise ValueError(
                f"{name}: got {key!r} of shape {values.shape}, expected ({length},)"
            )
    return checked


def naming(descriptors: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:
    """Return the descriptor whose key means image and whose values are distinct."""
    for key, values in descriptors.items():
        if _is_image(key) and len(np.unique(values)) == len(values):
            return values
    return None


def places(known: NDArray[Any] | None, wanted: Any) -> NDArray[np.int64]:
    """Return the positions of the wanted names among the known names.

    Raises ValueError if there are no known names, or a wanted name is unknown or
    repeated.
    """
    if known is None:
        raise ValueError(
            "images: got names for images that have none, expected select() with "
            "indices"
        )
    names = validate.plain("images:", np.asarray(wanted))
    if names.ndim != 1:
        raise ValueError(f"images: got shape {names.shape}, expected (N,)")
    _require_distinct(names)
    at = {name: place for place, name in enumerate(known.tolist())}
    absent = [name for name in names.tolist() if name not in at]
    if absent:
        raise ValueError(
            f"images: got {absent[0]!r} ({len(absent)} such names), expected names "
            f"such as {known.tolist()[0]!r}"
        )
    return np.array([at[name] for name in names.tolist()], dtype=np.int64)


def agreed(tables: Mapping[str, NDArray[Any] | None]) -> NDArray[Any] | None:
    """Return the names that all tables with names share; None if none has names.

    A table without names is treated as images 0 to N - 1, see `_require_counted`.
    Raises ValueError if names differ or are in another order.
    """
    first: tuple[str, NDArray[Any]] | None = None
    for name, images in tables.items():
        if images is None:
            continue
        if first is None:
            first = name, images
        elif not np.array_equal(images, first[1]):
            raise ValueError(
                _difference(name, images, first[1], f"those of {first[0]}")
            )
    if first is None:
        return None
    for name, images in tables.items():
        if images is None:
            _require_counted(*first, f"those of {name}, which has no names")
    return first[1]


def require(
    known: NDArray[Any] | None,
    count: int,
    stimuli: Any,
    name: str,
    of_what: str = "similarities",
) -> None:
    """Raise unless stimuli have the known number of images and the known names.

    Names are compared only if both sides have names. A side without names is treated as
    images 0 to N - 1, see `_require_counted`. Raises ValueError for another number of
    images, other images, or another order.
    """
    if not hasattr(stimuli, "__len__"):
        raise TypeError(
            f"{name}: got {type(stimuli).__name__}, expected images or their names"
        )
    if len(stimuli) != count:
        raise ValueError(
            f"{name}: got {len(stimuli)} images, expected {count}, one per row of the "
            f"{of_what}"
        )
    given = of(stimuli)
    if known is not None and given is None:
        _require_counted(of_what, known, f"those of {name}, which have no names")
    if known is None and given is not None:
        _require_counted(name, given, f"those of the {of_what}, which have no names")
    if known is None or given is None:
        return
    if (known.dtype.kind in "iuf") != (given.dtype.kind in "iuf"):
        return  # an index and a name cannot be compared
    # Names of files may include the folder and the suffix, or not.
    for form in (str, _file_name, _stem):
        pair = [[form(str(one)) for one in side.tolist()] for side in (given, known)]
        if pair[0] == pair[1]:
            return
        if sorted(pair[0]) == sorted(pair[1]):  # the same images in another order
            given, known = np.array(pair[0]), np.array(pair[1])
            break
    raise ValueError(_difference(name, given, known, f"those of the {of_what}"))


def of(stimuli: Any) -> NDArray[Any] | None:
    """Return the names of stimuli, or names given as stimuli; None without names."""
    if isinstance(stimuli, torch.Tensor):
        return None
    inner = getattr(stimuli, "images", stimuli)  # the files of an ImageSet
    if containers.kind_of(inner) is not None:
        return labels(inner)[0]
    given = getattr(inner, "names", None)
    if given is None and np.ndim(inner) == 1:
        given = inner
    return None if given is None else np.asarray(given)


def labels(value: Any) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """Return the names along the first two axes of a container; None without names."""
    kind = containers.kind_of(value)
    found: list[Any] = []
    if kind == "pandas":
        sides = [value.index, *([value.columns] if value.ndim == 2 else [])]
        found = [
            None if containers.is_counted(side) or side.nlevels > 1 else side.to_numpy()
            for side in sides
        ]
    elif kind == "xarray":
        found = [_coordinate(value, dim) for dim in value.dims]
    plain = [None if one is None else validate.plain("images:", one) for one in found]
    first, second = [*plain, None, None][:2]
    return first, second


def _coordinate(array: Any, dim: Any) -> NDArray[Any] | None:
    """Return the coordinate that names the images along a dimension."""
    along = [key for key, one in array.coords.items() if one.dims == (dim,)]
    if getattr(array.indexes.get(dim), "nlevels", 1) > 1:
        along.remove(dim)  # its values are tuples of the levels' values
    named = [key for key in along if key == dim or _is_image(key)]
    return array.coords[named[0]].values if named else None


def _is_image(key: Any) -> bool:
    """Return whether a label with this name names images."""
    role = labelled.role_of(key)
    return role is not None and role[0] == "image"


def _require_distinct(array: NDArray[Any]) -> None:
    """Raise if a name is repeated."""
    found, counts = np.unique(array, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"images: got {found[counts > 1][0].item()!r} twice, expected distinct "
            "names"
        )


def _require_counted(name: str, images: NDArray[Any], of: str) -> None:
    """Raise if the names are the numbers 0 to N - 1 in another order.

    The other side has no names, so its images are treated as 0 to N - 1. A table that
    was shuffled has its old row numbers as names, which shows that its order is wrong.
    Other names cannot be compared with positions.
    """
    places = np.arange(len(images))
    if images.dtype.kind not in "iuf" or not np.array_equal(np.sort(images), places):
        return
    if not np.array_equal(images, places):
        place = int((images != places).argmax())
        raise ValueError(
            f"{name}: got images in another order ({images[place].item()!r} in row "
            f"{place}), expected {of} ({place} in row {place}); "
            f"for_images(range({len(images)})) puts them in order"
        )


def _file_name(path: str) -> str:
    """Return the last part of a path."""
    return PurePath(path).name


def _stem(path: str) -> str:
    """Return the last part of a path, without its suffix."""
    return PurePath(path).stem


def _difference(name: str, got: NDArray[Any], expected: NDArray[Any], of: str) -> str:
    """Return a message on how two lists of names differ."""
    a, b = got.tolist(), expected.tolist()
    if len(a) == len(b) and set(a) == set(b):
        place = next(k for k in range(len(a)) if a[k] != b[k])
        return (
            f"{name}: got images in another order ({a[place]!r} in row {place}), "
            f"expected {of} ({b[place]!r}); for_images puts them in order"
        )
    odd = next((one for one in a if one not in set(b)), a[0] if a else None)
    return f"{name}: got other images ({odd!r}), expected {of}"
