"""Finished measurements on disk: named by their content, written atomically.

An item is one measurement of one model. Its name holds a digest of everything
that decides its numbers: settings, weights and code of the model, data, and
the release of neurofreq. A second run with the same digest reads the item
instead of measuring again; anything else measures again. What failed has a
record of its own, with its traceback, until it succeeds.
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
import safetensors.numpy
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

    def path(self, record: Mapping[str, Any], suffix: str) -> Path:
        """Return the file of an item with this suffix, there or not.

        Parameters
        ----------
        record : mapping
            JSON values; ``record["measurement"]`` begins the file's name.
        suffix : str
            ".npz", ".json", ".safetensors", ".failed.json" or ".lock".
        """
        text = json.dumps(record, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        return self.folder / f"{record['measurement']}-{digest}{suffix}"

    def load(self, record: Mapping[str, Any]) -> Arrays | None:
        """Return the item of exactly this record, or None.

        Parameters
        ----------
        record : mapping
            As in `path`.
        """
        path = self.path(record, ".npz")
        if not path.with_suffix(".json").exists():
            return None
        try:
            # np.load leaves a damaged file open unless it is ours to close.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return dict(archive)
        except (OSError, ValueError, zipfile.BadZipFile):
            return None  # damaged from outside: measure again

    def save(
        self,
        record: Mapping[str, Any],
        arrays: Arrays,
        tensors: Arrays | None = None,
    ) -> None:
        """Write an item; the JSON beside it comes last and makes it count.

        Parameters
        ----------
        record : mapping
            As in `path`.
        arrays : dict of str to ndarray
        tensors : dict of str to ndarray, optional
            Large arrays, kept exactly in a safetensors file of their own.
        """
        path = self.path(record, ".npz")
        if tensors is not None:
            whole = {name: np.ascontiguousarray(one) for name, one in tensors.items()}
            write_bytes(path.with_suffix(".safetensors"), safetensors.numpy.save(whole))
        values: dict[str, Any] = dict(arrays)
        write_atomically(path, lambda file: np.savez_compressed(file, **values))
        write_json(path.with_suffix(".json"), record)
        self.path(record, ".failed.json").unlink(missing_ok=True)

    def fail(self, record: Mapping[str, Any], traceback: str) -> None:
        """Write down that this item failed, and how."""
        write_json(
            self.path(record, ".failed.json"), {**record, "traceback": traceback}
        )

    def failure(self, record: Mapping[str, Any]) -> tuple[tuple[int, int], str] | None:
        """Return a mark that is new with every failure and the traceback, or None."""
        try:
            with self.path(record, ".failed.json").open("rb") as file:
                status = os.fstat(file.fileno())
                text = json.load(file)["traceback"]
        except FileNotFoundError:
            return None
        return (status.st_mtime_ns, status.st_ino), text

    def sweep(self, record: Mapping[str, Any]) -> None:
        """Remove what a killed process left half written; for one who claimed it."""
        for left in self.folder.glob(f".{self.path(record, '').name}.*.part"):
            left.unlink(missing_ok=True)

    def discard(self, record: Mapping[str, Any]) -> None:
        """Forget an item, finished or failed."""
        for suffix in (".json", ".failed.json", ".npz", ".safetensors"):
            self.path(record, suffix).unlink(missing_ok=True)


def write_atomically(path: Path, write: Callable[[Any], object]) -> None:
    """Write a file that is either absent, as it was, or complete.

    Parameters
    ----------
    path : Path
    write : callable
        Given a binary file open for writing, in the same folder.
    """
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".part"
    )
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


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


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


def code_name(function: Callable[..., Any]) -> str:
    """Return the name of a function, and the SHA-256 of its source where there is one.

    Parameters
    ----------
    function : callable
        Of an object with ``__call__``, its class counts; values that it holds do not.
    """
    code = function if hasattr(function, "__qualname__") else type(function)
    name = f"{code.__module__}.{code.__qualname__}"
    with contextlib.suppress(OSError, TypeError):
        source = inspect.getsource(code)
        return f"{name} {hashlib.sha256(source.encode()).hexdigest()[:16]}"
    return name


def _add(digest: Any, array: NDArray[Any]) -> None:
    digest.update(f"{array.dtype}{array.shape}".encode())
    digest.update(array.view(np.uint8).data if array.size else b"")
