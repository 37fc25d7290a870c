"""Read the published photographs of frost, and compute their checksum."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared.files import pictures

# The published code has six photographs, but draws from the first five only.
NAMES: Final = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")


@lru_cache(maxsize=4)
def read(folder: str) -> _neurofreq.Textures:
    """Return the photographs of a folder.

    Raises FileNotFoundError for a missing file, and ValueError as `pictures.read`.
    """
    return _neurofreq.Textures(
        [np.asarray(pictures.read(path, "textures")) for path in _paths(folder)]
    )


@lru_cache(maxsize=4)
def digest(folder: str) -> str:
    """Return the SHA-256 of the photographs; raise FileNotFoundError without one."""
    hashed = hashlib.sha256()
    for path in _paths(folder):
        hashed.update(hashlib.sha256(path.read_bytes()).digest())
    return hashed.hexdigest()


def _paths(folder: str) -> list[Path]:
    paths = [Path(folder) / name for name in NAMES]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"textures: got {folder!r} without {path.name}")
    return paths
