"""Compute the quantities of measured models and groups, and check that they exist.

If no model has the measurement of a panel, the panel is left blank with a note. If
only some models have it, that is an error: a mean over the finished models would
look like the mean of the group.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import _neurofreq
from neurofreq.corruptions import CORRUPTIONS, grouping
from neurofreq.corruptions.folder import SEVERITIES
from neurofreq.corruptions.result import CorruptionAccuracy
from neurofreq.measured import analysis
from neurofreq.measured.analysis import Quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from neurofreq.intervals import Estimate
    from neurofreq.plot import Curve
    from neurofreq.studies import Measured

    Arrays = dict[str, NDArray[Any]]
    Floats = NDArray[np.float64]

GRAY_LEVELS = 255.0
_CORRUPTED = grouping.averaged(CORRUPTIONS)
# The array of each measurement that is averaged into a curve, (images, x values).
_CURVES = {"attack": "radial", "hybrid": "difference"}
_NEEDED = {
    "clean": ("clean",),
    "hybrid": ("hybrid",),
    "attack": ("attack",),
    "corruption": tuple(f"corruption/{name}" for name in _CORRUPTED),
}


class NotMeasuredError(ValueError):
    """The models lack a measurement of the figure, or were not measured alike."""


def check(models: Sequence[Measured], *measurements: str) -> None:
    """Check the models of a figure before anything is computed.

    Raises ValueError if there is no model or a name occurs twice, and NotMeasuredError
    if the models have none of the figure's measurements.
    """
    names = [model.name for model in models]
    if not names:
        raise ValueError("models: got none, expected at least one")
    for model in models:
        if names.count(model.name) > 1:
            raise ValueError(f"models: got {model.name!r} twice, expected it once")
    if not any([have(models, one) for one in measurements]):
        raise NotMeasuredError(
            f"models: got no {' or '.join(measurements)} of {', '.join(names)}, "
            "expected at least one of these measurements"
        )


def has(model: Measured, measurement: str) -> bool:
    """Return whether a model has all of a measurement: all corruptions, for example."""
    return all(key in model.arrays for key in _NEEDED[measurement])


def have(models: Sequence[Measured], measurement: str) -> bool:
    """Return whether all models have a measurement (True) or none has (False).

    Raises NotMeasuredError if only some models have it, or a model has a part of it.
    """
    needed = _NEEDED[measurement]
    missing = {m.name: [key for key in needed if key not in m.arrays] for m in models}
    if all(len(keys) == len(needed) for keys in missing.values()):
        return False
    for name, keys in missing.items():
        if keys:
            others = [one for one in missing if one != name and not missing[one]]
            reason = f", which {others[0]} has" if others else ""
            raise NotMeasuredError(
                f"models: {name} has no {', '.join(keys)}{reason}; measure it, or "
                f"leave {measurement} out for all"
            )
    return True


def size(model: Measured, statistic: str = "mean") -> Quantity:
    """Return the mean or median minimal perturbation, in pixel units of [0, 1].

    The mean is over the images for which a perturbation was found. The median is over
    all images; an image without a perturbation counts as infinitely large.
    """
    distance = _found(model)["distance"]
    measure = {"mean": analysis.mean_size, "median": analysis.median_size}
    return measure[statistic](distance)


def n_found(models: Sequence[Measured]) -> int:
    """Return the number of images on which the attack of some model succeeded."""
    found = [np.isfinite(one.arrays["attack"]["distance"]) for one in models]
    return int(np.any(found, axis=0).sum())


def over_found(one: Estimate, models: Sequence[Measured]) -> Estimate:
    """Return the estimate with `n_found` as its number of images."""
    return dataclasses.replace(one, n=n_found(models))


def half_power(model: Measured, share: float = 0.5) -> Quantity:
    """Return the frequency below which a share of the power lies, in cycles/pixel."""
    return analysis.half_power(_found(model), share)


def reversal(model: Measured) -> Quantity:
    """Return the mixing frequency where p_low = p_high, in units of Nyquist."""
    return mean_reversal([model])


def mean_reversal(models: Sequence[Measured]) -> Quantity:
    """Return the mixing frequency where the models' mean p_low - p_high is 0."""
    return _crossing(*_averaged(models, "hybrid", _as_they_are), 0.0)


