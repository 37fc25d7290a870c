"""Save and load objects that are arrays and numbers, without pickle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.files import archives, storage
from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

_KIND = "kind"


class Saved(ABC):
    """A base of accumulators that have `state` and `from_state`."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return everything as arrays, numbers and texts."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Restore the object from its `state`."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the `state` as an npz file with a checksum, atomically.

        Parameters
        ----------
        path : path
            An existing file is replaced.

        Raises
        ------
        TypeError, ValueError, OSError
            If `path` is not the path of a file that can be written.
        """
        file = validate.path("path", path)
        arrays = {name: np.asarray(value) for name, value in self.state().items()}
        arrays[_KIND] = np.asarray(type(self).__name__)
        storage.write_atomically(file, lambda out: archives.write(out, arrays))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; the result is exactly the saved object.

        Raises
        ------
        FileNotFoundError
            If the file does not exist.
        ValueError
            If the file is damaged, or was saved from another class.
        """
        file = validate.path("path", path)
        state = archives.read(file)
        kind = str(state.pop(_KIND, ""))
        if kind != cls.__name__:
            got = kind or "another file"
            raise ValueError(f"path: got {got} in {file}, expected {cls.__name__}")
        return cls.from_state(state)

    @staticmethod
    def check_keys(state: Mapping[str, Any], expected: Sequence[str]) -> None:
        """Raise ValueError if a key is missing."""
        missing = sorted(set(expected) - set(state))
        if missing:
            raise ValueError(f"state: got no {missing}, expected all of them")
