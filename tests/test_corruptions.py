"""Corruptions: SciPy and NumPy oracles, invariances, forks, and bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from torch.utils.data import DataLoader, Dataset

import neurofreq as nf

# Transcribed independently of the library from the published descriptions.
NOISE = {
    "cifar": (0.04, 0.06, 0.08, 0.09, 0.10),
    "tinyimagenet": (0.04, 0.08, 0.12, 0.15, 0.18),
    "imagenet": (0.08, 0.12, 0.18, 0.26, 0.38),
}
CONTRAST = {
    "cifar": (0.75, 0.5, 0.4, 0.3, 0.15),
    "tinyimagenet": (0.4, 0.3, 0.2, 0.1, 0.05),
    "imagenet": (0.4, 0.3, 0.2, 0.1, 0.05),
}
DEFOCUS = {
    "cifar": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    "tinyimagenet": ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
    "imagenet": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
}
SETS = tuple(NOISE)


def pictures(n=2, size=(32, 40), channels=3, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.0, 1.0, (n, channels, *size)).astype(dtype)


def disk(radius, sigma):
    """The published kernel, by SciPy: a disk smoothed by a short Gaussian."""
    half = 8 if radius <= 8 else int(radius)
    reach = 1 if radius <= 8 else 2
    at = np.arange(-half, half + 1)
    kernel = (at[:, None] ** 2 + at**2 <= radius**2).astype(float)
    kernel /= kernel.sum()
    return ndimage.gaussian_filter(kernel, sigma, mode="mirror", radius=reach)


@pytest.mark.parametrize("parameters", SETS)
@pytest.mark.parametrize("severity", range(1, 6))
def test_contrast_is_exact(parameters, severity):
    images = pictures()
    factor = CONTRAST[parameters][severity - 1]
    mean = images.mean(axis=(2, 3), keepdims=True)
    expected = ((images - mean) * factor + mean).clip(0, 1)
    ours = nf.corrupt(images, "contrast", severity, seed=0, parameters=parameters)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("parameters", SETS)
@pytest.mark.parametrize("severity", range(1, 6))
def test_defocus_agrees_with_scipy(parameters, severity):
    images = pictures(size=(33, 48))
    kernel = disk(*DEFOCUS[parameters][severity - 1])
    expected = ndimage.correlate(images, kernel[None, None], mode="mirror").clip(0, 1)
    ours = nf.corrupt(images, "defocus_blur", severity, seed=0, parameters=parameters)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("parameters", SETS)
@pytest.mark.parametrize("severity", range(1, 6))
def test_noise_is_gaussian_of_the_published_spread(parameters, severity):
    sd = NOISE[parameters][severity - 1]
    gray = np.full((4, 1, 64, 64), 0.5)
    ours = nf.corrupt(gray, "gaussian_noise", severity, seed=1, parameters=parameters)
    inside = np.sort((ours - 0.5)[(ours > 0.0) & (ours < 1.0)].ravel())
    limit = 0.5 / sd
    truth = stats.truncnorm(-limit, limit, scale=sd)
    assert stats.kstest(inside, truth.cdf).pvalue > 1e-3
    clipped = np.mean((ours == 0.0) | (ours == 1.0))
    assert clipped == pytest.approx(2 * stats.norm.sf(limit), abs=0.01)


def test_noise_differs_between_images_seeds_and_channels():
    gray = np.full((2, 3, 32, 32), 0.5)
    noise = [nf.corrupt(gray, "gaussian_noise", 1, seed=seed) for seed in (0, 1)]
    planes = np.concatenate(noise).reshape(12, -1)
    correlation = np.corrcoef(planes) - np.eye(12)
    assert np.abs(correlation).max() < 0.15  # 1024 pixels: sd 0.03


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(nf.CORRUPTIONS),
    severity=st.integers(1, 5),
    seed=st.integers(0, 2**64 - 1),
    split=st.integers(1, 4),
    first=st.integers(0, 1000),
    dtype=st.sampled_from([np.uint8, np.float32, np.float64]),
    size=st.tuples(st.integers(16, 24), st.integers(16, 24)),
)
def test_split_layout_and_threads_change_nothing(
    name, severity, seed, split, first, dtype, size
):
    images = pictures(5, size)
    images = (images * 255).astype(np.uint8) if dtype == np.uint8 else images
    images = images.astype(dtype)

    def corrupted(batch, first, layout="nchw"):
        return nf.corrupt(
            batch, name, severity, seed=seed, layout=layout, first_index=first
        )

    whole = corrupted(images, first)
    assert whole.dtype == dtype
    assert whole.shape == images.shape
    parts = [corrupted(images[:split], first), corrupted(images[split:], first + split)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    last = corrupted(images.transpose(0, 2, 3, 1), first, "nhwc")
    np.testing.assert_array_equal(whole, last.transpose(0, 3, 1, 2))
    before = nf.num_threads()
    try:
        nf.set_num_threads(1)
        np.testing.assert_array_equal(whole, corrupted(images, first))
    finally:
        nf.set_num_threads(before)
    top = 255 if dtype == np.uint8 else 1.0
    assert whole.min() >= 0
    assert whole.max() <= top


def test_bytes_are_truncated_as_published():
    images = (pictures() * 255).astype(np.uint8)
    floats = nf.corrupt(images / 255.0, "contrast", 2, seed=0)
    ours = nf.corrupt(images, "contrast", 2, seed=0)
    np.testing.assert_array_equal(ours, (floats * 255.0).astype(np.uint8))


def test_tensors_stay_tensors_and_the_input_stays_as_it_was():
    images = torch.from_numpy(pictures(dtype=np.float32)).requires_grad_()
    before = images.detach().clone()
    ours = nf.corrupt(images, "gaussian_noise", 2, seed=3)
    assert isinstance(ours, torch.Tensor)
    assert ours.dtype == torch.float32
    assert not ours.requires_grad
    torch.testing.assert_close(images.detach(), before, rtol=0, atol=0)
    array = nf.corrupt(images.detach().numpy(), "gaussian_noise", 2, seed=3)
    np.testing.assert_array_equal(ours.numpy(), array)


def test_strided_input_is_read_in_place():
    images = pictures(4, (40, 40))
    view = images[::2, :, ::-1, 2:34]
    for name in nf.CORRUPTIONS:
        np.testing.assert_array_equal(
            nf.corrupt(view, name, 3, seed=0), nf.corrupt(view.copy(), name, 3, seed=0)
        )


@pytest.mark.parametrize(
    ("side", "expected"),
    [(32, "cifar"), (48, "cifar"), (64, "tinyimagenet"), (145, "imagenet")],
)
def test_automatic_parameters_go_by_size(side, expected):
    images = pictures(1, (side, side + 200))
    for name in nf.CORRUPTIONS:
        auto = nf.corrupt(images, name, 2, seed=0)
        named = nf.corrupt(images, name, 2, seed=0, parameters=expected)
        np.testing.assert_array_equal(auto, named)


def test_layout_is_guessed_only_where_it_is_certain():
    first, last = pictures(channels=3), pictures(channels=3).transpose(0, 2, 3, 1)
    for images, layout in ((first, "nchw"), (last, "nhwc")):
        guessed = nf.corrupt(images, "contrast", 1, seed=0)
        given = nf.corrupt(images, "contrast", 1, seed=0, layout=layout)
        np.testing.assert_array_equal(guessed, given)
    for shape in ((2, 3, 32, 3), (2, 4, 32, 32)):
        with pytest.raises(ValueError, match="layout: images of shape"):
            nf.corrupt(np.zeros(shape), "contrast", 1, seed=0)


def test_groups_hold_each_existing_corruption_once():
    names = [name for group in nf.CORRUPTION_GROUPS.values() for name in group]
    assert sorted(names) == sorted(nf.CORRUPTIONS)
    assert nf.CORRUPTION_GROUPS["high"] == ("gaussian_noise",)
    assert nf.CORRUPTION_GROUPS["medium"] == ("defocus_blur",)
    assert nf.CORRUPTION_GROUPS["low"] == ("contrast",)


class Corrupted(Dataset):
    """Corrupts in the worker, one image at a time."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        one = self.images[index : index + 1]
        return nf.corrupt(one, "defocus_blur", 3, seed=0, first_index=index)[0]


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)
def test_forked_workers_do_not_hang_and_agree_with_the_parent():
    images = pictures(16, dtype=np.float32)
    parent = nf.corrupt(images, "defocus_blur", 3, seed=0)
    loader = DataLoader(
        Corrupted(images), batch_size=4, num_workers=2, multiprocessing_context="fork"
    )
    workers = torch.cat(list(loader)).numpy()
    np.testing.assert_array_equal(parent, workers)


