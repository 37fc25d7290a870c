"""Folders of image files: official layouts, lazy decoding, and missing files."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

import neurofreq as nf
from neurofreq import data


def picture(path, size=(64, 64), seed=0, mode="RGB"):
    """Write a random JPEG or PNG, (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*size, 3) if mode == "RGB" else size
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels, mode).save(path)


@pytest.fixture
def tiny(tmp_path):
    """Three classes, two training and two validation images each."""
    names = ["n03", "n01", "n02"]
    (tmp_path / "wnids.txt").write_text("\n".join(names) + "\n")
    lines = []
    for label, name in enumerate(names):
        folder = tmp_path / "train" / name
        for k in range(2):
            picture(folder / "images" / f"{name}_{k}.JPEG", seed=10 * label + k)
        (folder / f"{name}_boxes.txt").write_text("")
        for k in range(2):
            picture(tmp_path / "val" / "images" / f"val_{label}{k}.JPEG", seed=50 + k)
            lines.append(f"val_{label}{k}.JPEG\t{name}\t0\t0\t63\t63\n")
    lines = lines[::2] + lines[1::2]
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(lines))
    return tmp_path


@pytest.fixture
def classes(tmp_path):
    """Two classes of images of various sizes, one of them gray."""
    picture(tmp_path / "val" / "a" / "1.JPEG", (300, 400), 0)
    picture(tmp_path / "val" / "a" / "2.JPEG", (500, 280), 1)
    picture(tmp_path / "val" / "b" / "1.png", (260, 260), 2, "L")
    (tmp_path / "val" / "b" / "notes.txt").write_text("no image")
    return tmp_path


def test_tinyimagenet_labels_are_places_in_the_sorted_list(tiny):
    test = data.open_data(f"tinyimagenet:{tiny}")
    assert test.class_names == ("n01", "n02", "n03")
    assert test.labels.tolist() == [2, 0, 1, 2, 0, 1]
    assert test.images.shape == (6, 3, 64, 64)
    assert data.open_data(f"tinyimagenet:{tiny}", n=2).labels.tolist() == [2, 0]
    train = data.load_data(f"tinyimagenet:{tiny}", split="train")
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert train.images.dtype == np.float32
    with Image.open(tiny / "train" / "n02" / "images" / "n02_1.JPEG") as file:
        expected = np.asarray(file).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(train.images[3], expected)


def test_imagenet_is_what_torchvision_reads(classes):
    ours = data.open_data(f"imagenet:{classes}")
    prepare = transforms.Compose(
        [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
    )
    theirs = datasets.ImageFolder(str(classes / "val"), prepare)
    assert ours.labels.tolist() == [label for _, label in theirs] == [0, 0, 1]
    assert ours.class_names == ("a", "b")
    assert ours.images.shape == (3, 3, 224, 224)
    for (image, _), (expected, _) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(image, expected.numpy())


def test_a_folder_of_classes_without_parts_is_taken_too(classes):
    whole = data.open_imagenet(classes / "val")
    np.testing.assert_array_equal(whole.images[:], data.open_imagenet(classes).images)
    turned = data.open_folder(classes / "val", classes=["b", "a"], resize=64, crop=64)
    assert turned.labels.tolist() == [0, 1, 1]


def test_images_stand_for_an_array(tiny):
    images = data.open_tinyimagenet(tiny).images
    whole = np.asarray(images)
    assert whole.dtype == images.dtype == np.uint8
    assert whole.shape == images.shape
    np.testing.assert_array_equal(images[1:3], whole[1:3])
    np.testing.assert_array_equal(images[[4, 0]], whole[[4, 0]])
    np.testing.assert_array_equal(images[whole[:, 0, 0, 0] > 0][0], whole[0])
    np.testing.assert_array_equal(images[-1], whole[-1])
    np.testing.assert_array_equal(images.take([2, 1])[:], whole[[2, 1]])
    mask = np.arange(len(images)) == 1
    np.testing.assert_array_equal(images.take(mask)[:], whole[mask])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(images))[0], whole[0])


def test_gray_is_made_after_decoding(tiny):
    colour = data.open_tinyimagenet(tiny)
    lazy = colour.gray()
    assert lazy.images.shape == (6, 1, 64, 64)
    np.testing.assert_array_equal(lazy.images[2:4], colour.load().gray().images[2:4])
    assert lazy.load().images.dtype == np.float32


def test_a_subset_is_fixed_and_decodes_nothing(classes):
    whole = data.open_imagenet(classes)
    first = whole.sample(2, seed=1)
    again = data.open_imagenet(classes).sample(2, seed=1)
    assert first.images.names == again.images.names
    assert first.digest() == again.digest() != whole.digest()
    (classes / "val" / "a" / "2.JPEG").unlink()
    assert len(whole.take([0, 2])) == 2
    with pytest.raises(FileNotFoundError, match=r"2.JPEG is missing"):
        whole.images[:]
    with pytest.raises(ValueError, match="n: got 4, expected 1 to 3"):
        whole.sample(4)


