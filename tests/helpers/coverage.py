"""Data of known truth, and whether one interval of an accumulator covers it.

`experiments/coverage.py` counts this in 1000 replications, and a test in fewer.
"""

import math

import numpy as np

import neurofreq as nf
from neurofreq.corruptions import CellAccumulator
from neurofreq.frequency import FREQUENCIES, HybridAccumulator

SIDE = 16
RATES = np.array([[0.9, 0.7], [0.8, 0.5]])


def _radius():
    line = np.fft.fftfreq(SIDE)
    return np.hypot(line[:, None], line)


def _half_power():
    """The half-power frequency of the expected spectrum."""
    power = np.fft.fftshift(1.0 / np.maximum(_radius(), 1.0 / SIDE) ** 2)
    power[SIDE // 2, SIDE // 2] = np.nan
    return nf.radial_profile(power).half_power


def _reversal():
    """The zero of the expected curve, between the frequencies that are measured."""
    spread = [math.erf((f - 0.3) / (0.15 * math.sqrt(2.0))) for f in FREQUENCIES]
    return float(np.interp(0.0, spread, FREQUENCIES))


HALF_POWER, REVERSAL = _half_power(), _reversal()


def _covers(estimate, truth):
    return estimate.low <= truth <= estimate.high


def half_power(rng, *, n_images, n_resamples, seed):
    """Noise whose amplitude is 1 / |f|, with another contrast in each image."""
    white = rng.normal(size=(n_images, 1, SIDE, SIDE))
    white *= rng.uniform(0.5, 1.5, size=(n_images, 1, 1, 1))
    shaped = np.fft.fft2(white) / np.maximum(_radius(), 1.0 / SIDE)
    one = nf.SpectrumAccumulator(SIDE, SIDE, n_resamples=n_resamples, seed=seed)
    one.update(np.fft.ifft2(shaped).real, np.arange(n_images))
    return _covers(one.half_power(), HALF_POWER)


def reversal(rng, *, n_images, n_resamples, seed):
    """A model that turns to the low image at a normal mixing frequency."""
    low = rng.normal(0.3, 0.15, size=(n_images, 1)) < np.array(FREQUENCIES)
    one = HybridAccumulator(n_resamples=n_resamples, seed=seed)
    one.update(np.arange(n_images), low, ~low)
    return _covers(one.reversal_frequency(), REVERSAL)


def mean_accuracy(rng, *, n_images, n_resamples, seed):
    """Four cells of known accuracy, in which the same images are hard."""
    names = ["fog", "gaussian_noise"]
    one = CellAccumulator(names, [1, 2], n_resamples=n_resamples, seed=seed)
    hard = rng.random((n_images, 1))
    own = rng.random((n_images, 4))
    uniform = np.where(rng.random((n_images, 4)) < 0.5, hard, own)
    correct = uniform < RATES.ravel()
    for k, name in enumerate(names):
        for s in range(2):
            one.update(name, s + 1, np.arange(n_images), correct[:, 2 * k + s])
    return _covers(one.mean, RATES.mean())


CASES = {
    "half-power frequency": half_power,
    "reversal frequency": reversal,
    "mean accuracy": mean_accuracy,
}
