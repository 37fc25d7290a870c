"""Spectra, hybrids and sensitivities leave results on the device until they are read.

On the CPU, `transfer.is_queued` is replaced, so that the path of a GPU runs there.
"""

import numpy as np
import pytest
import torch
from helpers.counts import Count, Reads
from torch import nn

import neurofreq as nf
from neurofreq.frequency import _images

IMAGES = torch.rand(24, 3, 8, 9, generator=torch.Generator().manual_seed(0))
LABELS = np.arange(24) % 3


@pytest.fixture
def queued(monkeypatch):
    """Treat the CPU as a device that works while the host runs ahead."""
    monkeypatch.setattr(_images.transfer, "is_queued", lambda device: True)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Linear(32, 3),
    )  # fmt: skip


class Sizes(nn.Module):
    """A model that notes the sizes of its batches."""

    def __init__(self):
        super().__init__()
        self.inner, self.sizes = network(), []

    def forward(self, x):
        self.sizes.append(len(x))
        return self.inner(x)


def accumulated(parts):
    spectrum = nf.SpectrumAccumulator(8, 9)
    for part in parts:
        spectrum.update(part)
    return spectrum


def test_sums_on_a_device_are_those_of_the_host(queued, monkeypatch):
    parts = torch.split(IMAGES, 5)
    with monkeypatch.context() as patch:
        patch.setattr(_images.transfer, "is_queued", lambda device: False)
        expected = accumulated(parts).merge(accumulated(parts[:2])).state()
    found = accumulated(parts).merge(accumulated(parts[:2])).state()
    np.testing.assert_array_equal(found.pop("total"), expected.pop("total"))
    assert found == expected
    mixed = accumulated([parts[0].numpy(), parts[1], parts[2].numpy(), parts[3]])
    np.testing.assert_allclose(
        mixed.power, nf.power_spectrum(IMAGES[:20]), rtol=1e-5, equal_nan=True
    )
    assert mixed.count == 60


def test_updates_wait_for_nothing_and_reading_waits_once(queued, monkeypatch):
    reads = Reads(monkeypatch)
    spectrum = nf.SpectrumAccumulator(8, 9)
    with Count() as count:
        for part in torch.split(IMAGES, 5):
            spectrum.update(part)
    assert not reads.names
    assert not count.waits
    _ = spectrum.power, spectrum.count
    assert reads.names == {"cpu": 1, "numpy": 1}


def test_a_bad_batch_on_a_device_is_left_out_and_told_at_the_reading(queued):
    bad = IMAGES[:5].clone()
    bad[1, 0, 0, 0] = np.nan
    spectrum = accumulated([IMAGES[:5], bad, IMAGES[5:10], bad * 1e30])
    with pytest.raises(ValueError, match=r"images: got NaN.* in batch 2, 4 on cpu"):
        _ = spectrum.power
    assert spectrum.count == 30
    np.testing.assert_array_equal(
        spectrum.power, accumulated([IMAGES[:5], IMAGES[5:10]]).power
    )


def curve(model, **options):
    return nf.hybrid_curve(
        model, IMAGES, LABELS, frequencies=[0.2, 0.5, 0.9], seeds=[0, 1], **options
    )


def sensitivity(model, **options):
    return nf.fourier_sensitivity(model, IMAGES, LABELS, norm=1.0, **options)


@pytest.mark.parametrize("measure", [curve, sensitivity])
def test_waits_do_not_grow_with_the_number_of_batches(queued, monkeypatch, measure):
    names = []
    for batch_size in (24, 4):
        with monkeypatch.context() as patch:
            reads = Reads(patch)
            with Count() as count:
                measure(network(), batch_size=batch_size)
        names.append((dict(reads.names), count.waits))
    if measure is curve:
        assert names[0] == names[1]
    else:  # one reading for each part of the images
        extra = names[1][0]["cpu"] - names[0][0]["cpu"]
        assert extra == 24 // 4 - 1
        assert names[1][1].keys() == names[0][1].keys()


@pytest.mark.parametrize("measure", [curve, sensitivity])
def test_results_on_a_device_are_those_of_the_host(monkeypatch, measure):
    expected = measure(network(), batch_size=7)
    monkeypatch.setattr(_images.transfer, "is_queued", lambda device: True)
    found = measure(network(), batch_size=7)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("measure", [curve, sensitivity])
def test_results_do_not_depend_on_the_split(measure):
    found = [measure(network().double(), batch_size=size) for size in (1, 7, 100, None)]
    for other in found[1:]:
        for one, value in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, value)


def test_a_call_of_the_model_has_several_directions():
    model = Sizes()
    found = sensitivity(model, batch_size=100)
    # 37 pairs of opposite frequencies and the clean images, four in a call.
    assert model.sizes[-10:] == [96] * 9 + [24 * 2]
    model.sizes.clear()
    again = sensitivity(model, batch_size=10)
    assert set(model.sizes) - {1, 2, 3, 4, 5, 6, 7} == {10, 8}
    np.testing.assert_array_equal(found.error_rate, again.error_rate)


class Broken(nn.Module):
    """A network that returns NaN for dark images."""

    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        is_dark = x.mean((1, 2, 3), keepdim=True) < 0.45
        return self.inner(x).masked_fill(is_dark[:, 0, 0], torch.nan)


@pytest.mark.parametrize("measure", [curve, sensitivity])
def test_nan_on_a_device_is_told_at_the_reading(queued, measure):
    with pytest.raises(nf.ModelError, match=r"NaN or infinite logits for \d+ of"):
        measure(Broken(), batch_size=5)
