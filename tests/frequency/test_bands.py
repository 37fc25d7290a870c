"""Critical-band masking, with an observer whose channel is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import curve_fit
from test_filtered_accuracy import SIDE, WAVE, Matched, gratings

import neurofreq as nf
from neurofreq import _neurofreq, frequency
from neurofreq.frequency import _bands, _units

SDS = [0.02, 0.04, 0.08, 0.16, 0.32]


def measured(n: int = 400, **settings):
    images, labels = gratings(n)
    return nf.band_masking(
        Matched(), images, labels, **({"sds": SDS, "criterion": 0.8} | settings)
    )


def test_only_noise_of_the_own_band_disturbs_a_matched_filter():
    found = measured()
    np.testing.assert_allclose(found.frequency * SIDE, [1, 2, 4, 8])
    assert found.clean.all()
    others = [0, 1, 3]
    assert found.accuracy[others][:, :4].min() > 0.99  # 0.32 is clipped at 0 and 1
    # The grating has the mean square amplitude (0.04)^2 / 2, and 1 / M of the power of
    # the noise has its frequency and phase, for M coefficients in the band.
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
    m = np.count_nonzero(
        (f > 0.25 / math.sqrt(2) * (1 + 1e-9)) & (f <= 0.25 * math.sqrt(2) * (1 + 1e-9))
    )
    for sd, accuracy in zip(SDS[:4], found.accuracy[2], strict=False):
        ratio = 0.04 / math.sqrt(2) / (sd / math.sqrt(m))
        expected = 0.5 * (1.0 + math.erf(ratio / math.sqrt(2)))
        assert abs(accuracy - expected) < 4 * math.sqrt(0.25 / 400), (sd, expected)


def test_thresholds_and_the_channel_follow_from_the_accuracies():
    found = measured(criterion=0.9)
    assert math.isinf(found.threshold(0).estimate().value)
    curve = np.append(1.0, found.accuracy[2])
    k = int(np.argmax(curve <= 0.9))
    octaves = np.log2([0.01, *SDS])
    part = (curve[k - 1] - 0.9) / (curve[k - 1] - curve[k])
    expected = 2 ** (octaves[k - 1] + part * (octaves[k] - octaves[k - 1]))
    one = found.threshold(2).estimate()
    assert one.value == pytest.approx(expected)
    assert one.low < one.value < one.high
    assert found.curve().y[2] == pytest.approx(math.log2(0.32 / expected))
    center = found.center().estimate()
    assert center.low <= center.value <= center.high
    assert center.value == pytest.approx(0.25, rel=0.15)
    peak, at, deviation = found.fitted()
    assert found.sensitivity().estimate().value == pytest.approx(2**peak / 0.32)
    assert found.bandwidth().estimate().value == pytest.approx(2.3548 * deviation, 1e-4)
    assert 0.0 <= at <= 3.0


def test_the_fit_is_that_of_scipy():
    x = np.arange(7.0)
    rng = np.random.default_rng(0)

    def gaussian(x, peak, center, deviation):
        return peak * np.exp(-0.5 * ((x - center) / deviation) ** 2)

    rows = []
    for _ in range(20):
        truth = rng.uniform([1, 1.5, 0.6], [4, 4.5, 2])
        rows.append(gaussian(x, *truth) + 0.1 * rng.random(7))
    found = _neurofreq.fitted_channels(x, np.array(rows), 9.0)
    for row, one in zip(rows, found, strict=True):
        expected, _ = curve_fit(gaussian, x, row, p0=one * 1.05)
        np.testing.assert_allclose(one, np.abs(expected), rtol=1e-4)


def test_noise_has_one_octave_and_its_standard_deviation():
    white = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 1, 32, 24)))
    spectrum = _neurofreq.spectrum_tensor(white)
    f = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(24))
    covered = np.zeros_like(f)
    for center in _units.octaves(32, 24):
        noise = _bands._band(spectrum, 24, center).numpy()
        np.testing.assert_allclose(np.sqrt((noise**2).mean(axis=(2, 3))), 1.0)
        power = np.abs(np.fft.fft2(noise)).sum(axis=(0, 1)) > 1e-6
        low, high = center / math.sqrt(2), center * math.sqrt(2)
        assert f[power].min() > low * 0.999
        assert f[power].max() < high * 1.001
        covered += power
    lowest = _units.octaves(32, 24)[0] / math.sqrt(2)
    np.testing.assert_array_equal(covered, f > lowest)


def test_images_are_gray_with_less_contrast_and_the_mean():
    images = np.random.default_rng(0).random((3, 3, 8, 8))
    seen = []

    def model(x):
        seen.append(x.clone())
        return torch.zeros(len(x), 2)

    nf.band_masking(
        model, images, [0, 0, 0], contrast=0.3, mean=0.4, sds=[0.1], batch_size=3
    )
    clean, noisy = seen[-4], seen[-1]
    luma = (images * np.array([0.299, 0.587, 0.114])[:, None, None]).sum(axis=1)
    expected = (luma - luma.mean(axis=(1, 2), keepdims=True)) * 0.3 + 0.4
    for channel in range(3):
        np.testing.assert_allclose(clean[:, channel], expected, atol=1e-3)
        assert torch.equal(noisy[:, channel], noisy[:, 0])
    noise = (noisy - clean)[:, 0]
    np.testing.assert_allclose(noise.square().mean(dim=(1, 2)).sqrt(), 0.1, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_the_split_into_batches_does_not_matter(batch_size):
    data = nf.data.load_data("synthetic", n=20)
    model = nf.models.load_model("zoo:gray-mouse")
    whole = nf.band_masking(model, data.images, data.labels)
    split = nf.band_masking(model, data.images, data.labels, batch_size=batch_size)
    np.testing.assert_array_equal(whole.correct, split.correct)


def test_a_model_below_the_criterion_has_no_channel():
    images, labels = gratings(8)
    found = nf.band_masking(Matched(), images, 1 - labels)
    assert math.isnan(found.center().estimate().value)
    assert math.isnan(found.threshold(0).estimate().value)
    assert "nan" in repr(found)
    assert found.plot() is not None
    steady = nf.band_masking(lambda x: torch.eye(2)[[0] * len(x)], images, [0] * 8)
    assert math.isnan(steady.center().estimate().value)  # no noise disturbs it
    assert (steady.curve().y == 0.0).all()


def test_octaves_fit_the_image():
    assert [f * 224 for f in _units.octaves(224, 224)] == [
        1.75, 3.5, 7, 14, 28, 56, 112
    ]  # fmt: skip
    for side in range(2, 40):
        for other in (side, side + 3):
            white = torch.randn(1, 1, side, other, dtype=torch.float64)
            spectrum = _neurofreq.spectrum_tensor(white)
            for center in _units.octaves(side, other):
                assert bool(_bands._band(spectrum, other, center).isfinite().all())
    assert _units.octaves(1, 5) == []
    with pytest.raises(ValueError, match="images: got 1 x 5 pixels, expected at least"):
        nf.band_masking(lambda x: torch.zeros(len(x), 2), np.zeros((1, 1, 1, 5)), [0])


def test_the_human_channel_is_near_the_paper():
    center, bandwidth, source = frequency.HUMAN_CHANNEL
    thresholds = np.array([[0.0, 0, 0, 0, 2, 2, 0]])  # of the authors' repository
    _, at, deviation = _neurofreq.fitted_channels(np.arange(7.0), thresholds, 4.0)[0]
    assert 1.75 * 2**at == pytest.approx(center, abs=0.1)
    assert 2.3548 * deviation == pytest.approx(bandwidth, abs=0.01)
    assert "Subramanian" in source


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sds": [0.0, 0.1]}, "sds: got .*, expected ascending numbers above 0"),
        ({"sds": [0.2, 0.1]}, "sds: got"),
        ({"contrast": 0.0}, "contrast: got 0.0, expected above 0 and up to 1"),
        ({"mean": 1.5}, "mean: got 1.5, expected 0 to 1"),
        ({"criterion": 1.0}, "criterion: got 1.0, expected a number between 0 and 1"),
    ],
)
def test_bad_settings_are_named(settings, message):
    images, labels = gratings(4)
    with pytest.raises(ValueError, match=message):
        nf.band_masking(Matched(), images, labels, **settings)


def test_other_numbers_of_channels_are_refused():
    images = np.zeros((2, 2, 8, 8), np.float32)
    with pytest.raises(ValueError, match="images: got 2 channels, expected 1 or 3"):
        nf.band_masking(lambda x: torch.zeros(len(x), 2), images, [0, 1])
    assert WAVE.shape == (SIDE,)
