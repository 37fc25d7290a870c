"""A simulated primary visual cortex: a substitute for a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from neurofreq._shared.inputs import validate
from neurofreq.data import LUMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CYCLES = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
"""Preferred spatial frequencies, cycles per image side."""

_SHARES = np.array([0.2, 0.25, 0.25, 0.15, 0.1, 0.05])
"""Shares of the population: biased to low frequencies, as in mouse V1."""

_SEMISATURATION = 0.1
"""Contrast at which divisive normalization begins."""


def simulate_v1(
    images: Any,
    *,
    n_trials: int = 10,
    n_neurons: int = 512,
    mean_count: float = 5.0,
    noise: Literal["poisson", "gaussian"] = "poisson",
    seed: int = 0,
) -> NDArray[np.float32]:
    """Simulate trials of a population of V1 complex cells: not a recording.

    Each cell sums the squares of two Gabor filters in quadrature (motion energy
    without motion), divided by the population's mean energy plus a constant.
    Positions and orientations are uniformly distributed. Preferred frequencies are 1 to
    6 cycles per image side, mostly 2 or less. The Gaussian window spans about one
    cycle. Each trial adds independent noise to the rates.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64 in [0, 1]; C = 1, or 3 (converted to luminance).
    n_trials : int
        Repeats of each image.
    n_neurons : int
        Size K of the population.
    mean_count : float
        Spikes per trial of an average cell at high contrast.
    noise : {"poisson", "gaussian"}
        Gaussian noise has the variance of Poisson noise, and counts may be negative.
    seed : int
        Seed of the population and of the noise. The same seed and `n_neurons` give
        the same cells for all images of the same size.

    Returns
    -------
    ndarray of float32, shape (n_trials, N, K)
        Spike counts.

    Raises
    ------
    TypeError
        If `images` have another type or dtype.
    ValueError
        Wrong shapes or values, counts below 1, or an unknown `noise`.

    References
    ----------
    Adelson & Bergen 1985, J Opt Soc Am A 2:284 (energy); Heeger 1992, Vis
    Neurosci 9:181 (normalization); Niell & Stryker 2008, J Neurosci 28:7520
    (mouse V1 prefers low frequencies).

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=8).images
    >>> nf.neural.simulate_v1(images, n_trials=4, n_neurons=20).shape
    (4, 8, 20)
    """
    n_trials = validate.count("n_trials", n_trials)
    n_neurons = validate.count("n_neurons", n_neurons)
    mean_count = validate.number("mean_count", mean_count)
    positive = 0.0 < mean_count < np.inf
    validate.within("mean_count", mean_count, positive, "a positive number")
    validate.one_of("noise", noise, ("poisson", "gaussian"))
    luminance = gray(images)
    population, draws = np.random.default_rng(validate.seed(seed)).spawn(2)
    filters = _gabor_pairs(n_neurons, luminance.shape[1:], population)
    drive = (
        luminance.reshape(len(luminance), -1) @ filters.reshape(-1, filters.shape[-1]).T
    )
    energy = np.square(drive).reshape(len(luminance), 2, n_neurons).sum(axis=1)
    pool = _SEMISATURATION**2 + energy.mean(axis=1, keepdims=True)
    counts = mean_count * energy / pool
    shape = (n_trials, *counts.shape)
    if noise == "poisson":
        return draws.poisson(counts, shape).astype(np.float32)
    deviation = np.sqrt(counts).astype(np.float32)
    trials = draws.standard_normal(shape, dtype=np.float32)
    trials *= deviation
    trials += counts
    return trials


def gray(images: Any) -> NDArray[np.float64]:
    """Return checked images as luminance, (N, H, W)."""
    checked = validate.images(images, unit_range=True)
    if isinstance(checked, torch.Tensor):
        checked = checked.detach().cpu().numpy()
    array = np.asarray(checked, dtype=np.float64)
    if array.shape[1] == 1:
        return array[:, 0]
    if array.shape[1] != 3:
        raise ValueError(f"images: got {array.shape[1]} channels, expected 1 or 3")
    luminance: NDArray[np.float64] = np.einsum("nchw,c->nhw", array, LUMA)
    return luminance


def _gabor_pairs(
    n_neurons: int, size: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw even and odd Gabor filters, shape (2, n_neurons, H * W).

    Both have mean zero, so that uniform images evoke no response. They are scaled so
    that a full-contrast grating of the preferred frequency and orientation has energy
    about 1.
    """
    height, width = size
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    centre_y, centre_x = rng.uniform(size=(2, n_neurons, 1)) * [[[height]], [[width]]]
    angle = rng.uniform(0.0, np.pi, size=(n_neurons, 1))
    cycles = rng.choice(_CYCLES, size=(n_neurons, 1), p=_SHARES) / min(height, width)
    dy, dx = y - centre_y, x - centre_x
    window = np.exp(-0.5 * (dy**2 + dx**2) * (2.0 * cycles) ** 2)
    phase = 2.0 * np.pi * cycles * (dx * np.cos(angle) + dy * np.sin(angle))
    pairs = window * np.stack([np.cos(phase), np.sin(phase)])
    pairs -= window * (pairs.sum(-1, keepdims=True) / window.sum(-1, keepdims=True))
    pairs *= 4.0 / window.sum(-1, keepdims=True)
    return np.asarray(pairs)
