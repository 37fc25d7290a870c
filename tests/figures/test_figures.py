"""Figures 2 to 6 from made-up measurements with known results."""

import dataclasses

import numpy as np
import pytest
from helpers.made_up import (
    MIXING,
    N,
    a_pair,
    attack,
    blur_series,
    check_drawn,
    check_intervals,
    hybrid,
    model,
    panels,
    pick,
    several,
    solid_lines,
    value,
)
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

from neurofreq import figures
from neurofreq.figures import _panels
from neurofreq.figures._style import COLORS, MARKERS

# Figure 2


def test_figure_2_has_the_numbers_of_both_models():
    table, _ = figures.fig2(a_pair())
    check_intervals(table)
    plain = {"model": "plain", "group": "base"}
    # RIGHT of 20 images in 12 corruptions, none in the three of high frequency.
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
    assert d.get_xlabel() == "|f| (cycles/pixel)"
    maps = [image for ax in d.child_axes for image in ax.get_images()]
    assert [image.get_cmap().name for image in maps] == ["gray", "gray"]
    assert all(type(image.norm).__name__ == "LogNorm" for image in maps)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["base: standard", "neural: towards cortex", "chance"]
    assert a.get_ylim() == c.get_ylim()


def test_the_left_curve_of_figure_2d_has_its_map_above():
    _, figure = figures.fig2(a_pair())  # the left curve is the regularized model
    above, below = panels(figure)["d"].child_axes
    tints = {group: to_rgba(COLORS[group]) for group in ("neural", "base")}
    assert above.spines["left"].get_edgecolor() == pytest.approx(tints["neural"])
    assert below.spines["left"].get_edgecolor() == pytest.approx(tints["base"])


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
    # f_rev is interpolated between the table points.
    assert value(table, model="plain", quantity="f_rev") == pytest.approx(0.6)
    ends = pick(table, model="v1", quantity="p_low_minus_p_high")["value"]
    np.testing.assert_allclose(ends.iloc[[0, -1]], [-80.0, 60.0])
    a, b = (panels(figure)[letter] for letter in "ab")
    assert [text.get_text() for text in a.get_xticklabels()] == ["0 %", "50 %"]
    assert b.get_xlim() == (0.0, 1.0)
    dots = [line for line in b.get_lines() if line.get_marker() == "o"]
    assert {dot.get_color() for dot in dots} == {COLORS["base"], COLORS["neural"]}
    assert dots[0].get_xdata()[0] == pytest.approx(0.6)
    _, figure = figures.fig3(a_pair(), *image, roles=("mine", "yours"))
    b = panels(figure)["b"]
    dots = [line for line in b.get_lines() if line.get_marker() == "o"]
    assert len({dot.get_color() for dot in dots}) == 2


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
    everyone = np.sort(2.0 * np.linspace(0.5, 1.5, N))  # failures are largest
    assert value(table, **size) == pytest.approx(np.median(everyone))
    assert panels(figure)["c"].get_ylabel().startswith("median")


def test_a_median_that_may_be_infinite_is_an_arrow_and_one_that_is_has_no_point():
    models = [
        model("known", attack=attack(size=2.0)),
        model("partly", "adv", attack=attack(size=4.0, failed=9)),
        model("lost", "crp", attack=attack(size=4.0, failed=12)),
    ]
    table, figure = figures.fig4(models, size="median")
    sizes = table[table["quantity"] == "size"].set_index("model")
    assert np.isfinite(sizes.loc["partly", "value"])
    assert np.isinf(sizes.loc["partly", "high"])
    assert np.isinf(sizes.loc["lost", "value"])
    assert np.isnan(value(table, quantity="correlation_log_size_f_half"))
    axes = panels(figure)["c"]
    assert len(axes.containers) == 2
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == 1