def test_a_loader_of_forked_workers(tiny):
    loader = DataLoader(data.open_tinyimagenet(tiny), batch_size=4, num_workers=2)
    images = torch.cat([batch for batch, _ in loader])
    expected = data.load_data(f"tinyimagenet:{tiny}").images
    np.testing.assert_array_equal(images.numpy(), expected)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("wnids.txt", "wnids.txt is missing from the official layout: wnids.txt"),
        ("val/val_annotations.txt", "val_annotations.txt is missing from the official"),
    ],
)
def test_a_missing_list_is_named_with_the_layout(tiny, gone, message):
    (tiny / gone).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        data.open_tinyimagenet(tiny)


def test_damage_is_named(tiny):
    path = tiny / "val" / "images" / "val_00.JPEG"
    whole = path.read_bytes()
    images = data.open_tinyimagenet(tiny).images
    for content in (whole[: len(whole) // 2], b"no image", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"val_00.JPEG is no complete image"):
            images[:]
    picture(path, (32, 64))
    with pytest.raises(ValueError, match=r"val_00.JPEG has \(32, 64\) pixels"):
        images[:]
    annotations = tiny / "val" / "val_annotations.txt"
    annotations.write_text("val_00.JPEG\tn09\t0\t0\t1\t1\n")
    with pytest.raises(ValueError, match="line 1: got class 'n09'"):
        data.open_tinyimagenet(tiny)
    annotations.write_text("")
    with pytest.raises(ValueError, match="is empty: truncated"):
        data.open_tinyimagenet(tiny)


def test_an_empty_class_or_folder_is_named(tiny, tmp_path):
    (tiny / "train" / "n01" / "images" / "n01_0.JPEG").unlink()
    (tiny / "train" / "n01" / "images" / "n01_1.JPEG").unlink()
    with pytest.raises(ValueError, match=r"n01/images holds no image"):
        data.open_tinyimagenet(tiny, split="train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty has no folders"):
        data.open_folder(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="nowhere is missing"):
        data.open_folder(tmp_path / "nowhere")


def test_a_crop_larger_than_the_image_is_refused(classes):
    with pytest.raises(ValueError, match=r"300 x 400 pixels, expected at least 350"):
        data.open_imagenet(classes, resize=None, crop=350)


@pytest.fixture(scope="module")
def real_tiny(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    with zipfile.ZipFile(data_dir / "images" / "tiny-imagenet-50.zip") as archive:
        archive.extractall(folder)
    return folder / "tiny-imagenet-50"


@pytest.mark.data
def test_the_real_archive(real_tiny):
    test = data.open_tinyimagenet(real_tiny)
    assert test.images.shape == (2500, 3, 64, 64)
    assert np.bincount(test.labels).tolist() == [50] * 50
    train = data.open_tinyimagenet(real_tiny, split="train")
    assert np.bincount(train.labels).tolist() == [500] * 50
    theirs = datasets.ImageFolder(str(real_tiny / "train"))
    assert train.class_names == tuple(theirs.classes)
    assert sorted(str(real_tiny / name) for name in train.images.names) == sorted(
        path for path, _ in theirs.samples
    )
    images = test.take(64).load().images
    assert images.dtype == np.float32
    assert 0.3 < images.mean() < 0.6
    gray = test.take(64).gray().images[:]
    expected = transforms.functional.rgb_to_grayscale(torch.from_numpy(images))
    np.testing.assert_allclose(gray, expected.numpy(), atol=1e-6)


@pytest.mark.data
def test_a_written_tinyimagenet_c_is_corrupted_up_to_jpeg(real_tiny, tmp_path):
    subset = data.open_tinyimagenet(real_tiny).sample(40)
    written = data.write_corrupted(subset, tmp_path, names=["contrast"], seed=1)
    assert len(written) == 40
    cell = written.cell("contrast", 1)
    stems = [Path(name).stem for name in cell.images.names]
    order = [Path(name).stem for name in subset.images.names]
    rows = [order.index(stem) for stem in stems]
    assert cell.labels.tolist() == subset.labels[rows].tolist()
    expected = nf.corrupt(subset.images[rows], "contrast", 1, seed=1, layout="nchw")
    error = cell.images[:].astype(float) - expected
    assert np.sqrt((error**2).mean()) < 5  # gray levels; JPEG with quality 85


@pytest.mark.data
def test_full_size_images(data_dir, tmp_path):
    with zipfile.ZipFile(data_dir / "images" / "imagenet-sample-80.zip") as archive:
        for name in archive.namelist()[:8]:
            wnid = name.split("/")[-1].split("_")[0]
            (tmp_path / wnid).mkdir(exist_ok=True)
            (tmp_path / wnid / name.split("/")[-1]).write_bytes(archive.read(name))
    sample = data.load_data(f"imagenet:{tmp_path}", n=5)
    assert sample.images.shape == (5, 3, 224, 224)
    assert 0.1 < sample.images.std() < 0.4
