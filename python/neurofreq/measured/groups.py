"""Compute quantities of groups of models, and check that they were measured alike.

If no model has the measurement of a panel, the panel is left blank with a note. If
only some models have it, that is an error: a mean over the finished models would
look like the mean of the group.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from neurofreq.corruptions import CORRUPTIONS, grouping
from neurofreq.measured import quantities
from neurofreq.measured.quantities import Quantity
from neurofreq.measured.record import CORRUPTION, NotMeasuredError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neurofreq.corruptions import CorruptionAccuracy
    from neurofreq.intervals import Estimate
    from neurofreq.measured.kinds import Attack
    from neurofreq.measured.quantities import Floats, Profile
    from neurofreq.measured.record import Measured

FIFTEEN = grouping.averaged(CORRUPTIONS)  # the paper's corruptions
_PARTS = {"corruption": tuple(CORRUPTION + name for name in FIFTEEN)}


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


def has(model: Measured, *measurements: str) -> bool:
    """Return whether a model has these measurements, corruption with all fifteen."""
    return all(model.has(*_keys(one)) for one in measurements)


def have(models: Sequence[Measured], measurement: str) -> bool:
    """Return whether all models have a measurement (True) or none has (False).

    Raises NotMeasuredError if only some models have it, or if a model has only a part
    of the measurement.
    """
    needed = _keys(measurement)
    missing = {m.name: [key for key in needed if not m.has(key)] for m in models}
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


def attack(model: Measured) -> Attack:
    """Return a model's attack; raise NotMeasuredError if it found no perturbation."""
    if not np.isfinite(model.attack.distance).any():
        raise NotMeasuredError(f"models: no perturbation was found for {model.name}")
    return model.attack


def corrupted(model: Measured) -> CorruptionAccuracy:
    """Return the accuracy in all 75 cells, and on the clean versions of the images."""
    return model.corrupted(FIFTEEN)


def corruption_accuracy(model: Measured) -> Quantity:
    """Return the mean accuracy over all 75 cells (corruption and severity)."""
    return quantities.accuracy(corrupted(model).correct)


def n_found(models: Sequence[Measured]) -> int:
    """Return the number of images on which the attack of some model succeeded."""
    found = [np.isfinite(one.attack.distance) for one in models]
    return int(np.any(found, axis=0).sum())


def over_found(one: Estimate, models: Sequence[Measured]) -> Estimate:
    """Return the estimate with `n_found` as its number of images."""
    return dataclasses.replace(one, n=n_found(models))


def radial_profile(models: Sequence[Measured]) -> Profile:
    """Return the mean of the models' radial profiles."""
    return _together(models, "attack", [attack(one).profile() for one in models])


def hybrid_profile(models: Sequence[Measured]) -> Profile:
    """Return the mean of the models' hybrid profiles (p_low - p_high)."""
    return _together(models, "hybrid", [one.hybrid.profile for one in models])


def mean_accuracy(models: Sequence[Measured]) -> Quantity:
    """Return the mean of `corruption_accuracy` over models of the same images."""
    return mean(models, [corruption_accuracy(model) for model in models])


def mean(models: Sequence[Measured], members: Sequence[Quantity]) -> Quantity:
    """Return the mean of one quantity over several models of the same images."""
    _same_images(models, [one.values for one in members])
    ends = np.cumsum([one.values.shape[1] for one in members])[:-1]

    def statistic(means: Floats) -> Floats:
        parts = zip(members, np.split(means, ends, axis=1), strict=True)
        average: Floats = np.mean([one.statistic(part) for one, part in parts], axis=0)
        return average

    return Quantity(np.concatenate([one.values for one in members], axis=1), statistic)


def _together(
    models: Sequence[Measured], measurement: str, profiles: Sequence[Profile]
) -> Profile:
    """Return the mean profile of models with the same frequencies and images."""
    first = profiles[0]
    for model, one in zip(models, profiles, strict=True):
        if not np.array_equal(one.x, first.x):
            raise NotMeasuredError(
                f"models: got other frequencies of {model.name} than of "
                f"{models[0].name} ({measurement}), expected the same within a group"
            )
    values = [part for one in profiles for part in one.values]
    _same_images(models, values)
    return dataclasses.replace(first, values=values)


def _same_images(models: Sequence[Measured], values: Sequence[Floats]) -> None:
    """Require the same number of images from each model."""
    for model, one in zip(models, values, strict=True):
        if len(one) != len(values[0]):
            raise NotMeasuredError(
                f"models: got {len(one)} images of {model.name} and {len(values[0])} "
                f"of {models[0].name}, expected one number within a group"
            )


def _keys(measurement: str) -> tuple[str, ...]:
    """Return the keys of the results of a measurement."""
    return _PARTS.get(measurement, (measurement,))
