"""The settings that decide the numbers of a study, checked before any work."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import attacks
from neurofreq._shared.inputs import validate
from neurofreq.corruptions import CORRUPTIONS, grouping
from neurofreq.frequency import FREQUENCIES, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from neurofreq.data import ImageSet

USUAL = ("clean", "hybrid", "attack", "corruption")
"""The measurements of a study or report that names none."""
MEASUREMENTS = (*USUAL, "filters", "bands", "sensitivity")
# Images attacked by default.
N_ATTACK = 200
# The settings that decide each measurement. A change of other settings keeps the items.
_DECIDING = {
    "clean": (),
    "hybrid": ("n_hybrid", "frequencies", "seeds"),
    "attack": ("attack", "targeted", "seed", "n_thresholds"),
    "corruption": ("n_corruption", "seed"),
    "filters": ("n_filtered", "filter_kind", "seed"),
    "bands": ("n_filtered", "contrast", "criterion", "seed"),
    "sensitivity": ("n_filtered", "norm", "per_octave", "seed"),
}
_INTEGERS = (
    "n_attack", "attack_steps", "n_hybrid", "n_corruption", "n_filtered",
    "n_thresholds", "per_octave", "seed",
)  # fmt: skip
_NUMBERS = ("contrast", "criterion", "norm")
# More images or attack steps than this mean that the file is damaged.
_MOST = 10_000_000
# These settings decide which items a measurement has, but not the numbers of an item.
_EXTENT = {"attack": ("n_attack",), "corruption": ("corruptions",)}


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings that decide the numbers; see ``neurofreq.studies.Study``."""

    n_attack: int = 0
    attack_steps: int = 300
    targeted: bool = True
    n_hybrid: int = 0
    n_corruption: int = 0
    frequencies: tuple[float, ...] = FREQUENCIES
    n_thresholds: int = 25
    seeds: tuple[int, ...] = tuple(range(6))
    seed: int = 0
    gray: str = "auto"
    fold: bool = False
    corruptions: tuple[str, ...] = grouping.averaged(CORRUPTIONS)
    n_filtered: int = 0
    filter_kind: str = "gaussian"
    contrast: float = 0.2
    criterion: float = 0.5
    norm: float = 4.0
    per_octave: int = 256

    @property
    def attack(self) -> attacks.BrendelBethge:
        """The attack that finds minimal perturbations."""
        if self.targeted:  # the same walk as in 0.1, so what was kept then still counts
            plain = attacks.BrendelBethge.v0_1("linf")
            return dataclasses.replace(plain, steps=self.attack_steps)
        return attacks.BrendelBethge(norm="linf", steps=self.attack_steps)

    def deciding(self, measurement: str) -> dict[str, Any]:
        """Return the settings that decide this measurement, as JSON values."""
        values = dataclasses.asdict(self)
        values["attack"] = dataclasses.asdict(self.attack)
        for name in ("survey", "descent"):  # not in 0.1, where there was none of them
            if values["attack"][name] == 0:
                del values["attack"][name]
        return {name: values[name] for name in _DECIDING[measurement]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Settings:
        """Return the settings from the JSON of ``dataclasses.asdict``.

        Raises TypeError or ValueError if a value is unknown, has another type, or is
        too large for a study, so that a damaged file cannot start an endless loop.
        """
        changed: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        found = cls(**changed)
        for name, default in dataclasses.asdict(cls()).items():
            _check_kept(name, getattr(found, name), default)
        _check_numbers(found)
        return found


def _check_kept(name: str, value: Any, default: Any) -> None:
    """Require that a stored value has the type of the default and a plausible size."""
    if isinstance(default, tuple):
        if not isinstance(value, tuple) or len(value) > _MOST:
            raise TypeError(f"{name}: got {value!r:.80}, expected a list")
        for one in value:
            _check_kept(name, one, default[0])
        return
    kinds = (int, float) if isinstance(default, float) else (type(default),)
    if type(value) not in kinds:
        raise TypeError(f"{name}: got {value!r:.80}, expected {kinds[-1].__name__}")
    is_seed = name in ("seed", "seeds")
    if type(value) is int and not 0 <= value < (2**64 if is_seed else _MOST + 1):
        raise ValueError(f"{name}: got {value}, expected 0 to {_MOST}")


def agreeing(measurement: str) -> tuple[str, ...]:
    """Return the settings that two studies must share to compare a measurement."""
    names = (*_DECIDING[measurement], *_EXTENT.get(measurement, ()))
    return tuple("attack_steps" if name == "attack" else name for name in names)


def differences(
    ours: Settings, theirs: Settings, measurements: Iterable[str]
) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two studies differ, although they should agree.

    The values are pairs (ours, theirs).
    """
    names = dict.fromkeys(name for one in measurements for name in agreeing(one))
    values = {name: (getattr(ours, name), getattr(theirs, name)) for name in names}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def make_settings(
    data: ImageSet,
    *,
    n_attack: int | None = None,
    n_hybrid: int | None = None,
    n_corruption: int | None = None,
    n_filtered: int | None = None,
    frequencies: Sequence[float] = FREQUENCIES,
    seeds: Iterable[int] = range(6),
    corruptions: Sequence[str] | None = None,
    **others: Any,
) -> Settings:
    """Return the checked settings of a study with these data.

    Raises TypeError or ValueError if a setting has another type or is out of range.
    """
    n_images = len(validate.images(np.asarray(data.images), unit_range=True))
    validate.labels(data.labels, count=n_images)
    settings = Settings(
        n_attack=min(N_ATTACK, n_images) if n_attack is None else n_attack,
        n_hybrid=n_images if n_hybrid is None else n_hybrid,
        n_corruption=n_images if n_corruption is None else n_corruption,
        n_filtered=n_images if n_filtered is None else n_filtered,
        frequencies=_frequencies(frequencies),
        seeds=validate.seeds(seeds),
        corruptions=grouping.chosen(corruptions, CORRUPTIONS),
        **others,
    )
    for name in ("n_attack", "n_hybrid", "n_corruption", "n_filtered"):
        value = validate.count(name, getattr(settings, name), 0)
        if not 1 <= value <= n_images:
            raise ValueError(
                f"{name}: got {value}, expected 1 to {n_images}, the number of images"
            )
    _check_numbers(settings)
    # NumPy's integers are accepted too, but JSON cannot store them.
    plain: dict[str, Any] = {name: int(getattr(settings, name)) for name in _INTEGERS}
    plain |= {name: float(getattr(settings, name)) for name in _NUMBERS}
    return dataclasses.replace(settings, **plain)


def _frequencies(values: Sequence[float]) -> tuple[float, ...]:
    found = tuple(float(value) for value in values)
    is_rising = bool((np.diff(found) > 0.0).all())
    if len(found) < 2 or not (np.isfinite(found).all() and is_rising and found[0] >= 0):
        raise ValueError(
            f"frequencies: got {list(found)}, expected two or more, from 0 up, "
            "increasing and finite"
        )
    return found


def _check_numbers(settings: Settings) -> None:
    """Check the values that do not depend on the data."""
    for name, least in (("attack_steps", 1), ("n_thresholds", 2), ("per_octave", 1)):
        validate.count(name, getattr(settings, name), least)
    if len(set(settings.seeds)) < len(settings.seeds):
        raise ValueError(f"seeds: got {list(settings.seeds)}, expected each once")
    validate.seed(settings.seed)
    validate.one_of("gray", settings.gray, ("auto", "always", "never"))
    validate.one_of("filter_kind", settings.filter_kind, KINDS)
    for name, most in (("contrast", 1.0), ("criterion", 0.999), ("norm", 1e6)):
        value = validate.number(name, getattr(settings, name))
        validate.within(name, value, 0.0 < value <= most, f"above 0, up to {most:g}")
