"""Folders of image files: TinyImageNet, ImageNet, and any folder of classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from neurofreq.data._files import SUFFIXES, ImageFiles
from neurofreq.data._sets import ImageSet

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

Split = Literal["train", "test"]

_TINY_LAYOUT = (
    "the official layout: wnids.txt, train/WNID/images/*.JPEG, val/images/*.JPEG and "
    "val/val_annotations.txt"
)


def open_folder(
    folder: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    resize: int | None = None,
    crop: int | None = None,
) -> ImageSet:
    """Return a folder with one sub-folder of images per class.

    Parameters
    ----------
    folder : path
        Holds ``CLASS/*.JPEG``; other image suffixes count too, other files do
        not. Images are decoded when they are indexed.
    classes : sequence of str, optional
        Names of sub-folders; the label of an image is the place of its class
        here. By default all sub-folders in alphabetical order, as torchvision's
        ``ImageFolder`` has them.
    resize, crop : int, optional
        As of `ImageFiles`; without them all images must have one size.

    Returns
    -------
    ImageSet
        Sorted by class and file name; uint8.

    Raises
    ------
    FileNotFoundError
        If the folder, or one of the classes, is not there.
    ValueError
        If a class has no image or the first file is none.
    """
    root = Path(folder)
    names = class_folders(root) if classes is None else tuple(classes)
    files = [[*_images(root / name, f"{name}/")] for name in names]
    return _image_set(root, files, names, root.name, resize, crop)


def open_imagenet(
    folder: str | os.PathLike[str],
    *,
    split: Split = "test",
    resize: int | None = 256,
    crop: int | None = 224,
    classes: Sequence[str] | None = None,
) -> ImageSet:
    """Return ImageNet from its folders of classes.

    Parameters
    ----------
    folder : path
        Holds ``train/WNID`` and ``val/WNID``, or is itself one folder of
        classes. The validation images must be sorted into classes, as for
        torchvision's ``ImageFolder``.
    split : {"test", "train"}
        "test" is the validation set: labels of the test set are not public.
    resize, crop, classes
        As in `open_folder`.

    Raises
    ------
    FileNotFoundError, ValueError
        As `open_folder`.
    """
    root = Path(folder)
    inside = root / ("train" if split == "train" else "val")
    has_parts = any((root / part).is_dir() for part in ("train", "val"))
    return _renamed(
        open_folder(
            inside if has_parts else root, classes=classes, resize=resize, crop=crop
        ),
        f"ImageNet {inside.name}",
    )


def open_tinyimagenet(
    folder: str | os.PathLike[str], *, split: Split = "test"
) -> ImageSet:
    """Return TinyImageNet from its official archive, unpacked.

    Parameters
    ----------
    folder : path
        Holds ``wnids.txt``, ``train`` and ``val``, or ``tiny-imagenet-200``.
    split : {"test", "train"}
        "test" is the validation set: labels of the test set are not public.

    Returns
    -------
    ImageSet
        uint8, (N, 3, 64, 64). Labels are places in the sorted list of classes,
        as ``ImageFolder`` on ``train`` gives them. Training images are sorted by
        class, validation images in the order of their annotations.

    Raises
    ------
    FileNotFoundError
        If a part of the layout is missing.
    ValueError
        If a class is empty, or an annotation names an unknown class or file.
    """
    root = Path(folder)
    nested = root / "tiny-imagenet-200"
    root = nested if nested.is_dir() else root
    listing = root / "wnids.txt"
    if not listing.is_file():
        raise FileNotFoundError(f"data: {listing} is missing from {_TINY_LAYOUT}")
    names = tuple(sorted(listing.read_text().split()))
    if split == "train":
        files = [
            [*_images(root / "train" / name / "images", f"train/{name}/images/")]
            for name in names
        ]
        return _image_set(root, files, names, "TinyImageNet train")
    paths, labels = _annotated(root, names)
    images = ImageFiles.of(root, paths)
    return ImageSet(images, labels, names, "TinyImageNet val")


def class_folders(root: Path) -> tuple[str, ...]:
    """Return the names of the sub-folders, sorted.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or has none.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"data: {root} is missing, expected a folder")
    names = [path.name for path in root.iterdir() if path.is_dir()]
    found = tuple(sorted(name for name in names if not name.startswith(".")))
    if not found:
        raise FileNotFoundError(f"data: {root} has no folders, expected CLASS/*.JPEG")
    return found


def _annotated(
    root: Path, names: tuple[str, ...]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return file names and labels of the validation images."""
    path = root / "val" / "val_annotations.txt"
    if not path.is_file():
        raise FileNotFoundError(f"data: {path} is missing from {_TINY_LAYOUT}")
    place = {name: label for label, name in enumerate(names)}
    files, labels = [], []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        file, _, rest = line.partition("\t")
        name = rest.partition("\t")[0]
        if name not in place:
            raise ValueError(
                f"data: {path}, line {number}: got class {name!r}, expected one of "
                "wnids.txt"
            )
        files.append(f"val/images/{file}")
        labels.append(place[name])
    if not files:
        raise ValueError(f"data: {path} is empty: truncated?")
    return tuple(files), np.array(labels, dtype=np.int64)


def _images(folder: Path, prefix: str) -> Iterator[str]:
    """Yield the images of one class, sorted; there must be some."""
    if not folder.is_dir():
        raise FileNotFoundError(f"data: {folder} is missing, expected images in it")
    found = sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise ValueError(f"data: {folder} holds no image, expected *.JPEG")
    for name in found:
        yield prefix + name


def _image_set(
    root: Path,
    files: list[list[str]],
    classes: tuple[str, ...],
    name: str,
    resize: int | None = None,
    crop: int | None = None,
) -> ImageSet:
    """Join the files of each class."""
    paths = tuple(path for group in files for path in group)
    labels = np.repeat(np.arange(len(files)), [len(group) for group in files])
    images = ImageFiles.of(root, paths, resize=resize, crop=crop)
    return ImageSet(images, labels.astype(np.int64), classes, name)


def _renamed(images: ImageSet, name: str) -> ImageSet:
    return ImageSet(images.images, images.labels, images.class_names, name)
