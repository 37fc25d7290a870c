"""Folders of release 0.1.0 are read; unverifiable items are measured again."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.small_study import in_small_parts, run, study

import neurofreq as nf
from neurofreq import data, figures, studies

KEPT = Path(__file__).parent / "kept"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A copy of the folders, so that tests can write to it."""
    in_small_parts(monkeypatch)
    shutil.copytree(KEPT, tmp_path / "kept")
    return tmp_path / "kept"


def test_a_study_of_before_is_read(kept, monkeypatch):
    found = studies.load(kept / "study")
    assert found.is_complete
    table = pd.read_csv(kept / "study" / "study.csv")
    now = found.tables["study"].drop(columns="weights")  # not in 0.1.0
    # Most resamples of this curve stay at 0, which has no reversal any more.
    table.loc[table["quantity"] == "f_rev", ["low", "high"]] = np.nan
    pd.testing.assert_frame_equal(now, table)
    assert found.adversarial("m0").shape == (6, 1, 16, 16)
    assert studies.status(kept / "study")["done"].tolist() == [1, 1, 2, 2]
    assert len(studies.export(kept / "study", kept / "out")) > 0
    (one,) = found.measured
    part = one.only(["clean", "hybrid", "attack"])
    pair = [dataclasses.replace(part, name=name) for name in ("m0", "m1")]
    rows, _ = figures.fig2(pair)
    assert set(rows["model"]) == {"m0", "m1"}


def test_its_items_hold_no_answers_and_are_measured_again_once(kept):
    before = {path.name for path in (kept / "study" / "items").iterdir()}
    assert run(study(1), kept / "study").n_measured == 6
    assert run(study(1), kept / "study").n_measured == 0
    after = {path.name for path in (kept / "study" / "items").iterdir()}
    assert before < after
    now, then = (studies.load(f / "study").tables["study"] for f in (kept, KEPT))
    keys = ["model", "quantity", "x", "n"]
    pd.testing.assert_frame_equal(now[keys], then[keys])


@pytest.mark.filterwarnings("ignore:model. got 10 outputs")
def test_other_folders_of_before_are_read(kept):
    images = data.load_data("synthetic", n=8)
    torch.manual_seed(0)
    layers = torch.nn.Flatten(), torch.nn.Linear(images.images[0].size, 10)
    model = torch.nn.Sequential(*layers)
    options = {"corruptions": ["brightness"], "severities": [1, 5]}
    for _ in range(2):
        nf.corruption_accuracy(
            model, images, out=kept / "corruption_accuracy", **options
        )
        assert len(list((kept / "corruption_accuracy").glob("*.json"))) == 6


def test_images_of_before_are_read(kept):
    folder = data.CorruptedFolder(kept / "corrupted")
    assert (
        folder.cell("contrast", 3).images.shape
        == (2, 3, 32, 32)[:1] + (folder.cell("contrast", 1).images.shape[1:])
    )
    assert np.isfinite(np.asarray(folder.cell("contrast", 5).images)).all()
