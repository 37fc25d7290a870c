"""Panels that several figures share: profiles, hybrid curves and two scatter plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neurofreq import intervals, plot
from neurofreq.figures._style import COLORS, INK, Look, group_legend, looks, title
from neurofreq.figures.paper import ALL, BLUR_SERIES, GROUP_MEAN
from neurofreq.intervals import Estimate
from neurofreq.measured import groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.ticker import Locator

    from neurofreq.figures._table import Table
    from neurofreq.measured import Measured, Quantity
    from neurofreq.measured.quantities import Profile
    from neurofreq.plot import Curve

GRAY_LEVELS = 255.0  # units of 1/255 in [0, 1]
_AT = 0.2  # cycles/pixel at which the profiles of the paper's groups differ clearly


def grouped(models: Sequence[Measured]) -> dict[str, list[Measured]]:
    """Return the models by group, with the paper's groups first and in its order."""
    names = dict.fromkeys([*COLORS, *(model.group for model in models)])
    members = {group: [m for m in models if m.group == group] for group in names}
    return {group: found for group, found in members.items() if found}


def power_map(ax: Axes, model: Measured, cmap: str) -> None:
    """Draw the mean spectrum of a model's perturbations, or the text "none found"."""
    power = model.attack.power
    if np.nanmax(power) > 0.0:
        plot.plot_spectrum(power, ax, colorbar=False, cmap=cmap)
    else:
        ax.text(0.5, 0.5, "none found", transform=ax.transAxes, ha="center")


def profiles(ax: Axes, table: Table, panel: str, models: Sequence[Measured]) -> None:
    """Draw radial profiles: thin lines for models, thick lines for groups with f_0.5.

    Add to the table the curves, and f_0.5 and the power below 0.2 cycles/pixel of each
    group.
    """
    means = {}
    tints = looks(grouped(models))
    for group, curve, n in _group_curves(
        ax, table, panel, models, "power_below", groups.radial_profile
    ):
        row = (GROUP_MEAN, group)
        lines = (np.asarray(one) for one in (curve.y, curve.low, curve.high))
        below = [float(np.interp(_AT, np.asarray(curve.x), line)) for line in lines]
        point = Estimate(below[0], below[1], below[2], n)
        table.add(panel, row, f"power_below_{_AT:g}", point, "%", scale=100.0)
        table.add(panel, row, "f_half", _marked(curve, n), "cycles/pixel")
        means[title(group)] = curve._replace(color=tints[group].color)
    plot.plot_radial_profiles(means, ax, linewidth=2.2)


def hybrid_curves(
    ax: Axes, table: Table, panel: str, models: Sequence[Measured]
) -> None:
    """Draw p_low - p_high: thin lines for models, thick lines for groups with f_rev.

    Add the curves and the f_rev of each group to the table.
    """
    means = {}
    tints = looks(grouped(models))
    for group, curve, n in _group_curves(
        ax, table, panel, models, "p_low_minus_p_high", groups.hybrid_profile
    ):
        table.add(panel, (GROUP_MEAN, group), "f_rev", _marked(curve, n), "Nyquist")
        means[title(group)] = curve._replace(color=tints[group].color)
    plot.plot_hybrid_curves(means, ax, linewidth=2.2)


def _group_curves(
    ax: Axes,
    table: Table,
    panel: str,
    models: Sequence[Measured],
    quantity: str,
    measure: Callable[[Sequence[Measured]], Profile],
) -> Iterator[tuple[str, Curve, int]]:
    """Draw a thin curve per model; yield each group, its mean curve and its n."""
    tints = looks(grouped(models))
    for group, members in grouped(models).items():
        curve = measure(members).curve()
        for model in members:
            one, n = measure([model]).curve(), _n_images([model], quantity)
            _thin(ax, one, tints[group].color)
            table.add_curve(panel, (model.name, group), quantity, one, n)
        n = _n_images(members, quantity)
        table.add_curve(panel, (GROUP_MEAN, group), quantity, curve, n)
        yield group, curve, n


def _n_images(models: Sequence[Measured], quantity: str) -> int:
    """Return the number of images in the mean of a curve."""
    if quantity == "power_below":
        return groups.n_found(models)
    return models[0].hybrid.n_images


def add_not_found(table: Table, panel: str, model: Measured, group: str) -> None:
    """Add the number of images without a perturbation to the table, unless it is 0."""
    n = model.attack.n_images
    lost = Estimate(n - groups.n_found([model]), np.nan, np.nan, n)
    if lost.value:
        table.add(panel, (model.name, group), "not_found", lost, "images")


