"""Read images with labels from whatever holds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, RandomSampler

from neurofreq._shared.inputs import batches, validate
from neurofreq._shared.progress import bar
from neurofreq.data._sets import ImageSet

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read(data: Any, name: str, progress: bool) -> ImageSet:
    """Return images with labels from what `as_image_set` accepts, except a SPEC."""
    if isinstance(data, ImageSet):
        return data
    if isinstance(data, (tuple, list)):
        if len(data) != 2:
            raise ValueError(f"data: got {len(data)} parts, expected (images, labels)")
        return _image_set(data[0], data[1], (), name)
    if isinstance(data, DataLoader):
        return _of_loader(data, name, progress)
    if _has_items(data):
        return _of_items(data, name, progress)
    raise TypeError(
        f"data: got {validate.shown(data)}, expected an ImageSet, a SPEC, (images, "
        "labels), a Dataset or a DataLoader"
    )


def _of_loader(loader: DataLoader[Any], name: str, progress: bool) -> ImageSet:
    """Read the batches of a loader."""
    if isinstance(loader.sampler, RandomSampler):
        raise ValueError(
            "data: got a loader that shuffles, expected a fixed order: finished "
            "measurements belong to images in their order"
        )
    images, labels = [], []
    for batch in bar(loader, desc="reading", unit="batch", progress=progress):
        some, theirs = batches.pair(batch, "data")
        images.append(validate.host(some, "data"))
        labels.append(validate.labels(theirs, "data", count=len(images[-1])))
    whole = _joined(images, np.concatenate)
    return _image_set(whole, np.concatenate(labels), _classes(loader.dataset), name)


def _of_items(items: Any, name: str, progress: bool) -> ImageSet:
    """Read the items of a data set."""
    images, labels = [], []
    # Many data sets have no end other than their length.
    is_sized = hasattr(items, "__len__") and not isinstance(items, IterableDataset)
    each = (items[i] for i in range(len(items))) if is_sized else items
    total = len(items) if is_sized else None
    shown = bar(each, desc="reading", unit="image", total=total, progress=progress)
    for item in shown:
        image, label = batches.pair(item, "data")
        images.append(_pixels(image))
        labels.append(validate.integer("data", label))
    return _image_set(_joined(images, np.stack), labels, _classes(items), name)


def _has_items(data: Any) -> bool:
    """Return whether data can be read item by item."""
    is_other = isinstance(data, (bytes, dict, np.ndarray, torch.Tensor, type))
    has_items = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    return not is_other and (has_items or isinstance(data, Iterable))


def _image_set(images: Any, labels: Any, classes: Sequence[str], name: str) -> ImageSet:
    """Return a checked set; classes without names are numbered."""
    pixels = validate.stored(images, "data")
    if pixels.dtype != np.uint8 and pixels.size and pixels.min() < 0.0:
        raise ValueError(
            f"data: got values in [{pixels.min():.6g}, {pixels.max():.6g}], expected "
            "[0, 1]: leave the normalization to the model"
        )
    truth = validate.labels(labels, "data", count=len(pixels))
    n_classes = int(truth.max(initial=-1)) + 1
    known = tuple(classes) or tuple(map(str, range(n_classes)))
    return ImageSet(pixels, truth, known, name)


def _joined(parts: list[Any], join: Any) -> NDArray[Any]:
    """Join images or batches of the same size."""
    if not parts:
        raise ValueError("data: got no images, expected at least one")
    first = parts[0].shape[-3:]
    for place, part in enumerate(parts):
        if part.ndim < 3 or part.shape[-3:] != first:
            raise ValueError(
                f"data: got shape {part.shape} at position {place}, expected images of "
                f"{first} as at the first: resize and crop in the transform"
            )
    joined: NDArray[Any] = join(parts)
    return joined


def _pixels(image: Any) -> NDArray[Any]:
    """Return one image (C, H, W); a Pillow image is converted to uint8."""
    mode = getattr(image, "mode", None)
    if not isinstance(mode, str):
        return validate.host(image, "data")
    if mode not in ("L", "RGB"):
        raise TypeError(
            f"data: got a Pillow image of mode {mode}, expected RGB or L: convert it "
            "in the transform"
        )
    pixels = np.asarray(image)
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)


def _classes(data: Any) -> tuple[str, ...]:
    """Return the class names of a data set, looking into subsets; () if it has none."""
    while data is not None:
        names: Any = getattr(data, "classes", None)
        is_named = isinstance(names, (list, tuple)) and bool(names)
        if is_named and all(isinstance(one, str) for one in names):
            return tuple(names)
        data = getattr(data, "dataset", None)
    return ()
