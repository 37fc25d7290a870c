"""The published photographs of frost: read from a folder, and told apart."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared.files import pictures

# The published code holds six photographs, and draws from the first five.
NAMES: Final = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")


@lru_cache(maxsize=4)
def read(folder: str) -> _neurofreq.Textures:
    """Read the photographs.

    Parameters
    ----------
    folder : str

    Raises
    ------
    FileNotFoundError
        One of them is not in the folder.
    ValueError
        One of them is no image; see `pictures.read`.
    """
    return _neurofreq.Textures(
        [np.asarray(pictures.read(path, "textures")) for path in _paths(folder)]
    )


@lru_cache(maxsize=4)
def digest(folder: str) -> str:
    """Return what tells these photographs from others, wherever they lie.

    Parameters
    ----------
    folder : str

    Raises
    ------
    FileNotFoundError
        One of them is not in the folder.
    """
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
