"""The lines of the reproduction page, from made-up studies with known results."""

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest
from helpers.made_up import FIFTEEN, RIGHT, N, hybrid, model

from neurofreq.corruptions import grouping
from neurofreq.measured import Corrupted, groups
from neurofreq.studies import StudyResult
from neurofreq.studies.plan import Plan
from neurofreq.studies.settings import Settings

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def bench(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXPERIMENTS)
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def page():
    return bench("reproduction")


def result(*measured):
    plan = Plan("made up", "CIFAR-10 test", "digest", (), Settings())
    return StudyResult(Path("kept"), list(measured), (), (), 0, plan)


def gray(name, shifts):
    """Return a gray model; `shifts` adds correct images per frequency group."""
    results = {
        f"corruption/{one}": Corrupted(
            np.stack(
                [
                    np.arange(N) < right + shifts[grouping.group_of(one)]
                    for right in RIGHT
                ]
            )
        )
        for one in FIFTEEN
    }
    return dataclasses.replace(model(name, "base", **results), is_gray=True)


def number(row):
    return float(row.ours.partition(" ")[0])


def test_claim_4_is_about_the_groups_mean_curves(page):
    robust = [
        model("a", "adv", hybrid=hybrid(0.2)), model("b", "adv", hybrid=hybrid(0.6)),
    ]  # fmt: skip
    models = [model("plain", hybrid=hybrid(0.6)), *robust]
    rows = {row.claim: row for row in page.across([result(*models)])}
    row = rows["4. adv has a lower f_rev than base"]
    group = groups.hybrid_profile(robust).curve().mark
    each = np.mean([one.hybrid.curve().mark for one in robust])
    assert abs(group - each) > 0.02, "the two must differ in this test"
    assert number(row) == pytest.approx(group - 0.6, abs=6e-4)
    assert row.verdict == "holds"
    assert rows["4. pca has a lower f_rev than base"].ours == ""


def test_claim_5_is_about_the_papers_sigma(page):
    shifts = {1.0: 0, 1.5: 1, 2.0: 2, 3.0: 0}
    series = [
        model(f"blur-{sigma}", "blur", shift=shift) for sigma, shift in shifts.items()
    ]
    found = [result(model("plain"), model("strong", "adv"), *series)]
    rows = page.series(found)
    assert [row.claim.partition(": ")[2] for row in rows] == [
        "sigma 1.5 above sigma 1.0", "sigma 1.5 above sigma 3.0",
    ]  # fmt: skip
    # One more image of 20, in 12 of 15 corruptions.
    assert [number(row) for row in rows] == pytest.approx([4.0, 4.0])
    blank = page.series([result(model("plain"), model("strong", "adv"))])
    assert [row.ours for row in blank] == ["", ""]


def raw(shifts):
    """Return values per image; `shifts` adds correct images per frequency group."""
    severity = np.mean(
        [np.arange(N) < RIGHT[0] + shifts[grouping.group_of(one)] for one in FIFTEEN], 0
    )
    bands = {
        band: (np.arange(N) < RIGHT[0] + shift).astype(float)
        for band, shift in shifts.items()
    }
    mixing = hybrid(0.5)
    return {
        "clean": np.arange(N) < 15,
        "mixing": mixing.frequency,
        "difference": mixing.difference,
        "distance": np.full(N, 0.01),
        "radial": np.cumsum(np.ones((N, 25)), axis=1),
        "frequency": np.linspace(0.02, 0.5, 25),
        "severity": np.tile(severity, (5, 1)),
        **bands,
    }


