"""Power spectra: which spatial frequencies a perturbation is made of.

Frequencies are in cycles/pixel: the sampling frequency is 1, Nyquist is 0.5 and
the corner of a square spectrum is 0.7071.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from neurofreq._shared.inputs.validate import Array


class RadialProfile(NamedTuple):
    """How the power of a spectrum gathers within a growing radius.

    Attributes
    ----------
    frequency : ndarray of float64, shape (T,)
        Thresholds from 0 to the largest frequency of the grid, cycles/pixel.
    cumulative : ndarray of float64, shape (T,)
        Share of the power at or below each threshold, 0 to 1; DC is left out.
    half_power : float
        The half-power frequency f_0.5, cycles/pixel: where `cumulative`
        crosses one half, interpolated linearly between thresholds.
    """

    frequency: NDArray[np.float64]
    cumulative: NDArray[np.float64]
    half_power: float


def power_spectrum(images: Array, *, demean: bool = True) -> Any:
    """Average the power spectra of all images and channels.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64, any finite values: perturbations are signed. Arrays
        of any strides are read in place.
    demean : bool
        Subtract each plane's mean first. In exact arithmetic that changes DC
        alone, which is NaN in the result anyway; it keeps the rounding of a
        large mean out of the other frequencies.

    Returns
    -------
    ndarray or Tensor of float64, shape (H, W)
        Mean of |F|^2 with F the unnormalised transform, fftshifted, NaN at DC
        (``[H // 2, W // 2]``). A tensor comes back on its device with its
        gradient.

    Raises
    ------
    TypeError
        If `images` is no array or tensor of float32 or float64.
    ValueError
        If `images` has another rank, an empty axis, or NaN or infinite values.

    Notes
    -----
    No window and no normalisation per image: large perturbations weigh more.
    Besides the result, arrays need less than 32 MB for planes of up to 256 x
    256 pixels, whatever N. Every number of threads gives the same bits.

    References
    ----------
    Li et al. 2023, Fig 2 (insets) and Fig 4a.
    """
    plain = validate.batch(images)
    total = _total_power(plain, validate.flag("demean", demean))
    n_planes = plain.shape[0] * plain.shape[1]
    if isinstance(total, torch.Tensor):
        return _neurofreq.mean_power_tensor(total, n_planes)
    return _neurofreq.mean_power(total, n_planes)


def radial_profile(power: Array, *, n_thresholds: int = 25) -> RadialProfile:
    """Accumulate an fftshifted power spectrum over |f|.

    Parameters
    ----------
    power : ndarray or Tensor, shape (H, W)
        As `power_spectrum` returns it. The value at DC is not read.
    n_thresholds : int
        Thresholds from 0 to the largest |f|, at least 2. The half-power
        frequency is interpolated between them and depends on their number: 25
        is that of Figs 4 and 6, 30 that of Fig 2; compare only equal numbers.

    Returns
    -------
    RadialProfile
        `cumulative` and `half_power` are NaN for a spectrum without power.

    Raises
    ------
    ValueError
        If `power` has another rank, is empty, or is negative or not finite
        anywhere but at DC, or `n_thresholds` is less than 2.

    References
    ----------
    Li et al. 2023, Fig 4b: cumulative power; Fig 4c: f_0.5.
    """
    power_map = validate.real(power, "power")
    if power_map.ndim != 2:
        raise ValueError(f"power: got shape {power_map.shape}, expected (H, W)")
    n_thresholds = validate.count("n_thresholds", n_thresholds, 2)
    return RadialProfile(*_neurofreq.radial_profile(power_map, n_thresholds))


class SpectrumAccumulator:
    """A mean power spectrum that grows batch by batch and merges with others.

    Sums are kept in double precision: how images are split into batches
    changes the result by rounding only.

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
    """

    def __init__(self, height: int, width: int, *, demean: bool = True) -> None:
        height = validate.count("height", height)
        width = validate.count("width", width)
        self.demean = validate.flag("demean", demean)
        self._total = np.zeros((height, width))
        self._count = 0

    @property
    def count(self) -> int:
        """Number of planes (images x channels) so far."""
        return self._count

    @property
    def power(self) -> NDArray[np.float64]:
        """The mean so far, shape (H, W), as `power_spectrum` returns it.

        Raises
        ------
        ValueError
            Before the first update.
        """
        if self._count == 0:
            raise ValueError("power: got no images yet, expected an update first")
        return _neurofreq.mean_power(self._total, self._count)

    def update(self, images: Array) -> SpectrumAccumulator:
        """Add a batch and return the accumulator.

        Parameters
        ----------
        images : ndarray or Tensor, shape (N, C, H, W)
            As for `power_spectrum`; N and C may change from batch to batch.

        Raises
        ------
        TypeError, ValueError
            As `power_spectrum`, or images of another size. Nothing is added.
        """
        plain = validate.batch(images)
        if tuple(plain.shape[2:]) != self._total.shape:
            raise ValueError(
                f"images: got shape {tuple(plain.shape)}, expected height and width "
                f"{self._total.shape}"
            )
        total = _total_power(plain, self.demean)
        if isinstance(total, torch.Tensor):
            total = total.detach().cpu().numpy()
        self._total += total
        self._count += plain.shape[0] * plain.shape[1]
        return self

    def merge(self, other: SpectrumAccumulator) -> SpectrumAccumulator:
        """Add what another accumulator holds and return this one.

        Parameters
        ----------
        other : SpectrumAccumulator
            Of the same size; left unchanged.

        Raises
        ------
        TypeError
            If `other` is no accumulator.
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
            What `state` returned, or the opened ``.npz`` file of it.

        Raises
        ------
        ValueError
            If a key is missing or holds what no accumulator can hold.
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

    def _settings(self) -> tuple[int, int, bool]:
        height, width = self._total.shape
        return height, width, self.demean


def _total_power(images: Array, demean: bool) -> Array:
    """Sum the power of all planes, shape (H, W), unshifted.

    NaN and infinity reach every frequency, so the sum tells whether the images
    are finite, and the images need not be read twice.
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
