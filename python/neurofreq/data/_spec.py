"""Open the images that a data SPEC names, such as ``cifar10:FOLDER``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from neurofreq._shared import factories
from neurofreq._shared.inputs import validate
from neurofreq.data import _given, synthetic
from neurofreq.data._cifar10 import open_cifar10
from neurofreq.data._sets import ImageSet
from neurofreq.data.folders import (
    Split,
    open_folder,
    open_imagenet,
    open_tinyimagenet,
)


def open_data(spec: str, *, split: Split = "test", n: int | None = None) -> ImageSet:
    """Return the images that a data SPEC names, as they are stored.

    Parameters
    ----------
    spec : str
        One of:

        - ``synthetic``;
        - ``cifar10:FOLDER``, where FOLDER holds ``cifar-10-batches-py`` or
          ``cifar-10-batches-bin``, or is one of them;
        - ``tinyimagenet:FOLDER``, where FOLDER holds the unpacked official archive;
        - ``imagenet:FOLDER``, where FOLDER holds class folders. Images are resized to
          256 and cropped to 224 pixels. If a model's outputs are not in the order of
          ImageNet, list all classes in the model's order, one per line, in a file
          ``classes.txt`` beside the folders;
        - ``folder:FOLDER[,resize=N][,crop=N]``, where FOLDER holds a folder of image
          files for each class, as for `open_folder`. FOLDER may also hold ``train`` and
          one of ``test``, ``val`` and ``validation``;
        - ``npz:FILE``, an npz file with the arrays ``images`` (N, C, H, W) and
          ``labels`` (N,), and optionally ``class_names``. It has no splits;
        - ``python.module:factory`` or ``path/file.py:factory``, which returns anything
          that `as_image_set` accepts. It has no splits. This runs the module's code.
    split : {"test", "train"}
        "test" means the validation set if the labels of the test set are not public.
    n : int, optional
        Number of images. These are the first n images or, for sets sorted by class
        (folders), n random images that are the same in every call. By default all
        images, or 2000 images of the synthetic set.

    Returns
    -------
    ImageSet
        float32 for ``synthetic``, uint8 for the others; files are decoded when
        they are indexed.

    Raises
    ------
    TypeError
        If `spec` is not a string, or n is not an integer.
    ValueError
        For an unknown spec or split, fewer than n images, or a damaged file.
    FileNotFoundError
        If the folder or one of its files does not exist.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.open_data("synthetic", n=16)
    >>> data.name, data.images.shape
    ('synthetic', (16, 1, 32, 32))
    """
    if not isinstance(spec, str):
        raise TypeError(f"spec: got {type(spec).__name__}, expected a string")
    validate.one_of("split", split, get_args(Split))
    if n is not None:
        n = validate.count("n", n)
    kind, _, place = spec.partition(":")
    if kind == "synthetic" and not place:
        images, labels = synthetic.draw(2000 if n is None else n, split=split)
        return ImageSet(images, labels, synthetic.CLASSES, "synthetic")
    if kind == "cifar10" and place:
        return open_cifar10(place, split=split, n=n)
    if kind in _OPENERS and place:
        found, is_mixed = _OPENERS[kind](place, split)
    elif place:
        found, is_mixed = _of_factory(spec), True
    else:
        raise ValueError(f"data: got {spec!r}, expected {_KNOWN}")
    if n is None:
        return found
    return found.take(n) if is_mixed else found.sample(n)


def _tinyimagenet(folder: str, split: Split) -> tuple[ImageSet, bool]:
    return open_tinyimagenet(folder, split=split), split == "test"


def _imagenet(folder: str, split: Split) -> tuple[ImageSet, bool]:
    return open_imagenet(folder, split=split), False


def _folder(text: str, split: Split) -> tuple[ImageSet, bool]:
    """Open ``FOLDER[,resize=N][,crop=N]``; FOLDER may have a folder for each split."""
    path = text
    options: dict[str, Any] = {}
    while found := _OPTION.search(path):
        if found[1] in options:
            raise ValueError(f"data: got {found[1]} twice in {text!r}, expected once")
        options[found[1]] = validate.count(found[1], int(found[2]))
        path = path[: found.start()]
    root = Path(path)
    parts = {name for name in _SPLIT_FOLDERS if (root / name).is_dir()}
    if "train" in parts and len(parts) > 1:
        names = ("train",) if split == "train" else ("test", "val", "validation")
        root = root / next(name for name in names if name in parts)
    return open_folder(root, **options), False


def _npz(path: str, split: Split) -> tuple[ImageSet, bool]:
    """Open arrays of images, labels and, if there are any, names of the classes."""
    file = validate.npz(path, "data")
    missing = [key for key in ("images", "labels") if key not in file]
    if missing:
        raise ValueError(
            f"data: got {path} with {', '.join(sorted(file)) or 'nothing'}, expected "
            "images, labels and, if the classes have names, class_names"
        )
    names = file.get("class_names", ())
    images, labels = file["images"], file["labels"]
    name = Path(path).stem
    if len(names):
        return ImageSet(images, labels, tuple(map(str, names)), name), True
    return _given.read((images, labels), name, False), True


def _of_factory(spec: str) -> ImageSet:
    """Return what the factory of ``module:factory`` or ``file.py:factory`` makes."""
    try:
        found = factories.made(spec, "data", ImageSet)
    except ImportError as error:
        if not str(error).startswith("data: "):
            raise
        raise ValueError(f"data: got {spec!r}, expected {_KNOWN}") from error
    return _given.read(found, spec.rpartition(":")[2], False)


_OPENERS: dict[str, Callable[[str, Split], tuple[ImageSet, bool]]] = {
    "tinyimagenet": _tinyimagenet, "imagenet": _imagenet, "folder": _folder,
    "npz": _npz,
}  # fmt: skip
_KNOWN = (
    "'synthetic', 'cifar10:FOLDER', 'tinyimagenet:FOLDER', 'imagenet:FOLDER', "
    "'folder:FOLDER[,resize=N][,crop=N]', 'npz:FILE', 'python.module:factory' or "
    "'file.py:factory'"
)
_OPTION = re.compile(r",(resize|crop)=(\d+)$")
_SPLIT_FOLDERS = {"train", "test", "val", "validation"}


def load_data(
    spec: str, *, split: Split = "test", n: int | None = None, progress: bool = False
) -> ImageSet:
    """Return the images that a data SPEC names, as floats in memory.

    Parameters
    ----------
    spec, split, n
        As in `open_data`.
    progress : bool
        Show a progress bar while files are decoded.

    Returns
    -------
    ImageSet
        float32 in [0, 1].

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As `open_data`.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", split="train", n=16)
    >>> data.images.shape, data.images.dtype
    ((16, 1, 32, 32), dtype('float32'))
    >>> data.class_names[:3]
    ('disk', 'ring', 'bar-')
    """
    progress = validate.flag("progress", progress)
    return open_data(spec, split=split, n=n).load(progress=progress)


def as_image_set(
    data: Any, *, name: str = "images", progress: bool = False
) -> ImageSet:
    """Return images with labels as an ImageSet.

    Parameters
    ----------
    data : ImageSet, str, tuple, DataLoader or Dataset
        An ImageSet is returned unchanged, and a str is a SPEC of `load_data`. A tuple
        is ``(images, labels)``. All batches of a ``DataLoader``, or all items of a data
        set of torch or torchvision, are read into memory. A batch or an item may be a
        pair, a triple whose third part is ignored, or a mapping with one of the keys
        "images", "image", "img" and "pixel_values", and one of "labels" and "label". An
        item's image may be a Pillow image.
    name : str
        The name of the set; not used for an ImageSet and a SPEC.
    progress : bool
        Show a progress bar while a loader or a data set is read.

    Returns
    -------
    ImageSet
        The class names are the attribute ``classes`` of a data set if these are
        strings, and otherwise the numbers from 0 to the largest label.

    Raises
    ------
    TypeError
        If `data` is none of these, or images or labels have another type.
    ValueError
        If there is no image, sizes or numbers differ, values are not in [0, 1], labels
        do not fit, or a loader shuffles.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> images, labels = torch.rand(6, 3, 32, 32), torch.tensor([0, 1, 2, 0, 1, 2])
    >>> pairs = torch.utils.data.TensorDataset(images, labels)
    >>> nf.data.as_image_set(pairs, name="mine")
    ImageSet(name: mine, images: 6, size: 3 x 32 x 32, dtype: float32, classes: 3)
    >>> loader = torch.utils.data.DataLoader(pairs, batch_size=4)
    >>> nf.data.as_image_set(loader).labels
    array([0, 1, 2, 0, 1, 2])
    """
    name, progress = validate.text("name", name), validate.flag("progress", progress)
    if isinstance(data, str):
        return load_data(data, progress=progress)
    return _given.read(data, name, progress)
