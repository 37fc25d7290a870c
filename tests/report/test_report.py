"""The report: numbers, intervals, files, resuming, interruption, bad input."""

import base64
import dataclasses
import io
import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.report import images, network
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import neurofreq as nf
from neurofreq import cli, report
from neurofreq.measured import quantities
from neurofreq.report import _files
from neurofreq.studies import measuring

SMALL = {
    "n_attack": 4,
    "attack_steps": 3,
    "seeds": [0],
    "frequencies": (0.0, 0.3, 1.0),
    "progress": False,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    models = {"one <b>": network(seed=0), "two": network(seed=1)}
    return report.run(models, images(), folder, command="neurofreq report", **SMALL)


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.pictures, self.links, self.tags, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        if tag == "img":
            self.pictures.append(values)
        self.links += [values[key] for key in ("src", "href") if key in values]

    def handle_data(self, data):
        self.text += data


def test_the_page_holds_all_it_shows(finished):
    text = finished.page.read_text()
    page = Page(text)
    assert len(page.pictures) == 8
    for picture in page.pictures:
        head, _, body = picture["src"].partition(",")
        assert head == "data:image/png;base64"
        assert Image.open(io.BytesIO(base64.b64decode(body))).format == "PNG"
        assert picture["alt"]
    assert all(link.startswith("data:") for link in page.links)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    assert "one <b>" in page.text, "names must be escaped"
    assert "{{" not in text
    assert "{%" not in text
    assert "_BAND" not in text
    assert "prefers-color-scheme: dark" in text


def test_the_summary_has_a_row_per_model_and_intervals_around_numbers(finished):
    summary = pd.read_csv(finished.out_dir / "tables" / "summary.csv")
    assert summary["model"].tolist() == ["one <b>", "two"]
    for key in ("clean_accuracy", "median_linf", "f_half", "corruption_accuracy"):
        value, low, high = (summary[f"{key}{end}"] for end in ("", "_low", "_high"))
        assert ((low <= value) & (value <= high)).all(), key


def test_numbers_agree_with_the_public_functions(finished):
    model, data = network(seed=0), images()
    row = finished.summary.set_index("model").loc["one <b>"]
    with torch.no_grad():
        named = model(torch.from_numpy(data.images)).argmax(1).numpy()
    assert row["clean_accuracy"] == pytest.approx((named == data.labels).mean())
    curve = nf.hybrid_curve(
        model, data.images, data.labels, frequencies=SMALL["frequencies"], seeds=[0]
    )
    assert row["f_rev"] == pytest.approx(curve.reversal_frequency, nan_ok=True)
    targets = nf.attacks.shuffled_targets(data.labels, seed=0)[:4]
    result = nf.attacks.BrendelBethge(steps=3)(
        model,
        data.images[:4],
        data.labels[:4],
        targets=targets,
        candidates=data.images,
    )
    assert row["median_linf"] == pytest.approx(np.median(result.distance))
    change = (result.adversarial - data.images[:4])[result.success]
    profile = nf.radial_profile(nf.power_spectrum(change))
    assert row["f_half"] == pytest.approx(profile.half_power)


def test_the_table_of_corruptions_has_a_row_per_severity(finished):
    table = finished.tables["corruption"]
    for _, rows in table.groupby(["model", "corruption"]):
        assert rows["severity"].tolist() == [1, 2, 3, 4, 5]
    assert set(table["model"]) == {"one <b>", "two"}


def test_differences_are_to_the_first_and_paired(finished):
    rows = finished.tables["differences"].set_index("quantity")
    assert set(rows["reference"]) == {"one <b>"}
    accuracy = finished.summary["clean_accuracy"]
    assert rows.loc["clean_accuracy", "difference"] == pytest.approx(
        accuracy[1] - accuracy[0]
    )
    # A model minus itself is zero in every resample only if images are paired.
    correct = np.arange(30) % 3 == 0
    same = quantities.accuracy(correct).minus(quantities.accuracy(correct))
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_files_are_those_of_the_page(finished):
    names = {path.stem for path in (finished.out_dir / "figures").glob("*.png")}
    assert names == (
        set(_files._FIGURES)
        - {"robust_accuracy"}  # for untargeted attacks
        - {
            "filtered_accuracy",
            "channels",
            "sensitivity",
            "sensitivity_octaves",
        }  # only where asked
    )
    tables = {path.stem for path in (finished.out_dir / "tables").glob("*.csv")}
    absent = {"robust", "filters", "bands", "sensitivity"}
    assert tables == set(finished.tables) == set(_files._TABLES) - absent
    settings = json.loads((finished.out_dir / "settings.json").read_text())
    assert settings["command"] == "neurofreq report"
    assert settings["missing"] == []
    assert settings["versions"]["neurofreq"] == nf.__version__
    assert not list(finished.out_dir.rglob("*.part"))


def test_only_its_own_old_files_are_removed(tmp_path):
    for part in ("tables", "figures"):
        (tmp_path / part).mkdir()
    own = "tables/hybrid.csv", "figures/success.png"
    others = "tables/recordings.csv", "figures/paper.png", "figures/success.csv"
    for name in own + others:
        (tmp_path / name).write_text("old")
    options = SMALL | {"measurements": ["clean"]}
    report.run({"one": network()}, images(), tmp_path, **options)
    assert not any((tmp_path / name).exists() for name in own)
    assert all((tmp_path / name).read_text() == "old" for name in others)


def test_it_shows_itself_in_a_notebook_and_in_text(finished):
    shown = finished._repr_html_()
    assert "one &lt;b&gt;" in shown
    assert "<b>" not in shown
    assert "clean accuracy" in str(finished)
    assert finished.is_complete


def test_a_second_run_measures_nothing(tmp_path):
    models = {"one": network()}
    first = report.run(models, images(), tmp_path, **SMALL)
    assert first.n_measured > 0
    second = report.run(models, images(), tmp_path, **SMALL)
    assert second.n_measured == 0
    pd.testing.assert_frame_equal(first.summary, second.summary)


def test_what_changed_is_measured_again_and_the_rest_is_kept(tmp_path):
    model = network()
    report.run({"one": model}, images(), tmp_path, **SMALL)
    settings = SMALL | {"frequencies": (0.0, 0.5, 1.0)}
    assert report.run({"one": model}, images(), tmp_path, **settings).n_measured == 1
    # A new name keeps the measurements; new weights do not.
    assert report.run({"new": model}, images(), tmp_path, **SMALL).n_measured == 0
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] += 1.0
    again = report.run({"one": model}, images(), tmp_path, **SMALL)
    assert again.n_measured == 3 + len(nf.CORRUPTIONS) - len(nf.EXTRA_CORRUPTIONS)