def test_a_number_says_over_how_many_images_it_is():
    models = [
        model("whole", attack=attack(failed=0)),
        model("some", "adv", attack=attack(failed=5)),
        model("few", "adv", attack=attack(failed=8)),
    ]
    table, _ = figures.fig4(models)
    counts = {name: pick(table, model=name) for name in ("whole", "some", "few")}
    assert {name: _counts(rows) for name, rows in counts.items()} == {
        "whole": [N], "some": [N - 5], "few": [N - 8],
    }  # fmt: skip
    mean = pick(table, model="group mean", group="adv")
    assert _counts(mean) == [N - 5], "images with a perturbation in any member"
    lost = pick(table, quantity="not_found").set_index("model")["value"]
    assert lost.to_dict() == {"some": 5.0, "few": 8.0}
    everyone, _ = figures.fig4(models, size="median")
    size = {"model": "some", "quantity": "size"}
    assert pick(everyone, **size)["n"].item() == N, "a failure is infinite"
    pair, _ = figures.fig2([models[0], models[1]])
    assert value(pair, model="some", quantity="not_found") == 5.0
    assert _counts(pick(pair, model="some", panel="d")) == [N - 5]
    assert _counts(pick(pair, model="some", quantity="success")) == [N]


def _counts(table):
    return sorted(table[table["quantity"] != "not_found"]["n"].unique())


def test_figure_4_is_drawn_as_its_caption_says():
    _, figure = figures.fig4(several())
    check_drawn(figure)
    maps = [ax for ax in figure.axes if ax.get_images()]
    assert [ax.get_title() for ax in maps] == ["first", "second", "strong"]
    assert [ax.texts[0].get_text() for ax in maps if ax.texts] == ["base", "adv"]
    assert maps[0].get_images()[0].get_cmap().name == "viridis"
    b, c = (panels(figure)[letter] for letter in "bc")
    widths = [line.get_linewidth() for line in solid_lines(b, COLORS["base"])]
    assert sorted(widths) == pytest.approx([0.6, 0.6, 2.2]), "thin models, thick mean"
    assert any(
        line.get_linestyle() == "--" and set(line.get_ydata()) == {50.0}
        for line in b.get_lines()
    )
    assert (b.get_xlim()[0], b.get_ylim()[0]) == (0.0, 0.0)
    assert c.get_yscale() == "log"
    assert len(c.containers) == 3, "one point with intervals per model"
    assert c.get_ylabel().endswith("(1/255)")
    assert [text.get_text() for text in c.get_legend().get_texts()] == ["base", "adv"]


def test_any_other_group_is_drawn_last_and_unlike_all_others():
    groups = ["my own", "base", "another", *(f"group {i}" for i in range(12))]
    _, figure = figures.fig4([model(one, one) for one in groups])
    b, c = (panels(figure)[letter] for letter in "bc")
    legend = c.get_legend()
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown[:3] == ["base", "my own", "another"]
    looks = [(one.get_color(), one.get_marker()) for one in legend.legend_handles]
    assert looks[0] == (COLORS["base"], MARKERS["base"])
    assert len(set(looks)) == len(groups)
    assert looks[1][0] != looks[2][0]
    drawn = {line.get_label().split(":")[0]: line.get_color() for line in b.get_lines()}
    assert [drawn[one] for one in shown] == [one[0] for one in looks], "in all panels"
    maps = [ax for ax in figure.axes if ax.get_images()]
    tints = {ax.get_title(): ax.spines["left"].get_edgecolor() for ax in maps}
    assert tints["another"] == pytest.approx(to_rgba(looks[2][0]))


def test_the_legend_of_all_groups_lies_beside_the_letters_and_on_the_page():
    models = [model(one, one) for one in COLORS]
    for make, letters in ((figures.fig4, "c"), (figures.fig6, "ab")):
        options = {} if make is figures.fig4 else {"series": blur_series()}
        _, figure = make(models, **options)
        figure.draw_without_rendering()
        for letter in letters:
            ax = panels(figure)[letter]
            box = ax.get_legend().get_window_extent()
            title = ax.get_title("left")
            (words,) = [t for t in ax.findobj(Text) if t.get_text() == title == letter]
            assert not box.overlaps(words.get_window_extent())
            assert figure.bbox.x0 <= box.x0
            assert box.x1 <= figure.bbox.x1
            assert box.y1 <= figure.bbox.y1


