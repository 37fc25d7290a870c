"""The lines of the reproduction page, of made-up studies whose answers are known."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from made_up import FIFTEEN, RIGHT, N, hybrid, model

from neurofreq import _groups
from neurofreq.figures import _measures
from neurofreq.studies import StudyResult
from neurofreq.studies._plan import Plan
from neurofreq.studies._settings import Settings

PATH = Path(__file__).parent.parent / "benches" / "reproduction.py"


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("reproduction", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def result(*measured):
    plan = Plan("made up", "CIFAR-10 test", "digest", (), Settings())
    return StudyResult(Path("kept"), list(measured), (), (), 0, plan)


def gray(name, shifts):
    """Return a model that gets more right, by the corruption's frequencies."""
    arrays = {
        f"corruption/{one}": {
            "correct": np.stack(
                [
                    np.arange(N) < right + shifts[_groups.group_of(one)]
                    for right in RIGHT
                ]
            )
        }
        for one in FIFTEEN
    }
    return dataclasses.replace(model(name, "base", **arrays), is_gray=True)


def number(row):
    return float(row.ours.partition(" ")[0])


def test_claim_4_is_about_the_groups_mean_curves(page):
    robust = [
        model("a", "adv", hybrid=hybrid(0.2)), model("b", "adv", hybrid=hybrid(0.6)),
    ]  # fmt: skip
    models = [model("plain", hybrid=hybrid(0.6)), *robust]
    rows = {row.claim: row for row in page.across([result(*models)])}
    row = rows["4. adv has a lower f_rev than base"]
    group = _measures.hybrid_curve(robust).mark
    each = np.mean([_measures.hybrid_curve([one]).mark for one in robust])
    assert abs(group - each) > 0.02, "or the two could not be told apart"
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
    # One image of 20 in 12 of 15 corruptions.
    assert [number(row) for row in rows] == pytest.approx([4.0, 4.0])
    blank = page.series([result(model("plain"), model("strong", "adv"))])
    assert [row.ours for row in blank] == ["", ""]


def test_claim_1_is_about_corruptions_too(page):
    base = gray("gray-standard", {"low": 0, "medium": 0, "high": 0})
    mouse = gray("gray-mouse", {"low": -1, "medium": 1, "high": 2})
    rows = {row.claim: row for row in page.pair([result(model(), base, mouse)])}
    less = "1. gray-mouse less gray-standard, accuracy {}, points"
    gains = {"low": -5.0, "medium": 5.0, "high": 10.0}
    for band, gain in gains.items():
        assert number(rows[less.format(f"under {band} frequencies")]) == gain
    # 5 corruptions of low, 7 of medium, 3 of high frequencies.
    mean = (5 * -5.0 + 7 * 5.0 + 3 * 10.0) / 15
    for severity in range(1, 6):
        row = rows[less.format(f"at severity {severity}")]
        assert number(row) == pytest.approx(mean, abs=0.06)
    assert rows[less.format("under high frequencies")].verdict == "holds, one seed"
    order = "1. it gains more under {} than under {} frequencies, points"
    assert number(rows[order.format("high", "medium")]) == 5.0
    assert number(rows[order.format("medium", "low")]) == 10.0
    for lacking in ([result(model())], [result(base), result(mouse)]):
        assert {row.ours for row in page.pair(lacking)} == {""}


def test_a_page_of_a_study_in_which_something_is_missing(page):
    models = [
        gray("gray-standard", dict.fromkeys(_groups.GROUPS, 0)),
        model("plain"), model("strong", "adv"), model("bare", leave_out=["hybrid"]),
    ]  # fmt: skip
    written = page.body([result(*models)])
    assert f"{N} images attacked, {N} of hybrids, {N} in each of 75 cells." in written
    (line,) = [one for one in written.splitlines() if one.startswith("| bare")]
    assert line.split(" | ")[5] == ""
    assert written.splitlines()[-1].startswith("| gray-standard (gray) | base |")
    assert "2 networks" not in written.partition("4. adv has")[2]
