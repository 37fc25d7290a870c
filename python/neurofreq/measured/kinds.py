"""The kinds of measurements: typed raw values per image."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neurofreq._shared import results
from neurofreq._shared.results import Result
from neurofreq.corruptions.folder import SEVERITIES
from neurofreq.corruptions.result import CorruptionAccuracy
from neurofreq.measured import quantities
from neurofreq.plot import (
    Curve,
    plot_corruption_groups,
    plot_corruption_severity,
    plot_hybrid_curves,
    plot_success_curves,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from neurofreq.measured.quantities import Floats, Profile, Quantity

CORRUPTION = "corruption/"  # the key of a Corrupted result begins with this


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Clean(Result):
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

    def to_frame(self) -> pd.DataFrame:
        """Return one row per image: "image" and "correct"."""
        return results.frame(
            {"image": np.arange(len(self.correct)), "correct": self.correct}
        )

    def curve(self) -> Curve:
        """Return the accuracy with its interval, as a curve of one point."""
        one = self.accuracy().estimate()
        return Curve(["clean images"], [one.value], [one.low], [one.high])

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the accuracy as a bar with its interval, on new Axes by default."""
        ax = plot_corruption_groups(self.curve(), ax, **kw)
        ax.set_xlabel("")
        return ax

    def _numbers(self) -> dict[str, Any]:
        one = self.accuracy().estimate()
        return {
            "accuracy": results.percent(one.value, one.low, one.high), "images": one.n
        }  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Hybrid(Result):
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

    def to_frame(self) -> pd.DataFrame:
        """Return one row per frequency: p_low, p_high, and their difference.

        "low" and "high" are the interval of "difference".
        """
        curve = self.curve()
        return results.frame(
            {
                "frequency": self.frequency, "p_low": self.p_low, "p_high": self.p_high,
                "difference": curve.y, "low": curve.low, "high": curve.high,
            }
        )  # fmt: skip

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the curve (`plot.plot_hybrid_curves`), on new Axes by default."""
        return plot_hybrid_curves(self.curve(), ax, **kw)

    def _numbers(self) -> dict[str, Any]:
        one = self.reversal().estimate()
        return {
            "f_rev": results.bounded(one.value, one.low, one.high, "of Nyquist"),
            "images": self.n_images, "frequencies": len(self.frequency),
        }  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Attack(Result):
    """The minimal perturbations of the attacked images.

    Attributes
    ----------
    distance : ndarray of float64, shape (n,)
        Linf size in pixel units of [0, 1]; infinite without a perturbation.
    success : ndarray of bool, shape (n,)
    status : ndarray of str, shape (n,)
        As in `attacks.AttackResult`.
    n_queries : ndarray of int64, shape (n,)
    targets : ndarray of int64, shape (n,)
        Target labels; -1 if the attack is untargeted.
    power : ndarray of float64, shape (H, W)
        Power spectrum of the perturbations, mean over images.
    radial : ndarray of float64, shape (n, T)
        Cumulative power of each perturbation below each frequency; 0 without a
        perturbation.
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

        The mean is over the images that have a perturbation. The median (or the
        quantile `share`) is over all images; an image without a perturbation counts as
        infinitely large.
        """
        if statistic == "mean":
            return quantities.mean_size(self.distance)
        return quantities.median_size(self.distance, share)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per image, without its spectrum and images."""
        names = ("targets", "distance", "success", "status", "n_queries")
        columns = {name: getattr(self, name) for name in names}
        columns["target"] = columns.pop("targets")
        return results.frame({"image": np.arange(self.n_images)} | columns)

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the success curve (`plot.plot_success_curves`)."""
        curve = self.success_curve(quantities.budgets([self.distance]))
        return plot_success_curves(curve, ax, **kw)

    def _numbers(self) -> dict[str, Any]:
        one = self.size("median").estimate()
        value, low, high = (255.0 * end for end in (one.value, one.low, one.high))
        return {
            "median size": results.bounded(value, low, high, "/255"),
            "images": self.n_images,
            "found": int(self.success.sum()),
        }


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Corrupted(Result):
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

    def to_frame(self) -> pd.DataFrame:
        """Return one row per severity: "severity", "accuracy", "low", "high", "n"."""
        return self.accuracy("").cells[["severity", "accuracy", "low", "high", "n"]]

    def curve(self) -> Curve:
        """Return the accuracy against the severity."""
        # By cell: `CorruptionAccuracy` has means for the paper's corruptions only.
        table = self.to_frame()
        return Curve(table["severity"], table["accuracy"], table["low"], table["high"])

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the accuracy against the severity (`plot.plot_corruption_severity`)."""
        return plot_corruption_severity(self.curve(), ax, **kw)

    def _numbers(self) -> dict[str, Any]:
        one = quantities.accuracy(self.correct).estimate()
        return {
            "accuracy": results.percent(one.value, one.low, one.high),
            "severities": len(self.correct), "images": one.n,
        }  # fmt: skip
