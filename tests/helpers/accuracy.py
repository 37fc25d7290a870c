"""A network that counts images, and images to corrupt."""

import numpy as np
import torch
from torch import nn

import neurofreq as nf
from neurofreq import data
from neurofreq.corruptions.grouping import averaged

PAPER = averaged(nf.CORRUPTIONS)


class Counting(nn.Module):
    """A small color or gray network that counts its images."""

    def __init__(self, channels=3, seed=0, n_classes=3):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 4, 5, stride=3), nn.ReLU(), nn.BatchNorm2d(4),
            nn.Flatten(), nn.Linear(400, n_classes),
        )  # fmt: skip
        self._n_images = 0

    def forward(self, images):
        self._n_images += len(images)
        return self.layers(images)


def clean(n=20, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 3, 32, 32), np.uint8)
    return data.ImageSet(images, np.arange(n) % 3, ("ant", "bee", "cat"), "random")
