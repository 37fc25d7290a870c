"""Make the errors for a missing or wrong torch, and for an unloadable extension.

Uses the standard library only, because torch or the extension may not load.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import sysconfig
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

PACKAGE = Path(__file__).resolve().parents[1]


def minor(version: str) -> str:
    """Return the first two numbers of a version: "2.15" for "2.15.0+cpu"."""
    return ".".join(re.findall(r"\d+", version)[:2])


def extension_file() -> Path | None:
    """Return the extension file that this Python would load, or None."""
    names = (PACKAGE / f"_neurofreq{suffix}" for suffix in EXTENSION_SUFFIXES)
    return next((path for path in names if path.is_file()), None)


def built_for(path: Path) -> str:
    """Return the torch version (such as "2.15") that a file was built for.

    Searches the bytes of the file, because the file may not load.
    """
    mark = re.search(rb"neurofreq is built for torch (\d+\.\d+);", path.read_bytes())
    return mark[1].decode() if mark else ""


def unloadable(torch_version: str, error: ImportError) -> ImportError:
    """Return the error for an extension that failed to load."""
    path = extension_file()
    if path is None and sysconfig.get_config_var("Py_GIL_DISABLED"):
        return ImportError(
            "neurofreq does not support free-threaded Python: use the standard build"
        )
    if path is None:
        again = _rebuild() or shlex.join([*_pip(), "--force-reinstall", "neurofreq"])
        return ImportError(f"neurofreq's extension is not built: run {again!r}")
    built = built_for(path)
    if built and built != minor(torch_version):
        return wrong_torch(built, torch_version)
    return ImportError(f"neurofreq's extension cannot be loaded ({error})")


def wrong_torch(built: str, torch_version: str) -> ImportError:
    """Return the error for an extension that was built for another torch version."""
    return ImportError(
        f"neurofreq is built for torch {built}, but torch {torch_version} is "
        f"installed: run {_rebuild() or _install_torch(built)!r}"
    )


def no_torch() -> ImportError:
    """Return the error for an environment without torch."""
    path = extension_file()
    built = built_for(path) if path else ""
    return ImportError(
        f"neurofreq needs torch, which is not installed: run {_install_torch(built)!r}"
    )


def _rebuild() -> str:
    """Return the command that rebuilds neurofreq for the installed torch.

    Empty unless neurofreq was installed from a source folder that still exists.
    """
    folder, editable = _sources()
    if folder is None:
        return ""
    first = [] if find_spec("maturin") else [[*_pip(), "maturin"]]
    # Without isolation, pip builds against the installed torch and keeps it.
    options = ["--no-build-isolation", "--no-deps", "--force-reinstall"]
    build = [*_pip(), *options, *(["-e"] if editable else []), str(folder)]
    return " && ".join(shlex.join(command) for command in [*first, build])


def _install_torch(built: str) -> str:
    return shlex.join([*_pip(), f"torch=={built}.*" if built else "torch"])


def _pip() -> list[str]:
    if find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    return ["uv", "pip", "install", "--python", sys.executable]


def _sources() -> tuple[Path | None, bool]:
    """Return the source folder (None if gone) and whether the install is editable."""
    tree = PACKAGE.parent.parent
    if _is_source(tree):
        return tree, True
    try:
        written = metadata.distribution("neurofreq").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        written = None
    url = urlsplit(json.loads(written)["url"] if written else "")
    folder = Path(unquote(url.path))
    return (folder if url.scheme == "file" and _is_source(folder) else None), False


def _is_source(folder: Path) -> bool:
    return (folder / "backend" / "neurofreq_build.py").is_file()
