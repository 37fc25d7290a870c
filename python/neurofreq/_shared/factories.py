"""Call what a spec names: ``package.module:factory`` or ``path/file.py:factory``.

This runs code that the user asked for. Nothing else in a spec runs code.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def made(spec: str, argument: str, kind: type) -> Any:
    """Return the object of a spec, or the result of its factory, called without input.

    `argument` names the input in errors; `kind` is the class of objects that need no
    call. Raises ValueError for a malformed spec, FileNotFoundError or ImportError if
    the module does not exist, and AttributeError if it has no such name.
    """
    module_name, _, name = spec.rpartition(":")
    if not module_name or not name:
        raise ValueError(
            f"{argument}: got {spec!r}, expected python.module:factory or "
            "file.py:factory"
        )
    is_file = module_name.endswith(".py")
    folder = Path(module_name).resolve().parent if is_file else Path.cwd()
    with _importing_from(folder):
        if is_file:
            module = _of_file(Path(module_name), argument)
        else:
            module = _of_package(module_name, spec, argument)
        if not hasattr(module, name):
            raise AttributeError(f"{argument}: {module_name!r} has no {name!r}")
        found = getattr(module, name)
        return found if isinstance(found, kind) else found()


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Let modules in a folder be imported."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):  # the module may have removed it
            sys.path.remove(str(folder))


def _of_package(name: str, spec: str, argument: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise  # a module that this module imports is missing
        raise ImportError(
            f"{argument}: cannot import {name!r} of {spec!r} ({error})"
        ) from error


def _of_file(path: Path, argument: str) -> ModuleType:
    """Return the module of a file; each file is run once."""
    place = path.resolve()
    if not place.is_file():
        raise FileNotFoundError(f"{argument}: there is no file {path}")
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get("__file__") == str(place):
            return module
    name = place.stem
    if name in sys.modules or not name.isidentifier():
        name = f"_neurofreq_{hashlib.sha256(bytes(place)).hexdigest()[:16]}"
    found = importlib.util.spec_from_file_location(name, place)
    assert found is not None  # the file exists, and its suffix is .py
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    try:
        found.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