def test_a_damaged_item_is_measured_again(tmp_path):
    report.run({"one": network()}, images(), tmp_path, **SMALL)
    item = next((tmp_path / "items").glob("clean-*.npz"))
    item.write_bytes(item.read_bytes()[:40])
    with pytest.warns(UserWarning, match="is damaged"):
        again = report.run({"one": network()}, images(), tmp_path, **SMALL)
    assert again.n_measured == 1


def test_an_interrupted_run_keeps_and_says_what_is_done(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "attack", interrupted)
        part = report.run({"one": network()}, images(), tmp_path, **SMALL)
    assert not part.is_complete
    assert part.missing[0] == "one: attack"
    assert "is not complete" in part.page.read_text()
    assert "median_linf" in part.summary
    assert np.isnan(part.summary["median_linf"][0])
    assert part.summary["clean_accuracy"].notna().all()
    whole = report.run({"one": network()}, images(), tmp_path, **SMALL)
    assert whole.is_complete
    assert whole.n_measured == 1 + len(nf.CORRUPTIONS) - len(nf.EXTRA_CORRUPTIONS)
    assert "is not complete" not in whole.page.read_text()


def test_a_long_attack_resumes_within_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "ATTACK_PART", 2)
    whole = report.run({"one": network()}, images(), tmp_path / "whole", **SMALL)
    calls = []
    attack = measuring.attack

    def once(*arguments):
        if calls:
            raise KeyboardInterrupt
        calls.append(arguments[-1])
        return attack(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "attack", once)
        report.run({"one": network()}, images(), tmp_path / "cut", **SMALL)
    rest = report.run({"one": network()}, images(), tmp_path / "cut", **SMALL)
    assert rest.n_measured == 1 + len(nf.CORRUPTIONS) - len(nf.EXTRA_CORRUPTIONS)
    pd.testing.assert_frame_equal(whole.summary, rest.summary)
    monkeypatch.setattr(measuring, "ATTACK_PART", 100)
    at_once = report.run({"one": network()}, images(), tmp_path / "once", **SMALL)
    pd.testing.assert_frame_equal(whole.summary, at_once.summary)


def test_grey_models_see_grey_images_and_the_page_says_so(tmp_path):
    data = images(channels=3)
    found = report.run(
        {"colour": network(3), "grey": network(1)},
        data,
        tmp_path,
        measurements=["clean"],
        **SMALL,
    )
    assert "gray versions of color images" in found.page.read_text()
    with torch.no_grad():
        named = network(1)(torch.from_numpy(data.gray().images)).argmax(1).numpy()
    expected = (named == data.labels).mean()
    assert found.summary["clean_accuracy"][1] == pytest.approx(expected)
    assert set(found.tables) == {"summary", "differences"}


def test_a_model_that_rearranges_its_channels_is_measured(tmp_path):
    model = nn.Sequential(nn.PixelUnshuffle(2), network(12)).eval()
    model[1][3] = nn.Linear(24, 4)
    data = images(channels=3)
    for gray in ("auto", "never"):
        found = report.run(
            {"one": model}, data, tmp_path / gray, gray=gray, measurements=["clean"]
        )
        named = model(torch.from_numpy(data.images)).argmax(1).numpy()
        right = (named == data.labels).mean()
        assert found.summary["clean_accuracy"][0] == pytest.approx(right)
    with pytest.raises(ValueError, match="images of 12 channels, expected 1"):
        report.run({"one": model}, data, tmp_path / "a", gray="always", **SMALL)


