"""Accumulate a mean power spectrum batch by batch, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._shared import results, transfer
from neurofreq._shared.inputs import validate
from neurofreq._shared.results import Result
from neurofreq._shared.saved import Saved
from neurofreq.frequency import maps
from neurofreq.frequency._queued import Queued
from neurofreq.frequency._spectra import radial_profile, total_power
from neurofreq.intervals import Estimate, PoissonBootstrap
from neurofreq.plot import Curve

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from neurofreq._shared.inputs.validate import Array


class SpectrumAccumulator(Result, Saved):
    """A mean power spectrum that is updated batch by batch and merged with others.

    Sums are in double precision, so the split into batches changes the result only by
    rounding. Sums of tensors on a GPU stay there: `update` does not wait for the
    device, and `power`, `count`, `merge` and `state` wait once.

    Parameters
    ----------
    height, width : int
        Size of the images, at least 1.
    demean : bool
        As in `power_spectrum`.
    n_resamples : int
        Number of Poisson-bootstrap resamples for intervals; 0 for none. With resamples,
        `update` needs the index of each image, and tensors of a GPU are copied to the
        host.
    n_thresholds : int
        Thresholds of the radial profile that is resampled, as in `radial_profile`.
    seed : int
        Seed of the weights of images in resamples (`intervals.PoissonBootstrap`).

    Examples
    --------
    >>> import numpy as np, neurofreq as nf
    >>> images = np.random.default_rng(0).normal(size=(10, 3, 8, 8))
    >>> spectrum = nf.SpectrumAccumulator(8, 8).update(images[:4]).update(images[4:])
    >>> np.allclose(spectrum.power, nf.power_spectrum(images), equal_nan=True)
    True
    >>> spectrum
    SpectrumAccumulator(size: 8 x 8, planes: 30, f_0.5: 0.396 cycles/pixel)

    With resamples, one pass also gives the interval of the half-power frequency:

    >>> spectrum = nf.SpectrumAccumulator(8, 8, n_resamples=200)
    >>> spectrum = spectrum.update(images, np.arange(10))
    >>> half = spectrum.half_power()
    >>> half.n, half.low < half.value < half.high
    (10, True)
    """

    def __init__(
        self,
        height: int,
        width: int,
        *,
        demean: bool = True,
        n_resamples: int = 0,
        n_thresholds: int = 25,
        seed: int = 0,
    ) -> None:
        height = validate.count("height", height)
        width = validate.count("width", width)
        self.demean = validate.flag("demean", demean)
        n_resamples = validate.count("n_resamples", n_resamples, 0)
        n_thresholds = validate.count("n_thresholds", n_thresholds, 2)
        seed = validate.seed(seed)
        self._boot: PoissonBootstrap | None = None
        if n_resamples:
            flat = radial_profile(np.ones((height, width)), n_thresholds=n_thresholds)
            self._limits = flat.frequency
            self._boot = PoissonBootstrap(
                n_thresholds, n_resamples=n_resamples, seed=seed
            )
        self._total = np.zeros((height, width))
        self._count = 0
        self._queued: Queued | None = None

    @property
    def count(self) -> int:
        """Number of planes (images x channels) so far."""
        self._settle()
        return self._count

    @property
    def power(self) -> NDArray[np.float64]:
        """The mean so far, shape (H, W), as returned by `power_spectrum`.

        Raises
        ------
        ValueError
            Before the first update.
        """
        if self.count == 0:
            raise ValueError("power: got no images yet, expected an update first")
        return _neurofreq.mean_power(self._total, self._count)

    def update(
        self, images: Array, index: ArrayLike | None = None
    ) -> SpectrumAccumulator:
        """Add a batch and return the accumulator.

        Parameters
        ----------
        images : ndarray or Tensor, shape (N, C, H, W)
            As for `power_spectrum`; N and C may differ between batches.
        index : array_like of int, shape (N,), optional
            The position of each image in the whole data set. Needed with resamples, and
            not used without.

        Raises
        ------
        TypeError, ValueError
            As `power_spectrum`, or images of another size. The accumulator is then
            unchanged. For images on a GPU, the next reading of the sums raises the
            error for values that are not finite, and leaves out their batches.
        """
        plain = validate.batch(images)
        if tuple(plain.shape[2:]) != self._total.shape:
            raise ValueError(
                f"images: got shape {tuple(plain.shape)}, expected height and width "
                f"{self._total.shape}"
            )
        if self._boot is not None:
            return self._resample(self._boot, plain, index)
        if isinstance(plain, torch.Tensor) and transfer.is_queued(plain.device):
            if self._queued is None or self._queued.device != plain.device:
                self._settle()
                self._queued = Queued(self._total, plain.device)
            self._queued.add(plain, self.demean)
            return self
        total = total_power(plain, self.demean)
        if isinstance(total, torch.Tensor):
            total = total.detach().numpy()
        self._settle()
        self._total += total
        self._count += plain.shape[0] * plain.shape[1]
        return self

    def _resample(
        self, boot: PoissonBootstrap, images: Array, index: ArrayLike | None
    ) -> SpectrumAccumulator:
        """Add a batch to the mean and to the resampled profiles."""
        if index is None:
            raise ValueError(
                "index: got none, expected the position of each image in the data set, "
                "from which its weights in resamples are made"
            )
        if isinstance(images, torch.Tensor):
            images = images.detach().cpu().numpy()
        total = total_power(images, self.demean)
        rings, _ = _neurofreq.image_power(images, self.demean, self._limits.tolist())
        boot.update(index, rings)
        self._total += total
        self._count += images.shape[0] * images.shape[1]
        return self

    def half_power(self, *, level: float = 0.95) -> Estimate:
        """Return the half-power frequency in cycles/pixel, with its interval.

        Parameters
        ----------
        level : float
            Coverage, between 0 and 1.

        Raises
        ------
        ValueError
            Before the first update, or without resamples.
        """

        def crossing(sums: NDArray[np.float64]) -> NDArray[np.float64]:
            shares = np.ascontiguousarray(_shares(sums))
            return _neurofreq.crossing(self._limits, shares, 0.5)

        return self._resampled("half_power").estimate(crossing, level=level)

    def profile(self, *, level: float = 0.95) -> Curve:
        """Return the cumulative radial profile with its pointwise interval.

        Parameters
        ----------
        level : float
            Coverage, between 0 and 1.

        Returns
        -------
        plot.Curve
            Share of the power at or below each threshold, 0 to 1, without DC. The mark
            is the half-power frequency.

        Raises
        ------
        ValueError
            Before the first update, or without resamples.
        """
        boot, half = self._resampled("profile"), self.half_power(level=level)
        points = [
            boot.estimate(lambda sums, k=k: _shares(sums)[:, k], level=level)  # type: ignore[misc]
            for k in range(len(self._limits))
        ]
        return Curve(
            self._limits,
            [one.value for one in points],
            [one.low for one in points],
            [one.high for one in points],
            half.value,
            (half.low, half.high),
        )

    def _resampled(self, name: str) -> PoissonBootstrap:
        if self._boot is None:
            raise ValueError(f"{name}: got no resamples, expected n_resamples of 1 up")
        return self._boot

    def merge(self, other: SpectrumAccumulator) -> SpectrumAccumulator:
        """Add the sums of another accumulator and return this one.

        Parameters
        ----------
        other : SpectrumAccumulator
            Of the same size; not changed.

        Raises
        ------
        TypeError
            If `other` is not a `SpectrumAccumulator`.
        ValueError
            If sizes, `demean` or the settings of resamples differ.
        """
        if not isinstance(other, SpectrumAccumulator):
            raise TypeError(
                f"other: got {type(other).__name__}, expected a SpectrumAccumulator"
            )
        mine, theirs = self._settings(), other._settings()
        if mine != theirs:
            raise ValueError(
                f"other: got height, width, demean, thresholds, resamples, seed "
                f"{theirs}, expected {mine}"
            )
        self._settle()
        other._settle()
        if self._boot is not None and other._boot is not None:
            self._boot.merge(other._boot)
        self._total += other._total
        self._count += other._count
        return self

    def state(self) -> dict[str, Any]:
        """Return everything as arrays and integers, for ``numpy.savez``.

        Returns
        -------
        dict
            ``total`` (ndarray of float64, shape (H, W)), ``count`` and
            ``demean`` (int). With resamples, also the state of the bootstrap
            (`intervals.PoissonBootstrap.state`), with ``boot_`` before each name.
        """
        self._settle()
        boot = {} if self._boot is None else self._boot.state()
        return {
            "total": self._total.copy(),
            "count": self._count,
            "demean": int(self.demean),
        } | {f"boot_{name}": value for name, value in boot.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SpectrumAccumulator:
        """Restore an accumulator from its `state`.

        Parameters
        ----------
        state : mapping
            The result of `state`, or its opened ``.npz`` file.

        Raises
        ------
        ValueError
            If a key is missing, or its value is impossible for an accumulator.
        """
        cls.check_keys(state, ("total", "count", "demean"))
        total = validate.real(state["total"], "state: total").copy()
        if total.ndim != 2 or total.size == 0:
            raise ValueError(
                f"state: got total of shape {total.shape}, expected (H, W)"
            )
        count = validate.integer("state: count", state["count"])
        demean = validate.integer("state: demean", state["demean"])
        is_sum = bool(np.isfinite(total).all() and (total >= 0.0).all())
        if not is_sum or count < 0 or (count == 0 and total.any()):
            raise ValueError(
                f"state: got a total from {total.min():.6g} to {total.max():.6g} of "
                f"{count} planes, expected sums of powers"
            )
        accumulator = cls(*total.shape, demean=bool(demean))
        boot = {
            name.removeprefix("boot_"): state[name]
            for name in state
            if name.startswith("boot_")
        }
        if boot:
            found = PoissonBootstrap.from_state(boot)
            accumulator = cls(
                *total.shape, demean=bool(demean), n_resamples=len(found.resampled),
                n_thresholds=len(found.sums), seed=found.seed,
            )  # fmt: skip
            accumulator._boot = found
        accumulator._total, accumulator._count = total, count
        return accumulator

    def _settle(self) -> None:
        """Read the sums that are on a device, if there are any."""
        queued, self._queued = self._queued, None
        if queued is None:
            return
        self._total, count, left_out = queued.read()
        self._count += count
        if left_out:
            raise ValueError(
                "images: got NaN, infinite values or values whose squares overflow in "
                f"batch {', '.join(map(str, left_out))} on {queued.device} (counted "
                "from the last reading), expected finite ones: the sums are without "
                "these batches"
            )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per frequency: "frequency_y", "frequency_x" and "power".

        Frequencies are in cycles/pixel. Raises ValueError before the first update.
        """
        return results.frame(maps.columns(self.power, "power"))

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the mean spectrum (`plot.plot_spectrum`), on new Axes by default.

        Raises ValueError before the first update, and for a spectrum without power.
        """
        from neurofreq.plot import plot_spectrum

        return plot_spectrum(self.power, ax, **kw)

    def _has_picture(self) -> bool:
        return bool(np.nansum(self._total) > 0.0)

    def _numbers(self) -> dict[str, Any]:
        numbers = {"size": results.size(self._total.shape), "planes": self._count}
        if self._count:
            half = radial_profile(self.power).half_power
            numbers["f_0.5"] = f"{half:.3f} cycles/pixel"
        return numbers

    def _settings(self) -> tuple[Any, ...]:
        boot = self._boot
        resamples = (0, 0, 0) if boot is None else boot.settings
        return (*self._total.shape, self.demean, *resamples)


def _shares(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return cumulative shares of the power in rings (B, T); NaN without power."""
    cumulative = np.cumsum(sums, axis=1)
    with np.errstate(invalid="ignore"):
        return cumulative / cumulative[:, -1:]
