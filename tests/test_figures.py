"""Figures from made-up measurements whose answers are known."""

import io

import numpy as np
import pytest

import neurofreq as nf
from neurofreq import _groups, figures
from neurofreq.corruptions import CORRUPTIONS
from neurofreq.figures import _paper, _spaces
from neurofreq.figures._style import COLORS
from neurofreq.studies import Measured, _analysis

N = 20
FIFTEEN = _groups.averaged(CORRUPTIONS)
THRESHOLDS = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
LOW_PROFILE = (0.0, 0.25, 0.5, 0.75, 1.0)  # half of the power below 0.2
HIGH_PROFILE = (0.0, 0.0, 0.0, 0.5, 1.0)  # half of it below 0.3
MIXING = np.array([0.0, 0.2, 0.6, 1.0])
# Of 20 images, how many are named right at each severity.
RIGHT = (18, 16, 14, 12, 10)


def attack(profile=LOW_PROFILE, size=2.0, failed=0):
    weight = np.linspace(0.5, 1.5, N)  # images differ in power, not in profile
    distance = np.full(N, size / 255) * np.linspace(0.5, 1.5, N)
    distance[N - failed :] = np.inf
    found = np.isfinite(distance)
    power = np.random.default_rng(0).random((8, 8))
    power[4, 4] = np.nan
    return {
        "distance": distance,
        "success": found,
        "power": power,
        "radial": np.outer(weight * found, profile),
        "frequency": THRESHOLDS,
    }


def hybrid(reversal=0.4):
    """Differences that run linearly from one table point to the next."""
    mean = np.interp(MIXING, [0.0, reversal, 1.0], [-0.8, 0.0, 0.6])
    spread = np.linspace(-0.1, 0.1, N)[:, None]
    difference = mean + spread
    return {
        "frequency": MIXING,
        "difference": difference,
        "p_low": (1 + mean) / 2,
        "p_high": (1 - mean) / 2,
    }


def cells(name, shift=0):
    """Every corruption alike, but nothing right where it is high in frequency."""
    if _groups.group_of(name) == "high":
        return {"correct": np.zeros((5, N), bool)}
    return {"correct": np.stack([np.arange(N) < right + shift for right in RIGHT])}


def model(name="one", group="base", *, shift=0, leave_out=(), **changes):
    arrays = {
        "clean": {"correct": np.arange(2 * N) < N - 1},
        "attack": attack(),
        "hybrid": hybrid(),
        **{f"corruption/{one}": cells(one, shift) for one in FIFTEEN},
    }
    kept = {key: value for key, value in arrays.items() if key not in leave_out}
    return Measured(name, group, kept | changes)


def several():
    return [
        model("first", "base", attack=attack(LOW_PROFILE)),
        model("second", "base", attack=attack(HIGH_PROFILE, 1.0), hybrid=hybrid(0.6)),
        model("strong", "adv", attack=attack((0.0, 0.5, 1.0, 1.0, 1.0), 16.0)),
    ]


def pick(table, **wanted):
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def value(table, **wanted):
    rows = pick(table, **wanted)
    assert len(rows) == 1, rows
    return rows["value"].item()


def panels(figure):
    """Return the Axes by the letter above them."""
    return {ax.get_title(loc="left"): ax for ax in figure.axes if ax.get_title("left")}


def solid_lines(ax, color):
    """Return curves of a colour: not the dots and drop lines of a mark."""
    return [
        line
        for line in ax.get_lines()
        if line.get_color() == color and len(line.get_xdata()) > 2
    ]


def check_intervals(table):
    known = table[table["low"].notna()]
    tolerance = 1e-9 * known["value"].abs() + 1e-12
    assert (known["low"] <= known["value"] + tolerance).all()
    assert (known["value"] <= known["high"] + tolerance).all()
    columns = (
        "figure", "panel", "model", "group", "quantity", "x", "value", "low", "high",
        "n", "unit", "paper",
    )  # fmt: skip
    assert tuple(table.columns) == columns


def check_drawn(figure):
    """Draw it without a warning, and leave nothing open in pyplot."""
    import matplotlib.pyplot as plt

    figure.savefig(io.BytesIO(), format="png", dpi=40)
    assert figure.dpi == 300
    assert plt.get_fignums() == []


