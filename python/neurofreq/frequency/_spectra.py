"""Compute power spectra: the spatial frequencies of images and perturbations.

Frequencies are in cycles/pixel: the sampling frequency is 1, Nyquist is 0.5 and
the corner of a square spectrum is 0.7071.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._shared import results
from neurofreq._shared.inputs import validate
from neurofreq._shared.results import Result

if TYPE_CHECKING:
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
    total = total_power(plain, validate.flag("demean", demean))
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


def total_power(images: Array, demean: bool) -> Array:
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
