"""Files that are written whole and read back only as they were written.

Every file is written beside its place and moved there. Each carries a checksum
of its own: JSON a key, safetensors an entry of its header, npz one more array;
an array in a plain npy file has it in the manifest beside. So a flipped bit is
noticed when the file is read. Files of earlier releases are read without.

A `Store` is a folder of items. An item is one measurement of one model. Its
name is a digest of everything that decides its numbers: settings, data, the
model (see `_shared.networks.fingerprint`) and the release of neurofreq. A second run
with the same digest reads the item instead of measuring again. What failed has
a record of its own, with its traceback, until it succeeds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

from neurofreq._shared.files import archives
from neurofreq._shared.files.damage import compare, damaged, no_folder

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from numpy.typing import NDArray
    from torch import Tensor

Arrays = dict[str, "NDArray[Any]"]
CHECKSUM = "checksum"
_PART = ".part"
# Links are not followed, children do not inherit. Windows has neither flag.
_OPEN = os.O_RDWR | sum(
    getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY")
)


class Store:
    """A folder of finished measurements.

    Parameters
    ----------
    folder : path
        Made where it is missing; what killed processes left half written is removed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        self._told: set[Path] = set()

    def path(self, record: Mapping[str, Any], suffix: str) -> Path:
        """Return the file of an item with this suffix, there or not.

        Parameters
        ----------
        record : mapping
            JSON values; ``record["measurement"]`` begins the file's name.
        suffix : str
            ".npz", ".json", ".safetensors", ".failed.json" or ".lock".
        """
        digest = hashlib.sha256(_canonical(record).encode()).hexdigest()[:24]
        return self.folder / f"{record['measurement']}-{digest}{suffix}"

    def load(self, record: Mapping[str, Any]) -> Arrays | None:
        """Return the item of exactly this record, or None.

        A damaged item is none, and that is said once.

        Parameters
        ----------
        record : mapping
            As in `path`.
        """
        path = self.path(record, ".json")
        try:
            if read_json(path) != json.loads(_canonical(record)):
                raise ValueError(f"{path} holds another record")
            return archives.read(path.with_suffix(".npz"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            self._tell(path, error)
            return None

    def has_tensors(self, record: Mapping[str, Any]) -> bool:
        """Return whether the item has its large arrays, undamaged."""
        path = self.path(record, ".safetensors")
        try:
            read_tensors(path)
        except FileNotFoundError:
            return False
        except ValueError as error:
            self._tell(path, error)
            return False
        return True

    def tensors(self, record: Mapping[str, Any]) -> Arrays:
        """Return the large arrays of an item.

        Raises
        ------
        FileNotFoundError, ValueError
            If there are none, or the file is damaged.
        """
        found, _ = read_tensors(self.path(record, ".safetensors"))
        return {name: value.numpy() for name, value in found.items()}

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
            large = {k: torch.from_numpy(np.array(v)) for k, v in tensors.items()}
            write_tensors(path.with_suffix(".safetensors"), large)
        write_atomically(path, lambda file: archives.write(file, arrays))
        write_json(path.with_suffix(".json"), record)
        self.path(record, ".failed.json").unlink(missing_ok=True)
        self._told.discard(path)

    def fail(self, record: Mapping[str, Any], traceback: str) -> None:
        """Write down that this item failed, and how."""
        write_json(
            self.path(record, ".failed.json"), {**record, "traceback": traceback}
        )

    def failure(self, record: Mapping[str, Any]) -> tuple[tuple[int, int], str] | None:
        """Return a mark that is new with every failure and the traceback, or None."""
        path = self.path(record, ".failed.json")
        try:
            status = path.stat()
            text = str(read_json(path)["traceback"])
        except (FileNotFoundError, ValueError, KeyError):
            return None  # none, or damaged from outside: measure again
        return (status.st_mtime_ns, status.st_ino), text

    def discard(self, record: Mapping[str, Any]) -> None:
        """Forget an item, finished or failed."""
        for suffix in (".json", ".failed.json", ".npz", ".safetensors"):
            self.path(record, suffix).unlink(missing_ok=True)

    def _tell(self, path: Path, error: ValueError) -> None:
        """Say once that a file is damaged."""
        if path not in self._told:
            self._told.add(path)
            warnings.warn(
                f"{error}: it does not count, a run measures it again", stacklevel=3
            )


def write_atomically(
    path: Path, write: Callable[[Any], object], *, is_synced: bool = True
) -> None:
    """Write a file that is either absent, as it was, or complete.

    Parameters
    ----------
    path : Path
    write : callable
        Given a binary file open for writing, in the same folder.
    is_synced : bool
        Whether the file outlives a loss of power, too.

    Raises
    ------
    OSError
        If the folder cannot be written to, the disk is full, or a folder has the
        file's name; `path` is named.
    """
    no_folder(path)
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}{_PART}")
    try:
        with _created(part) as file:
            write(file)
            file.flush()
            if is_synced:
                os.fsync(file.fileno())
            if sys.platform != "win32":  # while its lock is held: nobody sweeps it
                os.replace(part, path)
        if sys.platform == "win32":  # which moves no open file
            os.replace(part, path)
    except OSError as error:
        _remove(part)
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    except BaseException:
        _remove(part)
        raise


def _created(part: Path) -> BinaryIO:
    """Create a file of our own and lock it, which says that its writer lives."""
    # Never an existing file or link; the process's umask decides who may read it.
    while True:
        handle = os.open(part, _OPEN | os.O_CREAT | os.O_EXCL, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks
            _lock(handle)
        if os.fstat(handle).st_nlink:  # not swept between these two lines
            return os.fdopen(handle, "w+b")
        os.close(handle)


def _lock(handle: int) -> None:
    if sys.platform != "win32":  # where nobody can remove an open file
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove(part: Path) -> None:
    with contextlib.suppress(OSError):
        part.unlink()


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written in a folder.

    The part of a living process is locked by it, and stays.

    Parameters
    ----------
    folder : Path
    """
    for part in folder.glob(f"*{_PART}"):
        with contextlib.suppress(OSError):  # another's, or gone meanwhile
            if sys.platform == "win32":
                part.unlink()
                continue
            handle = os.open(part, _OPEN)
            try:
                _lock(handle)
                part.unlink()
            finally:
                os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file of these bytes atomically."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file atomically, with a checksum of its values.

    Parameters
    ----------
    path : Path
    value : mapping
        Of JSON values and NumPy's numbers.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON has not.
    """
    checked = {**value, CHECKSUM: _checksum(value)}
    text = json.dumps(checked, indent=2, sort_keys=True, default=_number)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return what `write_json` wrote; of earlier releases without a checksum.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged; `path` is named.
    """
    no_folder(path)
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(value, dict):
        raise damaged(path, "no JSON object")
    compare(path, value.pop(CHECKSUM, None), lambda: _checksum(value))
    return value


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file atomically, with a checksum of all that it holds.

    Parameters
    ----------
    path : Path
    tensors : mapping of str to Tensor
        Of any device and strides.
    metadata : mapping of str to str, optional
    """
    whole = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in tensors.items()
    }
    texts = dict(metadata or {})
    texts[CHECKSUM] = _tensor_checksum(whole, texts)
    write_bytes(path, safetensors.torch.save(whole, metadata=texts))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file, and its metadata.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged; `path` is named.
    """
    no_folder(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
        tensors = safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise damaged(path, error) from error
    expected = metadata.pop(CHECKSUM, None)
    compare(path, expected, lambda: _tensor_checksum(tensors, metadata))
    return tensors, metadata


def data_digest(images: Any, labels: Any) -> str:
    """Return the SHA-256 of images and labels, arrays or tensors of any device."""
    digest = hashlib.sha256()
    for values in (images, labels):
        array = _on_host(values) if isinstance(values, torch.Tensor) else values
        _add(digest, np.ascontiguousarray(array))
    return digest.hexdigest()


def tensor_bytes(tensor: Tensor) -> bytes:
    """Return a tensor's values as bytes, whatever its device, layout or type."""
    whole = tensor.detach()
    if whole.is_quantized:
        whole = whole.dequantize()
    if whole.layout != torch.strided:
        whole = whole.to_dense()
    raw = whole.cpu().contiguous().flatten().view(torch.uint8)
    content: bytes = raw.numpy().tobytes()
    return content


def _on_host(tensor: Tensor) -> Any:
    """Return a tensor's values; of bfloat16, which NumPy lacks, in float32."""
    values = tensor.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def _canonical(value: Mapping[str, Any]) -> str:
    """Return the one JSON text of these values."""
    return json.dumps(value, sort_keys=True, default=_number, allow_nan=False)


def _checksum(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def _tensor_checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(_canonical(metadata).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(tensor_bytes(value))
    return digest.hexdigest()


def _number(value: Any) -> Any:
    """Return a NumPy number as Python's own, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def _add(digest: Any, array: NDArray[Any]) -> None:
    digest.update(f"{array.dtype}{array.shape}".encode())
    digest.update(array.view(np.uint8).data if array.size else b"")
