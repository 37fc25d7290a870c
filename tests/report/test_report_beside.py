"""Models of finished studies in a report, beside the models that it measures."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.report import images, network
from typer.testing import CliRunner

from neurofreq import cli, report, studies
from neurofreq.data import ImageSet
from neurofreq.studies import ModelEntry, Study, measuring

SETTINGS = {
    "n_attack": 4,
    "attack_steps": 3,
    "targeted": False,
    "n_hybrid": 16,
    "n_corruption": 12,
    "seeds": [2],
    "seed": 1,
    "frequencies": (0.0, 0.3, 1.0),
    "corruptions": ["gaussian_noise", "brightness"],
}
NAMES = ["mine", "zoo a", "zoo b"]


def zoo(data=None, **changes):
    models = [
        ModelEntry(network(seed=1), "zoo a", "base"),
        ModelEntry(network(seed=2), "zoo b", "adv"),
    ]
    options = {"name": "the zoo", "settings": SETTINGS} | changes
    return Study(data or images(), models, **options)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A finished study of two models."""
    folder = tmp_path_factory.mktemp("kept")
    assert studies.run(zoo(), folder, progress=False).is_complete
    return folder


def beside(folders, out, models=None, data=None, **options):
    models = {"mine": network()} if models is None else models
    options = {"progress": False, "beside": folders} | options
    return report.run(models, data or images(), out, **options)


@pytest.fixture(scope="module")
def shown(kept, tmp_path_factory):
    return beside([kept], tmp_path_factory.mktemp("shown"))


def test_they_are_in_every_table_and_picture(shown):
    for name, table in shown.tables.items():
        expected = NAMES[1:] if name == "differences" else NAMES
        assert list(dict.fromkeys(table["model"])) == expected, name
    assert {"hybrid", "attack", "radial", "success", "corruption"} <= set(shown.tables)
    assert not shown.summary.isna().all().any()
    text = shown.page.read_text()
    alternatives = re.findall(r'alt="([^"]*)"', text)
    curves = [alt for alt in alternatives if "mine" in alt]
    assert len(curves) == 6
    assert all(name in alt for alt in curves for name in NAMES)
    assert text.count("measured before, in the study “the zoo”") == 2


def test_their_numbers_are_those_of_all_measured_together(shown, tmp_path):
    models = {"mine": network(), "zoo a": network(seed=1), "zoo b": network(seed=2)}
    study = Study(
        images(), [ModelEntry(m, n) for n, m in models.items()], settings=SETTINGS
    )
    studies.run(study, tmp_path / "all", progress=False)
    one = {"last": network(seed=3)}
    together = beside([tmp_path / "all"], tmp_path / "out", one)
    summary = together.summary.iloc[1:].reset_index(drop=True)
    pd.testing.assert_frame_equal(shown.summary, summary)


def test_nothing_of_them_is_measured(kept, tmp_path, monkeypatch):
    seen = []
    attack = measuring.attack

    def watched(subject, *rest):
        seen.append(subject.name)
        return attack(subject, *rest)

    monkeypatch.setattr(measuring, "attack", watched)
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*")}
    assert beside([kept], tmp_path).n_measured == 3 + 2
    assert seen == ["mine"]
    assert before == {path: path.stat().st_mtime_ns for path in kept.rglob("*")}
    assert beside([kept], tmp_path).n_measured == 0


def test_what_is_not_asked_for_is_as_in_the_study(shown, kept, tmp_path):
    record = json.loads((shown.out_dir / "settings.json").read_text())
    for name, value in SETTINGS.items():
        given = list(value) if isinstance(value, tuple) else value
        assert record["numbers"][name] == given, name
    assert [one["study"] for one in record["models"]] == [None, "the zoo", "the zoo"]
    assert [one["name"] for one in record["models"]] == NAMES
    assert not any(str(kept) in path.read_text() for path in shown.out_dir.glob("*.*"))
    same = SETTINGS.keys() - {"corruptions"}
    asked = {name: SETTINGS[name] for name in same}
    assert beside([kept], tmp_path, **asked).is_complete


def test_a_report_stands_beside_another_and_several_join(kept, shown, tmp_path):
    other = beside([kept], tmp_path / "b", {"other": network(seed=4)})
    assert other.is_complete
    third = {"third": network(seed=5)}
    found = beside([other.out_dir, shown.out_dir, kept], tmp_path / "c", third)
    names = ["third", "other", "mine", "zoo a", "zoo b"]
    assert found.summary["model"].tolist() == names


def test_only_what_all_have_is_measured(kept, tmp_path):
    part = tmp_path / "part"
    model = [ModelEntry(network(seed=6), "quick")]
    quick = Study(images(), model, measurements=["clean", "hybrid"], settings=SETTINGS)
    studies.run(quick, part, progress=False)
    found = beside([kept, part], tmp_path / "out")
    assert set(found.tables) == {"summary", "differences", "hybrid"}
    assert found.summary["f_rev_n"].tolist() == [16] * 4
    message = "'quick' of .*part without attack, expected"
    with pytest.raises(ValueError, match=message):
        beside([kept, part], tmp_path / "no", measurements=["clean", "attack"])


