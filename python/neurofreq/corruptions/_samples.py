"""Find and change the images in a sample of a data pipeline.

As in torchvision's v2 transforms, only images change.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

# Keys that data sets use for the images of a sample.
_KEYS: Final = ("image", "images", "pixel_values", "img")

Place = tuple[Any, ...]


def changed(sample: Any, change: Callable[[Any], Any]) -> Any:
    """Return a sample of the same structure with its images changed.

    A sample is an image, or nested tuples, lists and mappings. PIL images,
    ``tv_tensors.Image`` and ``tv_tensors.Video`` are images. If a sample has none, the
    arrays and plain tensors with 3 or 4 axes under a key such as "image" are images.
    Without such keys, only the first such array is an image. Raises TypeError if there
    is no image.
    """
    if not _is_nest(sample):
        if _is_torchvisions(sample, "TVTensor") and not _is_sure(sample):
            kind = type(sample).__name__
            raise TypeError(f"images: got {kind}, expected an image")
        return change(sample)
    leaves = dict(_leaves(sample, ()))
    chosen = [place for place, leaf in leaves.items() if _is_sure(leaf)]
    if not chosen:
        plain = [place for place, leaf in leaves.items() if _is_plain(leaf)]
        named = [place for place in plain if not set(_KEYS).isdisjoint(place)]
        chosen = named or plain[:1]
    if not chosen:
        found = dict.fromkeys(type(leaf).__name__ for leaf in leaves.values())
        kinds = ", ".join(found)
        raise TypeError(f"images: got ({kinds}), expected an image among them")
    return _mapped(sample, (), {place: change(leaves[place]) for place in chosen})


def like(images: Any, array: NDArray[Any]) -> Any:
    """Return an array as the kind of the images: array, tensor or ``tv_tensors``."""
    if not isinstance(images, torch.Tensor):
        return array
    tensor = torch.from_numpy(array).to(images.device)
    if not _is_torchvisions(images, "TVTensor"):
        return tensor
    from torchvision import tv_tensors

    return tv_tensors.wrap(tensor, like=images)


def _is_torchvisions(value: Any, *names: str) -> bool:
    """Return whether a value is one of these ``tv_tensors``, without an import."""
    module = sys.modules.get("torchvision.tv_tensors")
    return module is not None and isinstance(
        value, tuple(getattr(module, name) for name in names)
    )


def _is_sure(leaf: Any) -> bool:
    pillow = sys.modules.get("PIL.Image")
    is_picture = pillow is not None and isinstance(leaf, pillow.Image)
    return is_picture or _is_torchvisions(leaf, "Image", "Video")


def _is_plain(leaf: Any) -> bool:
    is_array = isinstance(leaf, (np.ndarray, torch.Tensor))
    return is_array and leaf.ndim in (3, 4) and not _is_torchvisions(leaf, "TVTensor")


def _is_nest(value: Any) -> bool:
    return isinstance(value, (tuple, list, Mapping))


def _parts(nest: Any) -> Iterator[tuple[Any, Any]]:
    return iter(nest.items() if isinstance(nest, Mapping) else enumerate(nest))


def _leaves(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """Yield every leaf with the keys that lead to it."""
    if not _is_nest(value):
        yield place, value
        return
    for key, part in _parts(value):
        yield from _leaves(part, (*place, key))


def _mapped(value: Any, place: Place, new: dict[Place, Any]) -> Any:
    """Return nested containers with the leaves at some places replaced."""
    if not _is_nest(value):
        return new.get(place, value)
    parts = {key: _mapped(part, (*place, key), new) for key, part in _parts(value)}
    if isinstance(value, Mapping):
        whole: Any = copy.copy(value)
        for key, part in parts.items():
            whole[key] = part
        return whole
    if hasattr(value, "_fields"):  # a named tuple
        return type(value)(*parts.values())
    return type(value)(parts.values())
