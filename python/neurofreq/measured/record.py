"""The measurements of one model: typed raw values per image."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from neurofreq.corruptions.folder import SEVERITIES
from neurofreq.corruptions.result import CorruptionAccuracy
from neurofreq.measured import quantities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from neurofreq._shared.files.storage import Arrays
    from neurofreq.measured.quantities import Floats, Profile, Quantity
    from neurofreq.plot import Curve

CORRUPTION = "corruption/"  # the key of a Corrupted result begins with this


class NotMeasuredError(ValueError):
    """A model lacks a measurement, or models were not measured alike.

    Examples
    --------
    >>> from neurofreq.measured import Measured, NotMeasuredError
    >>> try:
    ...     Measured("mine", "base", {}).attack
    ... except NotMeasuredError as error:
    ...     print(error)
    models: got mine without attack, expected it measured
    """


@dataclasses.dataclass(frozen=True, eq=False)
class Clean:
    """Whether clean images are classified correctly.

    Attributes
    ----------
    correct : ndarray of bool, shape (N,)

    Examples
    --------
    >>> import numpy as np
    >>> from neurofreq.measured import Clean
    >>> clean = Clean(np.array([True, True, False, True]))
    >>> clean.accuracy().estimate().value
    0.75
    """

    correct: NDArray[np.bool_]

    def accuracy(self) -> Quantity:
        """Return the fraction of images that are classified correctly."""
        return quantities.accuracy(self.correct)


@dataclasses.dataclass(frozen=True, eq=False)
class Hybrid:
    """Which of the two images of each hybrid a model predicts.

    Attributes
    ----------
    frequency : ndarray of float64, shape (F,)
        Mixing frequencies, in units of Nyquist.
    difference : ndarray of float64, shape (N, F)
        p_low - p_high of each low image, mean over pairings.
    p_low, p_high : ndarray of float64, shape (F,)
        Means over images.

    Examples
    --------
    >>> import numpy as np
    >>> from neurofreq.measured import Hybrid
    >>> difference = np.array([[-1.0, 0.0, 1.0], [-1.0, 0.5, 1.0]])
    >>> p_low = (1 + difference.mean(axis=0)) / 2
    >>> hybrid = Hybrid(np.array([0.0, 0.5, 1.0]), difference, p_low, 1 - p_low)
    >>> round(hybrid.reversal().estimate().value, 2)
    0.4
    """

    frequency: Floats
    difference: Floats
    p_low: Floats
    p_high: Floats

    @property
    def n_images(self) -> int:
        """The number of low images."""
        return len(self.difference)

    @property
    def profile(self) -> Profile:
        """p_low - p_high against mixing frequency; it crosses 0 at f_rev."""
        return quantities.hybrid_profile(self.frequency, self.difference)

    def reversal(self) -> Quantity:
        """Return f_rev: the frequency where p_low = p_high, in units of Nyquist."""
        return self.profile.crossing()

    def curve(self) -> Curve:
        """Return p_low - p_high against mixing frequency, with f_rev as its mark."""
        return self.profile.curve()


@dataclasses.dataclass(frozen=True, eq=False)
class Attack:
    """The minimal perturbations of the attacked images.

    Attributes
    ----------
    distance : ndarray of float64, shape (n,)
        Linf size in pixel units of [0, 1]; infinite if no perturbation was found.
    success : ndarray of bool, shape (n,)
    status : ndarray of str, shape (n,)
        As in `attacks.AttackResult`.
    n_queries : ndarray of int64, shape (n,)
    targets : ndarray of int64, shape (n,)
        Target labels; -1 if the attack is untargeted.
    power : ndarray of float64, shape (H, W)
        Power spectrum of the perturbations, mean over images.
    radial : ndarray of float64, shape (n, T)
        Cumulative power of each perturbation below each frequency; 0 if no
        perturbation was found.
    frequency : ndarray of float64, shape (T,)
        In cycles/pixel.
    adversarial : ndarray of float, shape (m, C, H, W)
        The adversarial versions of the first attacked images.

    Examples
    --------
    >>> import numpy as np
    >>> from neurofreq.measured import Attack
    >>> attack = Attack(
    ...     distance=np.array([0.01, 0.03, np.inf]),
    ...     success=np.array([True, True, False]),
    ...     status=np.array(["completed", "completed", "no_start"]),
    ...     n_queries=np.array([50, 60, 20]),
    ...     targets=np.array([-1, -1, -1]),
    ...     power=np.ones((8, 8)),
    ...     radial=np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 2.0], [0.0, 0.0, 0.0]]),
    ...     frequency=np.array([0.0, 0.25, 0.5]),
    ...     adversarial=np.zeros((3, 1, 8, 8)),
    ... )
    >>> attack.size("median").estimate().value
    0.03
    >>> round(attack.half_power().estimate().value, 3)
    0.167
    """

    distance: Floats
    success: NDArray[np.bool_]
    status: NDArray[np.str_]
    n_queries: NDArray[np.int64]
    targets: NDArray[np.int64]
    power: Floats
    radial: Floats
    frequency: Floats
    adversarial: NDArray[Any]

    @property
    def n_images(self) -> int:
        """The number of attacked images."""
        return len(self.distance)

    @property
    def has_power(self) -> bool:
        """Whether any image has a perturbation with power."""
        return bool(self.radial.any())

    def profile(self, among: NDArray[np.bool_] | None = None) -> Profile:
        """Return cumulative power against frequency, which crosses 0.5 at f_0.5.

        `among` is a mask of images (n,), by default all. Images without a perturbation
        have zero power.
        """
        radial = self.radial if among is None else self.radial[among]
        return quantities.radial_profile(self.frequency, radial)

    def half_power(
        self, share: float = 0.5, among: NDArray[np.bool_] | None = None
    ) -> Quantity:
        """Return the frequency (cycles/pixel) below which a share of the power lies."""
        return self.profile(among).crossing(share)

    def radial_curve(self, among: NDArray[np.bool_] | None = None) -> Curve:
        """Return cumulative power against frequency, with f_0.5 as its mark."""
        return self.profile(among).curve()

    def success_curve(self, epsilons: Floats) -> Curve:
        """Return the fraction of images changed within each budget."""
        return quantities.success_curve(self.distance, epsilons)

    @property
    def is_targeted(self) -> bool:
        """Whether the attack was towards target labels."""
        return bool((self.targets >= 0).any())

    def robust_accuracy(self, epsilons: Floats) -> Curve:
        """Return the accuracy under the attack within each budget.

        Raises ValueError for a targeted attack, which leaves other classes out.
        """
        if self.is_targeted:
            raise ValueError("attack: got a targeted one, expected an untargeted one")
        return quantities.robust_accuracy(self.distance, epsilons)

    def size(
        self, statistic: Literal["mean", "median"] = "median", share: float = 0.5
    ) -> Quantity:
        """Return the mean or median size of the perturbations, in units of [0, 1].

        The mean is over the images for which a perturbation was found. The median (or
        the quantile `share`) is over all images; an image without a perturbation counts
        as infinitely large.
        """
        if statistic == "mean":
            return quantities.mean_size(self.distance)
        return quantities.median_size(self.distance, share)


@dataclasses.dataclass(frozen=True, eq=False)
class Corrupted:
    """Whether images under one corruption are classified correctly.

    Attributes
    ----------
    correct : ndarray of bool, shape (5, N)
        Per severity.

    Examples
    --------
    >>> import numpy as np
    >>> from neurofreq.measured import Corrupted, Measured
    >>> fog = Corrupted(np.array([[True, True]] * 3 + [[True, False]] * 2))
    >>> model = Measured("mine", "base", {"corruption/fog": fog})
    >>> model.corrupted(["fog"]).mean.value
    0.8
    """

    correct: NDArray[np.bool_]

    def accuracy(self, name: str) -> CorruptionAccuracy:
        """Return the accuracy at each severity of the corruption with this name."""
        return CorruptionAccuracy((name,), SEVERITIES, self.correct[None])


Result = Clean | Hybrid | Attack | Corrupted
R = TypeVar("R", Clean, Hybrid, Attack, Corrupted)
_KINDS: dict[str, type[Result]] = {
    "clean": Clean,
    "hybrid": Hybrid,
    "attack": Attack,
    "corruption": Corrupted,
}


def from_arrays(key: str, arrays: Arrays) -> Result:
    """Return the result that was stored as these arrays; other arrays are ignored.

    Raises ValueError if an array is missing.
    """
    kind = _KINDS[key.partition("/")[0]]
    names = [field.name for field in dataclasses.fields(kind)]
    if missing := [name for name in names if name not in arrays]:
        got = ", ".join(sorted(arrays))
        raise ValueError(f"{key}: got {got}, expected also {', '.join(missing)}")
    return kind(**{name: arrays[name] for name in names})


def to_arrays(result: Result) -> Arrays:
    """Return a result as arrays by name, to be stored."""
    return dict(vars(result))


@dataclasses.dataclass(frozen=True)
class Measured:
    """The finished measurements of one model.

    Attributes
    ----------
    name : str
        The model's label.
    group : str
        The model's group in plots: "base", "adv", "crp", "blur", "pca", "neural", or
        any other word.
    results : mapping of str to Clean, Hybrid, Attack or Corrupted
        The finished measurements: "clean", "hybrid", "attack" and "corruption/NAME".
        Each measurement uses the first images of the data.
    is_gray : bool
        Whether the model was shown gray versions of color images.
    is_random : bool
        Whether the model is untrained, with random weights from neurofreq.

    Examples
    --------
    A study returns one for each model (`studies.run`).

    >>> import numpy as np
    >>> from neurofreq.measured import Clean, Measured
    >>> model = Measured("mine", "base", {"clean": Clean(np.array([True, False]))})
    >>> model.has("clean"), model.has("attack")
    (True, False)
    >>> model.clean.correct
    array([ True, False])
    """

    name: str
    group: str
    results: Mapping[str, Result]
    is_gray: bool = False
    is_random: bool = False

    @property
    def clean(self) -> Clean:
        """The result on clean images; raises NotMeasuredError if there is none."""
        return self._of("clean", Clean)

    @property
    def hybrid(self) -> Hybrid:
        """The result on hybrid images; raises NotMeasuredError if there is none."""
        return self._of("hybrid", Hybrid)

    @property
    def attack(self) -> Attack:
        """The result of the attack; raises NotMeasuredError if there is none."""
        return self._of("attack", Attack)

    def corrupted(self, names: Sequence[str]) -> CorruptionAccuracy:
        """Return the accuracy under corruptions, and on the same images uncorrupted.

        Raises NotMeasuredError if one of the corruptions was not measured.
        """
        if not names:
            raise ValueError("names: got none, expected at least one corruption")
        cells = [self._of(CORRUPTION + name, Corrupted).correct for name in names]
        correct = np.stack(cells)
        clean = self.clean.correct if "clean" in self.results else None
        if clean is not None:
            clean = clean[: correct.shape[-1]]
        return CorruptionAccuracy(tuple(names), SEVERITIES, correct, clean)

    def has(self, *keys: str) -> bool:
        """Return whether all these measurements are finished."""
        return all(key in self.results for key in keys)

    def only(self, measurements: Sequence[str]) -> Measured:
        """Return a copy with only these measurements, such as "corruption"."""
        kept = {
            key: result
            for key, result in self.results.items()
            if key.partition("/")[0] in measurements
        }
        return dataclasses.replace(self, results=kept)

    @property
    def weights(self) -> str:
        """The word for the model's weights in tables: "random" or "given"."""
        return "random" if self.is_random else "given"

    @property
    def title(self) -> str:
        """The model's name in figures, with a note if its weights are random."""
        return self.name + "\n(random weights)" * self.is_random

    def _of(self, key: str, kind: type[R]) -> R:
        result = self.results.get(key)
        if not isinstance(result, kind):
            raise NotMeasuredError(
                f"models: got {self.name} without {key}, expected it measured"
            )
        return result
