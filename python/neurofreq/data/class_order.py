"""Decide the order of classes, and so the label of each class folder."""

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
_MOST_NUMBERS: Final = 100_000  # larger numbers are not labels but, for example, dates
# TinyImageNet has 200 of ImageNet's classes, with its own labels, and 64 x 64 pixels.
_TINY_CLASSES, _TINY_SIZE = 200, (64, 64)


@functools.cache
def imagenet() -> tuple[str, ...]:
    """Return the WordNet ids of ImageNet's 1000 classes, in the order of labels."""
    text = resources.files("neurofreq.data").joinpath("imagenet_classes.txt")
    return tuple(text.read_text(encoding="ascii").split())


def listed(root: Path) -> tuple[str, ...] | None:
    """Return the classes in ``classes.txt`` beside the folders, or None without it."""
    path = root / LISTING
    if not path.is_file():
        return None
    lines = (line.strip() for line in _text(path).splitlines())
    return validate.distinct(str(path), [line for line in lines if line])


def _text(path: Path) -> str:
    """Return a UTF-8 text, with or without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"data: {path} is no UTF-8 text ({error.reason})") from error


def of_folders(root: Path, folders: tuple[str, ...]) -> tuple[str, ...]:
    """Return all classes in the order of labels, for (sorted) folders without a list.

    If all folders are WordNet ids of ImageNet, the classes are ImageNet's 1000 classes.
    But 200 such folders with images of 64 x 64 pixels are TinyImageNet, which has its
    own order. If all folders are numbers, the classes are 0 to the highest number. In
    all other cases, the classes are the folders. Raises ValueError if two folders have
    the same number, or only some folders are numbers.
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
    """Return the classes that a caller gave; some of them may have no folder.

    Raises TypeError or ValueError for anything but distinct names and for a folder that
    is not a class, and FileNotFoundError if no class has a folder.
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
    """Return the sorted names of the images in a folder.

    Raises ValueError if a sub-folder holds more images, which would not be read.
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
    """Return whether a path has the suffix of an image and is not hidden."""
    return path.suffix.lower() in pictures.SUFFIXES and not path.name.startswith(".")


def _numbered(root: Path, folders: Iterable[str]) -> tuple[str, ...]:
    """Return the class names 0 to the highest number, written as the folders are."""
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
    """Return whether folders with names of ImageNet's classes are TinyImageNet."""
    if len(folders) != _TINY_CLASSES:
        return False
    first = images_in(root / folders[0])[:1]
    return bool(first) and pictures.read(root / folders[0] / first[0]).size == (
        _TINY_SIZE
    )