def corrupted(model: Measured) -> CorruptionAccuracy:
    """Return the accuracy in all 75 cells, and on the same images when clean."""
    cells = [model.arrays[key]["correct"] for key in _NEEDED["corruption"]]
    correct = np.stack(cells)
    clean = model.arrays.get("clean", {}).get("correct")
    if clean is not None:
        clean = clean[: correct.shape[-1]]
    return CorruptionAccuracy(_CORRUPTED, SEVERITIES, correct, clean)


def corruption_accuracy(model: Measured) -> Quantity:
    """Return the mean accuracy over all 75 cells (corruption and severity)."""
    return analysis.accuracy(corrupted(model).correct)


def mean_accuracy(models: Sequence[Measured]) -> Quantity:
    """Return the mean of `corruption_accuracy` over models of the same images."""
    each = [corruption_accuracy(model) for model in models]
    return mean(each, [model.name for model in models])


def radial_curve(models: Sequence[Measured]) -> Curve:
    """Return the mean of the models' radial profiles, with the half-power mark."""
    for model in models:
        _found(model)
    return _mean_curve(models, "attack", analysis.normalised, 0.5)


def hybrid_curve(models: Sequence[Measured]) -> Curve:
    """Return the mean of the models' p_low - p_high, with the reversal mark."""
    return _mean_curve(models, "hybrid", _as_they_are, 0.0)


def mean(members: Sequence[Quantity], names: Sequence[str]) -> Quantity:
    """Return the mean of one quantity over several models of the same images.

    `names` are the names of the models for the error message.
    """
    values = _beside([one.values for one in members], names)
    ends = np.cumsum([one.values.shape[1] for one in members])[:-1]

    def statistic(means: Floats) -> Floats:
        parts = zip(members, np.split(means, ends, axis=1), strict=True)
        return np.mean([one.statistic(part) for one, part in parts], axis=0)

    return Quantity(values, statistic)


def _mean_curve(
    models: Sequence[Measured], measurement: str, transform: Any, level: float
) -> Curve:
    x, values, averaged = _averaged(models, measurement, transform)
    mark = _crossing(x, values, averaged, level).estimate()
    curve = analysis.pointwise(x, values, averaged)
    return curve._replace(mark=mark.value, mark_interval=(mark.low, mark.high))


def _crossing(x: Floats, values: Floats, averaged: Any, level: float) -> Quantity:
    return Quantity(values, lambda m: _neurofreq.crossing(x, averaged(m), level))


def _averaged(
    models: Sequence[Measured], measurement: str, transform: Any
) -> tuple[Floats, Floats, Any]:
    """Return x, the values per image, and a function for the mean over the models."""
    items = [model.arrays[measurement] for model in models]
    names = [model.name for model in models]
    x = items[0]["frequency"]
    for name, item in zip(names, items, strict=True):
        if not np.array_equal(item["frequency"], x):
            raise NotMeasuredError(
                f"models: got other frequencies of {name} than of {names[0]} "
                f"({measurement}), expected the same within a group"
            )
    values = _beside([item[_CURVES[measurement]] for item in items], names)

    def averaged(means: Floats) -> Floats:
        parts = np.split(means, len(items), axis=1)
        return np.mean([transform(part) for part in parts], axis=0)

    return x, values, averaged


def _as_they_are(means: Floats) -> Floats:
    return means


def _beside(values: Sequence[Floats], names: Sequence[str]) -> Floats:
    """Join columns over the same images."""
    for name, one in zip(names, values, strict=True):
        if len(one) != len(values[0]):
            raise NotMeasuredError(
                f"models: got {len(one)} images of {name} and {len(values[0])} of "
                f"{names[0]}, expected one number within a group"
            )
    return np.concatenate(values, axis=1)


def _found(model: Measured) -> Arrays:
    """Return the arrays of the attack; raise if it found no perturbation."""
    item: Arrays = model.arrays["attack"]
    if not np.isfinite(item["distance"]).any():
        raise NotMeasuredError(f"models: no perturbation was found for {model.name}")
    return item