def a_pair():
    base = model("plain", attack=attack(HIGH_PROFILE, 1.0), hybrid=hybrid(0.6))
    neural = model("v1", "neural", shift=2, attack=attack(LOW_PROFILE, 3.0))
    return [base, neural]


# Figure 2


def test_figure_2_has_the_numbers_of_both_models():
    table, _ = figures.fig2(a_pair())
    check_intervals(table)
    plain = {"model": "plain", "group": "base"}
    # 12 of 15 corruptions have RIGHT of 20, the three of high frequency none.
    assert value(table, **plain, quantity="accuracy", x=0.0) == pytest.approx(95.0)
    assert value(table, **plain, quantity="accuracy", x=1.0) == pytest.approx(72.0)
    assert value(table, **plain, quantity="accuracy", x=5.0) == pytest.approx(40.0)
    assert value(table, **plain, quantity="accuracy_low") == pytest.approx(70.0)
    assert value(table, **plain, quantity="accuracy_high") == 0.0
    assert value(table, model="v1", quantity="accuracy_medium") == pytest.approx(80.0)
    at = {"quantity": "frequency_at_power"}
    assert value(table, **plain, **at, x=50.0) == pytest.approx(0.3)
    assert value(table, model="v1", **at, x=75.0) == pytest.approx(0.3)
    size = {"quantity": "size_at_success"}
    assert value(table, **plain, **size, x=50.0) == pytest.approx(1.0)
    assert value(table, model="v1", **size, x=50.0) == pytest.approx(3.0)
    success = pick(table, model="v1", quantity="success")
    assert success["x"].iloc[-1] == pytest.approx(10.0)
    assert success["value"].iloc[0] == 0.0
    assert success["value"].iloc[-1] == pytest.approx(100.0)
    assert set(table["unit"]) == {"%", "1/255", "cycles/pixel"}


def test_figure_2_is_drawn_as_its_caption_says():
    pair = a_pair()
    _, figure = figures.fig2([*pair, *pair], cmap="gray")
    check_drawn(figure)
    drawn = panels(figure)
    assert list(drawn) == list("abcdefgh")
    a, b, c, d = (drawn[letter] for letter in "abcd")
    assert [text.get_text() for text in a.get_xticklabels()] == list("012345")
    assert len(a.patches) == 12
    for letter, percent in (("a", 10.0), ("e", 0.5)):
        lines = {line.get_label(): line for line in drawn[letter].get_lines()}
        assert lines["chance"].get_linestyle() == "--"
        np.testing.assert_allclose(lines["chance"].get_ydata(), percent)
    assert b.get_xlabel() == "budget ε (1/255)"
    assert b.get_xlim() == (0.0, 10.0)
    for role in ("base", "neural"):
        assert len(solid_lines(b, COLORS[role])) == 1
        assert len(solid_lines(d, COLORS[role])) == 1
    names = [text.get_text() for text in c.get_xticklabels()]
    assert names == ["Low", "Medium", "High"]
    assert d.get_xlabel() == "spatial frequency |f| / $f_s$"
    maps = [image for ax in d.child_axes for image in ax.get_images()]
    assert [image.get_cmap().name for image in maps] == ["gray", "gray"]
    assert all(type(image.norm).__name__ == "LogNorm" for image in maps)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["base", "neural", "chance"]


def test_the_left_curve_of_figure_2d_has_its_map_above():
    _, figure = figures.fig2(a_pair())  # the regularized model's curve is the left one
    above, below = panels(figure)["d"].child_axes
    assert above.spines["left"].get_edgecolor() == pytest.approx(_rgba("neural"))
    assert below.spines["left"].get_edgecolor() == pytest.approx(_rgba("base"))


def _rgba(group):
    from matplotlib.colors import to_rgba

    return to_rgba(COLORS[group])


def test_a_panel_that_nobody_was_measured_for_is_blank_and_says_so():
    pair = [model("plain", leave_out=["attack"]), model("v1", leave_out=["attack"])]
    table, figure = figures.fig2(pair)
    assert set(table["panel"]) == {"a", "c"}
    b = panels(figure)["b"]
    assert b.texts[0].get_text() == "no attack measured"
    assert not b.axison