IMAGES = np.full((1, 3, 32, 32), 0.5)


@pytest.mark.parametrize(
    ("images", "keywords", "error", "message"),
    [
        (IMAGES, {"name": "gausian_noise"}, ValueError, "nearest is 'gaussian_noise'"),
        (IMAGES, {"name": "fog"}, ValueError, "name: got 'fog'"),
        (IMAGES, {"severity": 0}, ValueError, "severity: got 0, expected 1 to 5"),
        (IMAGES, {"severity": 6}, ValueError, "severity: got 6"),
        (IMAGES, {"severity": 2.5}, ValueError, "severity: got 2.5"),
        (IMAGES, {"seed": -1}, ValueError, "seed: got -1"),
        (IMAGES, {"first_index": -1}, ValueError, "first_index: got -1"),
        (IMAGES, {"layout": "chw"}, ValueError, "layout: got 'chw'"),
        (IMAGES, {"parameters": "svhn"}, ValueError, "parameters: got"),
        (IMAGES * np.nan, {}, ValueError, "images: got NaN"),
        (IMAGES * 3, {}, ValueError, r"images: got values in \[1.5, 1.5\]"),
        (IMAGES[:0], {}, ValueError, "expected no empty axis"),
        (IMAGES[:0].astype(np.uint8), {}, ValueError, "expected no empty axis"),
        (IMAGES[0], {}, ValueError, r"images: got shape \(3, 32, 32\)"),
        (IMAGES[:, :, :8], {}, ValueError, "got 8 by 32 pixels, expected at least 16"),
        (IMAGES.astype(np.float16), {}, TypeError, "images: got dtype float16"),
        (IMAGES.astype(complex), {}, TypeError, "images: got dtype complex128"),
        ([[1.0]], {}, TypeError, "images: got list"),
    ],
)
def test_bad_input_is_named(images, keywords, error, message):
    request = {"name": "contrast", "severity": 1, "seed": 0, **keywords}
    with pytest.raises(error, match=message):
        nf.corrupt(images, **request)
