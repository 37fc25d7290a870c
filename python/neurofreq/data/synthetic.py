"""Generate the synthetic image set: each class has its own shape and its own texture.

A class has one smooth silhouette (spatial frequencies below about 0.12
cycles/pixel) and one grating (0.20 to 0.44 cycles/pixel at random, orientation
by class) over natural 1/f noise. Each cue alone identifies the class. A network may use
either cue, and hybrid images show which one it uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES = ("disk", "ring", "bar-", "bar/", "bar|", "bar\\", "plus", "cross")
SIZE = 32
SHAPE_CONTRAST = 0.15
TEXTURE_CONTRAST = 0.10
NOISE_CONTRAST = 0.05
TEXTURE_FREQUENCY = (0.20, 0.44)  # cycles/pixel, uniform in between
SHAPE_CUTOFF = 0.06  # cycles/pixel, standard deviation of the low-pass
STREAMS = {"train": 0, "test": 1}


def draw(
    n: int,
    *,
    split: str = "test",
    shape_contrast: float = SHAPE_CONTRAST,
    texture_contrast: float = TEXTURE_CONTRAST,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the first n images (n, 1, 32, 32) in [0, 1] and labels (n,) of a split.

    Image i shows class i modulo 8 and does not depend on n. The contrast of a cue is
    half its peak-to-peak amplitude; 0 removes the cue.
    """
    labels = np.arange(n, dtype=np.int64) % len(CLASSES)
    jitter, noise = _randomness(n, STREAMS[split])
    pixels = 0.5 + NOISE_CONTRAST * _natural_noise(noise)
    pixels += shape_contrast * _silhouettes(labels, jitter)
    pixels += texture_contrast * _gratings(labels, jitter)
    return np.clip(pixels, 0.0, 1.0).astype(np.float32)[:, None], labels


def _randomness(n: int, stream: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return six uniform numbers in [-1, 1] and one field of white noise per image."""
    jitter = np.empty((n, 6, 1, 1))
    noise = np.empty((n, SIZE, SIZE))
    for index in range(n):
        rng = np.random.default_rng((stream, index))
        jitter[index, :, 0, 0] = rng.uniform(-1.0, 1.0, 6)
        noise[index] = rng.standard_normal((SIZE, SIZE))
    return jitter, noise


def _radius() -> NDArray[np.float64]:
    """Return abs(f) on the half plane of a real FFT, in cycles/pixel."""
    return np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE))


def _natural_noise(white: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return noise with an amplitude spectrum of 1/abs(f), mean 0 and deviation 1."""
    radius = _radius()
    radius[0, 0] = np.inf
    pink = np.fft.irfft2(np.fft.rfft2(white) / radius, s=(SIZE, SIZE))
    return pink / pink.std(axis=(1, 2), keepdims=True)


def _silhouettes(
    labels: NDArray[np.int64], jitter: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return one smooth, jittered shape per image, from -1 (background) to 1."""
    grid = np.arange(SIZE) - (SIZE - 1) / 2
    x = grid[None, None, :] - 3.0 * jitter[:, 0]
    y = grid[None, :, None] - 3.0 * jitter[:, 1]
    scale = 1.0 + 0.15 * jitter[:, 2]
    x, y = x / scale, y / scale
    angle = np.deg2rad(8.0) * jitter[:, 3]
    x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    radius = np.hypot(x, y)

    def bar(degrees: float) -> NDArray[np.float64]:
        along = x * np.cos(np.deg2rad(degrees)) + y * np.sin(np.deg2rad(degrees))
        across = y * np.cos(np.deg2rad(degrees)) - x * np.sin(np.deg2rad(degrees))
        return np.maximum(abs(along) - 11.0, abs(across) - 3.5)

    bars = [bar(degrees) for degrees in (0.0, -45.0, 90.0, 45.0)]
    # Signed distances to the outline, negative inside, in the order of CLASSES.
    distances = np.stack(
        [
            radius - 7.5,
            abs(radius - 9.0) - 2.5,
            *bars,
            np.minimum(bars[0], bars[2]),
            np.minimum(bars[1], bars[3]),
        ]
    )
    chosen = distances[labels, np.arange(len(labels))]
    spectrum = np.fft.rfft2(np.where(chosen < 0.0, 1.0, -1.0))
    spectrum *= np.exp(-0.5 * (_radius() / SHAPE_CUTOFF) ** 2)
    return np.fft.irfft2(spectrum, s=(SIZE, SIZE))


def _gratings(
    labels: NDArray[np.int64], jitter: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return one sine grating per image: orientation by class, random phase."""
    # With a stride of 3, classes with similar shapes get different orientations.
    angle = (3 * labels % len(CLASSES)) * (np.pi / len(CLASSES))
    low, high = TEXTURE_FREQUENCY
    frequency = low + (high - low) * (0.5 + 0.5 * jitter[:, 5])
    grid = 2.0 * np.pi * frequency * np.arange(SIZE)
    phase = np.pi * jitter[:, 4]
    across = np.cos(angle)[:, None, None] * grid
    down = np.sin(angle)[:, None, None] * grid.transpose(0, 2, 1)
    return np.sin(across + down + phase)
