"""Power spectra against numpy.fft, on both paths."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import neurofreq as nf

SHAPES = [(3, 2, 8, 8), (2, 3, 7, 12), (5, 1, 9, 5), (1, 1, 16, 1), (4, 3, 31, 33)]


def noise(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def reference(images):
    images = images.astype(np.float64)
    images = images - images.mean((2, 3), keepdims=True)
    power = np.fft.fftshift((np.abs(np.fft.fft2(images)) ** 2).mean((0, 1)))
    power[power.shape[0] // 2, power.shape[1] // 2] = np.nan
    return power


def tolerance(dtype, shape):
    """The rounding error of a transform grows with log2 of its length."""
    return 4 * np.finfo(dtype).eps * max(1.0, np.log2(shape[-1] * shape[-2]))


def assert_close(found, expected, dtype):
    assert found.dtype == np.float64
    assert found.shape == expected.shape
    bound = tolerance(dtype, expected.shape) * np.nansum(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound, equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_both_paths_equal_numpy(shape, dtype):
    images = noise(shape, dtype)
    expected = reference(images)
    assert_close(nf.power_spectrum(images), expected, dtype)
    assert_close(nf.power_spectrum(torch.from_numpy(images)).numpy(), expected, dtype)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(1, 24)] * 2),
    seed=st.integers(0, 2**32 - 1),
    offset=st.floats(-100, 100),
)
def test_paths_agree_on_any_size(shape, seed, offset):
    images = noise(shape, seed=seed) + offset
    host = nf.power_spectrum(images)
    device = nf.power_spectrum(torch.from_numpy(images)).numpy()
    bound = tolerance(np.float64, shape) * (images**2).sum() * shape[2] * shape[3]
    np.testing.assert_allclose(host, device, rtol=0, atol=bound, equal_nan=True)


def test_many_images_take_several_chunks():
    images = noise((700, 3, 48, 48), np.float32)
    expected = reference(images)
    assert_close(nf.power_spectrum(images), expected, np.float32)
    assert_close(
        nf.power_spectrum(torch.from_numpy(images)).numpy(), expected, np.float32
    )


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[::-1],
        lambda x: x[:, ::2],
        lambda x: x[..., ::-1],
        lambda x: x[:, :, ::-2, 1::3],
        lambda x: x.transpose(0, 1, 3, 2),
        lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
        lambda x: np.broadcast_to(x[:1], x.shape),
    ],
)
def test_strided_arrays_are_read_as_they_look(view):
    images = view(noise((6, 3, 14, 11)))
    assert_close(nf.power_spectrum(images), reference(images), np.float64)


def test_read_only_memory_maps_are_read(tmp_path):
    np.save(tmp_path / "images.npy", noise((4, 1, 8, 8)))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert_close(nf.power_spectrum(images), reference(images), np.float64)


def test_demeaning_keeps_the_rounding_of_a_large_mean_out():
    small = noise((4, 1, 32, 32), np.float32, seed=1) * 1e-3
    images = small + np.float32(1.0)
    expected = reference(images)
    with_mean, without = (
        nf.power_spectrum(images, demean=demean) for demean in (False, True)
    )
    error = [np.nanmax(np.abs(p - expected)) for p in (with_mean, without)]
    assert error[1] < 0.1 * error[0]
    np.testing.assert_allclose(with_mean, expected, rtol=1e-3)


def test_thread_count_changes_no_bit():
    images = noise((130, 3, 17, 20), np.float32)
    before = nf.num_threads()
    try:
        results = []
        for count in (1, 2, 5):
            nf.set_num_threads(count)
            results.append(nf.power_spectrum(images))
    finally:
        nf.set_num_threads(before)
    assert all(np.array_equal(results[0], r, equal_nan=True) for r in results)


# --- gradients and devices ---


@pytest.mark.parametrize("demean", [True, False])
def test_tensor_gradient(demean):
    images = torch.from_numpy(noise((2, 2, 5, 6))).requires_grad_()

    def power(x):
        found = nf.power_spectrum(x, demean=demean)
        return found[~found.isnan()]

    assert torch.autograd.gradcheck(power, (images,))


def test_nan_at_dc_does_not_reach_the_gradient():
    images = torch.from_numpy(noise((2, 1, 6, 6))).requires_grad_()
    nf.power_spectrum(images).nansum().backward()
    assert images.grad.isfinite().all()


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cuda_equals_host(dtype):
    images = noise((9, 3, 31, 32), dtype)
    found = nf.power_spectrum(torch.from_numpy(images).cuda())
    assert found.is_cuda
    assert_close(found.cpu().numpy(), nf.power_spectrum(images), dtype)


# --- radial profile ---


def test_white_noise_fills_the_disc_like_its_area():
    profile = nf.radial_profile(nf.power_spectrum(noise((4000, 1, 32, 32))))
    flat = nf.radial_profile(np.ones((32, 32)))
    np.testing.assert_allclose(profile.cumulative, flat.cumulative, atol=2e-3)
    assert profile.half_power == pytest.approx(0.396, abs=2e-3)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
    share = ((radius <= 0.5).sum() - 1) / (32 * 32 - 1)
    assert share == pytest.approx(0.776, abs=5e-4)
    fine = nf.radial_profile(np.ones((32, 32)), n_thresholds=1025)
    at_nyquist = np.interp(0.5 + 1e-4, fine.frequency, fine.cumulative)
    assert at_nyquist == pytest.approx(share, abs=5e-3)


def test_white_noise_half_power_in_the_limit():
    flat = nf.radial_profile(np.ones((512, 512)), n_thresholds=2000)
    assert flat.half_power == pytest.approx(np.sqrt(0.5 / np.pi), abs=1e-3)


@pytest.mark.parametrize(("ky", "kx"), [(0, 3), (4, 0), (3, 4), (16, 16), (5, -12)])
def test_a_cosine_jumps_at_its_frequency(ky, kx):
    y, x = np.mgrid[:32, :32]
    wave = np.cos(2 * np.pi * (ky * y + kx * x) / 32)[None, None]
    profile = nf.radial_profile(nf.power_spectrum(wave))
    inside = profile.frequency * (1 + 1e-12) >= np.hypot(ky, kx) / 32
    np.testing.assert_allclose(profile.cumulative, inside, atol=1e-12)


@pytest.mark.parametrize("shape", [(32, 32), (7, 12), (9, 9), (1, 8)])
def test_profile_equals_its_definition(shape):
    power = reference(noise((3, 1, *shape)))
    profile = nf.radial_profile(power, n_thresholds=30)
    fy, fx = (np.fft.fftshift(np.fft.fftfreq(n)) for n in shape)
    radius = np.hypot(fy[:, None], fx)
    limits = np.linspace(0, radius.max(), 30)
    total = np.nansum(power)
    expected = [np.nansum(power[radius <= t * (1 + 1e-12)]) / total for t in limits]
    np.testing.assert_allclose(profile.frequency, limits, atol=1e-15)
    np.testing.assert_allclose(profile.cumulative, expected, atol=1e-12)
    assert profile.half_power == pytest.approx(np.interp(0.5, expected, limits))


def test_profile_reads_tensors_and_no_power_is_nan():
    power = nf.power_spectrum(torch.from_numpy(noise((2, 1, 8, 8))))
    assert 0 < nf.radial_profile(power).half_power < 0.71
    assert np.isnan(nf.radial_profile(np.zeros((8, 8))).half_power)
    assert np.isnan(nf.radial_profile(nf.power_spectrum(np.ones((1, 1, 1, 1))))[2])


@pytest.mark.parametrize(
    ("power", "message"),
    [
        (np.ones(4), r"power: got shape \(4,\), expected \(H, W\)"),
        (np.ones((0, 4)), "power, n_thresholds: got shape"),
        (-np.ones((4, 4)), "power: got -1"),
        (np.full((4, 4), np.nan), "power: got NaN at"),
        (np.full((4, 4), np.inf), "power: got inf at"),
    ],
)
def test_bad_power_is_named(power, message):
    with pytest.raises(ValueError, match=message):
        nf.radial_profile(power)


def test_too_few_thresholds():
    with pytest.raises(TypeError, match="n_thresholds: got float, expected an integ"):
        nf.radial_profile(np.ones((4, 4)), n_thresholds=25.0)
    with pytest.raises(ValueError, match="n_thresholds: got 1, expected at least 2"):
        nf.radial_profile(np.ones((4, 4)), n_thresholds=1)


# --- accumulator ---


def test_accumulator_does_not_depend_on_batches(tmp_path):
    images = noise((50, 3, 12, 10), np.float32)
    whole = nf.power_spectrum(images)
    for cuts in ([10, 20], [1, 2, 3, 47], [49]):
        spectrum = nf.SpectrumAccumulator(12, 10)
        for part in np.split(images, cuts):
            spectrum.update(part)
        assert spectrum.count == 150
        np.testing.assert_allclose(spectrum.power, whole, rtol=1e-5)
    first = nf.SpectrumAccumulator(12, 10).update(images[:20])
    second = nf.SpectrumAccumulator(12, 10).update(torch.from_numpy(images[20:]))
    np.savez(tmp_path / "state.npz", **second.state())
    with np.load(tmp_path / "state.npz") as state:
        restored = nf.SpectrumAccumulator.from_state(state)
    assert np.array_equal(restored.power, second.power, equal_nan=True)
    merged = first.merge(restored)
    assert merged.count == 150
    np.testing.assert_allclose(merged.power, whole, rtol=1e-5)


def test_failed_update_adds_nothing():
    spectrum = nf.SpectrumAccumulator(8, 8).update(noise((2, 1, 8, 8)))
    before = spectrum.state()
    bad = noise((2, 1, 8, 8))
    bad[1, 0, 3, 3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        spectrum.update(bad)
    with pytest.raises(ValueError, match=r"expected height and width \(8, 8\)"):
        spectrum.update(noise((2, 1, 8, 9)))
    with pytest.raises(ValueError, match="other: got height, width, demean"):
        spectrum.merge(nf.SpectrumAccumulator(8, 8, demean=False))
    after = spectrum.state()
    assert after["count"] == before["count"]
    assert np.array_equal(after["total"], before["total"])


def test_accumulator_refuses_what_is_no_state():
    with pytest.raises(ValueError, match="power: got no images yet"):
        _ = nf.SpectrumAccumulator(4, 4).power
    with pytest.raises(ValueError, match="height: got 0, expected at least 1"):
        nf.SpectrumAccumulator(0, 4)
    good = nf.SpectrumAccumulator(4, 4).update(noise((1, 1, 4, 4))).state()
    for change, message in [
        ({"count": -1}, "planes"),
        ({"count": 0}, "of 0 planes"),
        ({"total": np.ones(3)}, r"total of shape \(3,\)"),
        ({"total": np.full((2, 2), np.nan)}, "nan"),
        ({"total": -np.ones((2, 2))}, "from -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            nf.SpectrumAccumulator.from_state({**good, **change})
    del good["count"]
    with pytest.raises(ValueError, match="state: got no"):
        nf.SpectrumAccumulator.from_state(good)


# --- bad input ---


@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((0, 3, 8, 8)), ValueError, "expected no empty axis"),
        (np.zeros((8, 8)), ValueError, r"expected \(N, C, H, W\)"),
        (np.full((1, 1, 4, 4), np.nan), ValueError, "NaN or infinite"),
        (np.full((1, 1, 4, 4), -np.inf), ValueError, "NaN or infinite"),
        (np.zeros((1, 1, 4, 4), np.uint8), TypeError, "dtype uint8.*divide by 255"),
        (np.zeros((1, 1, 4, 4), np.float16), TypeError, "dtype float16"),
        (np.zeros((1, 1, 4, 4), np.complex64), TypeError, "dtype complex64"),
        (np.eye(4, dtype="f")[None, None] * 1e30, ValueError, "overflow"),
    ],
)
def test_bad_images_are_named(convert, images, error, message):
    with pytest.raises(error, match=f"images: got .*{message}"):
        nf.power_spectrum(convert(images))


def test_lists_are_refused():
    with pytest.raises(TypeError, match="images: got list, expected a NumPy array"):
        nf.power_spectrum([[[[1.0]]]])


def test_one_image_is_enough():
    image = noise((1, 1, 8, 8))
    assert_close(nf.power_spectrum(image), reference(image), np.float64)
