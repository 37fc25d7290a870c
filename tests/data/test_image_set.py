"""Inputs of an image set: labels by position, and errors for inputs that do not fit."""

import numpy as np
import pandas as pd
import pytest
import torch

from neurofreq import data
from neurofreq.data import ImageSet

NAMES = ("ant", "bee", "cat", "dog")
TRUTH = np.array([2, 0, 3, 1, 1, 0])


def images(n=6, dtype=np.uint8):
    found = np.random.default_rng(0).integers(0, 256, (n, 3, 16, 16), np.uint8)
    return found if dtype == np.uint8 else (found / 255).astype(dtype)


def made(**changes):
    return ImageSet(
        **{
            "images": images(),
            "labels": TRUTH,
            "class_names": NAMES,
            "name": "mine",
            **changes,
        }
    )


LABELS = {
    "list": TRUTH.tolist(),
    "bytes": TRUTH.astype(np.uint8),
    "tensor": torch.tensor(TRUTH),
    "series": pd.Series(TRUTH, index=[5, 3, 1, 0, 2, 4]),
    "filtered": pd.DataFrame({"x": np.repeat(TRUTH, 2)}).iloc[::2]["x"],
    "nullable": pd.Series(TRUTH, index=[9, 8, 7, 6, 5, 4], dtype="Int64"),
    "index": pd.Index(TRUTH),
    "strings": [NAMES[label] for label in TRUTH],
    "categories": pd.Series([NAMES[label] for label in TRUTH], dtype="category"),
    "other categories": pd.Categorical(
        [NAMES[label] for label in TRUTH], categories=["dog", "ant", "cat", "bee"]
    ),
    "string dtype": pd.Series([NAMES[k] for k in TRUTH], index=range(6, 0, -1)).astype(
        "string"
    ),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_read_by_position_and_by_name(kind):
    found = made(labels=LABELS[kind])
    assert found.labels.dtype == np.int64
    assert type(found.labels) is np.ndarray
    np.testing.assert_array_equal(found.labels, TRUTH)
    assert [found[i][1] for i in range(3)] == TRUTH[:3].tolist()
    np.testing.assert_array_equal(found.take(3).labels, TRUTH[:3])


def test_a_mask_is_taken_by_position():
    mask = pd.Series([True, False, False, True, False, False], index=range(6, 0, -1))
    np.testing.assert_array_equal(made().take(mask).labels, TRUTH[[0, 3]])
    rows = pd.Series([4, 0], index=[0, 4])
    np.testing.assert_array_equal(made().take(rows).images, images()[[4, 0]])
    shown = torch.tensor(mask.to_numpy())
    np.testing.assert_array_equal(made().take(shown).labels, TRUTH[[0, 3]])


def test_a_tensor_becomes_an_array_and_an_array_stays():
    whole = images(dtype=np.float32)
    found = made(images=torch.tensor(whole, requires_grad=True))
    assert type(found.images) is np.ndarray
    np.testing.assert_array_equal(found.images, whole)
    assert made(images=whole).images is whole
    assert made(class_names=list(NAMES)).class_names == NAMES
    assert made(class_names=()).class_names == ()


def test_what_is_read_from_a_file_stays_mapped(tmp_path):
    np.save(tmp_path / "images", images())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert isinstance(made(images=mapped).images.base, np.memmap)


REFUSED = [
    ({"images": images(5)}, ValueError, "labels: got 6, expected 5, one per image"),
    ({"labels": TRUTH + 1}, ValueError, "labels: got label 4, expected a name"),
    ({"labels": TRUTH - 1}, ValueError, "labels: got -1"),
    ({"labels": TRUTH / 1.0}, TypeError, "labels: got dtype float64"),
    ({"labels": TRUTH.reshape(2, 3)}, ValueError, r"labels: got shape \(2, 3\)"),
    ({"labels": LABELS["strings"], "class_names": ()}, ValueError, "labels: got 'cat'"),
    ({"labels": ["owl"] * 6}, ValueError, "labels: got 'owl', expected integers, or"),
    ({"labels": np.ma.array(TRUTH, mask=TRUTH == 0)}, TypeError, "labels: got a mask"),
    ({"class_names": ("a", "b", "c", "a")}, ValueError, "class_names: got 'a' twice"),
    ({"class_names": "abcd"}, TypeError, "got 'abcd', expected a sequence of names"),
    ({"class_names": range(4)}, TypeError, "class_names: got 0 among the names"),
    ({"name": None}, TypeError, "name: got NoneType, expected a string"),
    ({"images": images().tolist()}, TypeError, "images: got list"),
    ({"images": images() * 1.0}, ValueError, r"images: got values in \[0, 255\]"),
    ({"images": images().astype(np.uint16)}, TypeError, "images: got dtype uint16"),
    ({"images": images(dtype=np.float16)}, TypeError, "images: got dtype float16"),
    ({"images": images()[:, 0]}, ValueError, r"images: got shape \(6, 16, 16\)"),
    (
        {"images": images(dtype=np.float32) * np.float32(np.nan)},
        ValueError,
        "images: got NaN",
    ),
    (
        {"images": np.ma.array(images(), mask=images() > 99)},
        TypeError,
        "images: got a masked array",
    ),
]


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_what_does_not_fit_is_refused_when_made(changes, error, message):
    with pytest.raises(error, match=message):
        made(**changes)


@pytest.mark.parametrize("n_channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channels_on_the_last_axis_are_refused_everywhere(n_channels, dtype):
    turned = np.zeros((6, 16, 16, n_channels), dtype)
    message = "move the channels to the second axis"
    with pytest.raises(ValueError, match=message):
        made(images=turned)
    with pytest.raises(ValueError, match=message):
        made(images=torch.tensor(turned))
    from neurofreq import corruption_accuracy

    with pytest.raises(ValueError, match=message):
        corruption_accuracy(lambda x: x.mean((2, 3)), turned, TRUTH)


def test_published_arrays_have_channels_last(tmp_path):
    np.save(tmp_path / "labels", np.tile([0, 1], 5))
    np.save(tmp_path / "fog", np.zeros((10, 3, 32, 32), np.uint8))
    with pytest.raises(ValueError, match="1 or 3 channels on the last axis"):
        data.CorruptedFolder(tmp_path)