def test_grey_and_colour_models_are_shown_what_they_saw(tmp_path):
    data = images(channels=3)
    models = [ModelEntry(network(1), "grey"), ModelEntry(network(3), "colour")]
    study = Study(data, models, measurements=["attack"], settings=SETTINGS)
    studies.run(study, tmp_path / "kept", progress=False)
    mine = {"mine": network(3, seed=1)}
    found = beside([tmp_path / "kept"], tmp_path / "out", mine, data)
    assert "gray versions of color images" in found.page.read_text()
    shapes = {n: one.shape[1:] for n, one in found._results.images.items()}
    assert shapes == {
        "mine": (3, 16, 16), "grey": (1, 16, 16), "colour": (3, 16, 16),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_attack": 5}, "n_attack: got 5, expected 4 as in .*kept"),
        ({"attack_steps": 9}, "attack_steps: got 9, expected 3"),
        ({"targeted": True}, "targeted: got True, expected False"),
        ({"n_hybrid": 20}, "n_hybrid: got 20, expected 16"),
        ({"n_corruption": 20}, "n_corruption: got 20, expected 12"),
        ({"frequencies": (0.0, 1.0)}, r"frequencies: got \(0.0, 1.0\), expected \(0.0"),
        ({"n_thresholds": 9}, "n_thresholds: got 9, expected 25"),
        ({"seeds": [0, 1]}, r"seeds: got \(0, 1\), expected \(2,\)"),
        ({"seed": 0}, "seed: got 0, expected 1"),
        ({"models": {"zoo a": network()}}, "'zoo a' of .*kept.* and of the models"),
        ({"data": images(n=20)}, r"data: got other .*20 images.*random pixels, 24 im"),
    ],
)
def test_what_differs_is_named_before_any_work(kept, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        beside([kept], tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_what_no_measurement_depends_on_may_differ(kept, tmp_path):
    changes = {"n_attack": 6, "measurements": ["clean", "hybrid"]}
    assert beside([kept], tmp_path, **changes).is_complete


def test_other_labels_are_other_data(kept, tmp_path):
    data = images()
    other = ImageSet(data.images, data.labels[::-1].copy(), data.class_names, "x")
    with pytest.raises(ValueError, match="data: got other images or labels"):
        beside([kept], tmp_path, data=other)


def test_two_studies_must_agree(kept, tmp_path):
    other = tmp_path / "other"
    changed = SETTINGS | {"corruptions": ["brightness"]}
    model = [ModelEntry(network(seed=6), "c")]
    study = Study(images(), model, settings=changed)
    studies.run(study, other, progress=False)
    with pytest.raises(ValueError, match=r"corruptions: got \('gauss.*as in .*other"):
        beside([kept, other], tmp_path / "out")
    with pytest.raises(ValueError, match=r"got 'zoo a' of .*kept.* and of .*kept"):
        beside([kept, kept], tmp_path / "out")


def test_studies_without_a_measurement_in_common_are_named(tmp_path):
    for name, measured in (("a", "clean"), ("b", "hybrid")):
        model = [ModelEntry(network(), name)]
        study = Study(images(), model, measurements=[measured], settings=SETTINGS)
        studies.run(study, tmp_path / name, progress=False)
    with pytest.raises(ValueError, match=r"no measurement that all of .*a, .*b have"):
        beside([tmp_path / "a", tmp_path / "b"], tmp_path / "out")


def test_what_is_not_finished_is_named(tmp_path):
    study = zoo()
    models = [*study.models, ModelEntry("small_cnn@absent.pt", "lost")]
    studies.run(zoo(), tmp_path, progress=False)
    next((tmp_path / "items").glob("hybrid-*.npz")).unlink()
    with pytest.raises(ValueError, match=r"'zoo [ab]' of .* without hybrid, expected"):
        beside([tmp_path], tmp_path / "out")
    lost = Study(images(), models, settings=SETTINGS)
    studies.run(lost, tmp_path, progress=False)
    with pytest.raises(ValueError, match=r"'lost' of .*could not be loaded"):
        beside([tmp_path], tmp_path / "out")


def test_another_release_measured_otherwise(kept, tmp_path, monkeypatch):
    installed = SimpleNamespace(VERSION="9.9.9")
    monkeypatch.setattr("neurofreq.report._beside.runtime", installed)
    message = r"got .*kept.* measured by neurofreq .*, expected 9\.9\.9"
    with pytest.raises(ValueError, match=message):
        beside([kept], tmp_path / "out")


def test_what_is_no_study_is_named(kept, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"without study\.json"):
        beside([tmp_path], tmp_path / "out")
    with pytest.raises(
        ValueError, match=r"beside: got .*expected a folder other than out_dir"
    ):
        beside([kept], kept)
    with pytest.raises(TypeError, match=r"beside: got .*expected a list"):
        beside(str(kept), tmp_path / "out")


def test_the_command_shows_a_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(
        'data = "synthetic"\nn_images = 16\nmodels = ["zoo=small_cnn,width=4@random"]\n'
        "[settings]\ntargeted = false\nn_attack = 2\nattack_steps = 2\nseeds = [0]\n"
        'frequencies = [0.0, 1.0]\ncorruptions = ["brightness"]\n'
    )

    def call(*words):
        return CliRunner().invoke(cli.app, [*words, "--quiet"])

    torch.manual_seed(0)
    assert call("studies", "run", "study.toml", "--out", "kept").exit_code == 0
    words = ["report", "--model", "mine=small_cnn@random", "--data", "synthetic"]
    words += ["--n-images", "16", "--beside", "kept", "--out", "out"]
    found = call(*words)
    assert found.exit_code == 0, found.output
    table = pd.read_csv(tmp_path / "out" / "tables" / "summary.csv")
    assert table["model"].tolist() == ["mine", "zoo"]
    assert np.all(table["median_linf_n"] == 2)
    for word, name in (("--attack-steps", "attack_steps"), ("--seed", "seed")):
        other = call(*words, word, "9")
        assert other.exit_code == 2
        assert f"{name}: got 9, expected" in other.stderr
    assert call(*words, "--pairings", "2").exit_code == 2
    assert call(*words, "--untargeted").exit_code == 0