def test_claim_1_is_about_corruptions_too(page, tmp_path, monkeypatch):
    measures = bench("regularized_measures")
    gains = {"low": -1, "medium": 1, "high": 2}
    raws = {}
    for seed in (0, 1, 2):
        raws["none", seed] = raw(dict.fromkeys(gains, 0))
        raws["mouse", seed] = raw(gains)
    shared = measures.found_by_all(list(raws.values()))
    found = {key: measures.quantities(one, shared) for key, one in raws.items()}
    table = measures.estimates(found, ("none", "mouse"), [0, 1, 2])
    folder = tmp_path / "results" / "regularized-mouse"
    folder.mkdir(parents=True)
    table.to_csv(folder / "table.csv", index=False)
    monkeypatch.setattr(page, "DOCS", tmp_path)
    rows = {row.claim: row for row in page.regularized("mouse", "mouse", "made up")}
    # 5 corruptions of low, 7 of medium and 3 of high frequency, 20 images each.
    mean = (5 * -5.0 + 7 * 5.0 + 3 * 10.0) / 15
    for severity in range(1, 6):
        row = rows[f"made up: higher accuracy, severity {severity}, points"]
        assert number(row) == pytest.approx(mean, abs=0.06)
    row = rows["made up: larger gain at high than medium frequencies, points"]
    assert number(row) == pytest.approx(5.0)
    assert row.ours.endswith("3/3 seeds")
    row = rows["made up: larger gain at medium than low frequencies, points"]
    assert number(row) == pytest.approx(10.0)
    blank = rows["made up: higher accuracy, noise sd 0.1, points"]
    assert (blank.ours, blank.verdict) == ("", ""), "the noise was not measured"
    text = measures.table(table, ("none", "mouse"))
    assert "accuracy, 15 corruptions" in text
    assert "accuracy, noise" not in text
    assert "found as infinite" not in text, "every image has a perturbation"


def test_a_page_of_a_study_in_which_something_is_missing(page):
    models = [
        gray("gray-standard", dict.fromkeys(grouping.GROUPS, 0)),
        model("plain"), model("strong", "adv"), model("bare", leave_out=["hybrid"]),
    ]  # fmt: skip
    written = page.of_networks([result(*models)])
    assert f"{N} images are attacked, {N} are mixed to hybrid images" in written
    assert f"{N} are shown in each of 75 cells" in written
    (line,) = [one for one in written.splitlines() if one.startswith("| bare")]
    assert line.split(" | ")[5] == ""
    assert written.splitlines()[-1].startswith("| gray-standard (gray) | base |")
    assert "2 networks" not in written.partition("4. adv has")[2]


def test_alpha_is_the_largest_that_loses_at_most_five_points(tmp_path, monkeypatch):
    training = bench("regularized_training")
    accuracies = {"none-0": 0.70, "mouse-0-alpha-20": 0.60, "mouse-0-alpha-6": 0.66,
                  "pixel-0-alpha-20": 0.40, "pixel-0-alpha-6": 0.50,
                  "pixel-0-alpha-2": 0.60}  # fmt: skip
    trained = []

    def train(network, *_):
        name = network.folder.name
        network.folder.mkdir(exist_ok=True)
        rows = f"0.9,{accuracies.get(name, 0.7)}\n0.95,0.1\n"  # the first is kept
        curves = "validation_loss,validation_accuracy\n" + rows
        (network.folder / "curves.csv").write_text(curves)
        trained.append(name)

    monkeypatch.setattr(training, "train", train)
    where = training.Where(tmp_path, tmp_path, tmp_path / "page/alphas.csv", "cpu")
    study = training.STUDIES["v1"]
    asked = ("none", "mouse", "pixel")
    made = list(training.networks(study, where, (0, 1), asked))
    assert [(one.condition, one.seed, one.recipe.alpha) for one in made] == [
        ("none", 0, 20.0), ("mouse", 0, 6.0), ("pixel", 0, 2.0),
        ("none", 1, 20.0), ("mouse", 1, 6.0), ("pixel", 1, 2.0),
    ]  # fmt: skip
    assert "mouse-0-alpha-2" not in trained, "the search ends with the first that fits"
    assert "mouse-1-alpha-20" not in trained, "only seed 0 chooses"
    again = list(training.networks(study, where, (0, 1), study.conditions, make=False))
    assert again == made, "conditions without a choice are left out"
