"""A small classification problem, with a network and a regularizer."""

import numpy as np
import torch
from torch import nn

import neurofreq as nf
from neurofreq import training


def network(seed=0, classes=3):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AvgPool2d(4),
        nn.Conv2d(6, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(32, classes),
    )


def problem(n=60, seed=0):
    """Bars in three orientations, which differ in low frequencies."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    y, x = np.mgrid[:16, :16] / 16
    angle = labels[:, None, None] * np.pi / 3
    phase = rng.uniform(0, 2 * np.pi, (n, 1, 1))
    wave = np.cos(4 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    images = (0.5 + 0.3 * wave + rng.normal(0, 0.1, wave.shape)).clip(0, 1)
    return torch.from_numpy(images[:, None]).float(), torch.from_numpy(labels)


def regularizer(model, images, **keywords):
    target = nf.neural.v1_similarity(images.numpy(), n_neurons=64)
    return nf.SimilarityRegularizer(model, ["0", "4"], target, images, **keywords)


SHORT = training.Recipe(epochs=2, batch_size=20, lr=0.05)
