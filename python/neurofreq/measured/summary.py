"""The summary numbers of a model: how each is computed and shown."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq.corruptions import grouping
from neurofreq.measured import quantities
from neurofreq.measured.kinds import CORRUPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from neurofreq.intervals import Estimate
    from neurofreq.measured.quantities import Quantity
    from neurofreq.measured.record import Measured


@dataclasses.dataclass(frozen=True)
class Column:
    """A number of the summary: how it is computed and shown.

    `key` is the name of the column in summary.csv; the bounds are in `key_low` and
    `key_high`. `factor` converts from the unit of the CSV to the unit of the page.
    `build` takes a model and a mask of attacked images (or None), and returns the
    quantity, or None if it was not measured. A summary has the column only if some
    model has the measurement `only`.
    """

    key: str
    title: str
    unit: str
    factor: float
    decimals: int
    build: Callable[[Measured, NDArray[np.bool_] | None], Quantity | None]
    only: str = ""


def columns(corruptions: Sequence[str]) -> list[Column]:
    """Return the columns of the summary in their order.

    Corrupted accuracy is the mean over the paper's corruptions in `corruptions`.
    """
    wanted = grouping.averaged(corruptions)

    def corrupted(model: Measured, _: Any) -> Quantity | None:
        if not wanted or not model.has(*(CORRUPTION + name for name in wanted)):
            return None
        return quantities.accuracy(model.corrupted(wanted).correct)

    return [
        Column("clean_accuracy", "clean accuracy", "%", 100.0, 1, _clean),
        Column("f_rev", "reversal frequency f_rev", "of Nyquist", 1.0, 3, _reversal),
        Column("f_half", "half-power frequency f_0.5", "cycles/pixel", 1.0, 3, _half),
        Column("median_linf", "median perturbation", "1/255", 255.0, 2, _median),
        Column("corruption_accuracy", "corrupted accuracy", "%", 100.0, 1, corrupted),
        *_OTHERS,
    ]


def columns_of(models: Sequence[Measured], corruptions: Sequence[str]) -> list[Column]:
    """Return the columns of a summary of these models."""
    return [
        one
        for one in columns(corruptions)
        if not one.only or any(model.has(one.only) for model in models)
    ]


def numbers(model: Measured) -> list[tuple[Column, Estimate]]:
    """Return the summary numbers that a model has, in the unit of the CSV."""
    found = ((one, one.build(model, None)) for one in columns(model.corruptions))
    return [(one, built.estimate()) for one, built in found if built is not None]


def text(column: Column, one: Estimate) -> str:
    """Return a number with its interval, in the unit of the page."""
    value, low, high = (
        f"{column.factor * end:.{column.decimals}f}"
        for end in (one.value, one.low, one.high)
    )
    return f"{value} [{low}, {high}] {column.unit}"


def found_by_both(first: Measured, second: Measured) -> NDArray[np.bool_] | None:
    """Return which attacked images have a perturbation in both models."""
    if not first.has("attack") or not second.has("attack"):
        return None
    return first.attack.success & second.attack.success


def _half_accuracy(name: str) -> Callable[[Measured, Any], Quantity | None]:
    def build(model: Measured, _: Any) -> Quantity | None:
        return model.filters.half(name) if model.has("filters") else None

    return build


def _center(model: Measured, _: Any) -> Quantity | None:
    return model.bands.center() if model.has("bands") else None


def _bandwidth(model: Measured, _: Any) -> Quantity | None:
    return model.bands.bandwidth() if model.has("bands") else None


_CUTOFF = "cycles/pixel"
_OTHERS = (
    Column(
        "low_pass_half", "low-pass cut-off at half accuracy", _CUTOFF, 1.0, 3,
        _half_accuracy("low-pass"), "filters",
    ),
    Column(
        "high_pass_half", "high-pass cut-off at half accuracy", _CUTOFF, 1.0, 3,
        _half_accuracy("high-pass"), "filters",
    ),
    Column(
        "phase_noise_half", "phase noise at half accuracy", "degrees", 1.0, 1,
        _half_accuracy("phase-noise"), "filters",
    ),
    Column(
        "channel_center", "center of the channel", _CUTOFF, 1.0, 3, _center, "bands"
    ),
    Column(
        "channel_bandwidth", "width of the channel", "octaves", 1.0, 2, _bandwidth,
        "bands",
    ),
)  # fmt: skip
"""Numbers of the measurements that only some reports have."""


def _clean(model: Measured, _: Any) -> Quantity | None:
    return model.clean.accuracy() if model.has("clean") else None


def _reversal(model: Measured, _: Any) -> Quantity | None:
    return model.hybrid.reversal() if model.has("hybrid") else None


def _half(model: Measured, found: NDArray[np.bool_] | None) -> Quantity | None:
    if not model.has("attack"):
        return None
    among = model.attack.success if found is None else found
    return model.attack.half_power(among=among) if among.any() else None


def _median(model: Measured, _: Any) -> Quantity | None:
    return model.attack.size("median") if model.has("attack") else None
