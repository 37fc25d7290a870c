"""Write files atomically with checksums, and keep finished measurements in a folder.

Every file is written under a temporary name in its folder and then renamed. Each file
holds a checksum: JSON in a key, safetensors in its header, npz in an extra array. The
checksum of a plain npy file is in the manifest beside it. Files of earlier releases
have no checksum.

A `Store` is a folder of items; an item is one measurement of one model. The item's name
is a hash of everything that decides its numbers: settings, data, the model (see
`_shared.networks.fingerprint`) and the release of neurofreq. A second run with the same
hash reads the item instead of measuring again. A measurement that failed has a record
with its traceback until it succeeds.
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
# Do not follow links, and do not pass the file to child processes. Windows lacks both
# flags.
_OPEN = os.O_RDWR | sum(
    getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY")
)


class Store:
    """A folder of finished measurements.

    The folder is created if it is missing; partly written files of killed processes are
    removed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        self._told: set[Path] = set()

    def path(self, record: Mapping[str, Any], suffix: str) -> Path:
        """Return the file of an item with this suffix, whether or not it exists.

        The record holds JSON values; ``record["measurement"]`` begins the file's name.
        Suffixes are ".npz", ".json", ".safetensors", ".failed.json" and ".lock".
        """
        digest = hashlib.sha256(_canonical(record).encode()).hexdigest()[:24]
        return self.folder / f"{record['measurement']}-{digest}{suffix}"

    def load(self, record: Mapping[str, Any]) -> Arrays | None:
        """Return the item with exactly this record, or None; warn once if damaged."""
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
        """Return whether the large arrays of the item exist, undamaged."""
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

        Raises FileNotFoundError if there are none, and ValueError if the file is
        damaged.
        """
        found, _ = read_tensors(self.path(record, ".safetensors"))
        return {name: value.numpy() for name, value in found.items()}

    def save(
        self,
        record: Mapping[str, Any],
        arrays: Arrays,
        tensors: Arrays | None = None,
    ) -> None:
        """Write an item; the JSON file comes last and makes the item valid.

        `tensors` are large arrays, kept exactly in a safetensors file.
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
        """Record that this item failed, with the traceback."""
        write_json(
            self.path(record, ".failed.json"), {**record, "traceback": traceback}
        )

    def failure(self, record: Mapping[str, Any]) -> tuple[tuple[int, int], str] | None:
        """Return a mark that differs for every failure, and the traceback.

        None if there is no failure.
        """
        path = self.path(record, ".failed.json")
        try:
            status = path.stat()
            text = str(read_json(path)["traceback"])
        except (FileNotFoundError, ValueError, KeyError):
            return None  # no record, or a damaged one: measure again
        return (status.st_mtime_ns, status.st_ino), text

    def discard(self, record: Mapping[str, Any]) -> None:
        """Remove an item, finished or failed."""
        for suffix in (".json", ".failed.json", ".npz", ".safetensors"):
            self.path(record, suffix).unlink(missing_ok=True)

    def _tell(self, path: Path, error: ValueError) -> None:
        """Warn once that a file is damaged."""
        if path not in self._told:
            self._told.add(path)
            warnings.warn(
                f"{error}: this result is ignored, and a run measures it again",
                stacklevel=3,
            )


def write_atomically(
    path: Path, write: Callable[[Any], object], *, is_synced: bool = True
) -> None:
    """Write a file so that a crash leaves the old file or the complete new one.

    `write` gets a binary file open for writing. With `is_synced` the new file also
    survives a loss of power. Raises OSError with `path` in it.
    """
    no_folder(path)
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}{_PART}")
    try:
        with _created(part) as file:
            write(file)
            file.flush()
            if is_synced:
                os.fsync(file.fileno())
            if sys.platform != "win32":  # still locked, so that `sweep` keeps it
                os.replace(part, path)
        if sys.platform == "win32":  # cannot move an open file
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
    """Create a new file and lock it; the lock shows that its writer is alive."""
    # O_EXCL refuses existing files and links; the umask decides who may read the file.
    while True:
        handle = os.open(part, _OPEN | os.O_CREAT | os.O_EXCL, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks
            _lock(handle)
        if os.fstat(handle).st_nlink:  # not removed by `sweep` before it was locked
            return os.fdopen(handle, "w+b")
        os.close(handle)


def _lock(handle: int) -> None:
    if sys.platform != "win32":  # Windows never removes an open file
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove(part: Path) -> None:
    with contextlib.suppress(OSError):
        part.unlink()


def sweep(folder: Path) -> None:
    """Remove partly written files of killed processes; living processes lock theirs."""
    for part in folder.glob(f"*{_PART}"):
        with contextlib.suppress(OSError):  # locked by its writer, or already gone
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

    The values may be NumPy numbers. Raises ValueError for NaN and infinity, which JSON
    cannot hold.
    """
    checked = {**value, CHECKSUM: _checksum(value)}
    text = json.dumps(checked, indent=2, sort_keys=True, default=_number)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the values that `write_json` wrote, with or without a checksum.

    Raises FileNotFoundError, or ValueError if the file is damaged.
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
    """Write a safetensors file atomically, with a checksum of tensors and metadata."""
    whole = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in tensors.items()
    }
    texts = dict(metadata or {})
    texts[CHECKSUM] = _tensor_checksum(whole, texts)
    write_bytes(path, safetensors.torch.save(whole, metadata=texts))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises FileNotFoundError, or ValueError if the file is damaged.
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
    """Return the SHA-256 of images and labels: arrays, or tensors of any device."""
    digest = hashlib.sha256()
    for values in (images, labels):
        array = _on_host(values) if isinstance(values, torch.Tensor) else values
        _add(digest, np.ascontiguousarray(array))
    return digest.hexdigest()


def tensor_bytes(tensor: Tensor) -> bytes:
    """Return a tensor's values as bytes, for any device, layout and type."""
    whole = tensor.detach()
    if whole.is_quantized:
        whole = whole.dequantize()
    if whole.layout != torch.strided:
        whole = whole.to_dense()
    raw = whole.cpu().contiguous().flatten().view(torch.uint8)
    content: bytes = raw.numpy().tobytes()
    return content


def _on_host(tensor: Tensor) -> Any:
    """Return a tensor as an array; bfloat16 becomes float32, because NumPy lacks it."""
    values = tensor.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def _canonical(value: Mapping[str, Any]) -> str:
    """Return the JSON text of these values, with sorted keys."""
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
    """Return a NumPy number as a Python number, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def _add(digest: Any, array: NDArray[Any]) -> None:
    digest.update(f"{array.dtype}{array.shape}".encode())
    digest.update(array.view(np.uint8).data if array.size else b"")