def test_the_papers_blur_is_a_dot_and_no_other_group_is():
    assert [group for group, one in MARKERS.items() if one == "o"] == ["blur"]


def test_a_short_axis_of_sizes_has_more_than_two_numbers():
    ax = Figure().subplots()
    ax.set(yscale="log", ylim=(0.94, 4.4))  # only two of 1, 2, 5, ... fit
    _panels._plain_ticks(ax)
    shown = [tick for tick in ax.get_yticks() if 0.94 <= tick <= 4.4]
    assert len(shown) > 2
    assert ax.yaxis.get_major_formatter()(shown[0], 0) == f"{shown[0]:g}"
    ax.set(ylim=(0.8, 30.0))
    _panels._plain_ticks(ax)
    shown = [tick for tick in ax.get_yticks() if 0.8 <= tick <= 30.0]
    assert shown == pytest.approx([1.0, 2.0, 5.0, 10.0, 20.0])


def test_many_models_fill_rows_and_small_groups_share_one():
    from neurofreq.figures._fig4 import _rows

    def of(**counts):
        return [model(f"{g}{i}", g) for g, n in counts.items() for i in range(n)]

    # Eight in a row if this needs fewer rows.
    assert [len(row) for row in _rows(of(base=4, adv=4, crp=2, blur=1, pca=1))] == [
        8,
        4,
    ]
    models = of(base=6, adv=9, crp=2, blur=1, pca=1)
    assert [len(row) for row in _rows(models)] == [6, 7, 6]
    assert [m.group for m in _rows(models)[2]] == ["adv"] * 2 + ["crp"] * 2 + [
        "blur",
        "pca",
    ]


# Figures 5 and 6


def test_figure_5_has_reversals_and_accuracies():
    table, _ = figures.fig5(several(), series=blur_series())
    check_intervals(table)
    mean = {"model": "group mean", "quantity": "f_rev", "panel": "a"}
    assert value(table, **mean, group="adv") == pytest.approx(_reversal(0.4))
    assert 0.4 < value(table, **mean, group="base") < 0.6
    b = {"panel": "b", "model": "second"}
    assert value(table, **b, quantity="f_rev") == pytest.approx(0.6)
    # 70 % in 12 of 15 corruptions, 0 % in three.
    accuracy = value(table, **b, quantity="corruption_accuracy")
    assert accuracy == pytest.approx(56.0)
    blurred = pick(table, group="blur series", quantity="f_rev")
    assert blurred["x"].tolist() == [1.0, 2.0, 3.0]


def _reversal(kink):
    """Zero of the tabulated curve, which is linear between its points."""
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
    bars = max(line.get_zorder() for line in b.get_lines())
    for text in b.texts:
        assert text.get_zorder() > bars
        assert text.get_path_effects(), "white behind the label, because of intervals"


def test_a_curve_that_never_crosses_has_no_reversal_and_no_point():
    difference = np.abs(hybrid().difference) + 0.1
    always_low = dataclasses.replace(hybrid(), difference=difference)
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


def test_perturbations_without_power_have_no_map():
    """Every attacked image was already adversarial."""
    none = dataclasses.replace(
        attack(), distance=np.zeros(N), radial=np.zeros_like(attack().radial),
        power=np.zeros((8, 8)),
    )  # fmt: skip
    pair = [model("plain", attack=none), model("v1", "neural")]
    table, figure = figures.fig2(pair)
    check_drawn(figure)
    lost = pick(table, model="plain", quantity="frequency_at_power")
    assert lost["value"].isna().all()
