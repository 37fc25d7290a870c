"""Corruptions: invariances, the transform, forks, and bad input."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import neurofreq as nf
from neurofreq.corruptions import _corrupt


def pictures(n=2, size=(32, 40), channels=3, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.0, 1.0, (n, channels, *size)).astype(dtype)


def test_noise_differs_between_images_seeds_and_channels():
    gray = np.full((2, 3, 32, 32), 0.5)
    noise = [nf.corrupt(gray, "gaussian_noise", 1, seed=seed) for seed in (0, 1)]
    planes = np.concatenate(noise).reshape(12, -1)
    correlation = np.corrcoef(planes) - np.eye(12)
    assert np.abs(correlation).max() < 0.15  # standard deviation 0.03 for 1024 pixels


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


def test_bytes_are_truncated_as_published_and_rounded_by_motion_blur():
    images = (pictures() * 255).astype(np.uint8)
    for name in nf.CORRUPTIONS:
        floats = nf.corrupt(images / 255.0, name, 2, seed=0) * 255.0
        ours = nf.corrupt(images, name, 2, seed=0)
        if name == "motion_blur":  # the published files are from ImageMagick
            np.testing.assert_allclose(ours, floats, atol=0.51)
            continue
        # Truncation of single-precision values may err by a fraction of a level.
        np.testing.assert_array_less(ours, floats + 0.01)
        np.testing.assert_array_less(floats, ours + 1.0)


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


def test_groups_hold_the_fifteen_of_the_paper():
    names = [name for group in nf.CORRUPTION_GROUPS.values() for name in group]
    assert sorted(names) == sorted(nf.CORRUPTIONS[:15])
    assert nf.CORRUPTIONS[15:] == nf.EXTRA_CORRUPTIONS
    assert len(nf.EXTRA_CORRUPTIONS) == 4


def test_gray_and_many_channels():
    for name in nf.CORRUPTIONS:
        for channels in (1, 5):
            images = pictures(2, channels=channels, dtype=np.float32)
            ours = nf.corrupt(images, name, 3, seed=0, layout="nchw")
            assert ours.shape == images.shape
            assert np.isfinite(ours).all()
            # A gray image has no saturation.
            assert (ours == images).all() == (name == "saturate"), name


def test_a_long_batch_goes_in_parts_and_shows_a_bar(monkeypatch, terminal):
    images = pictures(7, dtype=np.float32)
    whole = nf.corrupt(images, "gaussian_noise", 1, seed=2, first_index=3)
    monkeypatch.setattr(_corrupt, "_PART", 2 * images[0].size)
    parts = nf.corrupt(
        images, "gaussian_noise", 1, seed=2, first_index=3, progress=True
    )
    np.testing.assert_array_equal(whole, parts)
    assert "7/7" in terminal.readouterr().err


# --- the transform ---------------------------------------------------------------


def test_the_transform_is_corrupt_with_an_index():
    images = pictures(4, dtype=np.float32)
    for name in ("gaussian_noise", "fog", "jpeg_compression"):
        transform = nf.Corruption(name, 2, seed=5)
        whole = nf.corrupt(images, name, 2, seed=5)
        np.testing.assert_array_equal(transform(images, index=0), whole)
        np.testing.assert_array_equal(transform(images[3], index=3), whole[3])
        tensor = transform(torch.from_numpy(images[3]), index=3)
        np.testing.assert_array_equal(tensor.numpy(), whole[3])


def test_without_an_index_the_pixels_decide():
    images = pictures(3, dtype=np.float32)
    transform = nf.Corruption("gaussian_noise", 1, seed=5)
    batch = transform(images)
    for image, corrupted in zip(images, batch, strict=True):
        np.testing.assert_array_equal(transform(image), corrupted)
    again = transform(np.stack([images[0], images[0]]))
    np.testing.assert_array_equal(again[0], again[1])
    noise = (batch - images).reshape(3, -1)
    assert np.abs(np.corrcoef(noise) - np.eye(3)).max() < 0.1
    assert not (nf.Corruption("gaussian_noise", 1, seed=6)(images) == batch).all()


def test_without_a_seed_torch_decides():
    image = torch.full((3, 32, 32), 0.5)
    transform = nf.Corruption("gaussian_noise", 1)
    torch.manual_seed(0)
    first, second = transform(image), transform(image)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    torch.testing.assert_close(transform(image), first, rtol=0, atol=0)


def test_pil_images_and_pipelines():
    array = (pictures(1, (40, 33))[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    for picture in (Image.fromarray(array), Image.fromarray(array[..., 0])):
        transform = nf.Corruption("snow", 3, seed=1, layout="nchw")
        ours = transform(picture, index=4)
        assert (ours.mode, ours.size) == (picture.mode, picture.size)
        pixels = np.asarray(picture).reshape(1, 40, 33, -1)
        whole = nf.corrupt(pixels, "snow", 3, seed=1, layout="nhwc", first_index=4)
        np.testing.assert_array_equal(np.asarray(ours).reshape(40, 33, -1), whole[0])
    pipeline = transforms.Compose([transform, transforms.ToTensor()])
    assert pipeline(picture).shape == (1, 40, 33)
    with pytest.raises(TypeError, match="got mode 'CMYK'"):
        transform(Image.fromarray(array).convert("CMYK"))


def test_the_transform_survives_pickling():
    transform = nf.Corruption("fog", 2, seed=1, parameters="imagenet")
    copy = pickle.loads(pickle.dumps(transform))
    image = pictures(1, dtype=np.float32)[0]
    np.testing.assert_array_equal(copy(image), transform(image))
    assert repr(copy) == "Corruption('fog', 2, seed=1)"


def test_bad_transforms_are_refused_at_once():
    with pytest.raises(ValueError, match="nearest is 'frost'"):
        nf.Corruption("frosty", 1)
    with pytest.raises(ValueError, match="severity: got 9"):
        nf.Corruption("frost", 9)
    with pytest.raises(TypeError, match="seed: got str"):
        nf.Corruption("frost", 1, seed="0")
    with pytest.raises(ValueError, match="layout: got 'chw'"):
        nf.Corruption("frost", 1, layout="chw")
    with pytest.raises(ValueError, match="layout: images of shape"):
        nf.Corruption("frost", 1)(np.zeros((3, 32, 3)))
    with pytest.raises(ValueError, match="or one of them"):
        nf.Corruption("frost", 1)(np.zeros((32, 32)))


class Corrupted(Dataset):
    """Corrupt one image at a time, in the worker."""

    def __init__(self, images, name):
        self.images = images
        self.corruption = nf.Corruption(name, 3, seed=0)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.corruption(self.images[index], index=index)


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)
@pytest.mark.parametrize("name", ["defocus_blur", "frost"])
def test_forked_workers_do_not_hang_and_agree_with_the_parent(name):
    images = pictures(16, dtype=np.float32)
    parent = nf.corrupt(images, name, 3, seed=0)
    loader = DataLoader(
        Corrupted(images, name),
        batch_size=4,
        num_workers=2,
        multiprocessing_context="fork",
    )
    workers = torch.cat(list(loader)).numpy()
    np.testing.assert_array_equal(parent, workers)


IMAGES = np.full((1, 3, 32, 32), 0.5)


@pytest.mark.parametrize(
    ("images", "keywords", "error", "message"),
    [
        (IMAGES, {"name": "gausian_noise"}, ValueError, "nearest is 'gaussian_noise'"),
        (IMAGES, {"name": "fogg"}, ValueError, "nearest is 'fog'"),
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
        (IMAGES, {"severity": True}, ValueError, "severity: got True"),
        (IMAGES, {"textures": "x"}, FileNotFoundError, "got 'x' without frost1.png"),
    ],
)
def test_bad_input_is_named(images, keywords, error, message):
    request = {"name": "contrast", "severity": 1, "seed": 0, **keywords}
    with pytest.raises(error, match=message):
        nf.corrupt(images, **request)
