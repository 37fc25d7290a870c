"""Quantities of each image: brute force in NumPy, gratings, SciPy's correlations."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

import neurofreq as nf
from neurofreq.frequency import image_spectra


def noise(shape=(5, 3, 12, 10), seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def brute(image, edges):
    """Return band shares, anisotropy, orientation and size of one image."""
    power = (np.abs(np.fft.fft2(image)) ** 2).sum(axis=0)
    power[0, 0] = 0.0
    fy = np.fft.fftfreq(image.shape[1])[:, None]
    fx = np.fft.fftfreq(image.shape[2])[None]
    radius, total = np.hypot(fy, fx), power.sum()
    bands = [
        power[(radius > low * (1 + 1e-12)) & (radius <= high * (1 + 1e-12))].sum()
        for low, high in itertools.pairwise(edges)
    ]
    vector = (power * np.exp(2j * np.arctan2(fy, fx))).sum()
    size = np.sqrt(((image - image.mean((1, 2), keepdims=True)) ** 2).sum())
    return np.array(bands) / total, vector / total, size


@pytest.mark.parametrize("shape", [(4, 3, 12, 10), (3, 1, 9, 16), (2, 2, 7, 7)])
def test_numbers_are_those_of_brute_force(shape):
    images = noise(shape)
    found = image_spectra(images)
    for row, image in enumerate(images):
        bands, vector, size = brute(image, found.edges)
        np.testing.assert_allclose(found.bands[row], bands, atol=1e-12)
        assert found.size[row] == pytest.approx(size, rel=1e-12)
        profile = nf.radial_profile(nf.power_spectrum(image[None]))
        assert found.half_power[row] == pytest.approx(profile.half_power, rel=1e-10)
        assert found.anisotropy[row] == pytest.approx(abs(vector), rel=1e-9)
        angle = (90.0 - np.degrees(np.angle(vector) / 2)) % 180.0
        assert found.orientation[row] == pytest.approx(angle, abs=1e-6)
    np.testing.assert_allclose(found.bands.sum(axis=1), 1.0)


@pytest.mark.parametrize(("ky", "kx"), [(0, 4), (4, 0), (3, 4), (3, -4), (1, 1)])
def test_gratings_have_closed_forms(ky, kx):
    y, x = np.mgrid[:32, :32] / 32.0
    images = np.stack([amplitude * np.cos(2 * np.pi * (ky * y + kx * x))
                       for amplitude in (1.0, 3.0)])[:, None]  # fmt: skip
    found = image_spectra(images, edges=[0.0, np.hypot(ky, kx) / 32 - 0.01, 0.3])
    np.testing.assert_allclose(found.anisotropy, 1.0, atol=1e-12)
    np.testing.assert_allclose(found.bands, [[0.0, 1.0]] * 2, atol=1e-12)
    angle = (90.0 - np.degrees(np.arctan2(ky, kx))) % 180.0
    away = (found.orientation - angle + 90.0) % 180.0 - 90.0  # 180 is 0
    np.testing.assert_allclose(away, 0.0, atol=1e-8)
    for orientation in found.orientation:
        passed = nf.frequency.orientation_pass(images, orientation, 20.0)
        np.testing.assert_allclose(passed, images, atol=1e-9)
    np.testing.assert_allclose(found.size, [32 / np.sqrt(2), 96 / np.sqrt(2)])
    step = np.sqrt(0.5) / 24
    assert np.all(np.abs(found.half_power - np.hypot(ky, kx) / 32) <= step)


def test_crossed_gratings_are_isotropic_and_octaves_are_octaves():
    y, x = np.mgrid[:32, :32] / 32.0
    image = np.cos(2 * np.pi * 6 * x) + np.cos(2 * np.pi * 6 * y)
    found = image_spectra(image[None, None])
    assert found.anisotropy[0] < 1e-12
    expected = [0.0, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, np.sqrt(0.5)]
    np.testing.assert_allclose(found.edges, expected)
    assert found.bands[0].argmax() == 3
    assert image_spectra(np.eye(1, 5)[None, None]).edges.tolist() == [0.0, 0.5]


def test_an_image_without_power_is_undefined_and_leaves_the_others():
    images = noise()
    images[1] = 0.25
    found = image_spectra(images)
    assert np.isnan(found.half_power).tolist() == [False, True, False, False, False]
    assert np.isnan([found.anisotropy[1], found.orientation[1]]).all()
    assert np.isnan(found.bands[1]).all()
    assert found.size[1] == pytest.approx(0.0, abs=1e-12)
    related = found.related({"row": np.arange(5)}).table.set_index("quantity")
    assert related.loc["half_power", "n"] == 4
    assert found.by_class([0, 1, 0, 0, 0])["n"].tolist() == [4, 0]
    assert image_spectra(np.zeros((1, 1, 4, 4)))._repr_html_()


def test_single_precision_and_tensors_agree():
    images = noise()
    single = image_spectra(images.astype(np.float32))
    tensor = image_spectra(torch.from_numpy(images.astype(np.float32)))
    for one, other, exact in zip(single, tensor, image_spectra(images), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, exact, rtol=1e-3, atol=1e-5)


def test_correlations_are_those_of_scipy_with_sound_intervals():
    rng = np.random.default_rng(3)
    images = noise((200, 1, 8, 8)) * rng.uniform(0.5, 1.5, (200, 1, 1, 1))
    found = image_spectra(images)
    values = {
        "confidence": np.round(found.size + rng.normal(size=200), 0),  # with ties
        "distance": np.where(rng.random(200) < 0.2, np.inf, rng.random(200)),
    }
    for row in found.related(values).table.to_dict("records"):
        own = found.to_frame()[row["quantity"]]
        expected = stats.spearmanr(own, values[row["with"]]).statistic
        assert row["rho"] == pytest.approx(expected, abs=1e-12)
        width = 2 * 1.96 * (1 - expected**2) / np.sqrt(200)
        assert row["low"] < row["rho"] < row["high"]
        assert row["high"] - row["low"] == pytest.approx(width, rel=0.35)


def test_intervals_of_correlations_cover_the_known_value():
    hits, n = 0, 200
    truth = 6 / np.pi * np.arcsin(0.5 / 2)  # of a normal pair with correlation 0.5
    found = image_spectra(noise((120, 1, 4, 4)))
    for seed in range(n):
        pair = np.random.default_rng(seed).multivariate_normal(
            [0, 0], [[1, 0.5], [0.5, 1]], 120
        )
        one = found._replace(half_power=pair[:, 0])
        table = one.related({"other": pair[:, 1]}, n_resamples=300, seed=seed).table
        hits += table["low"][0] <= truth <= table["high"][0]
    assert 0.90 <= hits / n <= 0.99


def test_classes_have_their_own_means():
    found = image_spectra(noise((30, 1, 8, 8)))
    labels = np.arange(30) % 3
    table = found.by_class(labels, quantity="anisotropy")
    for row in table.to_dict("records"):
        own = found.anisotropy[labels == row["label"]]
        assert row["mean"] == pytest.approx(own.mean())
        assert row["low"] < row["mean"] < row["high"]
        assert row["n"] == 10


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda one: image_spectra(noise() * np.inf), "images: got NaN or inf"),
        (lambda one: image_spectra(noise(), edges=[0.1]), r"edges: got \[0.1\]"),
        (lambda one: image_spectra(noise(), edges=[0.2, 0.1]), "edges: got"),
        (lambda one: image_spectra(noise(), edges=[-0.1, 0.1]), "edges: got"),
        (lambda one: image_spectra(noise(), n_thresholds=1), "n_thresholds: got 1"),
        (lambda one: one.related({}), "values: got"),
        (lambda one: one.related({"a": [1.0]}), r"values: a: got shape \(1,\)"),
        (lambda one: one.related({"a": np.ones(5)}, level=2.0), "level: got 2.0"),
        (lambda one: one.by_class([0, 1]), "labels"),
        (lambda one: one.by_class([0] * 5, quantity="bands"), "quantity: got 'bands'"),
        (lambda one: nf.plot.plot_distribution([np.nan]), "values: got no finite"),
        (lambda one: nf.plot.plot_relations([1]), "table: got"),
    ],
)
def test_bad_calls_are_named(call, text):
    with pytest.raises((TypeError, ValueError), match=text):
        call(image_spectra(noise()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("side", [7, 28, 39])
def test_flat_images_have_no_frequency(dtype, side):
    flat = np.full((1, 3, side, side), 0.1, dtype)
    found = image_spectra(
        np.concatenate([flat, flat + noise(flat.shape).astype(dtype)])
    )
    assert np.isnan([found.half_power[0], found.anisotropy[0]]).all()
    assert (found.size[0], np.isfinite(found.half_power[1])) == (0.0, True)


def test_stripes_have_the_orientation_of_their_bars_in_all_sizes():
    for side, k in ((30, 4), (224, 1)):
        wave = np.cos(2 * np.pi * k * np.arange(side) / side + 0.3).astype(np.float32)
        images = np.stack([np.tile(wave, (side, 1)), np.tile(wave, (side, 1)).T])
        found = image_spectra(images[:, None])
        away = (found.orientation - [90.0, 0.0] + 90.0) % 180.0 - 90.0
        np.testing.assert_allclose(away, 0.0, atol=1e-4)
