"""CIFAR-10 in both layouts, and the synthetic set."""

import os
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.transforms.functional import rgb_to_grayscale

from neurofreq import data
from neurofreq.data import synthetic


@pytest.fixture(params=["cifar-10-batches-bin", "cifar-10-batches-py"])
def small_cifar(request, tmp_path):
    """Twenty random images per file in one of the official layouts."""
    rng = np.random.default_rng(0)
    folder = tmp_path / request.param
    folder.mkdir()
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    written = {}
    for name in names:
        pixels = rng.integers(0, 256, (20, 3072), dtype=np.uint8)
        labels = rng.integers(0, 10, 20)
        written[name] = pixels, labels
        if request.param.endswith("bin"):
            records = np.concatenate([labels[:, None].astype(np.uint8), pixels], axis=1)
            records.tofile(folder / f"{name}.bin")
        else:
            batch = {b"data": pixels, b"labels": labels.tolist()}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return tmp_path, folder, written


def test_both_layouts_give_the_images_in_file_order(small_cifar):
    parent, folder, written = small_cifar
    test = data.load_data(f"cifar10:{parent}")
    pixels, labels = written["test_batch"]
    assert test.images.dtype == np.float32
    np.testing.assert_array_equal(
        test.images, pixels.reshape(20, 3, 32, 32).astype(np.float32) / np.float32(255)
    )
    np.testing.assert_array_equal(test.labels, labels)
    assert test.class_names[3] == "cat"
    train = data.load_data(f"cifar10:{folder}", split="train")
    assert len(train) == 100
    assert len(data.load_data(f"cifar10:{folder}", split="train", n=30)) == 30


def test_the_test_images_of_the_binary_version_are_mapped(small_cifar):
    parent, folder, written = small_cifar
    images = data.open_data(f"cifar10:{parent}").images
    base = images
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap) == folder.name.endswith("bin")
    np.testing.assert_array_equal(
        images, written["test_batch"][0].reshape(20, 3, 32, 32)
    )


def test_a_missing_or_damaged_file_is_named(small_cifar):
    parent, folder, _ = small_cifar
    path = next(folder.glob("test_batch*"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"data: .*test_batch"):
        data.load_data(f"cifar10:{parent}")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"test_batch.* is missing"):
        data.load_data(f"cifar10:{parent}")


def test_a_folder_without_cifar_is_told_what_to_hold(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds neither cifar-10-batches-py"):
        data.load_data(f"cifar10:{tmp_path}")


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("should-not-exist",)


def test_a_pickle_that_runs_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "test_batch").write_bytes(pickle.dumps({b"data": Hostile()}))
    with pytest.raises(ValueError, match="mkdir is not admitted"):
        data.load_data(f"cifar10:{tmp_path}")
    assert not (tmp_path / "should-not-exist").exists()


@pytest.mark.parametrize(
    ("labels", "pixels"),
    [
        ([10] * 4, np.zeros((4, 3072), np.uint8)),
        ([1] * 3, np.zeros((4, 3072), np.uint8)),
        ([1] * 4, np.zeros((4, 3072), np.float32)),
        ([1] * 4, np.zeros((4, 100), np.uint8)),
    ],
)
def test_a_batch_of_another_form_is_refused(tmp_path, labels, pixels):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    content = pickle.dumps({b"data": pixels, b"labels": labels})
    (folder / "test_batch").write_bytes(content)
    with pytest.raises(ValueError, match="expected uint8"):
        data.load_data(f"cifar10:{tmp_path}")


@pytest.mark.parametrize(
    ("spec", "keywords", "message"),
    [
        ("imagenet", {}, "data: got 'imagenet', expected 'synthetic'"),
        ("cifar10", {}, "data: got 'cifar10'"),
        ("synthetic:here", {}, "data: got 'synthetic:here'"),
        ("synthetic", {"n": 0}, "n: got 0"),
        ("synthetic", {"split": "valid"}, "split: got 'valid'"),
    ],
)
def test_a_bad_spec_is_named(spec, keywords, message):
    with pytest.raises(ValueError, match=message):
        data.load_data(spec, **keywords)


