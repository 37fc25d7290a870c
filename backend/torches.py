"""The supported torch minors, one row each, for the build backend and make.

Each tch release is generated from one torch minor, and also builds for minors with the
same functions. docs/torch.md explains how to add a row. ``python backend/torches.py``
prints the minors.
"""

from __future__ import annotations

from typing import NamedTuple


class Torch(NamedTuple):
    """A minor release of torch, and the settings of its build."""

    minor: str
    tch: str  # release of tch and torch-sys
    standard: str  # C++ standard that torch's headers need
    header: str = ""  # file in this folder that the compiler includes first


TORCHES = (
    Torch("2.11", tch="0.24.0", standard="c++17"),
    Torch("2.12", tch="0.24.0", standard="c++17"),
    Torch("2.13", tch="0.26.0", standard="c++17"),
    Torch("2.14", tch="0.26.0", standard="c++20", header="removed_from_torch_2.14.h"),
    Torch("2.15", tch="0.26.0", standard="c++20", header="removed_from_torch_2.14.h"),
)

# The checksums of each tch release in Cargo.lock. All other entries are the same for
# every torch, so that one lock file is enough.
DIGESTS = {
    "0.24.0": {
        "tch": "0d3f84a069d8ba16dbf720b61e8bf131d90ffb8e958a664eae8e4993c5c2fa6f",
        "torch-sys": "f4ba78777379cf09aaa79708c63e477cf0f95e021d04360c6821f1a9f56173f7",
    },
    "0.26.0": {
        "tch": "975b1fb3b612ba925f03dd08b56e5c9452bb7102891d5d9f58c19b49a0b2ec1e",
        "torch-sys": "5ae60ab95333c42adcc1a9e74057357e4324a1f344c403e48712a144ab731019",
    },
}

# The tch release in Cargo.toml and Cargo.lock at the root.
TREE = "0.26.0"

OLDEST, NEWEST = TORCHES[0], TORCHES[-1]
# The requirement in pyproject.toml: every minor of the table.
REQUIREMENT = (
    f"torch>={OLDEST.minor},<{NEWEST.minor.split('.')[0]}."
    f"{int(NEWEST.minor.split('.')[1]) + 1}"
)

if __name__ == "__main__":
    print(*(torch.minor for torch in TORCHES))
