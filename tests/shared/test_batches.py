"""Batch sizes by device and memory, and batches that do not fit."""

import numpy as np
import pytest
import torch
from torch import nn

import neurofreq as nf
from neurofreq._shared.networks import batches, calling

ONE = torch.zeros(1, 3, 8, 8)


class Layers(nn.Module):
    """Two layers whose outputs have a known size."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 4, 1)

    def forward(self, x):
        return self.second(self.first(x)).mean((2, 3))


def test_the_host_has_a_fixed_size():
    ask = calling.Classifier(Layers())
    assert batches.chosen(None, ask, ONE) == 256
    assert batches.chosen(None, ask, ONE, gradient=True) == 128
    assert batches.chosen(7, ask, ONE) == 7


def test_a_trial_counts_the_outputs_of_all_operators():
    """Bytes of a float32 image: 16 planes, 4 planes and 4 means of 8 x 8 pixels."""
    model, own = Layers(), 4 * 3 * 64
    outputs = 4 * (16 * 64 + 4 * 64 + 4)
    found = batches.needed(model, ONE, gradient=True)
    assert found == 2.0 * (outputs + own)
    assert batches.needed(model, ONE, gradient=False) == 6.0 * 4 * 16 * 64
    double = batches.needed(model.double(), ONE.double(), gradient=True)
    assert double == 2.0 * found
    assert ONE.requires_grad is False


def test_half_of_the_memory_gives_a_power_of_two():
    assert batches.fitting(2000.0, 10.0) == 64
    assert batches.fitting(2.0 * 64 * 10, 10.0) == 64
    assert batches.fitting(5.0, 10.0) == 1
    assert batches.fitting(1e12, 10.0) == batches.MOST == 1024


class Small(nn.Module):
    """A device with memory for a number of images."""

    def __init__(self, most):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.most, self.sizes = Layers(), most, []

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return self.inner(x)


IMAGES = torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(0)).numpy()
LABELS = np.arange(20) % 4
MEASUREMENTS = {
    "hybrid_curve": lambda model: (
        (
            nf.hybrid_curve(model, IMAGES, LABELS, frequencies=[0.2, 0.6], seeds=[0])
        ).difference
    ),
    "corruption_accuracy": lambda model: (
        (
            nf.corruption_accuracy(
                model, IMAGES, LABELS, corruptions=["brightness"], severities=[3]
            )
        ).correct
    ),
    "filtered_accuracy": lambda model: (
        nf.filtered_accuracy(model, IMAGES, LABELS, filters=["low-pass"]).correct
    ),
    "band_masking": lambda model: nf.band_masking(model, IMAGES, LABELS).correct,
    "fourier_sensitivity": lambda model: (
        nf.fourier_sensitivity(model, IMAGES, LABELS).error_rate
    ),
    "robust_accuracy": lambda model: (
        (
            nf.attacks.robust_accuracy(
                model, IMAGES, LABELS, epsilons=[0.01, 0.1], norm="linf", steps=5
            )
        ).value
    ),
}


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_batch_that_is_too_large_is_halved_and_told_once(name):
    model = Small(6)
    with pytest.warns(UserWarning, match="too little memory for") as told:
        found = MEASUREMENTS[name](model)
    assert sum("memory" in str(one.message) for one in told) == 1
    too_large = [size for size in model.sizes if size > 6]
    assert len(too_large) <= 6  # halved from 256 at most
    np.testing.assert_array_equal(found, MEASUREMENTS[name](model.inner))


def test_other_errors_of_a_model_pass_through():
    class Failing(Layers):
        def forward(self, x):
            if len(x) > 4:
                raise RuntimeError("shapes do not fit")
            return super().forward(x)

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        nf.hybrid_curve(Failing(), IMAGES, LABELS)


def test_one_image_that_is_too_large_raises_the_devices_error():
    ask = calling.Classifier(Small(0))
    with pytest.raises(torch.OutOfMemoryError), torch.no_grad():
        ask(ONE)
    assert ask.room.most is None


@pytest.mark.cuda
def test_a_device_gets_more_images_than_the_host():
    ask = calling.Classifier(Layers().cuda())
    assert batches.chosen(None, ask, ONE.cuda()) == batches.MOST
