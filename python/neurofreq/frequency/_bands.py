"""Measure the accuracy of a model in noise of one octave: critical-band masking."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._shared import transfer
from neurofreq._shared.inputs import mixing, pixel, validate
from neurofreq.frequency import _images, _units
from neurofreq.frequency._channel import BandMasking

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from neurofreq._shared.inputs.validate import Array
    from neurofreq._shared.networks.calling import Model

NOISES = (0.02, 0.04, 0.08, 0.16)
"""Standard deviations of the noise of `band_masking` (Subramanian et al. 2023)."""


def band_masking(
    model: Model,
    images: Array,
    labels: Any,
    *,
    sds: Sequence[float] = NOISES,
    contrast: float = 0.2,
    mean: float = 0.449,
    criterion: float = 0.5,
    seed: int = 0,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    gray: bool | Literal["auto"] = "auto",
    progress: bool = False,
) -> BandMasking:
    """Measure which octave of noise disturbs a model: critical-band masking.

    Parameters
    ----------
    model : callable
        As in `hybrid_curve`.
    images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64 in [0, 1], at least 2 by 2 pixels, with 1 or 3 channels. The
        model gets gray versions; a model of color images gets three equal channels.
    labels : array_like of int, shape (N,)
    sds : sequence of float
        Standard deviations of the noise, ascending, above 0, in pixel units of [0, 1].
    contrast : float
        Factor of the contrast of each image, above 0 and up to 1.
    mean : float
        Mean of each image after the change of contrast, 0 to 1.
    criterion : float
        The accuracy, between 0 and 1, that defines the threshold noise of a band.
    seed : int
        The seed and the position of an image determine its noise. All bands and
        standard deviations of an image share one field of white noise.
    batch_size, device, gray, progress
        As in `hybrid_curve`.

    Returns
    -------
    BandMasking

    Raises
    ------
    ModelError
        Logits of a wrong shape, with fewer classes than labels, or not finite.
    TypeError, ValueError
        Wrong images, labels or settings.

    Notes
    -----
    An image x becomes ``(x - mean(x)) contrast + mean``. Bands are an octave wide,
    from ``f / sqrt(2)`` to ``sqrt(2) f`` around f = 0.5, 0.25, ... cycles/pixel down to
    1 cycle/image, and do not overlap: for 224 pixels, around the 1.75 to 112
    cycles/image of the paper. The noise of each image and band has exactly the standard
    deviation asked for. Noisy images are clipped to [0, 1].

    The threshold of a band is the noise at which the accuracy falls to the criterion,
    and its sensitivity is log2 of the largest noise over the threshold. The channel is
    the Gaussian over log2 of frequency that fits the sensitivities with the least
    squared error. Intervals are bootstrapped over images.

    Differences from the paper: ideal bands instead of the levels of a Laplacian
    pyramid, which overlap, and whose noise has the standard deviation of the finest
    level (about 0.94 of the nominal one); clipping instead of changes of pixels that
    leave [0, 1]; all images in all noises instead of one noise per image;
    interpolated thresholds instead of the next smaller noise, from small noise upwards
    instead of downwards; the center within the measured bands and a standard deviation
    of at least 0.25 octaves; and the model's own classes instead of means over 16
    categories (wrap the model for these).

    References
    ----------
    Subramanian, Sizikova, Majaj & Pelli 2023, "Spatial-frequency channels, shape bias,
    and adversarial robustness", NeurIPS, arXiv 2309.13190.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=16)
    >>> model = nf.models.load_model("zoo:gray-mouse")
    >>> found = nf.band_masking(model, data.images, data.labels, contrast=1.0)
    >>> found.accuracy.shape
    (5, 4)
    """
    noises = mixing.frequencies(sds, "sds")
    if np.ndim(sds) != 1 or noises[0] <= 0.0 or np.any(np.diff(noises) <= 0.0):
        raise ValueError(f"sds: got {noises}, expected ascending numbers above 0")
    limits = {"contrast": contrast, "mean": mean, "criterion": criterion}
    contrast, mean, criterion = (validate.number(*one) for one in limits.items())
    validate.within("contrast", contrast, 0.0 < contrast <= 1.0, "above 0 and up to 1")
    validate.within("mean", mean, 0.0 <= mean <= 1.0, "0 to 1")
    is_inside = 0.0 < criterion < 1.0
    validate.within("criterion", criterion, is_inside, "a number between 0 and 1")
    seed = validate.seed(seed)
    asked = _images.asking(
        model, images, labels,
        batch_size=batch_size, device=device, gray=gray, progress=progress,
    )  # fmt: skip
    channels, height, width = asked.images.shape[1:]
    centers = _units.octaves(height, width)
    if not centers:
        raise ValueError(
            f"images: got {height} x {width} pixels, expected at least 2 x 2, which is "
            "one octave"
        )
    if channels not in (1, 3):
        raise ValueError(f"images: got {channels} channels, expected 1 or 3")

    def changes(batch: torch.Tensor, first: int) -> Iterator[torch.Tensor]:
        plain = batch if channels == 1 else pixel.luma(batch)
        apart = plain - plain.mean(dim=(2, 3), keepdim=True)
        reduced = apart * contrast + mean
        yield _shown(reduced, channels)
        spectrum = _neurofreq.spectrum_tensor(_white(plain, first, seed))
        for center in centers:
            noise = _band(spectrum, width, center)
            for sd in noises:
                yield _shown(reduced + sd * noise, channels)

    count = 1 + len(centers) * len(noises)
    right = asked.correct(changes, count, "noisy images")
    return BandMasking(
        np.array(centers),
        np.array(noises),
        right[:, 1:].reshape(len(right), len(centers), len(noises)),
        right[:, 0],
        criterion,
        min(height, width),
    )


def _white(images: torch.Tensor, first: int, seed: int) -> torch.Tensor:
    """Return white noise of the shape of images, from one random stream per image."""
    fields = [
        np.random.default_rng((seed, first + i)).standard_normal(images.shape[1:])
        for i in range(len(images))
    ]
    noise = torch.from_numpy(np.stack(fields)).to(images.dtype)
    return transfer.send([noise], images.device)[0]


def _band(spectrum: torch.Tensor, width: int, center: float) -> torch.Tensor:
    """Return the noise of one octave with the standard deviation 1."""
    ends = (center / math.sqrt(2.0), center * math.sqrt(2.0))
    filter = (*ends, "ideal", 1.0, None, False)
    noise = _neurofreq.filtered_tensor(spectrum, width, filter)
    return noise / noise.square().mean(dim=(2, 3), keepdim=True).sqrt()


def _shown(images: torch.Tensor, channels: int) -> torch.Tensor:
    """Return gray images in [0, 1] with the channels that the model wants."""
    return images.clamp(0.0, 1.0).expand(-1, channels, -1, -1)
