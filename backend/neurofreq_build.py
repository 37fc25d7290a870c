"""The build backend: choose tch for the installed torch, then call maturin.

tch must match torch, and a Cargo graph can have only one tch. Therefore the backend
finds the installed torch, takes its row of `torches.py`, writes the manifest, the lock
file and the metadata for this row into ``.build/torch-MINOR``, and runs maturin in this
folder. It writes no other file of the tree.

The public functions are the hooks of PEP 517 and PEP 660. ``python
backend/neurofreq_build.py`` writes the folder and prints its name, so that you can run
cargo and maturin in the folder yourself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from torches import (
    DIGESTS,
    NEWEST,
    OLDEST,
    REQUIREMENT,
    TORCHES,
    TREE,
    Torch,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent
_PYTHON = (ROOT / "python").as_posix()
# Config setting ``-C local-version=torch``: add the torch minor to the wheel's version.
LOCAL_VERSION = "local-version"


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Return the requirements of an isolated build: torch, and maturin's."""
    _refuse_free_threads()
    # pip runs this hook with the Python of the target environment. The hook cannot
    # import the packages there, but their files show the version of torch.
    own = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    version = _installed([*sys.path, *sorted(own)])
    needed = f"torch=={_row(version).minor}.*" if version else REQUIREMENT
    return [needed, *_maturin().get_requires_for_build_wheel(config_settings)]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """Return the requirements of a wheel."""
    return get_requires_for_build_wheel(config_settings)


def get_requires_for_build_sdist(config_settings: Any = None) -> list[str]:
    """Return the requirements of maturin, without torch."""
    return _maturin().get_requires_for_build_sdist(config_settings)


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Any = None
) -> str:
    """Write the metadata of the wheel for the installed torch."""
    with _staged(config_settings):
        return _maturin().prepare_metadata_for_build_wheel(
            metadata_directory, config_settings
        )


def prepare_metadata_for_build_editable(
    metadata_directory: str, config_settings: Any = None
) -> str:
    """Write the metadata of the wheel."""
    return prepare_metadata_for_build_wheel(metadata_directory, config_settings)


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: Any = None
) -> str:
    """Build the wheel for the installed torch."""
    del metadata_directory
    target = os.path.abspath(wheel_directory)
    with _staged(config_settings) as folder:
        # maturin packs only Python files inside the folder in which it builds.
        _copy_package(folder)
        return _maturin().build_wheel(target, config_settings)


