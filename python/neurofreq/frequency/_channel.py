"""Hold the accuracy of a model in noise of one octave, and the model's channel."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared import results
from neurofreq._shared.inputs import validate
from neurofreq._shared.results import Result
from neurofreq.intervals import Estimate
from neurofreq.intervals.quantity import Quantity, pointwise

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from neurofreq.plot import Curve

    Floats = NDArray[np.float64]

_FWHM: Final = 2.0 * math.sqrt(2.0 * math.log(2.0))


class HumanChannel(NamedTuple):
    """A published channel of human observers.

    Attributes
    ----------
    center : float
        Cycles/image.
    bandwidth : float
        Full width at half of the peak, octaves.
    source : str

    Examples
    --------
    >>> import neurofreq as nf
    >>> nf.frequency.HUMAN_CHANNEL.center, nf.frequency.HUMAN_CHANNEL.bandwidth
    (39.6, 1.0)
    """

    center: float
    bandwidth: float
    source: str


HUMAN_CHANNEL: Final = HumanChannel(
    39.6,
    1.0,
    "Subramanian et al. 2023: mean accuracy of 14 observers, images of 224 pixels",
)
"""The human channel for objects in natural images of 224 x 224 pixels.

The fit of the authors' repository (github.com/ajaysub110/critical-band-masking) to the
mean accuracy of 14 observers: 39.60 cycles/image, 1.00 octave. The height of this fit
is at its limit, so its width is uncertain: fits to single observers have 39.1
cycles/image (standard deviation 3.0) and 1.43 octaves (0.54). The paper reports a width
of one octave.
"""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BandMasking(Result):
    """Result of `band_masking`.

    Attributes
    ----------
    frequency : ndarray of float64, shape (B,)
        Centers of the bands of noise in cycles/pixel, ascending.
    sd : ndarray of float64, shape (S,)
        Standard deviations of the noise, ascending, in pixel units of [0, 1].
    correct : ndarray of bool, shape (N, B, S)
        Whether each image in noise is classified correctly.
    clean : ndarray of bool, shape (N,)
        The same for the contrast-reduced images without noise.
    criterion : float
        The accuracy that defines thresholds.
    side : int
        The shorter side of the images in pixels.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=32)
    >>> model = nf.models.load_model("zoo:gray-mouse")
    >>> found = nf.band_masking(model, data.images, data.labels, sds=[0.04, 0.16])
    >>> found.frequency * 32
    array([ 1.,  2.,  4.,  8., 16.])
    >>> found
    BandMasking(clean: ... %..., center: ..., bandwidth: ..., bands: 5, images: 32)
    >>> found.to_frame().columns.tolist()
    ['frequency', 'sd', 'accuracy', 'low', 'high', 'n']
    >>> axes = found.plot()
    """

    frequency: Floats
    sd: Floats
    correct: NDArray[np.bool_]
    clean: NDArray[np.bool_]
    criterion: float
    side: int

    @property
    def accuracy(self) -> Floats:
        """Accuracy in each band and noise, shape (B, S)."""
        mean: Floats = self.correct.mean(axis=0)
        return mean

    @property
    def has_threshold(self) -> bool:
        """Whether the accuracy without noise is above the criterion."""
        return bool(self.clean.mean() > self.criterion)

    def threshold(self, band: int) -> Quantity:
        """Return the noise at which the accuracy falls to the criterion.

        Parameters
        ----------
        band : int
            Index of the band.

        Returns
        -------
        Quantity
            A standard deviation in pixel units of [0, 1], interpolated linearly over
            log2 of the standard deviation; half of the smallest one stands for no
            noise. Infinite if the accuracy does not fall to the criterion, NaN if it
            is not above the criterion without noise.
        """
        band, last = validate.integer("band", band), len(self.frequency) - 1
        validate.within("band", band, 0 <= band <= last, f"0 to {last}")
        return Quantity(self._values(), lambda means: self._thresholds(means)[:, band])

    def center(self) -> Quantity:
        """Return the center of the channel in cycles/pixel; NaN without a channel.

        The center is within the measured bands. At the first or last band, it is only a
        bound: the sensitivity does not fall again within these images.
        """
        return self._of(lambda fit: self.frequency[0] * np.exp2(fit[:, 1]))

    def bandwidth(self) -> Quantity:
        """Return the full width of the channel at half of its peak, in octaves."""
        return self._of(lambda fit: _FWHM * fit[:, 2])

    def sensitivity(self) -> Quantity:
        """Return the peak sensitivity: 1 / (threshold at the peak of the channel)."""
        return self._of(lambda fit: np.exp2(fit[:, 0]) / self.sd[-1])

    def curve(self) -> Curve:
        """Return the sensitivity against frequency in cycles/image, with its interval.

        The sensitivity is in octaves of noise: log2 of the largest standard deviation
        over the threshold, 0 if the accuracy does not fall to the criterion. The mark
        is the center of the channel.
        """
        from neurofreq.plot import Curve

        center = self.center().estimate()
        return Curve(
            self.frequency * self.side,
            *pointwise(self._values(), self._sensitivities),
            mark=center.value * self.side,
            mark_interval=(center.low * self.side, center.high * self.side),
        )

    def fitted(self) -> Floats:
        """Return (peak, center, deviation) of the channel.

        The peak is in octaves of noise, the center in octaves above the first band, and
        the standard deviation in octaves.
        """
        return self._fit(self._values().mean(axis=0)[None])[0]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per band and noise; sd 0 has the accuracy without noise."""
        y, low, high = pointwise(self._values())
        n_bands, n_sds = len(self.frequency), len(self.sd)
        return results.frame(
            {
                "frequency": np.append(np.nan, np.repeat(self.frequency, n_sds)),
                "sd": np.append(0.0, np.tile(self.sd, n_bands)),
                "accuracy": y, "low": low, "high": high, "n": len(self.clean),
            }
        )  # fmt: skip

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the channel beside the human one (`plot.plot_channels`)."""
        from neurofreq.plot import plot_channels

        return plot_channels(self, ax, **({"human": HUMAN_CHANNEL[:2]} | kw))

    def _values(self) -> Floats:
        """Return the answers without noise, then those of all bands and noises."""
        flat = self.correct.reshape(len(self.clean), -1)
        return np.column_stack([self.clean, flat]).astype(np.float64)

    def _thresholds(self, means: Floats) -> Floats:
        """Return the threshold of each resample and band, (R, B)."""
        octaves = np.log2(np.append(0.5 * self.sd[0], self.sd))
        clean = means[:, :1]
        bands = means[:, 1:].reshape(len(means), len(self.frequency), len(self.sd))
        found = np.empty(bands.shape[:2])
        for band in range(len(self.frequency)):
            fall = -np.column_stack([clean, bands[:, band]])
            found[:, band] = _neurofreq.crossing(octaves, fall, -self.criterion)
        is_defined = clean > self.criterion
        found = np.where(np.isnan(found), np.inf, np.exp2(found))
        return np.where(is_defined, found, np.nan)

    def _sensitivities(self, means: Floats) -> Floats:
        return np.log2(self.sd[-1] / np.minimum(self._thresholds(means), self.sd[-1]))

    def _fit(self, means: Floats) -> Floats:
        octaves = np.log2(self.frequency / self.frequency[0])
        highest = float(np.log2(self.sd[-1] / self.sd[0])) + 1.0
        sensitivities = np.ascontiguousarray(self._sensitivities(means))
        return _neurofreq.fitted_channels(octaves, sensitivities, highest)

    def _of(self, number: Any) -> Quantity:
        return Quantity(self._values(), lambda means: number(self._fit(means)))

    def _numbers(self) -> dict[str, Any]:
        one = Quantity(self._values(), lambda means: means[:, 0]).estimate()

        def text(of: Quantity, unit: str, factor: float = 1.0) -> str:
            found: Estimate = of.estimate()
            value, low, high = (
                factor * end for end in (found.value, found.low, found.high)
            )
            return results.bounded(value, low, high, unit)

        return {
            "clean": results.percent(one.value, one.low, one.high),
            "center": text(self.center(), "cycles/image", self.side),
            "bandwidth": text(self.bandwidth(), "octaves"),
            "bands": len(self.frequency),
            "images": one.n,
        }
