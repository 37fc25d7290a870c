"""Images and a network small enough for a report."""

import numpy as np
import torch
from torch import nn

from neurofreq.data import ImageSet


def images(n=24, channels=1, size=16, n_classes=4):
    rng = np.random.default_rng(0)
    pixels = rng.random((n, channels, size, size), dtype=np.float32)
    names = tuple(f"class {index}" for index in range(n_classes))
    return ImageSet(pixels, np.arange(n) % n_classes, names, "random pixels")


def network(channels=1, n_classes=4, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(216, n_classes),
    )