# Figure 3


def test_figure_3_marks_the_reversal_of_both_models():
    image = np.random.default_rng(0).random((2, 1, 16, 16), dtype=np.float32)
    table, figure = figures.fig3(a_pair(), *image, frequencies=(0.0, 0.5))
    check_intervals(table)
    check_drawn(figure)
    # Between the table points 0.2 and 0.6: 0 lies where the line of the table does.
    assert value(table, model="plain", quantity="f_rev") == pytest.approx(0.6)
    ends = pick(table, model="v1", quantity="p_low_minus_p_high")["value"]
    np.testing.assert_allclose(ends.iloc[[0, -1]], [-80.0, 60.0])
    a, b = (panels(figure)[letter] for letter in "ab")
    assert [text.get_text() for text in a.get_xticklabels()] == ["0 %", "50 %"]
    assert b.get_xlim() == (0.0, 1.0)
    dots = [line for line in b.get_lines() if line.get_marker() == "o"]
    assert {dot.get_color() for dot in dots} == {COLORS["base"], COLORS["neural"]}
    assert dots[0].get_xdata()[0] == pytest.approx(0.6)


# Figure 4


def test_figure_4_has_group_means_and_correlation():
    table, _ = figures.fig4(several())
    check_intervals(table)
    group = {"model": "group mean", "panel": "b", "quantity": "f_half"}
    # The mean of the members' profiles is (0, 0.125, 0.25, 0.625, 1).
    expected = 0.2 + 0.1 * (0.5 - 0.25) / (0.625 - 0.25)
    assert value(table, **group, group="base") == pytest.approx(expected)
    assert value(table, **group, group="adv") == pytest.approx(0.1)
    below = {"model": "group mean", "quantity": "power_below_0.2"}
    assert value(table, **below, group="base") == pytest.approx(25.0)
    c = {"panel": "c"}
    assert value(table, **c, model="second", quantity="f_half") == pytest.approx(0.3)
    assert value(table, **c, model="second", quantity="size") == pytest.approx(1.0)
    mean = value(table, **c, model="group mean", group="base", quantity="size")
    assert mean == pytest.approx(1.5)
    r = np.corrcoef(np.log([2.0, 1.0, 16.0]), [0.2, 0.3, 0.1])[0, 1]
    found = value(table, **c, quantity="correlation_log_size_f_half")
    assert found == pytest.approx(r)


def test_sizes_are_over_images_for_which_a_perturbation_was_found():
    items = [attack(failed=0), attack(failed=5)]
    models = [model(str(i), attack=item) for i, item in enumerate(items)]
    found = 2.0 * np.linspace(0.5, 1.5, N)[:15]
    table, _ = figures.fig4(models)
    size = {"panel": "c", "model": "1", "quantity": "size"}
    assert value(table, **size) == pytest.approx(found.mean())
    table, figure = figures.fig4(models, size="median")
    everyone = np.sort(2.0 * np.linspace(0.5, 1.5, N))  # failures are the largest
    assert value(table, **size) == pytest.approx(np.median(everyone))
    assert panels(figure)["c"].get_ylabel().startswith("median")


def test_figure_4_is_drawn_as_its_caption_says():
    _, figure = figures.fig4(several())
    check_drawn(figure)
    maps = [ax for ax in figure.axes if ax.get_images()]
    assert [ax.get_title() for ax in maps] == ["first", "second", "strong"]
    assert [ax.texts[0].get_text() for ax in maps if ax.texts] == ["base", "adv"]
    assert maps[0].get_images()[0].get_cmap().name == "jet"
    b, c = (panels(figure)[letter] for letter in "bc")
    widths = [line.get_linewidth() for line in solid_lines(b, COLORS["base"])]
    assert sorted(widths) == pytest.approx([0.6, 0.6, 2.2]), "thin models, thick mean"
    assert any(
        line.get_linestyle() == "--" and set(line.get_ydata()) == {50.0}
        for line in b.get_lines()
    )
    assert (b.get_xlim()[0], b.get_ylim()[0]) == (0.0, 0.0)
    assert c.get_yscale() == "log"
    assert len(c.containers) == 3, "a point with intervals per model"
    assert c.get_ylabel().endswith("(1/255)")
    assert [text.get_text() for text in c.get_legend().get_texts()] == ["base", "adv"]


