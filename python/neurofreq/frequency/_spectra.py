"""Compute power spectra: the spatial frequencies of images and perturbations.

Frequencies are in cycles/pixel: the sampling frequency is 1, Nyquist is 0.5 and
the corner of a square spectrum is 0.7071.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._shared import results, transfer
from neurofreq._shared.inputs import validate
from neurofreq._shared.results import Result
from neurofreq.frequency import maps
from neurofreq.frequency._queued import Queued

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from neurofreq._shared.inputs.validate import Array


class _Profile(NamedTuple):
    frequency: NDArray[np.float64]
    cumulative: NDArray[np.float64]
    half_power: float


class RadialProfile(Result, _Profile):
    """Cumulative power of a spectrum within a growing radius.

    Attributes
    ----------
    frequency : ndarray of float64, shape (T,)
        Thresholds from 0 to the largest frequency of the grid, cycles/pixel.
    cumulative : ndarray of float64, shape (T,)
        Share of the power at or below each threshold, 0 to 1, without DC.
    half_power : float
        The half-power frequency f_0.5, cycles/pixel: where `cumulative`
        crosses one half, interpolated linearly between thresholds.

    Examples
    --------
    Half of the power of white noise is above 0.4 cycles/pixel:

    >>> import numpy as np
    >>> import neurofreq as nf
    >>> noise = np.random.default_rng(0).normal(size=(100, 1, 32, 32))
    >>> profile = nf.radial_profile(nf.power_spectrum(noise))
    >>> round(profile.half_power, 1)
    0.4
    >>> profile.cumulative.shape, round(float(profile.cumulative[-1]), 6)
    ((25,), 1.0)
    >>> profile
    RadialProfile(f_0.5: ... cycles/pixel, thresholds: 25)
    >>> profile.to_frame().columns.tolist(), profile.plot().get_ylabel()
    (['frequency', 'cumulative'], 'power below |f| (%)')
    """

    __slots__ = ()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per threshold: "frequency" and "cumulative"."""
        return results.frame(
            {"frequency": self.frequency, "cumulative": self.cumulative}
        )

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the profile (`plot.plot_radial_profiles`), on new Axes by default."""
        from neurofreq.plot import plot_radial_profiles

        return plot_radial_profiles(self, ax, **kw)

    def _numbers(self) -> dict[str, Any]:
        return {
            "f_0.5": f"{self.half_power:.3f} cycles/pixel",
            "thresholds": len(self.frequency),
        }


def power_spectrum(images: Array, *, demean: bool = True) -> Any:
    """Average the power spectra of all images and channels.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64, any finite values, since perturbations are signed. Arrays
        of any strides are read without a copy.
    demean : bool
        Whether to subtract each plane's mean first. In exact arithmetic this changes
        only DC, which is NaN in the result. In floating point it also keeps the
        rounding error of a large mean out of the other frequencies.

    Returns
    -------
    ndarray or Tensor of float64, shape (H, W)
        Mean of ``|F|^2``, where F is the unnormalized Fourier transform. The result is
        fftshifted and NaN at DC (``[H // 2, W // 2]``). A tensor stays on its device
        and has a gradient.

    Raises
    ------
    TypeError
        If `images` is not an array or tensor of float32 or float64.
    ValueError
        If `images` has a wrong rank, an empty axis, or NaN or infinite values.

    Notes
    -----
    Images are neither windowed nor normalized, so large perturbations have more weight.
    For arrays of up to 256 x 256 pixels, the computation needs less than 32 MB besides
    the images and the result, for any N. The result is bit-identical for every number
    of threads.

    References
    ----------
    Li et al. 2023, Fig 2 (insets) and Fig 4a.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> images = np.random.default_rng(0).random((10, 3, 32, 32))
    >>> power = nf.power_spectrum(images)
    >>> power.shape, bool(np.isnan(power[16, 16]))
    ((32, 32), True)
    """
    plain = validate.batch(images)
    total = _total_power(plain, validate.flag("demean", demean))
    n_planes = plain.shape[0] * plain.shape[1]
    if isinstance(total, torch.Tensor):
        return _neurofreq.mean_power_tensor(total, n_planes)
    return _neurofreq.mean_power(total, n_planes)


def radial_profile(power: Array, *, n_thresholds: int = 25) -> RadialProfile:
    """Sum an fftshifted power spectrum within growing radii ``|f|``.

    Parameters
    ----------
    power : ndarray or Tensor, shape (H, W)
        As returned by `power_spectrum`. The value at DC is ignored.
    n_thresholds : int
        Number of thresholds from 0 to the largest ``|f|``, at least 2. The half-power
        frequency is interpolated between thresholds and depends on their number: Figs 4
        and 6 use 25, Fig 2 uses 30. Compare only results with equal `n_thresholds`.

    Returns
    -------
    RadialProfile
        `cumulative` and `half_power` are NaN for a spectrum without power.

    Raises
    ------
    ValueError
        If `power` has a wrong rank, is empty, or is negative or not finite
        anywhere except at DC, or `n_thresholds` is less than 2.

    References
    ----------
    Li et al. 2023, Fig 4b: cumulative power; Fig 4c: f_0.5.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=32).images
    >>> profile = nf.radial_profile(nf.power_spectrum(images), n_thresholds=30)
    >>> profile.frequency.shape
    (30,)
    >>> round(profile.half_power, 1)
    0.1
    """
    power_map = validate.real(power, "power")
    if power_map.ndim != 2:
        raise ValueError(f"power: got shape {power_map.shape}, expected (H, W)")
    n_thresholds = validate.count("n_thresholds", n_thresholds, 2)
    return RadialProfile(*_neurofreq.radial_profile(power_map, n_thresholds))


class SpectrumAccumulator(Result):
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

    Examples
    --------
    >>> import numpy as np, neurofreq as nf
    >>> images = np.random.default_rng(0).normal(size=(10, 3, 8, 8))
    >>> spectrum = nf.SpectrumAccumulator(8, 8).update(images[:4]).update(images[4:])
    >>> np.allclose(spectrum.power, nf.power_spectrum(images), equal_nan=True)
    True
    >>> spectrum
    SpectrumAccumulator(size: 8 x 8, planes: 30, f_0.5: 0.396 cycles/pixel)
    """

    def __init__(self, height: int, width: int, *, demean: bool = True) -> None:
        height = validate.count("height", height)
        width = validate.count("width", width)
        self.demean = validate.flag("demean", demean)
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

    def update(self, images: Array) -> SpectrumAccumulator:
        """Add a batch and return the accumulator.

        Parameters
        ----------
        images : ndarray or Tensor, shape (N, C, H, W)
            As for `power_spectrum`; N and C may differ between batches.

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
        if isinstance(plain, torch.Tensor) and transfer.is_queued(plain.device):
            if self._queued is None or self._queued.device != plain.device:
                self._settle()
                self._queued = Queued(self._total, plain.device)
            self._queued.add(plain, self.demean)
            return self
        total = _total_power(plain, self.demean)
        if isinstance(total, torch.Tensor):
            total = total.detach().numpy()
        self._settle()
        self._total += total
        self._count += plain.shape[0] * plain.shape[1]
        return self

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
            If sizes or `demean` differ.
        """
        if not isinstance(other, SpectrumAccumulator):
            raise TypeError(
                f"other: got {type(other).__name__}, expected a SpectrumAccumulator"
            )
        mine, theirs = self._settings(), other._settings()
        if mine != theirs:
            raise ValueError(
                f"other: got height, width, demean {theirs}, expected {mine}"
            )
        self._settle()
        other._settle()
        self._total += other._total
        self._count += other._count
        return self

    def state(self) -> dict[str, Any]:
        """Return everything as arrays and integers, for ``numpy.savez``.

        Returns
        -------
        dict
            ``total`` (ndarray of float64, shape (H, W)), ``count`` and
            ``demean`` (int).
        """
        self._settle()
        return {
            "total": self._total.copy(),
            "count": self._count,
            "demean": int(self.demean),
        }

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
        missing = {"total", "count", "demean"} - set(state)
        if missing:
            raise ValueError(f"state: got no {sorted(missing)}, expected all of them")
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

    def _settings(self) -> tuple[int, int, bool]:
        height, width = self._total.shape
        return height, width, self.demean


def _total_power(images: Array, demean: bool) -> Array:
    """Return the summed power of all planes, shape (H, W), not shifted.

    NaN and infinity spread to every frequency, so the sum shows whether all images are
    finite, without a second pass over the images.
    """
    total: Array
    if isinstance(images, torch.Tensor):
        on_device = _neurofreq.total_power_tensor(images, demean)
        total, is_finite = on_device, bool(on_device.isfinite().all())
    else:
        total = _neurofreq.total_power(images, demean)
        is_finite = bool(np.isfinite(total).all())
    if not is_finite:
        validate.images(images)
        raise ValueError(
            f"images: got values whose squares overflow {images.dtype}, "
            "expected smaller ones"
        )
    return total
