"""Plots: the drawn elements and their places; no global setting changes."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import neurofreq as nf
from neurofreq import plot
from neurofreq.plot._curves import Curve


@pytest.fixture
def ax():
    return Figure().subplots()


def lines(ax):
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def a_curve(**changes):
    x = np.linspace(0.0, 1.0, 5)
    fields = {"x": x, "y": x, "low": x - 0.1, "high": x + 0.1}
    return Curve(**(fields | changes))


def test_names_are_no_formulas_and_hide_nothing(ax):
    plot.plot_radial_profiles({"a$x^$": a_curve(), "_mine": a_curve()}, ax)
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == [r"a\$x^\$", " _mine"]
    ax.figure.canvas.draw()


def test_a_spectrum_is_logarithmic_blank_at_dc_and_in_cycles_per_pixel(ax):
    power = np.arange(1.0, 36.0).reshape(5, 7)
    power[2, 3] = np.nan
    plot.plot_spectrum(power, ax)
    image = ax.get_images()[0]
    assert image.get_cmap().name == plot.CMAP == "viridis"
    paper = plot.plot_spectrum(power, Figure().subplots(), cmap=plot.PAPER_CMAP)
    assert paper.get_images()[0].get_cmap().name == "jet"
    assert np.ma.getmaskarray(image.get_array()).sum() == 1
    # The color is linear in ln P between the minimum and maximum of the panel.
    assert image.norm(np.sqrt(1.0 * 35.0)) == pytest.approx(0.5)
    left, right, bottom, top = image.get_extent()
    assert (left + right, bottom + top) == pytest.approx((0.0, 0.0))
    assert (right - left, top - bottom) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize("size", [7, 8])
def test_a_spectrum_fills_its_axes(ax, size):
    plot.plot_spectrum(np.ones((size, size)) + np.eye(size), ax, colorbar=False)
    ax.figure.draw_without_rendering()
    extent = ax.get_images()[0].get_extent()
    assert (*ax.get_xlim(), *ax.get_ylim()) == pytest.approx(tuple(extent))


def test_rows_of_a_spectrum_lie_at_their_frequency(ax):
    power = np.full((4, 4), 1.0)
    power[0, 2] = 9.0  # row 0 of an fftshifted map is f_y = -0.5
    plot.plot_spectrum(power, ax, colorbar=False)
    image = ax.get_images()[0]
    assert image.origin == "lower"
    assert image.get_extent()[2] == pytest.approx(-0.5 - 0.125)


@pytest.mark.parametrize(
    ("power", "message"),
    [(np.ones(4), r"power: got shape \(4,\)"), (np.zeros((4, 4)), "no positive value")],
)
def test_what_is_no_spectrum_is_refused(ax, power, message):
    with pytest.raises(ValueError, match=message):
        plot.plot_spectrum(power, ax)


def test_hybrid_curves_are_percentage_points_with_their_reversal(ax):
    curve = a_curve(y=np.linspace(-1.0, 1.0, 5), mark=0.5, mark_interval=(0.4, 0.6))
    plot.plot_hybrid_curves({"mine": curve}, ax)
    drawn = lines(ax)["mine"]
    np.testing.assert_allclose(drawn[:, 1], np.linspace(-100.0, 100.0, 5))
    spans = [line.get_xdata() for line in ax.get_lines()]
    assert any(np.allclose(span, (0.4, 0.6)) for span in spans if len(span) == 2)


def test_results_are_drawn_as_they_come(ax):
    profile = nf.radial_profile(np.ones((8, 8)))
    plot.plot_radial_profiles({"white": profile}, ax)
    np.testing.assert_allclose(lines(ax)["white"][-1], (np.sqrt(0.5), 100.0))
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert dots[0].get_xdata()[0] == pytest.approx(profile.half_power)


def test_a_curve_may_bring_its_colour(ax):
    curves = {"mine": a_curve(mark=0.5, color="#009e73"), "yours": a_curve()}
    plot.plot_hybrid_curves(curves, ax)
    tints = {line.get_label(): line.get_color() for line in ax.get_lines()}
    assert (tints["mine"], tints["yours"]) == ("#009e73", plot.color(1))
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [dot.get_color() for dot in dots] == ["#009e73"]


def test_budgets_are_drawn_in_grey_levels(ax):
    plot.plot_success_curves({"mine": a_curve(x=np.linspace(0.0, 8 / 255, 5))}, ax)
    np.testing.assert_allclose(lines(ax)["mine"][-1], (8.0, 100.0))


def test_models_keep_their_colour_whatever_the_picture(ax):
    curves = {"first": a_curve(), "second": a_curve()}
    plot.plot_corruption_severity(curves, ax)
    groups = Figure().subplots()
    bars = {name: curve._replace(x=list("abcde")) for name, curve in curves.items()}
    plot.plot_corruption_groups(bars, groups)
    drawn = [line.get_color() for line in ax.get_lines()]
    assert drawn == [plot.color(0), plot.color(1)]
    labels = [tick.get_text() for tick in groups.get_xticklabels()]
    assert labels == list("abcde")


def test_a_curve_may_bring_its_place_among_the_models(ax):
    place = len(plot.COLORS) + 1
    curves = {"mine": a_curve(position=place, mark=0.5), "yours": a_curve()}
    plot.plot_hybrid_curves(curves, ax)
    drawn = {line.get_label(): line for line in ax.get_lines()}
    tints = [drawn[name].get_color() for name in curves]
    assert tints == [plot.color(1), plot.color(1)], "both have color 1"
    assert [drawn[name].get_linestyle() for name in curves] == ["--", "-"]
    bars = Figure().subplots()
    one = Curve(["low", "high"], [0.5, 0.4], position=place)
    plot.plot_corruption_groups({"mine": one}, bars)
    (container,) = bars.containers
    assert container[0].get_hatch() == "////"
    assert container[0].get_x() == pytest.approx(-0.5 * 0.92 * 0.8), "no gap"


def test_an_undefined_mark_is_not_drawn(ax):
    plot.plot_hybrid_curves(a_curve(), ax)
    assert not [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert ax.get_legend() is None


def test_hybrids_have_a_row_for_each_part(ax):
    rng = np.random.default_rng(0)
    low, high = rng.random((2, 3, 16, 16), dtype=np.float32)
    plot.plot_hybrid_examples(low, high, (0.0, 0.5, 1.5), ax)
    page = ax.get_images()[0].get_array()
    assert page.shape == (3 * 19 - 3, 3 * 19 - 3, 3)
    # If the mixing frequency is beyond the corner, the hybrid is the low image.
    np.testing.assert_allclose(
        page[-16:, -16:], np.moveaxis(low, 0, -1), rtol=0, atol=1e-5
    )


def test_perturbations_say_their_size(ax):
    clean = np.full((3, 1, 8, 8), 0.5, dtype=np.float32)
    moved = clean.copy()
    moved[0, 0, 0, 0] += 4 / 255
    moved[2] = np.nan  # no perturbation was found
    plot.plot_perturbation_examples({"mine": clean}, {"mine": moved}, ax)
    assert [text.get_text() for text in ax.texts] == ["4", "0", "none found"]


def test_two_channels_cannot_be_drawn(ax):
    two = np.zeros((1, 2, 8, 8), dtype=np.float32)
    with pytest.raises(ValueError, match="images: got 2 channels"):
        plot.plot_perturbation_examples({"": two}, {"": two}, ax)


def test_something_else_is_refused(ax):
    with pytest.raises(TypeError, match="curves: got 3"):
        plot.plot_hybrid_curves({"mine": 3}, ax)


def test_nothing_global_is_changed(monkeypatch):
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    before = dict(mpl.rcParams)
    axes = plot.plot_hybrid_curves({"mine": a_curve()})
    assert axes.figure in [plt.figure(number) for number in plt.get_fignums()]
    plt.close(axes.figure)
    assert dict(mpl.rcParams) == before


def test_models_beyond_the_last_colour_are_drawn_otherwise(ax):
    names = [f"m{index}" for index in range(len(plot.COLORS) + 2)]
    plot.plot_success_curves({name: a_curve() for name in names}, ax)
    drawn = {line.get_label(): line for line in ax.get_lines()}
    looks = [(drawn[n].get_color(), drawn[n].get_linestyle()) for n in names]
    assert len(set(looks)) == len(names)
    bars = Figure().subplots()
    curve = Curve(["low", "high"], [0.5, 0.4])
    plot.plot_corruption_groups(dict.fromkeys(names, curve), bars)
    looks = {(one[0].get_facecolor(), one[0].get_hatch()) for one in bars.containers}
    assert len(looks) == len(names)
