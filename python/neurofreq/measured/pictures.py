"""Draw one measurement of several models on one Axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neurofreq import plot
from neurofreq._shared.escapes import literal
from neurofreq._shared.inputs import validate
from neurofreq.frequency import HUMAN_CHANNEL
from neurofreq.measured import quantities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from neurofreq.measured.record import Measured

DRAWN = (
    "hybrid", "attack", "corruption", "filters", "bands", "sensitivity", "clean"
)  # fmt: skip


def draw(
    models: Sequence[Measured],
    ax: Axes | None = None,
    measurement: str | None = None,
    **kw: Any,
) -> Axes:
    """Draw the models that have a measurement; by default the first of `DRAWN`.

    Raises ValueError if no model has the measurement.
    """
    if measurement is not None:
        validate.one_of("measurement", measurement, DRAWN)
    for kind in DRAWN if measurement is None else (measurement,):
        having = [one for one in models if _has(one, kind)]
        if having:
            return _one(kind, having, ax, **kw)
    wanted = measurement or "any of " + ", ".join(DRAWN)
    raise ValueError(f"measurement: got no model with {wanted}, expected at least one")


def is_drawable(models: Sequence[Measured]) -> bool:
    """Return whether any model has a measurement that can be drawn."""
    return any(_has(one, kind) for one in models for kind in DRAWN)


def _has(model: Measured, kind: str) -> bool:
    return bool(model.corruptions) if kind == "corruption" else model.has(kind)


def _one(kind: str, models: list[Measured], ax: Axes | None, **kw: Any) -> Axes:
    if kind == "hybrid":
        curves = {one.title: one.hybrid.curve() for one in models}
        return plot.plot_hybrid_curves(curves, ax, **kw)
    if kind == "attack":
        budgets = quantities.budgets([one.attack.distance for one in models])
        curves = {one.title: one.attack.success_curve(budgets) for one in models}
        return plot.plot_success_curves(curves, ax, **kw)
    if kind == "corruption":
        names = [
            name for name in models[0].corruptions
            if all(name in one.corruptions for one in models)
        ]  # fmt: skip
        if not names:
            raise ValueError("measurement: got models without a common corruption")
        found = {one.title: one.corrupted(names) for one in models}
        curves = {name: one.curve("severity") for name, one in found.items()}
        return plot.plot_corruption_severity(curves, ax, **kw)
    if kind == "filters":
        name = str(kw.pop("filter", models[0].filters.names[0]))
        curves = {one.title: one.filters.curve(name) for one in models}
        return plot.plot_filtered_accuracy(curves, ax, filter=name, **kw)
    if kind == "bands":
        curves = {one.title: one.bands.curve() for one in models}
        human = {"human": HUMAN_CHANNEL[:2]} | kw
        return plot.plot_channels(curves, ax, **human)
    if kind == "sensitivity":  # a map has room for one model
        ax = plot.plot_sensitivity(models[0].sensitivity, ax, **kw)
        ax.set_title(literal(models[0].title), fontsize=10)
        return ax
    curves = {one.title: one.clean.curve() for one in models}
    ax = plot.plot_corruption_groups(curves, ax, **kw)
    ax.set_xlabel("")
    return ax
