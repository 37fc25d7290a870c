"""Open folders of image files: TinyImageNet, ImageNet, and any folder of classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from neurofreq._shared.files import safe_names
from neurofreq._shared.inputs import validate
from neurofreq.data import class_order
from neurofreq.data._files import ImageFiles
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
        Holds ``CLASS/*.JPEG``. Files with other image suffixes are read too; all other
        files are ignored. Images are decoded when they are indexed.
    classes : sequence of str, optional
        All classes in the order of the model's outputs. The label of an image is the
        position of its folder's name in this list. A class may have no folder, but
        every folder must be a class. The default is the list in a file ``classes.txt``
        beside the folders, one class per line. Without this file, the names of the
        folders determine the labels. WordNet ids of ImageNet's 1000 classes get
        ImageNet's labels. But 200 such folders with images of 64 x 64 pixels are
        TinyImageNet, and are numbered alphabetically. Folders that are named by numbers
        have these numbers as labels. Other folders are numbered from 0 in alphabetical
        order, as in torchvision's ``ImageFolder``.
    resize, crop : int, optional
        As in `ImageFiles`. Without them, all images must have the same size.

    Returns
    -------
    ImageSet
        uint8, sorted by class and file name. ``class_names`` holds all classes.

    Raises
    ------
    FileNotFoundError
        If the folder is missing or holds no class folder.
    TypeError, ValueError
        If a folder has no image or its first file is not an image, `classes` are not
        distinct names, a folder is not in `classes`, or two folders have the same
        number.

    Examples
    --------
    >>> import pathlib
    >>> import PIL.Image
    >>> import neurofreq as nf
    >>> for name in ("cat", "dog"):
    ...     pathlib.Path("photos", name).mkdir(parents=True)
    ...     PIL.Image.new("RGB", (80, 60)).save(f"photos/{name}/one.png")
    >>> data = nf.data.open_folder("photos", resize=40, crop=32)
    >>> data.class_names, data.labels
    (('cat', 'dog'), array([0, 1]))
    >>> data.images[:2].shape
    (2, 3, 32, 32)
    """
    root = validate.path("folder", folder)
    folders = class_folders(root)
    classes = class_order.listed(root) if classes is None else classes
    if classes is None:
        names = class_order.of_folders(root, folders)
    else:
        names = class_order.given(root, folders, classes)
    present = set(folders)
    files = [
        [*_images(root / name, f"{name}/")] if name in present else [] for name in names
    ]
    return _image_set(root, files, names, root.name, resize, crop)


def open_imagenet(
    folder: str | os.PathLike[str],
    *,
    split: Split = "test",
    resize: int | None = 256,
    crop: int | None = 224,
    classes: Sequence[str] | None = None,
) -> ImageSet:
    """Return ImageNet from its class folders.

    Parameters
    ----------
    folder : path
        Holds ``train/WNID`` and ``val/WNID``, or directly holds class folders. The
        validation images must be sorted into class folders, as for torchvision's
        ``ImageFolder``.
    split : {"test", "train"}
        "test" is the validation set: labels of the test set are not public.
    resize, crop, classes
        As in `open_folder`.

    Returns
    -------
    ImageSet
        Folders named by WordNet ids get the labels of ImageNet's 1000 classes, for any
        number of folders.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        As `open_folder`, or if only some folders are classes of ImageNet.

    Examples
    --------
    One empty picture stands for the data set here:

    >>> import pathlib
    >>> import PIL.Image
    >>> import neurofreq as nf
    >>> folder = pathlib.Path("imagenet/val/n02123045")
    >>> folder.mkdir(parents=True)
    >>> PIL.Image.new("RGB", (400, 300)).save(folder / "one.JPEG")
    >>> data = nf.data.open_imagenet("imagenet")
    >>> data.labels, len(data.class_names)
    (array([281]), 1000)
    >>> data.images[:1].shape
    (1, 3, 224, 224)
    """
    root = validate.path("folder", folder)
    has_parts = any((root / part).is_dir() for part in ("train", "val"))
    if has_parts:
        root = root / ("train" if split == "train" else "val")
    if classes is None and class_order.listed(root) is None:
        folders = class_folders(root)
        ours = set(folders) & set(class_order.imagenet())
        other = next((name for name in folders if name not in ours), None)
        if ours and other is not None:
            raise ValueError(
                f"data: {root} holds {other!r}, which is no class of ImageNet's 1000, "
                "beside some that are: give `classes` in the order of the model"
            )
        classes = class_order.imagenet() if ours else None
    found = open_folder(root, classes=classes, resize=resize, crop=crop)
    return replace(found, name=f"ImageNet {root.name}")


def open_tinyimagenet(
    folder: str | os.PathLike[str], *, split: Split = "test"
) -> ImageSet:
    r"""Return TinyImageNet from its official archive, unpacked.

    Parameters
    ----------
    folder : path
        Holds ``wnids.txt``, ``train`` and ``val``, or holds a folder
        ``tiny-imagenet-200`` with them.
    split : {"test", "train"}
        "test" is the validation set: labels of the test set are not public.

    Returns
    -------
    ImageSet
        uint8, (N, 3, 64, 64). Labels are positions in the sorted list of classes, as
        ``ImageFolder`` on ``train`` gives them. Training images are sorted by class,
        validation images are in the order of their annotations.

    Raises
    ------
    FileNotFoundError
        If a part of the layout is missing.
    ValueError
        If a class is empty, or an annotation names an unknown class or file.

    Examples
    --------
    One empty picture stands for the data set here:

    >>> import pathlib
    >>> import PIL.Image
    >>> import neurofreq as nf
    >>> folder = pathlib.Path("tiny-imagenet-200")
    >>> (folder / "val/images").mkdir(parents=True)
    >>> text = (folder / "wnids.txt").write_text("n02124075\nn01443537\n")
    >>> PIL.Image.new("RGB", (64, 64)).save(folder / "val/images/val_0.JPEG")
    >>> line = "val_0.JPEG\tn02124075\t0\t0\t63\t63\n"
    >>> text = (folder / "val/val_annotations.txt").write_text(line)
    >>> data = nf.data.open_tinyimagenet(".")
    >>> data.class_names, data.labels, data.images[:1].shape
    (('n01443537', 'n02124075'), array([1]), (1, 3, 64, 64))
    """
    root = validate.path("folder", folder)
    nested = root / "tiny-imagenet-200"
    root = nested if nested.is_dir() else root
    listing = root / "wnids.txt"
    if not listing.is_file():
        raise FileNotFoundError(f"data: {listing} is missing from {_TINY_LAYOUT}")
    names = tuple(
        sorted(
            safe_names.checked("wnids.txt", one) for one in listing.read_text().split()
        )
    )
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
    """Return the sorted names of the sub-folders; raise FileNotFoundError if none."""
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
        files.append(f"val/images/{safe_names.checked(path.name, file)}")
        labels.append(place[name])
    if not files:
        raise ValueError(f"data: {path} is empty: truncated?")
    return tuple(files), np.array(labels, dtype=np.int64)


def _images(folder: Path, prefix: str) -> Iterator[str]:
    """Yield the sorted images of one class; raise if there are none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"data: {folder} is missing, expected images in it")
    found = class_order.images_in(folder)
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
    """Join the files of all classes."""
    paths = tuple(path for group in files for path in group)
    labels = np.repeat(np.arange(len(files)), [len(group) for group in files])
    images = ImageFiles.of(root, paths, resize=resize, crop=crop)
    return ImageSet(images, labels.astype(np.int64), classes, name)
