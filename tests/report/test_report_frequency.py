"""Reports and studies on filters, noise in bands and single frequencies."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import neurofreq as nf
from neurofreq import cli

ASKED = ["filters", "bands", "sensitivity"]


@pytest.fixture(scope="module")
def data():
    images = nf.data.load_data("synthetic", n=12).images[:, :, ::2, ::2]
    return nf.data.ImageSet(np.ascontiguousarray(images), np.arange(12) % 3, (), "mine")


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    models = {"one": nf.models.small_cnn(), "two": nf.models.small_cnn(width=8)}
    folder = tmp_path_factory.mktemp("report")
    settings = {"n_filtered": 6, "contrast": 1.0, "criterion": 0.05, "per_octave": 9}
    run = {"measurements": ASKED, "progress": False, **settings}
    first = nf.report.run(models, data, folder, **run)
    again = nf.report.run(models, data, folder, **run)
    assert (first.n_measured, again.n_measured) == (6, 0)
    return models, again


def test_pages_have_a_table_and_a_picture_of_each(finished):
    _, report = finished
    assert {"filters", "bands", "sensitivity"} <= set(report.tables)
    names = {path.stem for path in (report.out_dir / "figures").glob("*.png")}
    assert names == {
        "filtered_accuracy", "channels", "sensitivity", "sensitivity_octaves"
    }  # fmt: skip
    page = report.page.read_text()
    assert "networks and humans" in page
    assert "39.6 cycles/image" in page
    assert "cut-off at half accuracy" in page
    settings = json.loads((report.out_dir / "settings.json").read_text())
    assert settings["missing"] == []
    assert report.plot(measurement="filters").get_ylabel() == "accuracy (%)"
    assert "cycles/image" in report.plot(measurement="bands").get_xlabel()
    assert report.plot(measurement="sensitivity").get_xlabel() == "cycles/pixel"


def test_kept_numbers_are_those_of_the_functions(finished, data):
    models, report = finished
    images, labels = data.images[:6], data.labels[:6]
    loaded = nf.studies.load(report.out_dir)
    for one in loaded.measured:
        found = nf.filtered_accuracy(models[one.name], images, labels)
        np.testing.assert_array_equal(one.filters.correct, found.correct)
        assert one.filters.names == found.names
        bands = nf.band_masking(
            models[one.name], images, labels, contrast=1.0, criterion=0.05
        )
        np.testing.assert_array_equal(one.bands.correct, bands.correct)
        assert (one.bands.side, one.bands.criterion) == (16, 0.05)
        rates = nf.fourier_sensitivity(models[one.name], images, labels, per_octave=9)
        np.testing.assert_array_equal(one.sensitivity.error_rate, rates.error_rate)
        np.testing.assert_array_equal(one.sensitivity.errors, rates.errors)
        assert one.sensitivity.clean_error_rate == rates.clean_error_rate
        row = report.summary.set_index("model").loc[one.name]
        for key, value in (
            ("low_pass_half", found.half("low-pass").estimate().value),
            ("channel_center", bands.center().estimate().value),
        ):
            np.testing.assert_allclose(row[key], value)
    table = loaded.tables["filters"]
    assert set(table["quantity"]) == {"low-pass", "high-pass", "phase-noise"}
    assert isinstance(loaded.tables["bands"], pd.DataFrame)


def test_the_usual_measurements_do_not_include_them(data):
    study = nf.studies.Study(data, ["small_cnn@random"])
    assert not set(ASKED) & set(study.measurements)


def test_the_command_measures_what_is_asked(tmp_path):
    words = ["report", "--model", "small_cnn@random", "--data", "synthetic", "--quiet"]
    words += ["--n-images", "8", "--n-filtered", "4", "--contrast", "1"]
    out = [*words, "--out", str(tmp_path / "out"), "--measure", "clean,filters"]
    found = CliRunner().invoke(cli.app, out)
    assert found.exit_code == 0, found.output
    assert "low-pass cut-off at half accuracy" in found.output
    tables = {path.stem for path in (tmp_path / "out/tables").glob("*.csv")}
    assert tables == {"summary", "filters"}
    wrong = [*words, "--out", str(tmp_path / "no"), "--measure", "clean,filter"]
    found = CliRunner().invoke(cli.app, wrong)
    assert found.exit_code != 0
    assert "'filters'" in found.output


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"contrast": 2.0}, "contrast: got 2.0, expected above 0, up to 1"),
        ({"criterion": 1.0}, "criterion: got 1.0"),
        ({"n_filtered": 13}, "n_filtered: got 13, expected 1 to 12"),
    ],
)
def test_bad_settings_are_named_before_any_work(data, tmp_path, setting, message):
    with pytest.raises(ValueError, match=message):
        nf.report.run(nf.models.small_cnn(), data, tmp_path, progress=False, **setting)
