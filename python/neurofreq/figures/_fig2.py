"""Figure 2: a baseline and a neurally regularized model, four panels per pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurofreq import plot
from neurofreq._shared.inputs import validate
from neurofreq.figures import choose
from neurofreq.figures._panels import GRAY_LEVELS, add_not_found, power_map
from neurofreq.figures._style import COLORS, blank, new_figure, panel, title
from neurofreq.figures._table import Table
from neurofreq.figures.registry import Drawn, registered
from neurofreq.intervals import Estimate
from neurofreq.measured import NotMeasuredError, groups
from neurofreq.plot import CMAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neurofreq.figures.registry import Asked
    from neurofreq.measured import Measured
    from neurofreq.plot import Curve

ROLES = ("base", "neural")
SHARES = (25.0, 50.0, 75.0, 90.0)  # % at which the table has sizes and frequencies


def fig2(
    models: Sequence[Measured],
    *,
    titles: Sequence[str] = ("grayscale CIFAR10", "grayscale TinyImageNet"),
    chance: Sequence[float] = (0.1, 0.005),
    budget: float = 10 / 255,
    cmap: str = CMAP,
) -> tuple[pd.DataFrame, Figure]:
    """Draw Figure 2: the effect of neural regularization on robustness.

    Parameters
    ----------
    models : sequence of Measured
        A baseline and its neurally regularized model; for panels e-h, another pair
        on a second data set. Panels a and c need "clean" and "corruption/NAME" for
        the paper's fifteen corruptions, panels b and d need "attack".
    titles : sequence of str
        The title of each pair, such as its training data.
    chance : sequence of float
        Accuracy of guessing, for each pair; NaN draws no line.
    budget : float
        The largest budget drawn in panel b, in pixel units of [0, 1].
    cmap : str
        Colormap of the maps in panel d; ``nf.plot.PAPER_CMAP`` is that of the paper.

    Returns
    -------
    table : DataFrame
        accuracy (% at severity x); success (% at x/255) and size_at_success (1/255
        at x %); accuracy_low, _medium and _high (%); power_below (% at x
        cycles/pixel) and frequency_at_power (cycles/pixel at x %); not_found, the
        number of attacked images without a perturbation, if it is not 0.
    figure : Figure
        (a) Accuracy against severity, mean over fifteen corruptions; the dashed line
        is chance. (b) Success against budget. (c) Accuracy by the frequency group of
        the corruptions, mean over severities. (d) Radial profiles of the minimal
        perturbations with f_0.5 marked, and spectra of the perturbations, each on a
        logarithmic scale between its own minimum and maximum. (e-h) The same panels for
        the second pair. Black is the baseline, orange the regularized model.

    Raises
    ------
    ValueError
        If there are not two or four models, a pair has no title or chance, or only
        one model of a pair has a measurement with all its parts.

    Notes
    -----
    Intervals are 95 %, bootstrap over images. If neither model of a pair was measured
    for a panel, the panel is left blank with a note.

    Differences from the paper: chance is 1 in 200 for TinyImageNet, but the paper's
    line is at 5 %. Sizes are the largest absolute pixel change, not the largest signed
    change. f_0.5 is interpolated between the thresholds of the measurement: 30
    thresholds in the paper's Fig 2, 25 by default here.

    References
    ----------
    Li et al. 2023, Fig 2.

    Examples
    --------
    The labels in this example are the networks' own predictions:

    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=2).images
    >>> data = nf.data.ImageSet(images, [4, 6], (), "mine")
    >>> spec = {
    ...     "data": data,
    ...     "models": ["zoo:gray-standard", "zoo:gray-mouse"],
    ...     "measurements": ["attack"],
    ...     "settings": {"attack_steps": 5, "targeted": False},
    ... }
    >>> found = nf.studies.run(spec, "out", progress=False)
    >>> table, figure = nf.figures.fig2(found.measured)
    >>> table["quantity"].unique().tolist()
    ['success', 'size_at_success', 'power_below', 'frequency_at_power']
    """
    budget = validate.number("budget", budget)
    validate.within("budget", budget, 0.0 < budget < np.inf, "above 0")
    if len(models) not in (2, 4):
        raise ValueError(
            f"models: got {len(models)}, expected a pair, or two: baseline, neural"
        )
    pairs = [models[start : start + 2] for start in range(0, len(models), 2)]
    for name, words in (("titles", titles), ("chance", chance)):
        if isinstance(words, str) or len(words) < len(pairs):
            raise ValueError(
                f"{name}: got {words!r}, expected one for each of {len(pairs)} pairs"
            )
    table = Table("fig2", models)
    figure = new_figure(2.0 * len(pairs) + 0.2)
    axes = figure.subplots(len(pairs), 4, squeeze=False)
    for row, pair in enumerate(pairs):
        groups.check(pair, "corruption", "attack")
        letters = "abcdefgh"[4 * row :][:4]
        _corruptions(axes[row, 0], table, letters[0], pair, chance[row])
        _success(axes[row, 1], table, letters[1], pair, budget)
        _bands(axes[row, 2], table, letters[2], pair)
        _spectra(axes[row, 3], table, letters[3], pair, cmap)
        top = max(axes[row, column].get_ylim()[1] for column in (0, 2))
        for column in (0, 2):  # both are accuracies
            axes[row, column].set_ylim(0.0, top)
        for ax, letter in zip(axes[row], letters, strict=True):
            panel(ax, letter, titles[row] if ax is axes[row, 0] else "")
    _share_legend(figure)
    return table.frame(), figure


@registered("fig2", needs=("clean", "attack", "corruption"), data=("small", "imagenet"))
def _from_studies(asked: Asked) -> Drawn:
    """Draw the first two pairs; each pair is from another data set."""
    chosen = choose.pairs("fig2", asked.found)
    two = chosen.pairs[:2]
    table, figure = fig2(
        [model for pair in two for model in pair.models],
        titles=[pair.title for pair in two],
        chance=[pair.chance for pair in two],
        cmap=asked.cmap,
    )
    return Drawn(table, figure, chosen.names(2))


def _corruptions(
    ax: Axes, table: Table, letter: str, pair: Sequence[Measured], chance: float
) -> None:
    if not _have_corruptions(ax, pair):
        return
    drawn = {}
    for role, model in zip(ROLES, pair, strict=True):
        found = groups.corrupted(model)
        one = found.curve("severity")
        n = found.correct.shape[2]
        table.add_curve(letter, (model.name, role), "accuracy", one, n)
        names = [str(int(severity)) for severity in np.asarray(one.x)]
        drawn[role] = one._replace(x=names, color=COLORS[role])
    plot.plot_corruption_groups(drawn, ax)
    if np.isfinite(chance):
        ax.axhline(
            100.0 * chance, color="#777777", linestyle="--", linewidth=0.9,
            label="chance",
        )  # fmt: skip
    ax.set(xlabel="severity", ylabel="accuracy (%)")
    _fit_top(ax, drawn)


def _bands(ax: Axes, table: Table, letter: str, pair: Sequence[Measured]) -> None:
    if not _have_corruptions(ax, pair):
        return
    drawn = {}
    for role, model in zip(ROLES, pair, strict=True):
        found = groups.corrupted(model)
        one = found.curve("group")
        for band in found.by_group.to_dict("records"):
            point = Estimate(*(band[key] for key in ("accuracy", "low", "high", "n")))
            table.add(
                letter, (model.name, role), f"accuracy_{band['group']}", point, "%",
                scale=100.0,
            )  # fmt: skip
        names = [str(band).capitalize() for band in np.asarray(one.x)]
        drawn[role] = one._replace(x=names, color=COLORS[role])
    plot.plot_corruption_groups(drawn, ax)
    ax.set(xlabel="frequency of corruption", ylabel="accuracy (%)")
    _fit_top(ax, drawn)


def _success(
    ax: Axes, table: Table, letter: str, pair: Sequence[Measured], budget: float
) -> None:
    if not _have_attacks(ax, pair):
        return
    drawn = {}
    for role, model in zip(ROLES, pair, strict=True):
        row = (model.name, role)
        curve = model.attack.success_curve(np.linspace(0.0, budget, 61))
        n = model.attack.n_images
        table.add_curve(letter, row, "success", curve, n, scale_x=GRAY_LEVELS)
        for share in SHARES:
            size = model.attack.size("median", share / 100.0).estimate()
            table.add(
                letter, row, "size_at_success", size, "1/255", x=share,
                scale=GRAY_LEVELS,
            )  # fmt: skip
        add_not_found(table, letter, model, role)
        drawn[role] = curve._replace(color=COLORS[role])
    plot.plot_success_curves(drawn, ax)
    ax.set(xlabel="budget ε (1/255)", ylabel="attack success (%)")
    ax.locator_params(axis="x", nbins=6, integer=True)


def _spectra(
    ax: Axes, table: Table, letter: str, pair: Sequence[Measured], cmap: str
) -> None:
    if not _have_attacks(ax, pair):
        return
    drawn = {}
    for role, model in zip(ROLES, pair, strict=True):
        row = (model.name, role)
        curve = groups.radial_profile([model]).curve()
        n = groups.n_found([model])
        table.add_curve(letter, row, "power_below", curve, n)
        for share in SHARES[:3]:
            at = groups.attack(model).half_power(share / 100.0).estimate()
            at = groups.over_found(at, [model])
            unit = "cycles/pixel"
            table.add(letter, row, "frequency_at_power", at, unit, x=share)
        drawn[role] = curve._replace(color=COLORS[role])
    plot.plot_radial_profiles(drawn, ax)
    ax.set_xlabel("|f| (cycles/pixel)")  # the panel is narrow
    # There is room above the left curve and below the right curve.
    places = ((0.03, 0.62, 0.36, 0.36), (0.65, 0.05, 0.36, 0.36))
    models = dict(zip(ROLES, pair, strict=True))
    from_left = sorted(models, key=lambda role: drawn[role].mark)
    for role, place in zip(from_left, places, strict=True):
        inset = ax.inset_axes(place)
        power_map(inset, models[role], cmap)
        inset.set(xticks=[], yticks=[], xlabel="", ylabel="")
        inset.spines[:].set(color=COLORS[role], linewidth=1.4)


def _share_legend(figure: Figure) -> None:
    """Put one legend above all panels, because all panels use the same colors."""
    handles: dict[str, Artist] = {}
    for ax in figure.axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
        if legend := ax.get_legend():
            legend.remove()
    order = [name for name in (*ROLES, "chance") if name in handles]
    figure.legend(
        handles=[handles[name] for name in order],
        labels=[title(name) for name in order], loc="outside upper right",
        ncols=len(order), frameon=False, fontsize=8,
    )  # fmt: skip


def _have_corruptions(ax: Axes, pair: Sequence[Measured]) -> bool:
    found = groups.have(pair, "corruption")
    if found and not groups.have(pair, "clean"):
        names = ", ".join(model.name for model in pair)
        raise NotMeasuredError(f"models: {names} have corruptions but no clean")
    if not found:
        blank(ax, "no corruptions measured")
    return found


def _have_attacks(ax: Axes, pair: Sequence[Measured]) -> bool:
    found = groups.have(pair, "attack")
    if not found:
        blank(ax, "no attack measured")
    return found


def _fit_top(ax: Axes, drawn: dict[str, Curve]) -> None:
    """End the axis above the highest bar, because accuracies may be far below 100 %."""
    highest = max(
        100.0 * float(np.max(np.asarray(curve.high))) for curve in drawn.values()
    )
    ax.set_ylim(0.0, min(101.0, 1.12 * highest))
