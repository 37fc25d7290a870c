"""Read tensors from files of weights without running any code of the file."""

from __future__ import annotations

import _compat_pickle
import contextlib
import hashlib
import os
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from neurofreq._shared.files import storage

if TYPE_CHECKING:
    from collections.abc import Iterator

# The first bytes of files that are not checkpoints, and what to tell the user.
_SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file by git lfs pull"),
    (b"<", "a web page (HTML or XML) and not the file: download it again"),
    (b"{", "JSON text; if it lists several files of weights, join them in one"),
    (b"PK\x03\x04", "cut short (an archive without its end): download it again"),
    (b"\x89HDF", "HDF5 (Keras); expected a torch or safetensors file"),
    (b"\x93NUMPY", "a NumPy array; expected a torch or safetensors file"),
    (b"\x1f\x8b", "compressed (gzip): unpack it first"),
    (b"BZh", "compressed (bzip2): unpack it first"),
    (b"\xfd7zXZ", "compressed (xz): unpack it first"),
    (b"7z\xbc\xaf", "compressed (7z): unpack it first"),
)
_MODULE_PARTS = ("_parameters", "_buffers", "_modules")
_DEEPEST = 30


class Contents(NamedTuple):
    """The contents of a file of weights.

    `tensors` has the tensors by their place in the file: the keys of nested records,
    joined by dots. `unread` has the names of classes whose objects were not read.
    """

    tensors: dict[str, Tensor]
    unread: tuple[str, ...]


class _Unread:
    """Replace an object of any class; keep its stored state and run no code."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.state: Any = None

    def __new__(cls, *_: Any, **__: Any) -> _Unread:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _UnreadDict:
    """Replace an object of a dictionary class; its items are read."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return dict()


def split(weights: str | os.PathLike[str]) -> tuple[Path, str]:
    """Return the path and the part of ``FILE#PART``; a file name may contain #."""
    text = os.fspath(weights)
    path, _, part = text.rpartition("#")
    if not path or Path(text).exists():
        return Path(text), ""
    return Path(path), part


def read(path: Path, *, sha256: str | None = None) -> Contents:
    """Return the tensors of a file of weights.

    Raises FileNotFoundError if the file does not exist, and ValueError if its digest
    differs or it is neither a torch file nor a safetensors file.
    """
    if not path.is_file():
        kind = "a folder, expected a file" if path.is_dir() else "there is no file"
        raise FileNotFoundError(f"weights: {kind} {path}")
    if sha256 is not None:
        _check_digest(path, sha256)
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ValueError(f"weights: {path} is empty")
    # A safetensors file begins with the length of its header (8 bytes), then JSON.
    if head[8:9] == b"{":
        return Contents(_safetensors(path), ())
    if zipfile.is_zipfile(path):
        _check_archive(path)
    else:
        for start, what in _SIGNATURES:
            if head.lstrip().startswith(start):
                raise ValueError(f"weights: {path} is {what}")
        if not head.startswith(b"\x80"):
            raise ValueError(
                f"weights: {path} is no torch file and no safetensors file"
            )
    return _pickled(path)


def check_members(archive: zipfile.ZipFile, size: int) -> str:
    """Return why an archive could take unlimited memory, or an empty string."""
    members = archive.infolist()
    for one in members:
        if one.compress_type != zipfile.ZIP_STORED or one.flag_bits & 1:
            return f"{one.filename!r} in it is compressed, which torch never does"
    is_larger = sum(one.file_size for one in members) > size
    return "its members are larger than the file" if is_larger else ""


def _check_digest(path: Path, sha256: str) -> None:
    if not re.fullmatch("[0-9a-fA-F]{8,64}", sha256):
        raise ValueError(
            f"sha256: got {sha256!r}, expected 64 hexadecimal digits, or the first 8 "
            "or more of them"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(sha256.lower()):
        raise ValueError(f"weights: {path} has SHA-256 {found}, expected {sha256}")


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return storage.read_tensors(path)[0]
    except ValueError as error:
        raise ValueError(
            f"weights: {error}, expected a complete safetensors file"
        ) from error


def _check_archive(path: Path) -> None:
    """Refuse archives that are not torch files."""
    with zipfile.ZipFile(path) as archive:
        problem = check_members(archive, path.stat().st_size)
        names = {name.partition("/")[2] for name in archive.namelist()}
    what = ""
    if "models/model.json" in names:
        what = f"an exported program: give it as the model, {path.stem}.pt2"
    elif "constants.pkl" in names:
        what = (
            "a TorchScript archive, whose code is not run: if you trust it, save its "
            "weights with torch.save(torch.jit.load(file).state_dict(), other)"
        )
    elif "data.pkl" not in names:
        what = "an archive without a checkpoint in it"
    elif problem:
        what = f"refused: {problem}"
    if what:
        raise ValueError(f"weights: {path} is {what}")


def _pickled(path: Path) -> Contents:
    """Return the tensors of a torch file; stand-ins replace objects of any class."""
    classes = _classes(path)
    stand_ins = {
        name: type("Unread", (_UnreadDict if _is_dict(name) else _Unread,), {})
        for name in classes
    }
    pairs: list[Any] = [(kind, name) for name, kind in stand_ins.items()]
    foreign = [name for name in classes if not name.startswith(("torch.", "_codecs."))]
    foreign = [n for n in foreign if n != "collections.OrderedDict"]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(pairs):
            warnings.simplefilter("ignore")  # torch warns of other pickle protocols
            with path.open("rb") as file:  # torch would check the suffix of a path
                content = torch.load(file, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many types of errors here
        held = f"; it holds {_some(foreign)}" if foreign else ""
        raise ValueError(
            f"weights: {path} cannot be read as a file of tensors only "
            f"({type(error).__name__}){held}; in the program that made the file, save "
            "model.state_dict() with torch.save or safetensors"
        ) from error
    return Contents(dict(_tensors(content)), tuple(foreign))


def _is_dict(name: str) -> bool:
    return name.rpartition(".")[2].lower().endswith("dict")


def _classes(path: Path) -> list[str]:
    """Return the names of the classes and functions that a torch file refers to."""
    found: dict[str, None] = {}
    # A damaged file ends early; reading its tensors reports it.
    with contextlib.suppress(Exception):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.endswith("/data.pkl"):
                        found |= dict.fromkeys(_globals(archive.read(name)))
            return list(found)
        with path.open("rb") as file:
            for _ in range(4):  # pickles: magic number, protocol, machine, content
                found |= dict.fromkeys(_globals(file))
    return list(found)


def _globals(pickled: Any) -> Iterator[str]:
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            pair = _compat_pickle.NAME_MAPPING.get((module, name))
            if pair is None:
                pair = _compat_pickle.IMPORT_MAPPING.get(module, module), name
            yield ".".join(pair)


def _tensors(
    value: Any, place: str = "", depth: int = 0
) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor of nested records with its place."""
    if isinstance(value, Tensor):
        yield place, value
        return
    skipped: Any = ()
    if isinstance(value, _Unread):
        value = value.state
        if isinstance(value, dict):
            skipped = value.get("_non_persistent_buffers_set") or ()
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or depth > _DEEPEST:
        return
    for key, part in value.items():
        if key in _MODULE_PARTS and isinstance(part, dict):  # a pickled module
            part = {name: one for name, one in part.items() if name not in skipped}
            yield from _tensors(part, place, depth + 1)
        else:
            where = f"{place}.{key}" if place else str(key)
            yield from _tensors(part, where, depth + 1)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
