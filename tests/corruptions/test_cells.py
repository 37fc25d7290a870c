"""`CellAccumulator` beside `CorruptionAccuracy` on the same answers."""

import numpy as np
import pytest

from neurofreq.corruptions import CellAccumulator, CorruptionAccuracy

NAMES, SEVERITIES, N = ("fog", "gaussian_noise", "spatter"), (1, 3), 300


def answers():
    rng = np.random.default_rng(0)
    hard = rng.random(N)
    rates = np.array([[0.9, 0.6], [0.8, 0.5], [0.7, 0.4]])[..., None]
    return 0.5 * (hard + rng.random((3, 2, N))) < rates, hard < 0.95


def filled(rows, **options):
    one = CellAccumulator(NAMES, SEVERITIES, seed=1, **options)
    correct, clean = answers()
    for k in reversed(range(3)):
        for s in range(2):
            one.update(NAMES[k], SEVERITIES[s], rows, correct[k, s, rows])
    return one.update("clean", 0, rows, clean[rows])


def test_tables_are_those_of_all_answers():
    found = filled(np.arange(N), n_resamples=3000)
    whole = CorruptionAccuracy(NAMES, SEVERITIES, *answers())
    for name in ("cells", "by_severity", "by_group", "by_corruption"):
        mine, theirs = getattr(found, name), getattr(whole, name)
        assert mine.columns.tolist() == theirs.columns.tolist()
        for key in mine:
            if key in ("low", "high"):  # of other resamples
                np.testing.assert_allclose(mine[key], theirs[key], atol=0.012)
            elif key == "accuracy":
                np.testing.assert_allclose(mine[key], theirs[key], atol=1e-12)
            else:
                assert mine[key].tolist() == theirs[key].tolist()
    # Cells share images: a mean of independent cells would be narrower by a third.
    width, expected = (one.mean.high - one.mean.low for one in (found, whole))
    assert width == pytest.approx(expected, rel=0.08)
    assert str(found).splitlines()[0][:20] == str(whole).splitlines()[0][:20]


def test_parts_merge_exactly_and_files_are_exact(tmp_path):
    order = np.random.default_rng(2).permutation(N)
    first, second = filled(order[:100]), filled(order[100:])
    first.save(tmp_path / "first.npz")
    merged = second.merge(CellAccumulator.load(tmp_path / "first.npz"))
    whole = filled(np.arange(N))
    for name, value in whole.state().items():
        np.testing.assert_array_equal(merged.state()[name], value)
    assert repr(merged) == repr(whole)
    assert merged.plot().get_xlabel() == "severity"


def test_empty_cells_have_no_numbers():
    one = CellAccumulator(["fog"], [1, 2]).update("fog", 1, [0, 1], [True, False])
    cells = one.cells
    assert cells["accuracy"][0] == 0.5
    assert cells["n"].tolist() == [2, 0]
    assert np.isnan(cells["accuracy"][1])
    assert np.isnan(one.mean.value)
    assert np.isnan(one.mean.low)
    assert "nan" in one._repr_html_()


def test_bad_calls_are_named():
    one = filled(np.arange(N))
    before = one.state()
    for call, text in (
        (lambda: one.update("frost", 1, [0], [True]), r"got \('frost', 1\), expected"),
        (lambda: one.update("fog", 2, [0], [True]), r"got \('fog', 2\)"),
        (lambda: one.update("fog", 1, [0], [1.0]), "correct: got shape .* of float64"),
        (lambda: one.update("fog", 1, [0, 1], [True]), r"index: got shape \(2,\)"),
        (lambda: one.merge(CellAccumulator(["fog"])), "other: got"),
        (lambda: one.merge(3), "other: got int"),
        (lambda: CellAccumulator([]), r"corruptions: got \[\]"),
        (lambda: CellAccumulator("fog"), "corruptions: got 'fog'"),
        (lambda: CellAccumulator(["fog", "fog"]), "expected each once"),
        (lambda: CellAccumulator(["clean"]), "got 'clean'"),
        (lambda: CellAccumulator(level=1.0), "level: got 1.0"),
        (lambda: CellAccumulator.from_state({}), "state: got no"),
    ):
        with pytest.raises((TypeError, ValueError), match=text):
            call()
    for name, value in one.state().items():
        np.testing.assert_array_equal(value, before[name])


def test_an_image_has_the_same_weights_in_all_cells():
    one = CellAccumulator(["fog", "frost"], [1, 2], n_resamples=50)
    right = np.random.default_rng(5).random(40) < 0.5
    for name in ("fog", "frost"):
        for severity in (1, 2):
            one.update(name, severity, np.arange(40), right)
    first = one.cells.iloc[0]
    mean = one.mean
    assert (mean.low, mean.high) == pytest.approx((first["low"], first["high"]))
    assert one.cells[["low", "high"]].drop_duplicates().shape[0] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("corruptions", {"fog"}), ("severities", 3), ("severities", {1, 2})],
)
def test_cells_have_an_order(name, value):
    given = {"corruptions": ["fog"], "severities": [1], name: value}
    with pytest.raises(ValueError, match=f"{name}: got .*, expected a list"):
        CellAccumulator(**given)


def test_a_state_with_nan_is_refused():
    state = CellAccumulator(["fog"], [1]).state()
    state["sums"] = np.full_like(state["sums"], np.nan)
    with pytest.raises(ValueError, match="state: got NaN or infinite sums"):
        CellAccumulator.from_state(state)
