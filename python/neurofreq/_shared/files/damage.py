"""Make the errors for kept files that are damaged or replaced by a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def damaged(path: Path, reason: object) -> ValueError:
    """Return the error for a damaged file."""
    return ValueError(f"{path} is damaged ({reason})")


def compare(path: Path, expected: Any, found: Callable[[], str]) -> None:
    """Raise if a file's checksum differs; files of earlier releases have none."""
    if expected is not None and str(expected) != found():
        raise damaged(path, "its checksum differs")


def no_folder(path: Path) -> None:
    """Raise if there is a folder in place of the file."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a file: move it away")
