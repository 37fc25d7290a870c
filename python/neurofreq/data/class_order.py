"""The order of classes: which label the folder of a class has."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from neurofreq._shared.files import pictures
from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LISTING: Final = "classes.txt"
_MOST_NUMBERS: Final = 100_000  # folders named by numbers: more is a date or the like
# TinyImageNet has so many of ImageNet's classes, and numbers them by themselves.
_TINY_CLASSES, _TINY_SIZE = 200, (64, 64)


@functools.cache
def imagenet() -> tuple[str, ...]:
    """Return the WordNet ids of ImageNet's 1000 classes, in the order of labels."""
    text = resources.files("neurofreq.data").joinpath("imagenet_classes.txt")
    return tuple(text.read_text(encoding="ascii").split())


def listed(root: Path) -> tuple[str, ...] | None:
    """Return the classes that ``classes.txt`` beside the folders names, if it is there.

    Parameters
    ----------
    root : Path
    """
    path = root / LISTING
    if not path.is_file():
        return None
    lines = (line.strip() for line in _text(path).splitlines())
    return validate.distinct(str(path), [line for line in lines if line])


def _text(path: Path) -> str:
    """Return a text in UTF-8, with or without a mark of its byte order."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"data: {path} is no UTF-8 text ({error.reason})") from error


def of_folders(root: Path, folders: tuple[str, ...]) -> tuple[str, ...]:
    """Return all classes in the order of labels, for folders that say no order.

    Parameters
    ----------
    root : Path
        Where the folders are.
    folders : tuple of str
        Sorted.

    Returns
    -------
    tuple of str
        For folders that are all named by WordNet ids of ImageNet, its 1000 classes;
        for numbers, those from 0 to the highest; otherwise the folders themselves.
        200 folders of 64 x 64 pixels are TinyImageNet, which has an order of its own.

    Raises
    ------
    ValueError
        If two folders have one number, or some are named by numbers and some not.
    """
    numbers = [name for name in folders if name.isascii() and name.isdigit()]
    other = next((name for name in folders if name not in numbers), None)
    if numbers and other is not None:
        raise ValueError(
            f"data: {root} holds {numbers[0]!r} and {other!r}, expected numbers alone "
            "or names alone: give `classes` in the order of the model"
        )
    if all(name.isascii() and name.isdigit() for name in folders):
        return _numbered(root, folders)
    if set(folders) <= set(imagenet()) and not _is_tiny(root, folders):
        return imagenet()
    return folders


def given(
    root: Path, folders: tuple[str, ...], classes: Sequence[str]
) -> tuple[str, ...]:
    """Return the classes that a caller gave, of which some may have no folder.

    Raises
    ------
    TypeError, ValueError
        If they are no names, one is given twice, or a folder is none of them.
    FileNotFoundError
        If none has a folder.
    """
    names = validate.distinct("classes", classes)
    known = set(names)
    if known.isdisjoint(folders):
        raise FileNotFoundError(
            f"data: {root} has no folder of the {len(names)} classes, expected one or "
            f"more of {', '.join(names[:3])}"
        )
    unknown = [name for name in folders if name not in known]
    if unknown:
        raise ValueError(
            f"data: {root} holds {unknown[0]!r}, expected only the {len(names)} known "
            "classes"
        )
    return names


def images_in(folder: Path) -> list[str]:
    """Return the names of the images in a folder, sorted.

    Raises
    ------
    ValueError
        If there are images beside and in a folder below, which would be left out.
    """
    inside = sorted(folder.iterdir())
    found = [path.name for path in inside if _is_image(path)]
    for below in inside if found else ():
        if below.is_dir() and any(map(_is_image, below.iterdir())):
            raise ValueError(
                f"data: {folder} holds images, and more in {below.name!r}, expected "
                "all images of a class in one folder"
            )
    return found


def _is_image(path: Path) -> bool:
    """Return whether a path is named as an image."""
    return path.suffix.lower() in pictures.SUFFIXES and not path.name.startswith(".")


def _numbered(root: Path, folders: Iterable[str]) -> tuple[str, ...]:
    """Return names of all numbers up to the highest, as folders write them."""
    by_number: dict[int, str] = {}
    for name in folders:
        if int(name) in by_number:
            raise ValueError(
                f"data: {root} holds {by_number[int(name)]!r} and {name!r}, expected "
                "one folder for a number"
            )
        by_number[int(name)] = name
    highest = max(by_number)
    if highest >= _MOST_NUMBERS:
        return tuple(folders)
    return tuple(by_number.get(k, str(k)) for k in range(highest + 1))


def _is_tiny(root: Path, folders: tuple[str, ...]) -> bool:
    """Whether folders of ImageNet's classes are those of TinyImageNet."""
    if len(folders) != _TINY_CLASSES:
        return False
    first = images_in(root / folders[0])[:1]
    return bool(first) and pictures.read(root / folders[0] / first[0]).size == (
        _TINY_SIZE
    )