def test_any_other_group_is_drawn_last_and_grey():
    _, figure = figures.fig4([model("mine", "my own"), model("plain")])
    c = panels(figure)["c"]
    legend = c.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["base", "my own"]
    tints = [handle.get_color() for handle in legend.legend_handles]
    assert tints == [COLORS["base"], "#777777"]


def test_many_models_fill_rows_and_small_groups_share_one():
    from neurofreq.figures._fig4 import _rows

    counts = {"base": 6, "adv": 9, "crp": 2, "blur": 1, "pca": 1}
    models = [model(f"{g}{i}", g) for g, n in counts.items() for i in range(n)]
    assert [len(row) for row in _rows(models)] == [6, 7, 6]
    assert [m.group for m in _rows(models)[2]] == ["adv"] * 2 + ["crp"] * 2 + [
        "blur",
        "pca",
    ]


# Figures 5 and 6


def blur_series():
    """Accuracies on a parabola of the reversal frequency: the fit meets them."""
    return {
        sigma: model(f"sigma {sigma}", "blur", hybrid=hybrid(f), shift=shift)
        for sigma, f, shift in ((3.0, 0.2, 0), (2.0, 0.4, 2), (1.0, 0.6, 0))
    }


def test_figure_5_has_reversals_and_accuracies():
    table, _ = figures.fig5(several(), series=blur_series())
    check_intervals(table)
    mean = {"model": "group mean", "quantity": "f_rev", "panel": "a"}
    assert value(table, **mean, group="adv") == pytest.approx(_reversal(0.4))
    assert 0.4 < value(table, **mean, group="base") < 0.6
    b = {"panel": "b", "model": "second"}
    assert value(table, **b, quantity="f_rev") == pytest.approx(0.6)
    # 12 of 15 corruptions at 70 %, three at none.
    accuracy = value(table, **b, quantity="corruption_accuracy")
    assert accuracy == pytest.approx(56.0)
    blurred = pick(table, group="blur series", quantity="f_rev")
    assert blurred["x"].tolist() == [1.0, 2.0, 3.0]


def _reversal(kink):
    """Zero of the tabulated curve, which is straight between its points."""
    mean = np.interp(MIXING, [0.0, kink, 1.0], [-0.8, 0.0, 0.6])
    return np.interp(0.0, mean, MIXING)


def test_figure_5_is_drawn_as_its_caption_says():
    _, figure = figures.fig5(several(), series=blur_series())
    check_drawn(figure)
    a, b = (panels(figure)[letter] for letter in "ab")
    assert len(solid_lines(a, COLORS["base"])) == 3
    dashed = [line for line in b.get_lines() if line.get_linestyle() == "--"]
    assert [line.get_color() for line in dashed] == [COLORS["blur"]]
    x, y = dashed[0].get_data()
    points = {
        f: 0.8 * 5 * (14 + s) for f, s in ((0.2, 0), (_reversal(0.4), 2), (0.6, 0))
    }
    np.testing.assert_allclose(
        np.interp(list(points), x, y), list(points.values()), atol=0.1
    )
    assert {text.get_text() for text in b.texts} == {r"$\sigma$ = 3", r"$\sigma$ = 1"}


def test_a_curve_that_never_crosses_has_no_reversal_and_no_point():
    always_low = hybrid()
    always_low["difference"] = np.abs(always_low["difference"]) + 0.1
    series = blur_series() | {1.0: model("low", "blur", hybrid=always_low)}
    table, figure = figures.fig5([model(hybrid=always_low)], series=series)
    check_drawn(figure)
    assert pick(table, model="one", quantity="f_rev")["value"].isna().all()
    b = panels(figure)["b"]
    assert not [line for line in b.get_lines() if line.get_linestyle() == "--"]


def test_figure_6_is_the_two_scatters():
    table, figure = figures.fig6(several())
    check_intervals(table)
    check_drawn(figure)
    assert set(table["quantity"]) == {
        "f_half", "size", "correlation_log_size_f_half", "f_rev", "corruption_accuracy",
    }  # fmt: skip
    assert set(table["panel"]) == {"a", "b"}
    assert panels(figure)["a"].get_yscale() == "log"


