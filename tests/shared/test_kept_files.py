"""Files of release 0.1.0, without checksums, are read."""

import shutil
from pathlib import Path

import pytest

from neurofreq._shared.files import archives, storage

KEPT = Path(__file__).parents[1] / "studies" / "kept"


@pytest.mark.parametrize(
    ("name", "key"), [("corruption_accuracy", "correct"), ("evaluate", "distance")]
)
def test_stored_items_of_before_are_read(tmp_path, name, key):
    shutil.copytree(KEPT / name, tmp_path / name)
    store, paths = storage.Store(tmp_path / name), list((tmp_path / name).glob("*.npz"))
    assert paths
    for path in paths:
        record = storage.read_json(path.with_suffix(".json"))
        assert len(store.load(record)[key]) == len(archives.read(path)[key]) == 8


@pytest.mark.parametrize("name", ["best", "last"])
def test_weights_of_before_are_read(name):
    tensors, _ = storage.read_tensors(KEPT / "training" / f"{name}.safetensors")
    assert tensors
