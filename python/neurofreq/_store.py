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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
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
        text = json.dumps(record, sort_keys=True, default=_number)
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        return self.folder / f"{record['measurement']}-{digest}{suffix}"

    def load(self, record: Mapping[str, Any]) -> Arrays | None:
        """Return the item of exactly this record, or None, also where it is damaged.

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
        except Exception:  # of many kinds, by which byte is damaged: measure again
            return None

    def has_tensors(self, record: Mapping[str, Any]) -> bool:
        """Return whether the item has its large arrays, of their full length."""
        path = self.path(record, ".safetensors")
        try:
            with safetensors.safe_open(path, "numpy"):
                return True
        except (OSError, safetensors.SafetensorError):
            return False

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
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # none, or damaged from outside: measure again
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
    text = json.dumps(value, indent=2, sort_keys=True, default=_number)
    write_text(path, text + "\n")


def data_digest(images: Any, labels: Any) -> str:
    """Return the SHA-256 of images and labels, arrays or tensors of any device."""
    digest = hashlib.sha256()
    for values in (images, labels):
        array = _on_host(values) if isinstance(values, torch.Tensor) else values
        _add(digest, np.ascontiguousarray(array))
    return digest.hexdigest()


def _on_host(tensor: torch.Tensor) -> Any:
    """Return a tensor's values; of bfloat16, which NumPy lacks, in float32."""
    values = tensor.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def model_digest(model: torch.nn.Module) -> str:
    """Return the SHA-256 of a model, of all that it shows of what it computes.

    Parameters
    ----------
    model : nn.Module
        Its state and every buffer; its printed structure; the code of graphs
        that were traced, exported or scripted; and of classes outside torch the
        source, with that of their bases, where Python can find it, and the
        public attributes of their modules. Private attributes, hooks, numbers
        in a scripted module, closures and globals are not covered.

    Notes
    -----
    The same in every process. A public attribute that changes while the model
    is used, such as a count of calls, makes it another model.
    """
    return _module_digest(model, {})


def _module_digest(model: torch.nn.Module, known: dict[int, str]) -> str:
    """Return the digest of a module; those known already are told by their number."""
    for module in model.modules():
        known.setdefault(id(module), f"module {len(known)}")
    digest = hashlib.sha256(_without_addresses(repr(model)).encode())

    def add(name: str, text: str) -> None:
        digest.update(f"{name}={text};".encode())

    tensors = dict(model.named_buffers()) | model.state_dict()
    for name, value in sorted(tensors.items()):
        add(name, _told(value, known))
    for name, module in sorted(model.named_modules()):
        if isinstance(module, (torch.fx.GraphModule, torch.jit.ScriptModule)):
            add(name, getattr(module, "code", ""))
        elif _own_classes(module):
            add(name, _told(_public(module), known))
    classes = {cls for module in model.modules() for cls in _own_classes(module)}
    for cls in sorted(classes, key=_qualified):
        digest.update(_source(cls).encode())
    return digest.hexdigest()


def code_name(function: Callable[..., Any]) -> str:
    """Return the name of a function, and the SHA-256 of its source where there is one.

    Parameters
    ----------
    function : callable
        Of an object with ``__call__``, its class counts; values that it holds do not.
    """
    code = function if hasattr(function, "__qualname__") else type(function)
    source = _source(code)
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    return f"{_qualified(code)} {digest}" if source else _qualified(code)


def _own_classes(module: torch.nn.Module) -> list[type]:
    """Return the classes of a module that are not torch's."""
    return [cls for cls in type(module).__mro__ if not _is_torchs(cls)]


def _is_torchs(value: Any) -> bool:
    package = str(getattr(value, "__module__", "")).partition(".")[0]
    return package in ("torch", "builtins", "typing", "abc")


def _public(module: torch.nn.Module) -> dict[str, Any]:
    """Return what was set on a module besides its tensors and modules."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training"
    }


def _told(value: Any, known: dict[int, str]) -> str:
    """Return a text that is the same for the same values in every process."""
    if isinstance(value, torch.nn.Module):
        return known.get(id(value)) or _module_digest(value, known)
    if isinstance(value, torch.Tensor):
        whole = value.detach()
        if whole.layout != torch.strided:
            whole = whole.to_dense()
        raw = whole.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        return _content(value, raw)
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        return _content(value, value.tobytes())
    if isinstance(value, dict):
        return str(sorted((_told(k, known), _told(v, known)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return str([_told(one, known) for one in value])
    if isinstance(value, (set, frozenset)):
        return str(sorted(_told(one, known) for one in value))
    if isinstance(value, torch.device):
        return "device"  # decides no number
    if hasattr(value, "__qualname__"):
        return _qualified(value) + _source(value)
    return _without_addresses(repr(value))


def _content(array: Any, raw: bytes) -> str:
    return f"{array.dtype}{tuple(array.shape)}{hashlib.sha256(raw).hexdigest()}"


def _qualified(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _source(value: Any) -> str:
    """Return the source of a class or function outside torch, as far as found."""
    with contextlib.suppress(OSError, TypeError):
        if not _is_torchs(value):
            return inspect.getsource(value)
    return ""


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def _number(value: Any) -> Any:
    """Return a NumPy number as Python's own, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def _add(digest: Any, array: NDArray[Any]) -> None:
    digest.update(f"{array.dtype}{array.shape}".encode())
    digest.update(array.view(np.uint8).data if array.size else b"")