def sizes(
    ax: Axes,
    table: Table,
    panel: str,
    models: Sequence[Measured],
    statistic: Literal["mean", "median"],
) -> None:
    """Draw the size of minimal perturbations against f_0.5, and correlate them.

    `statistic` is "mean" or "median", as in `Attack.size`.
    """
    halves = [groups.attack(model).half_power() for model in models]
    found = [model.attack.size(statistic) for model in models]
    tints = looks(grouped(models))

    def size(quantity: Quantity, members: Sequence[Measured]) -> Estimate:
        one = _scaled(quantity.estimate(), GRAY_LEVELS)
        # The median is over all images, including images without a perturbation.
        return one if statistic == "median" else groups.over_found(one, members)

    for model, half, quantity in zip(models, halves, found, strict=True):
        row = (model.name, model.group)
        x, y = groups.over_found(half.estimate(), [model]), size(quantity, [model])
        _point(ax, x, y, tints[model.group])
        table.add(panel, row, "f_half", x, "cycles/pixel")
        table.add(panel, row, "size", y, "1/255")
        add_not_found(table, panel, model, model.group)
    means = _means(models, found)
    for group, members in grouped(models).items():
        mean = size(means[group], members)
        table.add(panel, (GROUP_MEAN, group), "size", mean, "1/255")
    if len(models) > 2:
        r = _correlation(found, halves)
        table.add(panel, (ALL, ALL), "correlation_log_size_f_half", r, "")
    ax.set_yscale("log")
    _finish(
        ax, "half-power frequency $f_{0.5}$ (cycles/pixel)",
        f"{statistic} $L_\\infty$ size ε (1/255)",
    )  # fmt: skip
    _plain_ticks(ax)
    group_legend(ax, grouped(models))


def accuracies(
    ax: Axes,
    table: Table,
    panel: str,
    models: Sequence[Measured],
    series: Mapping[float, Sequence[Measured]],
) -> None:
    """Draw mean corruption accuracy against f_rev, with the blur series.

    `series` has blurred models by their sigma in pixels; models with the same sigma are
    averaged.
    """
    unit = "Nyquist"
    tints = looks(grouped(models))
    found = [groups.corruption_accuracy(model) for model in models]
    for model, quantity in zip(models, found, strict=True):
        x, y = model.hybrid.reversal().estimate(), _percent(quantity)
        _point(ax, x, y, tints[model.group])
        table.add(panel, (model.name, model.group), "f_rev", x, unit)
        table.add(panel, (model.name, model.group), "corruption_accuracy", y, "%")
    for group, mean in _means(models, found).items():
        row = (GROUP_MEAN, group)
        table.add(panel, row, "corruption_accuracy", _percent(mean), "%")
    points = {}
    for sigma, members in sorted(series.items()):
        x = groups.hybrid_profile(members).crossing().estimate()
        y = _percent(groups.mean_accuracy(members))
        row = (", ".join(model.name for model in members), BLUR_SERIES)
        table.add(panel, row, "f_rev", x, unit, x=sigma)
        table.add(panel, row, "corruption_accuracy", y, "%", x=sigma)
        if np.isfinite(x.value):
            points[sigma] = (x.value, y.value)
    if len(points) > 2:  # a parabola needs three points
        _draw_series(ax, points)
    _finish(
        ax, r"reversal frequency $f_\mathrm{rev}$ (units of Nyquist)",
        "corruption accuracy (%)",
    )  # fmt: skip
    group_legend(ax, grouped(models))


def _draw_series(ax: Axes, points: Mapping[float, tuple[float, float]]) -> None:
    """Draw the quadratic fit of accuracy on f_rev, its points, and two sigma labels."""
    from matplotlib.patheffects import withStroke

    x, y = np.array(list(points.values())).T
    tint = COLORS["blur"]
    if len(np.unique(x)) > 2:  # a parabola needs three points
        # `fit` rescales x, which keeps the fit of these small numbers well conditioned.
        fit = np.polynomial.Polynomial.fit(x, y, 2)
        grid = np.linspace(x.min(), x.max(), 100)
        label = r"blur, by $\sigma$"
        ax.plot(grid, fit(grid), "--", color=tint, linewidth=1.2, label=label)
    ax.plot(x, y, "o", color=tint, markersize=2.5, alpha=0.7)
    # The labels are below the end points, because the curve does not pass there. If the
    # two points are close, one label is to the left and the other to the right.
    ends = sorted((min(points), max(points)), key=lambda sigma: points[sigma])
    gap = points[ends[1]][0] - points[ends[0]][0]
    is_near = gap < 0.2 * np.ptp(ax.get_xlim())
    places = ("right", "left") if is_near else ("center", "center")
    # A white outline, because the interval of another model may be behind the label.
    halo = [withStroke(linewidth=2.5, foreground="white")]
    for sigma, place in zip(ends, places, strict=True):
        ax.annotate(
            rf"$\sigma$ = {sigma:g}",
            points[sigma],
            (0, -5),
            textcoords="offset points",
            fontsize=7,
            color=tint,
            horizontalalignment=place,
            verticalalignment="top",
            path_effects=halo,
            zorder=5,
        )