def build_editable(
    wheel_directory: str, config_settings: Any = None, metadata_directory: Any = None
) -> str:
    """Build the extension for the installed torch into this tree."""
    del metadata_directory
    target = os.path.abspath(wheel_directory)
    with _staged(config_settings):
        return _maturin().build_editable(target, config_settings)


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Pack the sources, which are the same for every torch."""
    return _maturin().build_sdist(sdist_directory, config_settings)


def _maturin() -> Any:
    try:
        return import_module("maturin")
    except ImportError:
        raise SystemExit(
            "neurofreq: the build needs maturin, which is not installed: "
            "run 'pip install maturin'"
        ) from None


def _installed(paths: Iterable[str]) -> str:
    """Return the version of torch on `paths`, or "" if there is none.

    The version is read from torch's version.py, because an import takes seconds.
    """
    found: dict[Path, str] = {}
    for path in dict.fromkeys(Path(path or ".").resolve() for path in paths):
        file = path / "torch" / "version.py"
        if file.is_file():
            written = re.search(r"(?m)^__version__ = '(.+)'", file.read_text())
            found[file.parent] = written[1] if written else "of unknown version"
    if len(set(found.values())) > 1:
        listed = " and ".join(f"{version} in {at}" for at, version in found.items())
        raise SystemExit(
            f"neurofreq: two versions of torch are installed, {listed}: uninstall one"
        )
    return next(iter(found.values()), "")


def _row(version: str) -> Torch:
    """Return the row of a torch version; exit with a message if there is none."""
    if not version:
        raise SystemExit(
            "neurofreq: the build needs torch, which is not installed: run "
            f"\"pip install '{REQUIREMENT}'\""
        )
    numbers = re.match(r"(\d+)\.(\d+)", version)
    minor = numbers[0] if numbers else ""
    for row in TORCHES:
        if row.minor == minor:
            return row
    raise SystemExit(
        f"neurofreq: torch {version} is installed, but this release supports torch "
        f"{OLDEST.minor} to {NEWEST.minor}: install a supported torch, or another "
        "release of neurofreq"
    )


def _refuse_free_threads() -> None:
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise SystemExit(
            "neurofreq: free-threaded Python is not supported: use the standard build, "
            "for example python3.14 instead of python3.14t"
        )


def _refuse_old_compiler(row: Torch) -> None:
    compiler = os.environ.get("CXX", "c++").split()
    command = [*compiler, f"-std={row.standard}", "-fsyntax-only", "-x", "c++", "-"]
    # Some compilers accept the option, but lack the library of the C++ standard.
    header = "concepts" if row.standard == "c++20" else "optional"
    try:
        tried = subprocess.run(
            command, input=f"#include <{header}>\n", text=True, capture_output=True
        )
    except FileNotFoundError:
        tried = None
    if tried is None or tried.returncode != 0:
        standard = row.standard.upper()
        raise SystemExit(
            f"neurofreq: torch {row.minor} needs a {standard} compiler, and "
            f"'{' '.join(compiler)}' does not compile {standard}: install g++ >= 11 "
            "(Debian: g++), or set the variable CXX to another compiler"
        )


def _stage(config_settings: Any = None) -> Path:
    """Write the folder in which cargo and maturin build, and return it."""
    _refuse_free_threads()
    version = _installed(sys.path)
    row = _row(version)
    _refuse_old_compiler(row)
    folder = ROOT / ".build" / f"torch-{row.minor}"
    # The manifest and the metadata refer to these files, so they must be in the folder.
    for name in ("README.md", "LICENSE", "fft/Cargo.toml", "fft/lib.rs"):
        _write(folder / name, (ROOT / name).read_text(encoding="utf-8"))
    _write(folder / "Cargo.toml", _manifest(row))
    _write(folder / "Cargo.lock", _lock(row))
    _write(folder / "pyproject.toml", _metadata(row, config_settings))
    _write(folder / ".cargo" / "config.toml", _cargo_settings(row))
    _link_again(folder, ROOT / "target" / folder.name, sys.path)
    return folder


def _link_again(folder: Path, target: Path, paths: Iterable[str]) -> None:
    """Let cargo search for libtorch again if torch has moved since the last build.

    pip and uv build in a new environment each time, but the build script of torch-sys
    runs again only if certain variables change.
    """
    places = (Path(path or ".").resolve() / "torch" for path in paths)
    place = str(next(one for one in places if (one / "version.py").is_file()))
    note = folder / "torch-folder"
    if not note.is_file() or note.read_text(encoding="utf-8") != place:
        for mark in target.glob("*/.fingerprint/torch-sys-*"):
            shutil.rmtree(mark)
        _write(note, place)


def _copy_package(folder: Path) -> None:
    """Copy the Python sources into the folder, and use the copy in the metadata."""
    shutil.rmtree(folder / "python", ignore_errors=True)
    skipped = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    shutil.copytree(ROOT / "python", folder / "python", ignore=skipped)
    path = folder / "pyproject.toml"
    sources = {f'python-source = "{_PYTHON}"': 'python-source = "python"'}
    path.write_text(_swapped(path.name, path.read_text("utf-8"), sources), "utf-8")


def _write(path: Path, text: str) -> None:
    """Write a file only if its text changed, because cargo compares file times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _swapped(name: str, text: str, changes: dict[str, str], count: int = 1) -> str:
    """Replace each key, which must occur `count` times, by its value."""
    for old, new in changes.items():
        if text.count(old) != count:
            raise SystemExit(
                f"neurofreq: {name}: got {old!r} {text.count(old)} times, expected "
                f"{count} (backend/neurofreq_build.py replaces this text)"
            )
        text = text.replace(old, new)
    return text


