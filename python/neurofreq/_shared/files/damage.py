"""Kept files that are not as they were written, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def damaged(path: Path, reason: object) -> ValueError:
    """Return the error that names a damaged file."""
    return ValueError(f"{path} is damaged ({reason})")


def compare(path: Path, expected: Any, found: Callable[[], str]) -> None:
    """Require the checksum that a file holds; those of earlier releases hold none."""
    if expected is not None and str(expected) != found():
        raise damaged(path, "its checksum differs")


def no_folder(path: Path) -> None:
    """Require that no folder is in the place of a file."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a file: move it away")
