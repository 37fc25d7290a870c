"""Finished measurements on disk: named by their content, written atomically.

An item is one measurement of one model. Its name holds a digest of everything
that decides its numbers: settings, weights and code of the model, data, and
the release of neurofreq. A second run with the same digest reads the item
instead of measuring again; anything else measures again.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import re
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

Arrays = dict[str, "NDArray[Any]"]


class Store:
    """A folder of finished measurements.

    Parameters
    ----------
    folder : path
        Made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, record: Mapping[str, Any]) -> Arrays | None:
        """Return the item of exactly this record, or None.

        Parameters
        ----------
        record : mapping
            JSON values; ``record["measurement"]`` begins the file's name.
        """
        path = self._path(record)
        if not path.with_suffix(".json").exists():
            return None
        try:
            # np.load leaves a damaged file open unless it is ours to close.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return dict(archive)
        except (OSError, ValueError, zipfile.BadZipFile):
            return None  # damaged from outside: measure again

    def save(self, record: Mapping[str, Any], arrays: Arrays) -> None:
        """Write an item; the JSON beside it comes last and makes it count.

        Parameters
        ----------
        record : mapping
            As in `load`.
        arrays : dict of str to ndarray
        """
        path = self._path(record)
        values: dict[str, Any] = dict(arrays)
        write_atomically(path, lambda file: np.savez_compressed(file, **values))
        text = json.dumps(record, indent=2, sort_keys=True) + "\n"
        write_text(path.with_suffix(".json"), text)

    def _path(self, record: Mapping[str, Any]) -> Path:
        text = json.dumps(record, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        return self.folder / f"{record['measurement']}-{digest}.npz"


def write_atomically(path: Path, write: Callable[[Any], object]) -> None:
    """Write a file that is either absent, as it was, or complete.

    Parameters
    ----------
    path : Path
    write : callable
        Given a binary file open for writing, in the same folder.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp's file is for its owner alone
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file of these bytes atomically."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(path, text.encode())


def data_digest(images: Any, labels: Any) -> str:
    """Return the SHA-256 of images and labels, their shapes and dtypes."""
    digest = hashlib.sha256()
    for array in (images, labels):
        _add(digest, np.ascontiguousarray(array))
    return digest.hexdigest()


def model_digest(model: torch.nn.Module) -> str:
    """Return the SHA-256 of a model: weights, structure and its own code.

    Parameters
    ----------
    model : nn.Module
        Every tensor of its state, its printed structure, and the source of its
        classes outside torch where Python can find it. A value that none of
        these shows, such as a global the forward pass reads, is not covered.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        if isinstance(value, torch.Tensor):
            raw = value.detach().cpu().contiguous().flatten().view(torch.uint8)
            digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
            digest.update(raw.numpy().tobytes())
    digest.update(re.sub(r" at 0x[0-9a-f]+", "", repr(model)).encode())
    classes = {type(module) for module in model.modules()}
    for cls in sorted(classes, key=lambda c: f"{c.__module__}.{c.__qualname__}"):
        if not cls.__module__.startswith("torch."):
            with contextlib.suppress(OSError, TypeError):
                digest.update(inspect.getsource(cls).encode())
    return digest.hexdigest()


def _add(digest: Any, array: NDArray[Any]) -> None:
    digest.update(f"{array.dtype}{array.shape}".encode())
    digest.update(array.view(np.uint8).data if array.size else b"")
