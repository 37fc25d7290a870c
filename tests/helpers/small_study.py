"""A study of small networks and random pixels, for the tests of studies."""

import os
import time

import numpy as np
import pytest
import torch
from torch import nn

from neurofreq import studies
from neurofreq.data import ImageSet
from neurofreq.studies import ModelEntry, Study, measuring, worker

SETTINGS = {
    "n_attack": 6,
    "attack_steps": 3,
    "seeds": [0],
    "frequencies": [0.0, 0.3, 1.0],
    "corruptions": ["gaussian_noise", "brightness"],
}


def images(n=12, channels=1, size=16, n_classes=4):
    rng = np.random.default_rng(0)
    pixels = rng.random((n, channels, size, size), dtype=np.float32)
    names = tuple(f"class {index}" for index in range(n_classes))
    return ImageSet(pixels, np.arange(n) % n_classes, names, "random pixels")


class Network(nn.Module):
    """A small network that can be slow, or raise an error."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(256, 4))
        self._refuses = None

    def forward(self, x):
        time.sleep(float(os.environ.get("SLEEP", "0")))
        if self._refuses is not None and self._refuses(x):
            raise RuntimeError("refused")
        return self.inner(x)


def study(n_models=2, **changes):
    models = [ModelEntry(Network(seed), f"m{seed}", "base") for seed in range(n_models)]
    options = {"models": models, "settings": SETTINGS, **changes}
    return Study(images(), name="small", **options)


def run(one, folder, **options):
    return studies.run(one, folder, progress=False, **options)


def in_small_parts(patch):
    """Attack in parts of three images, and check other processes' items often."""
    patch.setattr(measuring, "ATTACK_PART", 3)
    patch.setattr(worker, "POLL_SECONDS", 0.01)


def undisturbed(folder):
    """Run a study without interruption."""
    with pytest.MonkeyPatch.context() as patch:
        in_small_parts(patch)
        return run(study(), folder)
