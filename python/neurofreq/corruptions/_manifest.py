"""Record how `write_corrupted` made a folder, and the checksums of its files."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.files import damage, locks, storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

MANIFEST = "corrupted.json"
LABELS = "labels"
_LOCK = ".corrupted"  # held while the manifest is read and written
_SUMS = "sha256"


class Manifest:
    """The manifest of a folder, which may not exist; several processes may use it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / MANIFEST

    def read(self) -> dict[str, Any]:
        """Return the manifest's values; empty for a published folder, which has none.

        Raises ValueError if the manifest is damaged.
        """
        try:
            values = storage.read_json(self.path)
            classes, sums = values.get("classes", []), values.get(_SUMS, {})
            is_whole = isinstance(classes, list) and isinstance(sums, dict)
            if not is_whole or not all(isinstance(one, str) for one in classes):
                raise damage.damaged(self.path, "classes or checksums")
        except FileNotFoundError:
            return {}
        return values

    def claim(self, note: dict[str, Any]) -> None:
        """Record the folder's settings; raise ValueError if it has other settings."""
        with self._held():
            found = self._read_for("out")
            if not found:
                storage.write_json(self.path, note)
                return
        differing = [key for key, value in note.items() if found.get(key) != value]
        if differing:
            raise ValueError(
                f"out: {self.folder} holds corruptions of another {differing[0]}, "
                "expected the same or an empty folder"
            )

    def sums(self, name: str) -> list[str | None]:
        """Return the checksums of an array's parts; None is an unknown checksum."""
        found = self._read_for("data").get(_SUMS, {}).get(name, [])
        return found if isinstance(found, list) else []

    def note_sum(self, name: str, index: int, n_parts: int, digest: str) -> None:
        """Record the checksum of one part of an array."""
        with self._held():
            values = self._read_for("out")
            sums = values.setdefault(_SUMS, {})
            sums.setdefault(name, [None] * n_parts)[index] = digest
            storage.write_json(self.path, values)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        lock = self.folder / _LOCK
        with locks.held(lock, f"{MANIFEST} of {self.folder}"):
            yield
            # A process that waits for this lock creates the lock file again.
            lock.unlink(missing_ok=True)

    def _read_for(self, argument: str) -> dict[str, Any]:
        try:
            return self.read()
        except ValueError as error:
            remedy = (
                "remove this file to read the folder without checksums and class names"
                if argument == "data"
                else "name another folder or empty this one"
            )
            raise ValueError(f"{argument}: {error}; {remedy}") from error


def digest(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's values in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