@pytest.mark.data
def test_the_real_layouts_agree(cifar10_dir):
    first, second = (
        data.load_data(f"cifar10:{cifar10_dir}/cifar-10-batches-{layout}")
        for layout in ("py", "bin")
    )
    assert len(first) == 10_000
    assert np.bincount(first.labels).tolist() == [1000] * 10
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.labels, second.labels)


def test_gray_is_torchvisions_luma():
    rng = np.random.default_rng(0)
    images = rng.random((5, 3, 7, 6), dtype=np.float32)
    colour = data.ImageSet(images, np.arange(5), tuple("abcde"), "five")
    expected = rgb_to_grayscale(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(colour.gray().images, expected, atol=1e-6)
    assert colour.gray().gray().images.shape == (5, 1, 7, 6)


def test_take_and_the_dataset_protocol():
    images = data.load_data("synthetic", n=10)
    np.testing.assert_array_equal(images.take([7, 2]).labels, images.labels[[7, 2]])
    mask = images.labels == images.labels[4]
    masked = images.take(mask)
    np.testing.assert_array_equal(masked.images, images.images[mask])
    np.testing.assert_array_equal(masked.labels, images.labels[mask])
    assert len(images.take(np.int64(5))) == 5
    for wrong in (mask[:-1], [-1], [11], [0.5]):
        with pytest.raises(ValueError, match="which: got"):
            images.take(wrong)
    for wrong in (True, 2.0, slice(3)):
        with pytest.raises(TypeError, match=r"n: got \w+, expected an integer"):
            images.take(wrong)
    with pytest.raises(TypeError, match="spec: got int, expected a string"):
        data.open_data(3)
    with pytest.raises(TypeError, match="n: got float, expected an integer"):
        images.sample(5.0)
    with pytest.raises(TypeError, match="n: got float, expected an integer"):
        data.open_data("synthetic", n=2.5)
    with pytest.raises(ValueError, match="n: got 11, expected 1 to 10"):
        images.take(11)
    batch, labels = next(iter(DataLoader(images, batch_size=4)))
    assert batch.shape == (4, 1, 32, 32)
    assert labels.tolist() == [0, 1, 2, 3]


def test_a_synthetic_image_does_not_depend_on_how_many_are_drawn():
    few, _ = synthetic.draw(5)
    more, labels = synthetic.draw(20)
    np.testing.assert_array_equal(few, more[:5])
    assert np.bincount(labels).max() - np.bincount(labels).min() <= 1
    assert not np.array_equal(few, synthetic.draw(5, split="train")[0])


def test_the_two_cues_are_apart_in_frequency_and_hardly_clipped():
    radius = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32))
    plain, _ = synthetic.draw(200, shape_contrast=0.0, texture_contrast=0.0)
    for cue, inside in (("shape", radius < 0.15), ("texture", radius > 0.15)):
        other = "texture" if cue == "shape" else "shape"
        images, _ = synthetic.draw(200, **{f"{other}_contrast": 0.0})
        power = np.mean(abs(np.fft.fft2(images[:, 0] - plain[:, 0])) ** 2, axis=0)
        power[0, 0] = 0.0
        assert power[inside].sum() > 0.97 * power.sum(), cue
    images, _ = synthetic.draw(500)
    assert np.mean((images == 0.0) | (images == 1.0)) < 1e-4


def nearest_centroid(features, labels):
    """Accuracy, on the second half, of centroids from the first half."""
    half = len(labels) // 2
    centroids = np.stack(
        [features[:half][labels[:half] == k].mean(axis=0) for k in range(8)]
    )
    distances = ((features[half:, None] - centroids) ** 2).sum(axis=2)
    return np.mean(distances.argmin(axis=1) == labels[half:])


@pytest.mark.parametrize("cue", ["shape", "texture"])
def test_either_cue_alone_tells_the_classes_apart(cue):
    other = "texture" if cue == "shape" else "shape"
    images, labels = synthetic.draw(800, **{f"{other}_contrast": 0.0})
    if cue == "shape":
        features = images.reshape(800, -1)
    else:
        # The amplitude spectrum shows the orientation, because the phase is random.
        features = abs(np.fft.fft2(images[:, 0])).reshape(800, -1)
    assert nearest_centroid(features, labels) > 0.6  # chance level is 0.125