def _thin(ax: Axes, curve: Curve, tint: str) -> None:
    """Draw the curve of one model as a thin, pale line in the color of its group."""
    y = 100.0 * np.asarray(curve.y)
    ax.plot(np.asarray(curve.x), y, color=tint, linewidth=0.6, alpha=0.45)


def _point(ax: Axes, x: Estimate, y: Estimate, look: Look) -> None:
    """Draw a model's marker with the intervals of its two numbers.

    If an interval has no upper end, an arrow points up. A point is not drawn if one of
    its numbers is not finite.
    """
    if not np.isfinite([x.value, y.value]).all():
        return
    spans = [
        np.clip([[one.value - one.low], [one.high - one.value]], 0.0, None)
        for one in (x, y)
    ]
    if np.isinf(y.high):
        spans[1][1] = 0.0
        arrow = {"arrowstyle": "->", "color": look.color, "linewidth": 0.8}
        ax.annotate(
            "", (x.value, 1.0), (x.value, y.value), ("data", "axes fraction"), "data",
            arrowprops=arrow,
        )  # fmt: skip
    ax.errorbar(
        x.value, y.value, xerr=spans[0], yerr=spans[1], fmt=look.marker,
        color=look.color, markersize=4.5, markeredgecolor="white",
        markeredgewidth=0.4, elinewidth=0.8,
    )  # fmt: skip


def _means(
    models: Sequence[Measured], quantities: Sequence[Quantity]
) -> dict[str, Quantity]:
    """Return the mean of a quantity over the members of each group."""
    by_name = {m.name: one for m, one in zip(models, quantities, strict=True)}
    return {
        group: groups.mean(members, [by_name[m.name] for m in members])
        for group, members in grouped(models).items()
    }


def _correlation(sizes: Sequence[Quantity], halves: Sequence[Quantity]) -> Estimate:
    """Return Pearson's r of log size and f_0.5 over models; bootstrap over images.

    r is NaN if a size is 0 (the model misclassifies most clean images), or if a median
    size is infinite (most attacks found no perturbation).
    """
    values = [[one.estimate().value for one in many] for many in (sizes, halves)]
    drawn = [np.stack([one.resampled() for one in many], 1) for many in (sizes, halves)]
    r = _pearson(_log([values[0]]), np.array([values[1]]))[0]
    interval = intervals.percentile_interval(_pearson(_log(drawn[0]), drawn[1]))
    return Estimate(float(r), *interval, len(sizes))


def _log(sizes: Any) -> Any:
    values = np.asarray(sizes, dtype=np.float64)
    is_known = (values > 0.0) & np.isfinite(values)
    return np.log(np.where(is_known, values, np.nan))


def _pearson(a: Any, b: Any) -> Any:
    """Return the correlation of each pair of rows."""
    a, b = (one - one.mean(axis=1, keepdims=True) for one in (a, b))
    with np.errstate(invalid="ignore"):
        return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


def _marked(curve: Curve, n: int) -> Estimate:
    return Estimate(curve.mark, *curve.mark_interval, n)


def _scaled(one: Estimate, by: float) -> Estimate:
    return Estimate(by * one.value, by * one.low, by * one.high, one.n)


def _percent(quantity: Quantity) -> Estimate:
    return _scaled(quantity.estimate(), 100.0)


def _plain_ticks(ax: Axes) -> None:
    """Label a logarithmic axis with 1, 2, 5, 10 ..., or with even steps if few fit."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = ax.get_ylim()
    locator: Locator = LogLocator(subs=(1.0, 2.0, 5.0))
    if sum(low <= tick <= high for tick in locator.tick_values(low, high)) < 3:
        locator = MaxNLocator(5)
    ax.yaxis.set_major_locator(locator)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _finish(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Set the labels and the pale grid of a plot."""
    ax.margins(0.08)
    ax.set_xlabel(xlabel, color=INK)
    ax.set_ylabel(ylabel, color=INK)
    ax.tick_params(length=3, colors=INK)
    ax.grid(visible=True, color="#e4e4e4", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#888888")
