"""Filters and changes of phase, checked against NumPy, SciPy and closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import ndimage

import neurofreq as nf
from neurofreq import frequency

SIZES = [(16, 16), (15, 15), (12, 17), (9, 14), (224, 224)]
CHANGES = {
    "low": lambda x: frequency.low_pass(x, 0.2),
    "high": lambda x: frequency.high_pass(x, 0.1, kind="butterworth", order=3),
    "band": lambda x: frequency.band_pass(x, 0.1, 0.3, kind="ideal"),
    "orientation": lambda x: frequency.orientation_pass(x, 30, 50),
    "phase": lambda x: frequency.phase_noise(x, 100, seed=3, first_index=2),
    "whiten": frequency.whiten,
    "combine": lambda x: frequency.combine_spectra(x, x.flip(0) if isinstance(
        x, torch.Tensor) else np.ascontiguousarray(x[::-1])),
}  # fmt: skip


def noise(size: tuple[int, int], n: int = 2, channels: int = 3, dtype=np.float64):
    return np.random.default_rng(0).random((n, channels, *size)).astype(dtype)


def radii(size: tuple[int, int]) -> np.ndarray:
    fy, fx = (np.fft.fftfreq(side) for side in size)
    return np.hypot(fy[:, None], fx)


def by_gain(images: np.ndarray, gain: np.ndarray) -> np.ndarray:
    return np.fft.ifft2(np.fft.fft2(images) * gain).real


def grating(size: tuple[int, int], fy: float, fx: float) -> np.ndarray:
    y, x = np.arange(size[0])[:, None], np.arange(size[1])
    return np.cos(2 * np.pi * (fy * y + fx * x))[None, None]


@pytest.mark.parametrize("size", SIZES)
def test_gains_are_those_of_the_formulas(size):
    images, f = noise(size), radii(size)
    low = {
        "ideal": (f <= 0.2 + 1e-12).astype(float),
        "gaussian": 2.0 ** -((f / 0.2) ** 2),
        "butterworth": 1.0 / (1.0 + (f / 0.2) ** 5),
    }
    for kind, gain in low.items():
        found = frequency.low_pass(images, 0.2, kind=kind, order=2.5)
        np.testing.assert_allclose(found, by_gain(images, gain), atol=1e-12)
        rest = 1.0 - gain
        found = frequency.high_pass(
            images, 0.2, kind=kind, order=2.5, keep_mean=False
        )  # fmt: skip
        np.testing.assert_allclose(found, by_gain(images, rest), atol=1e-12)
        rest[0, 0] = 1.0
        found = frequency.high_pass(images, 0.2, kind=kind, order=2.5)
        np.testing.assert_allclose(found, by_gain(images, rest), atol=1e-12)


def test_a_gaussian_filter_is_a_blur():
    image = noise((32, 24), 1, 1)
    blurred = ndimage.fourier_gaussian(np.fft.fft2(image[0, 0]), sigma=1.7)
    cutoff = math.sqrt(2.0 * math.log(2.0)) / (2.0 * math.pi * 1.7)
    found = frequency.low_pass(image, cutoff)[0, 0]
    np.testing.assert_allclose(found, np.fft.ifft2(blurred).real, atol=1e-12)
    in_space = ndimage.gaussian_filter(image[0, 0], 1.7, mode="wrap", truncate=8)
    np.testing.assert_allclose(found, in_space, atol=1e-4)


def test_units_agree():
    images = noise((32, 48))
    pixel = frequency.low_pass(images, 0.125)
    for value, unit in ((0.25, "nyquist"), (4, "cycles/image")):
        found = frequency.low_pass(images, value, unit=unit)
        np.testing.assert_array_equal(found, pixel)


def test_several_cutoffs_are_stacked():
    images = noise((16, 16))
    for of in (images, torch.from_numpy(images)):
        many = frequency.low_pass(of, [0.1, 0.3])
        assert many.shape == (2, *images.shape)
        for one, cutoff in zip(many, (0.1, 0.3), strict=True):
            np.testing.assert_allclose(one, frequency.low_pass(of, cutoff))


def test_octaves_add_up_to_the_image():
    images = noise((32, 32))
    ends = [math.sqrt(0.5) / 2**k for k in range(5, -1, -1)]
    parts = [
        frequency.band_pass(images, low, high, kind="ideal", keep_mean=False)
        for low, high in itertools.pairwise(ends)
    ]
    parts.append(frequency.low_pass(images, ends[0], kind="ideal"))
    np.testing.assert_allclose(np.sum(parts, axis=0), images, atol=1e-12)


@pytest.mark.parametrize("kind", ["ideal", "gaussian", "butterworth"])
def test_gratings_pass_by_orientation_and_frequency(kind):
    size, f = (32, 32), 8 / 32
    bars = {90: (0, f), 0: (f, 0), 45: (f, f), 135: (-f, f)}
    for orientation, wave in bars.items():
        image = grating(size, *wave)
        kept = frequency.orientation_pass(image, orientation, 30, kind=kind, order=4)
        np.testing.assert_allclose(kept, image, atol=1e-12)
        turned = frequency.orientation_pass(
            image, (orientation + 90) % 180, 30, kind=kind
        )
        assert np.abs(turned).max() < 0.02
    half = {"ideal": 1.0, "gaussian": 0.5, "butterworth": 0.5}[kind]
    image = grating(size, 0, f)
    edge = frequency.low_pass(image, f, kind=kind)
    np.testing.assert_allclose(edge, half * image, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("width", [0, 70, 180])
def test_phase_noise_keeps_amplitudes_and_changes_phases(size, width):
    images = noise(size)
    changed = frequency.phase_noise(images, width, seed=1)
    before, after = np.fft.fft2(images), np.fft.fft2(changed)
    np.testing.assert_allclose(np.abs(after), np.abs(before), atol=1e-10)
    ratio = after / before
    np.testing.assert_allclose(ratio[:, 0], ratio[:, 2], atol=1e-6)  # channels
    turn = np.angle(ratio)
    assert np.abs(turn).max() <= math.radians(width) + 1e-6
    if width:
        assert not np.allclose(turn[0], turn[1], atol=0.1)
        inner = np.abs(turn[0, 0, 1:3, 1:3])
        assert (inner > 1e-3).all()
    else:
        np.testing.assert_allclose(changed, images, atol=1e-12)


def test_phase_noise_does_not_depend_on_the_batch():
    images = noise((16, 16), 5).astype(np.float32)
    whole = frequency.phase_noise(images, seed=4)
    parts = [
        frequency.phase_noise(images[a:b], seed=4, first_index=a)
        for a, b in ((0, 1), (1, 4), (4, 5))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert not np.allclose(whole, frequency.phase_noise(images, seed=5))


@pytest.mark.parametrize("size", SIZES[:4])
def test_whitening_flattens_amplitudes_and_keeps_the_rest(size):
    images = noise(size)
    white = frequency.whiten(images)
    before, after = np.fft.fft2(images), np.fft.fft2(white)
    amplitudes = np.abs(after).reshape(2, 3, -1)[:, :, 1:]
    np.testing.assert_allclose(
        amplitudes, np.broadcast_to(amplitudes[..., :1], amplitudes.shape), rtol=1e-9
    )
    np.testing.assert_allclose(
        after / np.abs(after), before / np.abs(before), atol=1e-8
    )
    for statistic in (np.mean, np.var):
        np.testing.assert_allclose(
            statistic(white, axis=(2, 3)), statistic(images, axis=(2, 3)), rtol=1e-9
        )


@pytest.mark.parametrize("size", SIZES[:4])
def test_spectra_combine_and_swap_back(size):
    a, b = noise(size, 2), noise(size, 4)[2:]
    one, other = frequency.combine_spectra(a, b), frequency.combine_spectra(b, a)
    spectrum = np.abs(np.fft.fft2(a)) * np.exp(1j * np.angle(np.fft.fft2(b)))
    np.testing.assert_allclose(one, np.fft.ifft2(spectrum).real, atol=1e-12)
    np.testing.assert_allclose(frequency.combine_spectra(one, other), a, atol=1e-11)
    np.testing.assert_allclose(frequency.combine_spectra(a, a), a, atol=1e-12)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [(16, 16), (9, 14), (13, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tensors_and_arrays_agree(change, size, dtype):
    images = noise(size, dtype=dtype)
    array, tensor = CHANGES[change](images), CHANGES[change](torch.from_numpy(images))
    assert array.dtype == dtype
    assert tensor.dtype == torch.from_numpy(images).dtype
    limit = 1e-11 if dtype == np.float64 else 2e-5
    np.testing.assert_allclose(array, tensor.numpy(), atol=limit)


@pytest.mark.parametrize("change", CHANGES)
def test_gradients_are_those_of_differences(change):
    images = torch.from_numpy(noise((4, 5), 2, 1)).requires_grad_()
    assert torch.autograd.gradcheck(CHANGES[change], (images,), atol=1e-6)


def test_gratings_whiten_and_combine_without_noise():
    image = (0.5 + 0.4 * grating((32, 32), 0, 4 / 32)).astype(np.float32)
    for of in (image, torch.from_numpy(image)):
        np.testing.assert_allclose(frequency.whiten(of), _only(image), atol=1e-4)
    flat = torch.full((1, 1, 8, 8), 0.3, requires_grad=True)
    frequency.whiten(flat).sum().backward()
    assert flat.grad is not None
    assert bool(flat.grad.isfinite().all())


def _only(image: np.ndarray) -> np.ndarray:
    """Whiten a grating: its two coefficients get the mean power of all."""
    spectrum = np.fft.fft2(image.astype(np.float64))
    size = image[0, 0].size
    flat = math.sqrt(2 * np.abs(spectrum[0, 0, 0, 4]) ** 2 / (size - 1))
    made = np.zeros_like(spectrum)
    made[..., 0, 0] = spectrum[..., 0, 0]
    made[..., 0, 4] = made[..., 0, -4] = flat
    return np.fft.ifft2(made).real


def test_strided_arrays_are_read_and_images_do_not_change():
    images = noise((16, 16))
    view = images[:, ::-1, :, ::-1]
    before = images.copy()
    found = frequency.low_pass(view, 0.2)
    np.testing.assert_allclose(found, frequency.low_pass(view.copy(), 0.2))
    np.testing.assert_array_equal(images, before)


def test_a_layer_is_its_function_and_has_a_gradient():
    images = torch.from_numpy(noise((16, 16)))
    layer = frequency.Filter("high_pass", 0.2, kind="ideal")
    torch.testing.assert_close(
        layer(images), frequency.high_pass(images, 0.2, kind="ideal")
    )
    images.requires_grad_()
    layer(images).square().sum().backward()
    assert images.grad is not None
    with pytest.raises(TypeError, match=r"settings: got .*'sharp'"):
        frequency.Filter("low_pass", 0.1, sharp=True)
    with pytest.raises(ValueError, match="name: got 'blur', expected one of"):
        frequency.Filter("blur")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: frequency.low_pass(x, 0), "cutoff: got 0.0, expected above 0 and"),
        (lambda x: frequency.low_pass(x, 0.71), "cutoff: got 0.71, .* up to 0.707107"),
        (lambda x: frequency.high_pass(x, 2, unit="nyquist"), "up to 1.41421 nyquist"),
        (lambda x: frequency.low_pass(x, 12, unit="cycles/image"), "up to 11.3137"),
        (lambda x: frequency.low_pass(x, 0.1, unit="hz"), "unit: got 'hz', expected"),
        (lambda x: frequency.low_pass(x, 0.1, kind="box"), "kind: got 'box', expected"),
        (lambda x: frequency.low_pass(x, 0.1, order=0), "order: got 0"),
        (lambda x: frequency.band_pass(x, 0.2, 0.2), "high: got 0.2, expected above"),
        (
            lambda x: frequency.band_pass(x, 0.27, 0.275, kind="ideal"),
            "band: got one without a frequency of 16 x 16 pixels",
        ),
        (lambda x: frequency.orientation_pass(x, 0, 0), "width: got 0"),
        (lambda x: frequency.orientation_pass(x, math.nan, 9), "orientation: got nan"),
        (
            lambda x: frequency.orientation_pass(x, 1, 0.1, kind="ideal"),
            "band: got one without a frequency",
        ),
        (lambda x: frequency.phase_noise(x, 181, seed=0), "width: got 181"),
        (lambda x: frequency.phase_noise(x, seed=0, first_index=-1), "first_index: "),
        (lambda x: frequency.whiten(x * math.nan), "images: got NaN"),
        (lambda x: frequency.combine_spectra(x, x[:, :1]), "phase: got shape"),
    ],
)
def test_bad_settings_are_named(call, message):
    for images in (noise((16, 16)), torch.from_numpy(noise((16, 16)))):
        with pytest.raises(ValueError, match=message):
            call(images)


def test_a_filtered_network_sees_only_low_frequencies():
    images = torch.from_numpy(nf.data.load_data("synthetic", n=8).images)
    model = nf.models.load_model("zoo:gray-mouse")
    both = torch.nn.Sequential(frequency.Filter("low_pass", 0.1, kind="ideal"), model)
    hidden = images + 0.1 * torch.from_numpy(grating((32, 32), 0, 0.25)).float()
    with torch.no_grad():
        torch.testing.assert_close(both(hidden), both(images), atol=1e-3, rtol=1e-3)
        assert not torch.allclose(model(hidden), model(images), atol=1e-2)


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("scale", [1e22, 1e-22])
def test_planes_whose_squares_leave_the_range_of_float32_are_refused(scale, as_tensor):
    images = np.random.default_rng(0).normal(size=(2, 1, 8, 8)).astype(np.float32)
    extreme = images.copy()
    extreme[1] *= np.float32(scale)
    if as_tensor:
        images, extreme = torch.from_numpy(images), torch.from_numpy(extreme)
    with pytest.raises(ValueError, match="images: got a plane with the largest"):
        nf.frequency.whiten(extreme)
    with pytest.raises(ValueError, match="phase: got a plane with the largest"):
        nf.frequency.combine_spectra(images, extreme)
    assert not nf.frequency.whiten(0 * images).any()
    swapped = nf.frequency.combine_spectra(extreme, images)
    assert np.isfinite(np.asarray(swapped)).all()