def test_the_model_is_left_as_found(tmp_path):
    model = network().train()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report.run({"one": model}, images(), tmp_path, **SMALL)
    assert model.training
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_attack": 25}, "n_attack: got 25, expected 1 to 24"),
        ({"n_attack": 0}, "n_attack: got 0"),
        ({"n_hybrid": 99}, "n_hybrid: got 99"),
        ({"attack_steps": 0}, "attack_steps: got 0"),
        ({"n_thresholds": 1}, "n_thresholds: got 1"),
        ({"seeds": []}, "seeds: got none"),
        ({"frequencies": (0.5, 0.1)}, "frequencies: got"),
        ({"gray": "maybe"}, "gray: got 'maybe'"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"measurements": ["speed"]}, "measurements: got speed"),
        ({"measurements": []}, "measurements: got nothing"),
    ],
)
def test_bad_settings_are_named_before_any_work(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        report.run({"one": network()}, images(), tmp_path / "out", **(SMALL | changes))
    assert not list(tmp_path.rglob("*.npz"))


def test_models_that_do_not_fit_are_named(tmp_path):
    for models, message in (
        ({}, "models: got none"),
        ({"one": network(3)}, "'one' for images of 3 channels"),
        (
            {"one": network(n_classes=3)},
            "got 3 classes from 'one', expected at least 4",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            report.run(models, images(), tmp_path, **SMALL)
    with pytest.raises(TypeError, match="models: got function for 'one'"):
        report.run({"one": images}, images(), tmp_path, **SMALL)


def test_a_model_without_finite_logits_is_an_error(tmp_path):
    model = network()
    model[3].bias.data[:] = float("nan")
    with pytest.raises(nf.ModelError, match="NaN"):
        report.run({"one": model}, images(), tmp_path, **SMALL)


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    path = tmp_path / "out"
    path.write_text("mine")
    for out_dir in (path, path / "inside"):
        with pytest.raises(ValueError, match=r"out_dir: got .*, a file"):
            report.run({"one": network()}, images(), out_dir, **SMALL)
    assert path.read_text() == "mine"


def test_the_median_is_that_of_numpy_and_its_interval_that_of_resampled_medians():
    rng = np.random.default_rng(0)
    for n in (40, 41):
        sizes = rng.gamma(2.0, size=n)
        estimate = quantities.median_size(sizes).estimate()
        assert estimate.value == pytest.approx(np.median(sizes))
        draws = np.median(rng.choice(sizes, (20_000, n)), axis=1)
        expected = np.percentile(draws, [2.5, 97.5])
        spread = expected[1] - expected[0]
        assert (estimate.low, estimate.high) == pytest.approx(
            tuple(expected), abs=0.15 * spread
        )


def test_a_median_beyond_what_was_found_is_infinite_and_shown(tmp_path, monkeypatch):
    attack = measuring.attack

    def half(*arguments):
        found = attack(*arguments)
        success = found.success & (np.arange(found.n_images) % 2 == 0)
        return dataclasses.replace(
            found,
            success=success,
            distance=np.where(success, found.distance, np.inf),
            radial=np.where(success[:, None], found.radial, 0.0),
        )

    monkeypatch.setattr(measuring, "attack", half)
    models = {"one": network(), "two": network(seed=1)}
    options = SMALL | {"measurements": ["attack"]}
    found = report.run(models, images(), tmp_path, **options)
    summary = pd.read_csv(tmp_path / "tables" / "summary.csv")
    assert (summary["median_linf"] == np.inf).all()
    assert (summary["median_linf_high"] == np.inf).all()
    assert np.isfinite(summary["median_linf_low"]).all()
    assert ", inf]" in found.page.read_text()
    assert "inf" in str(found)


def test_perturbations_of_nothing_have_no_frequency(tmp_path):
    model = network()
    nn.init.zeros_(model[3].weight)
    model[3].bias.data[:] = torch.arange(4.0)  # the prediction is always the last class
    targets = nf.attacks.shuffled_targets(images().labels, seed=0)
    data = images().take(np.flatnonzero(targets == 3))
    settings = SMALL | {"targeted": False, "n_attack": 3, "measurements": ["attack"]}
    found = report.run({"one": model}, data, tmp_path, **settings)
    row = found.summary.loc[0]
    assert row["median_linf"] == 0.0
    assert np.isnan(row["f_half"])
    assert "undefined" in found.page.read_text()


def test_a_bug_of_ours_keeps_its_traceback(tmp_path, monkeypatch):
    words = ["hybrid", "--model", "small_cnn@random", "--data", "synthetic"]
    words += ["--n-images", "8", "--out", str(tmp_path), "--quiet"]
    monkeypatch.setattr("neurofreq.report._tables.build", lambda found: found.absent)
    found = CliRunner().invoke(cli.app, words)
    assert isinstance(found.exception, AttributeError)
    monkeypatch.setattr("neurofreq.report._files.storage.write_text", None)
    monkeypatch.setattr("neurofreq.report._tables.build", lambda found: {})
    found = CliRunner().invoke(cli.app, words)
    assert isinstance(found.exception, (KeyError, TypeError))
