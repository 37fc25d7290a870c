"""Images to corrupt and write."""

import numpy as np

from neurofreq import data

NAMES = ("contrast", "gaussian_noise")


def clean(n=6, size=32):
    images = np.random.default_rng(0).integers(0, 256, (n, 3, size, size), np.uint8)
    return data.ImageSet(images, np.arange(n) % 3, ("ant", "bee", "cat"), "random")