def _manifest(row: Torch) -> str:
    text = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    text = _swapped("Cargo.toml", text, {f'"={TREE}"': f'"={row.tch}"'}, count=2)
    changes = {
        "[package]\n": '[package]\nbuild = "../../build.rs"\n',
        "[lib]\n": '[lib]\npath = "../../src/lib.rs"\n',
    }
    return _swapped("Cargo.toml", text, changes)


def _lock(row: Torch) -> str:
    text = (ROOT / "Cargo.lock").read_text(encoding="utf-8")
    changes = {}
    for name, digest in DIGESTS[TREE].items():
        changes[f'name = "{name}"\nversion = "{TREE}"'] = (
            f'name = "{name}"\nversion = "{row.tch}"'
        )
        changes[digest] = DIGESTS[row.tch][name]
    return _swapped("Cargo.lock", text, changes)


def _metadata(row: Torch, config_settings: Any = None) -> str:
    """Return pyproject.toml for a wheel that requires the torch minor of the row."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.findall(r'(?m)^version = "(.+?)"', text)[0]
    # Only on request, because installers expect the version of the sources.
    local = f"+torch{row.minor}" if LOCAL_VERSION in (config_settings or {}) else ""
    backend = 'build-backend = "neurofreq_build"\nbackend-path = ["backend"]'
    changes = {
        backend: 'build-backend = "maturin"',
        f'version = "{version}"': f'version = "{version}{local}"',
        f'"{REQUIREMENT}"': f'"torch=={row.minor}.*"',
        'python-source = "python"': f'python-source = "{_PYTHON}"\nlocked = true',
    }
    return _swapped("pyproject.toml", text, changes)


def _cargo_settings(row: Torch) -> str:
    flags = [*os.environ.get("CXXFLAGS", "").split(), f"-std={row.standard}"]
    # By default, the build script of torch-sys accepts only one torch release.
    environment = {"LIBTORCH_USE_PYTORCH": "1", "LIBTORCH_BYPASS_VERSION_CHECK": "1"}
    if row.header:
        flags += ["-include", row.header]
        # CXXFLAGS is split at spaces, so a path with a space cannot be in it.
        headers = [str(ROOT / "backend"), os.environ.get("CPLUS_INCLUDE_PATH", "")]
        environment["CPLUS_INCLUDE_PATH"] = os.pathsep.join(filter(None, headers))
    environment["CXXFLAGS"] = " ".join(flags)
    lines = [f'target-dir = "../../target/torch-{row.minor}"', "", "[env]"]
    for name, value in environment.items():
        text = json.dumps(value)
        # The other values include the user's values, so force them. Cargo merges
        # LIBTORCH_* with .cargo/config.toml in the root, which has plain strings.
        if not name.startswith("LIBTORCH"):
            text = f"{{ value = {text}, force = true }}"
        lines.append(f"{name} = {text}")
    return "\n".join(["[build]", *lines, ""])


@contextmanager
def _staged(config_settings: Any) -> Iterator[Path]:
    """Work in the build folder, with this Python and its maturin first on PATH."""
    folder = _stage(config_settings)
    _maturin()
    files = metadata.files("maturin") or ()
    tools = {str(Path(f.locate()).parent) for f in files if f.stem == "maturin"}
    before, path = Path.cwd(), os.environ["PATH"]
    # torch-sys runs `python3`, or `python` in an activated environment.
    names = folder / "bin"
    names.mkdir(exist_ok=True)
    for name in ("python", "python3"):
        _write(names / name, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (names / name).chmod(0o755)
    os.environ["PATH"] = os.pathsep.join([str(names), *sorted(tools), path])
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
        os.environ["PATH"] = path


if __name__ == "__main__":
    print(_stage().relative_to(ROOT).as_posix())
