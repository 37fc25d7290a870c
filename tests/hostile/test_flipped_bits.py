"""A flipped bit or a lost end of a stored file is noticed, and changes no number.

A run on a damaged folder measures again and gives the same numbers, or it ends with
an error that names the file.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hostile_jobs import JOBS, digest
from hostile_made import image_set, similarity, trials

from neurofreq import data, neural, studies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FLIPS = 2  # at random places per file, besides start, middle and end
# After each flip there is a whole small run: training, a study or an attack.
pytestmark = pytest.mark.timeout(600)


def read_responses(folder: Path) -> str:
    path = folder / "responses.npz"
    if not path.exists():
        neural.Responses(trials()).save(path)
    return digest(neural.Responses.from_npz(path).trials)


def read_target(folder: Path) -> str:
    path = folder / "target.npz"
    if not path.exists():
        neural.Target(similarity(), "pixel", "made up").save(path)
    found = neural.Target.load(path)
    return digest(found.similarity, found.label)


def read_study(folder: Path) -> str:
    if not (folder / "study.json").exists():
        JOBS["study"](folder)
    found = studies.load(folder)
    arrays = [
        value
        for one in found.measured
        for _, part in sorted(one.results.items())
        for _, value in sorted(vars(part).items())
    ]
    return digest(*arrays, found.adversarial("mine"), found.missing)


def read_corrupted(folder: Path) -> str:
    if not (folder / "labels.npy").exists():
        data.write_corrupted(image_set(), folder, names=("contrast",))
    found = data.CorruptedFolder(folder)
    cells = [found.cell("contrast", severity) for severity in (1, 3, 5)]
    return digest(*(np.asarray(cell.images) for cell in cells), cells[0].labels)


def read_files(folder: Path) -> str:
    if not (folder / "contrast").exists():
        few = image_set().take(2)
        data.write_corrupted(few, folder, names=("contrast",), layout="files")
    found = data.CorruptedFolder(folder)
    cells = [found.cell("contrast", severity) for severity in range(1, 6)]
    return digest(*(np.asarray(cell.images) for cell in cells), cells[0].labels)


READERS: dict[str, Callable[[Path], str]] = JOBS | {
    "Responses": read_responses,
    "Target": read_target,
    "studies.load": read_study,
    "CorruptedFolder": read_corrupted,
    "CorruptedFolder of files": read_files,
}


def damages(content: bytes, draws: random.Random) -> dict[str, bytes]:
    """Return damaged versions of a file, by the kind of damage."""
    size = len(content)
    places = {0, size // 2, size - 1} | {draws.randrange(size) for _ in range(FLIPS)}
    found = {"cut in half": content[: size // 2], "emptied": b""}
    for place in sorted(places):
        changed = bytearray(content)
        changed[place] ^= 1 << draws.randrange(8)
        found[f"bit of byte {place} of {size}"] = bytes(changed)
    return found


@pytest.mark.parametrize("reader", READERS)
def test_damage_is_noticed(reader, tmp_path, counts):
    read, draws = READERS[reader], random.Random(reader)
    whole = tmp_path / "whole"
    whole.mkdir()
    expected = read(whole)
    assert read(whole) == expected
    faults, n_tried = [], 0
    for path in sorted(
        one for one in whole.rglob("*") if one.is_file() and one.stat().st_size
    ):
        name = path.relative_to(whole)
        for damage, content in damages(path.read_bytes(), draws).items():
            folder = tmp_path / "damaged"
            shutil.copytree(whole, folder)
            (folder / name).write_bytes(content)
            n_tried += 1
            try:
                if (found := read(folder)) != expected:
                    faults.append(f"{name}, {damage}: {found[:8]}, another result")
            except Exception as error:
                told = str(error)
                if path.name not in told and path.stem not in told:
                    faults.append(f"{name}, {damage}: {type(error).__name__}: {told}")
            shutil.rmtree(folder)
    counts["damaged files"] += n_tried
    counts["noticed"] += n_tried - len(faults)
    assert not faults, "\n".join([f"{len(faults)} of {n_tried}", *faults])


@pytest.mark.parametrize("reader", ["evaluate", "fit", "CorruptedFolder", "study"])
def test_a_folder_in_the_place_of_a_file_is_named(reader, tmp_path, counts):
    read, whole = READERS[reader], tmp_path / "whole"
    whole.mkdir()
    expected = read(whole)
    for path in sorted(one for one in whole.rglob("*") if one.is_file())[:12]:
        folder = tmp_path / "damaged"
        shutil.copytree(whole, folder)
        place = folder / path.relative_to(whole)
        place.unlink()
        place.mkdir()
        counts["folders in the place of a file"] += 1
        found, told = "", ""
        try:
            found = read(folder)
        except (IsADirectoryError, ValueError, RuntimeError) as error:
            told = str(error)
        assert f"{place} is a folder, expected a file" in told or found == expected
        shutil.rmtree(folder)