# Figure 1


def similarity(points):
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    matrix = np.clip(unit @ unit.T, -1.0, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return (matrix + matrix.T) / 2


@pytest.fixture(scope="module")
def spaces():
    rng = np.random.default_rng(3)
    neural = rng.normal(size=(14, 3))
    before = rng.normal(size=(14, 6))
    after = np.hstack([3.0 * neural, before])
    return [similarity(points) for points in (neural, before, after)]


def test_figure_1_correlates_each_space_with_the_neural_one(spaces):
    stimuli = np.random.default_rng(0).random((14, 1, 8, 8))
    table, figure = figures.fig1(stimuli, *spaces, n_shown=5)
    check_intervals(table)
    check_drawn(figure)
    rows = pick(table, quantity="similarity_correlation").set_index("model")["value"]
    for name, matrix in zip(("before", "after"), spaces[1:], strict=True):
        expected = nf.neural.similarity_correlation(spaces[0], matrix)
        assert rows[name] == pytest.approx(expected)
    assert rows["after less before"] == pytest.approx(rows["after"] - rows["before"])
    assert len(pick(table, model="neural", quantity="mds_1")) == 14
    drawn = [
        ax.get_images()[0].get_array()
        for ax in figure.axes
        if ax.get_images() and ax.get_images()[0].get_array().shape == (14, 14)
    ]
    order = _spaces.order(spaces[0])
    assert len(drawn) == 3, "one order for all"
    for found, matrix in zip(drawn, spaces, strict=True):
        np.testing.assert_allclose(found, matrix[np.ix_(order, order)])


def test_correlation_of_a_resample_is_that_of_its_pairs(spaces):
    first, second = spaces[0], spaces[2]
    drawn = np.array([0, 0, 3, 5, 5, 5, 6, 7, 8, 9, 9, 10, 12, 13])
    pairs = [(i, j) for k, i in enumerate(drawn) for j in drawn[k + 1 :] if i != j]
    expected = np.corrcoef(*([m[i, j] for i, j in pairs] for m in (first, second)))[
        0, 1
    ]
    means = np.bincount(drawn, minlength=14)[None] / 14
    found = _analysis.similarity_correlation(first, second).statistic(means)
    assert found[0] == pytest.approx(expected)


def test_the_order_finds_a_chain_and_keeps_groups_together():
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(12)
    gap = np.abs(shuffled[:, None] - shuffled)
    found = shuffled[_spaces.order(np.exp(-gap / 4.0))]
    assert found.tolist() in ([*range(12)], [*range(11, -1, -1)])
    labels = rng.permutation(np.repeat([0, 1, 2], 5))
    noise = rng.normal(scale=0.02, size=(15, 15))
    blocks = np.where(labels[:, None] == labels, 0.7, 0.1) + noise + noise.T
    changes = np.count_nonzero(np.diff(labels[_spaces.order(blocks)]))
    assert changes == 2


def test_the_plane_keeps_distances_and_is_turned_onto_another():
    points = np.random.default_rng(0).normal(size=(9, 2))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    plane = _spaces.coordinates(points @ points.T)
    np.testing.assert_allclose(
        np.linalg.norm(plane[:, None] - plane, axis=-1),
        np.linalg.norm(points[:, None] - points, axis=-1),
        atol=1e-9,
    )
    angle = np.array([[0.6, 0.8], [0.8, -0.6]])  # turned and mirrored
    np.testing.assert_allclose(_spaces.aligned(0.3 * plane @ angle, plane), plane)


# The paper's numbers


def test_the_papers_numbers_stand_beside_ours():
    models = [
        model("resnet18,blur=1.5", "blur", attack=attack(LOW_PROFILE, 2.0)),
        model("mine", "base"),
    ]
    table, _ = figures.fig4(models)
    named = pick(table, panel="c", model="resnet18,blur=1.5").set_index("quantity")
    assert named["paper"].to_dict() == {"f_half": 0.194, "size": 2.30}
    assert pick(table, panel="c", model="mine")["paper"].isna().all()
    base = pick(table, panel="c", model="group mean", group="base")
    sizes = (1.16, 1.74, 1.52, 1.48, 1.02, 1.02)
    assert base["paper"].item() == pytest.approx(np.mean(sizes))
    compared = figures.compare(table)
    assert compared["paper"].notna().all()
    row = pick(compared, model="resnet18,blur=1.5", quantity="size").iloc[0]
    assert row["difference"] == pytest.approx(2.0 - 2.30)
    assert row["within"] == (row["low"] <= 2.30 <= row["high"])


def test_the_roles_of_figures_2_and_3_are_compared_with_the_papers():
    table, _ = figures.fig2(a_pair())
    at_three = pick(table, quantity="accuracy", x=3.0).set_index("model")["paper"]
    assert at_three.to_dict() == {"plain": 68.8, "v1": 75.6}
    half = pick(table, quantity="frequency_at_power", x=50.0).set_index("model")
    assert half["paper"].to_dict() == {"plain": 0.438, "v1": 0.316}


def test_every_number_of_the_paper_has_a_row_it_belongs_to():
    # A quantity that is renamed in a figure must be renamed beside the paper's.
    pair, image = a_pair(), np.full((1, 16, 16), 0.5, np.float32)
    groups = ("base", "adv", "crp", "blur", "pca")
    models = [model(group, group, hybrid=hybrid(0.4)) for group in groups]
    series = blur_series()
    tables = [
        figures.fig2([*pair, *pair])[0],
        figures.fig3(pair, image, image)[0],
        figures.fig4(models)[0],
        figures.fig5(models, series=series)[0],
        figures.fig6(models)[0],
    ]
    rows = [row for table in tables for row in table.to_dict("records")]
    found = {(r["figure"], r["panel"], r["quantity"]) for r in rows if r["paper"] > -99}
    known = {
        (figure, panel, quantity)
        for (figure, panel, _, quantity, _), one in _paper.numbers().items()
        if not np.isnan(one)
    }
    # Points of scatters are known by the names of their networks alone.
    points = {("fig5", "b", "f_rev"), ("fig4", "c", "f_half"), ("fig6", "a", "f_half")}
    assert known - found <= points | {("fig6", "b", "f_rev")}


# What is refused


def test_a_measurement_that_some_lack_is_an_error_that_names_them():
    models = [model("whole"), model("part", leave_out=["hybrid"])]
    with pytest.raises(ValueError, match="part has no hybrid, which whole has"):
        figures.fig5(models)
    models = [model("whole"), model("part", leave_out=["corruption/snow"])]
    with pytest.raises(ValueError, match="part has no corruption/snow"):
        figures.fig6(models)
    with pytest.raises(ValueError, match="got no attack of bare"):
        figures.fig4([model("bare", leave_out=["attack"])])
    pair = [model("plain", leave_out=["clean"]), model("v1", leave_out=["clean"])]
    with pytest.raises(ValueError, match="plain, v1 have corruptions but no clean"):
        figures.fig2(pair)


def test_groups_are_over_the_same_images_and_frequencies():
    fewer = {key: value[: N - 1] for key, value in attack().items() if key != "power"}
    fewer |= {"power": attack()["power"], "frequency": THRESHOLDS}
    with pytest.raises(ValueError, match="got 19 images of b and 20 of a"):
        figures.fig4([model("a"), model("b", attack=fewer)])
    other = attack() | {"frequency": 2.0 * THRESHOLDS}
    with pytest.raises(ValueError, match="other frequencies of b than of a"):
        figures.fig4([model("a"), model("b", attack=other)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: figures.fig4([]), "models: got none"),
        (lambda: figures.fig4([model(), model()]), "got 'one' twice"),
        (lambda: figures.fig2([model()]), "got 1, expected a pair"),
        (lambda: figures.fig3([model()], None, None), "got 1, expected two"),
        (lambda: figures.fig5([model()], series={1.0: model()}), "series: got 1"),
        (
            lambda: figures.fig4([model(attack=attack(failed=N))]),
            "no perturbation was found for one",
        ),
        (
            lambda: figures.fig1(np.zeros((4, 1, 8, 8)), *[np.eye(5)] * 3),
            "neural: got 5 images",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
