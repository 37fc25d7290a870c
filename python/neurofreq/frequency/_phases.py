"""Change the phases and the amplitudes of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from neurofreq._shared.inputs.validate import Array

# The largest value of a plane, so that sums of squares neither overflow nor vanish.
_LIMITS = {"float32": (1e-12, 1e12), "float64": (1e-120, 1e120)}


def phase_noise(
    images: Array, width: float = 180.0, *, seed: int, first_index: int = 0
) -> Any:
    """Change the phases of images at random, and keep their amplitude spectra.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, C, H, W)
        As in `low_pass`.
    width : float
        Each frequency gets a change that is uniform from ``-width`` to ``width``
        degrees, 0 to 180; 180 scrambles all phases.
    seed : int
        The seed and the index of an image determine its changes, which are the same
        for all its channels. All widths scale the same draws.
    first_index : int
        Index of the first image, 0 or more, as in `corrupt`.

    Returns
    -------
    ndarray or Tensor, shape (N, C, H, W)
        As from `low_pass`. Values may leave the range of `images`.

    Raises
    ------
    TypeError, ValueError
        As `low_pass`, or for a wrong width, seed or index.

    Notes
    -----
    Opposite frequencies get opposite changes, so images stay real and amplitudes stay
    the same. On an even side, coefficients at Nyquist that are their own opposite are
    real: their change is rounded to 0 or 180 degrees. The mean does not change.

    References
    ----------
    Wichmann, Braun & Gegenfurtner 2006, "Phase noise and the classification of natural
    images", Vision Research 46. Geirhos et al. 2018, "Generalisation in humans and deep
    neural networks", arXiv 1808.08750: widths of 0 to 180 degrees on gray images.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=4).images
    >>> noisy = nf.frequency.phase_noise(images, seed=0)
    >>> amplitudes = [np.abs(np.fft.fft2(one)) for one in (images, noisy)]
    >>> bool(np.allclose(*amplitudes, atol=1e-3)), bool(np.allclose(images, noisy))
    (True, False)
    """
    images = validate.images(images)
    width = validate.number("width", width)
    validate.within("width", width, 0.0 <= width <= 180.0, "0 to 180 degrees")
    first = validate.count("first_index", first_index, 0)
    streams = list(range(first, first + len(images)))
    seed = validate.seed(seed)
    if isinstance(images, torch.Tensor):
        spectrum = _neurofreq.spectrum_tensor(images)
        columns = images.shape[-1]
        return _neurofreq.scrambled_tensor(spectrum, columns, width, seed, streams)
    return _neurofreq.scrambled(images, width, seed, streams)[0]


def whiten(images: Array) -> Any:
    """Give all frequencies of each image the same amplitude.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, C, H, W)
        As in `low_pass`.

    Returns
    -------
    ndarray or Tensor, shape (N, C, H, W)
        As from `low_pass`. Each plane keeps its mean, its variance and its phases.

    Raises
    ------
    TypeError, ValueError
        As `low_pass`; also for a plane whose largest absolute value is above 1e12, or
        below 1e-12 but not 0 (float64: 1e120 and 1e-120).

    Notes
    -----
    Frequencies whose amplitude is not larger than a rounding error stay 0.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> images = np.random.default_rng(0).random((1, 1, 8, 8))
    >>> flat = np.abs(np.fft.fft2(nf.frequency.whiten(images))).ravel()[1:]
    >>> bool(np.allclose(flat, flat[0]))
    True
    """
    images = validate.images(images)
    _check_size(images, "images")
    if isinstance(images, torch.Tensor):
        return _neurofreq.whitened_tensor(images)
    return _neurofreq.whitened(images)[0]


def combine_spectra(amplitude: Array, phase: Array) -> Any:
    """Combine the amplitudes of one batch with the phases of another.

    Parameters
    ----------
    amplitude, phase : ndarray or Tensor, shape (N, C, H, W)
        Two batches of the same type, shape, dtype (float32 or float64) and device, with
        any finite values. `phase` has the limits of `whiten`.

    Returns
    -------
    ndarray or Tensor, shape (N, C, H, W)
        As from `low_pass`. Values may leave the range of the images.

    Raises
    ------
    TypeError, ValueError
        As `hybrid_images`, except that any finite values are allowed; also for a plane
        of `phase` beyond the limits of `whiten`.

    Notes
    -----
    A frequency that `phase` does not have (an amplitude that is not larger than a
    rounding error) gets phase 0.

    References
    ----------
    Oppenheim & Lim 1981, "The importance of phase in signals", Proc. IEEE 69.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> a, b = np.random.default_rng(0).random((2, 1, 1, 8, 8))
    >>> swap = nf.frequency.combine_spectra
    >>> bool(np.allclose(swap(swap(a, b), swap(b, a)), a))
    True
    """
    amplitude = validate.images(amplitude, "amplitude")
    phase = validate.images(phase, "phase")
    validate.same(amplitude, phase, ("amplitude", "phase"))
    _check_size(phase, "phase")
    if isinstance(amplitude, torch.Tensor) and isinstance(phase, torch.Tensor):
        return _neurofreq.combined_spectra_tensor(amplitude, phase)
    return _neurofreq.combined_spectra(amplitude, phase)[0]  # type: ignore[arg-type]


def _check_size(images: Array, name: str) -> None:
    """Refuse planes whose squares would overflow or vanish."""
    if isinstance(images, torch.Tensor):
        images = images.detach()
        largest = images.abs().amax(dim=(2, 3)).cpu().numpy()
    else:
        largest = np.maximum(images.max(axis=(2, 3)), -images.min(axis=(2, 3)))
    low, high = _LIMITS[str(largest.dtype)]
    is_bad = ((largest > 0.0) & (largest < low)) | (largest > high)
    if is_bad.any():
        raise ValueError(
            f"{name}: got a plane with the largest absolute value "
            f"{largest[is_bad][0]:.3g}, expected 0 or {low:g} to {high:g} in "
            f"{largest.dtype}"
        )
