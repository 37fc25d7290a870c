"""Benchmark folders: reading, writing, resuming, and damaged folders."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.corrupted import NAMES, clean
from helpers.files import opened_images
from PIL import Image

import neurofreq as nf
from neurofreq import data
from neurofreq.corruptions import _write


@pytest.fixture
def arrays(tmp_path):
    """A folder in the layout of CIFAR-10-C, with four images per severity."""
    rng = np.random.default_rng(1)
    for name in ("fog", "brightness", "speckle_noise"):
        np.save(tmp_path / name, rng.integers(0, 256, (20, 32, 32, 3), np.uint8))
    np.save(tmp_path / "labels", np.tile([3, 1, 4, 1], 5))
    return tmp_path


@pytest.fixture
def files(tmp_path):
    """A folder in the layout of ImageNet-C, with its archives."""
    for archive, name in (("weather/", "fog"), ("", "jpeg_compression")):
        for severity in (1, 2, 3, 4, 5):
            for row, wnid in enumerate(("n1", "n2", "n2")):
                folder = tmp_path / f"{archive}{name}" / str(severity) / wnid
                folder.mkdir(parents=True, exist_ok=True)
                pixels = np.full((40, 40, 3), 10 * severity + row, np.uint8)
                Image.fromarray(pixels).save(folder / f"{row}.JPEG", quality=95)
    return tmp_path


def test_rows_of_a_severity_are_mapped_and_not_read(arrays):
    folder = data.CorruptedFolder(arrays)
    assert folder.names == ("brightness", "fog", "speckle_noise")
    assert folder.labels.tolist() == [3, 1, 4, 1]
    assert folder.class_names == data.CIFAR10_CLASSES
    stored = np.load(arrays / "fog.npy")
    for severity in (1, 2, 3, 4, 5):
        cell = folder.cell("fog", severity)
        rows = stored[4 * severity - 4 : 4 * severity].transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(cell.images, rows)
        assert isinstance(cell.images.base, np.memmap)
    gray = folder.cell("fog", 2).gray()
    assert gray.images.shape == (4, 1, 32, 32)


def test_files_of_a_cell_are_sorted_as_imagefolder_sorts_them(files):
    folder = data.CorruptedFolder(files)
    assert folder.names == ("fog", "jpeg_compression")
    assert folder.class_names == ("n1", "n2")
    assert folder.labels.tolist() == [0, 1, 1]
    means = folder.cell("fog", 4).images[:].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(means, [40, 41, 42], atol=1)
    cropped = data.CorruptedFolder(files, resize=36, crop=32).cell("fog", 1)
    assert cropped.images.shape == (3, 3, 32, 32)
    other = data.CorruptedFolder(files, classes=["n0", "n2", "n1"])
    assert other.labels.tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda f: (f / "labels.npy").unlink(), FileNotFoundError, "labels.npy is mis"),
        (lambda f: cut(f / "fog.npy"), ValueError, r"fog.npy is no complete .npy file"),
        (lambda f: cut(f / "labels.npy", 2), ValueError, "labels.npy is no complete"),
        (
            lambda f: np.save(f / "fog", np.zeros((20, 32, 32), np.uint8)),
            ValueError,
            r"fog.npy holds uint8 of shape \(20, 32, 32\), expected uint8 \(20, H",
        ),
        (
            lambda f: np.save(f / "fog", np.zeros((19, 32, 32, 3), np.uint8)),
            ValueError,
            "a row per label",
        ),
        (
            lambda f: np.save(f / "fog", np.zeros((20, 32, 32, 3), np.float32)),
            ValueError,
            "holds float32",
        ),
        (
            lambda f: np.save(f / "labels", np.arange(20)),
            ValueError,
            "differs between severities",
        ),
        (
            lambda f: np.save(f / "labels", np.zeros(19, np.int64)),
            ValueError,
            r"expected integers \(5 n,\)",
        ),
    ],
)
def test_damaged_arrays_are_named(arrays, damage, error, message):
    damage(arrays)
    with pytest.raises(error, match=message):
        data.CorruptedFolder(arrays)


def cut(path, share=3):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // share])


def test_damaged_cells_of_files_are_named(files):
    folder = data.CorruptedFolder(files)
    (files / "jpeg_compression" / "3" / "n1" / "0.JPEG").unlink()
    with pytest.raises(ValueError, match=r"3/n1 holds no image"):
        folder.cell("jpeg_compression", 3)
    (files / "jpeg_compression" / "2" / "n2" / "1.JPEG").unlink()
    with pytest.raises(
        ValueError, match=r"holds 2 images, expected .* \(3\); they differ in"
    ):
        folder.cell("jpeg_compression", 2)
    (files / "jpeg_compression" / "5" / "n7").mkdir()
    with pytest.raises(ValueError, match="holds 'n7', expected only the 2 known"):
        folder.cell("jpeg_compression", 5)
    (files / "jpeg_compression" / "4").rename(files / "jpeg_compression" / "gone")
    with pytest.raises(FileNotFoundError, match=r"4 is missing from labels\.npy"):
        folder.cell("jpeg_compression", 4)
    (files / "weather" / "fog" / "1" / "n1" / "0.JPEG").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"0.JPEG is no complete image"):
        data.CorruptedFolder(files)


def test_what_is_not_there_is_said(files, tmp_path):
    folder = data.CorruptedFolder(files)
    with pytest.raises(ValueError, match="name: got 'frost', expected one of 'fog'"):
        folder.cell("frost", 1)
    for severity in (0, 6):
        with pytest.raises(ValueError, match=f"severity: got {severity}"):
            folder.cell("fog", severity)
    with pytest.raises(FileNotFoundError, match="holds no corruption, expected labels"):
        data.CorruptedFolder(files / "weather" / "fog" / "1")
    with pytest.raises(FileNotFoundError, match="nowhere is missing"):
        data.CorruptedFolder(tmp_path / "nowhere")


def test_written_arrays_are_what_corrupt_makes(tmp_path):
    whole = clean()
    written = data.write_corrupted(whole, tmp_path, names=NAMES, seed=3, batch_size=4)
    assert written.names == NAMES
    assert written.class_names == whole.class_names
    assert np.load(tmp_path / "contrast.npy").shape == (30, 32, 32, 3)
    for name in NAMES:
        for severity in (1, 5):
            expected = nf.corrupt(whole.images, name, severity, seed=3, layout="nchw")
            cell = written.cell(name, severity)
            np.testing.assert_array_equal(cell.images, expected)
            np.testing.assert_array_equal(cell.labels, whole.labels)
    assert not list(tmp_path.glob(".*"))


def test_floats_are_rounded_to_eight_bits(tmp_path):
    whole = clean()
    data.write_corrupted(whole, tmp_path / "bytes", names=NAMES)
    data.write_corrupted(whole.load(), tmp_path / "floats", names=NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(
            np.load(tmp_path / "bytes" / f"{name}.npy"),
            np.load(tmp_path / "floats" / f"{name}.npy"),
        )


def test_written_files_keep_names_classes_and_pixels(tmp_path):
    source = data.write_corrupted(
        clean(size=64), tmp_path / "first", names=["contrast"], layout="files"
    )
    cell = source.cell("contrast", 1)
    # A subset of clean files without the middle class.
    subset = cell.take([0, 1, 4, 5])
    written = data.write_corrupted(subset, tmp_path / "second", names=NAMES)
    assert written.class_names == ("ant", "bee", "cat")
    assert written.labels.tolist() == subset.labels.tolist() == [0, 0, 2, 2]
    again = written.cell("contrast", 2)
    assert again.images.names == subset.images.names
    expected = nf.corrupt(subset.images[:], "contrast", 2, seed=0, layout="nchw")
    error = again.images[:].astype(float) - expected
    assert abs(error).mean() < 20  # the JPEG error of white noise is large
    assert abs(error.mean()) < 0.5
    record = json.loads((tmp_path / "second" / "corrupted.json").read_text())
    assert record["layout"] == "files"


def test_a_written_file_of_which_a_bit_changed_is_told_and_made_again(tmp_path):
    options = {"names": ["contrast"], "layout": "files"}
    written = data.write_corrupted(clean(), tmp_path, **options)
    before = written.cell("contrast", 2).images[:]
    path, *_ = sorted((tmp_path / "contrast" / "2").rglob("*.JPEG"))
    whole = path.read_bytes()
    Image.open(path).verify()
    place = len(whole) - 40  # pixel data, so that the file stays readable
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(ValueError, match=rf"{path.name} is damaged \(its checksum"):
        data.CorruptedFolder(tmp_path).cell("contrast", 2).images[:]
    with pytest.warns(UserWarning, match=rf"{path.name} is damaged: it is made again"):
        data.write_corrupted(clean(), tmp_path, **options)
    assert path.read_bytes() == whole
    again = data.CorruptedFolder(tmp_path).cell("contrast", 2).images[:]
    np.testing.assert_array_equal(again, before)


def test_written_files_without_checksums_are_read_and_kept(tmp_path):
    options = {"names": ["contrast"], "layout": "files"}
    written = data.write_corrupted(clean(), tmp_path, **options)
    before = written.cell("contrast", 1).images[:]
    for path in (tmp_path / "contrast").rglob("*.JPEG"):  # as release 0.1 wrote them
        content = path.read_bytes()
        at = content.index(b"neurofreq") - 4  # minus marker and length
        size = 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        path.write_bytes(content[:at] + content[at + size :])
    old = {path: path.read_bytes() for path in tmp_path.rglob("*.JPEG")}
    found = data.write_corrupted(clean(), tmp_path, **options)
    np.testing.assert_array_equal(found.cell("contrast", 1).images[:], before)
    assert {path: path.read_bytes() for path in old} == old


def test_a_clean_file_is_decoded_once(tmp_path, monkeypatch):
    first = data.write_corrupted(
        clean(), tmp_path / "first", names=["contrast"], layout="files"
    )
    source, decoded = first.cell("contrast", 1), opened_images(monkeypatch)
    data.write_corrupted(source, tmp_path / "second", names=NAMES, batch_size=4)
    clean_files = [path for path in decoded if "first" in path.parts]
    assert len(clean_files) == len(set(clean_files)) == 6


@pytest.mark.parametrize("layout", ["arrays", "files"])
def test_a_killed_writer_goes_on(tmp_path, monkeypatch, layout):
    options = {"names": NAMES, "layout": layout, "batch_size": 2}
    whole = data.write_corrupted(clean(), tmp_path / "whole", **options)
    real, calls = _write.corruptions.corrupt, []

    def failing(*arguments, **keywords):
        calls.append(arguments[1:3])
        if len(calls) == 20:
            raise KeyboardInterrupt
        return real(*arguments, **keywords)

    monkeypatch.setattr(_write.corruptions, "corrupt", failing)
    with pytest.raises(KeyboardInterrupt):
        data.write_corrupted(clean(), tmp_path / "cut", **options)
    assert len(calls) < 25
    resumed = data.write_corrupted(clean(), tmp_path / "cut", **options)
    assert 30 <= len(calls) <= 30 + 6  # at most two cells are written again
    for name in NAMES:
        for severity in (1, 2, 3, 4, 5):
            np.testing.assert_array_equal(
                resumed.cell(name, severity).images[:],
                whole.cell(name, severity).images[:],
            )
    n_calls = len(calls)
    data.write_corrupted(clean(), tmp_path / "cut", **options)
    assert len(calls) == n_calls


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "holds corruptions of another seed"),
        ({"parameters": "imagenet"}, "of another parameters"),
        ({"data": clean(5)}, "of another data"),
        ({"layout": "files"}, "of another layout"),
        ({"names": ["contrst"]}, "the nearest is 'contrast'"),
        ({"names": []}, "expected each name once"),
        ({"batch_size": 0}, "batch_size: got 0"),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path, changes, message):
    data.write_corrupted(clean(), tmp_path, names=["contrast"])
    arguments = {"data": clean(), "names": ["contrast"]} | changes
    with pytest.raises(ValueError, match=message):
        data.write_corrupted(out=tmp_path, **arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda d: {"data": replace(d, images=d.images * 1.0)}, "got values in .0, 25"),
        (
            lambda d: {"data": replace(d, images=d.images / 255 - 0.5)},
            r"images: got values in \[-0.5, 0.5\]",
        ),
        (lambda d: {"data": replace(d, images=d.images * np.nan)}, "images: got NaN"),
        (
            lambda d: {"data": replace(d, images=d.images.astype(np.int64))},
            "images: got dtype int64",
        ),
        (
            lambda d: {"data": replace(d, images=d.images.transpose(0, 2, 3, 1))},
            "move the channels",
        ),
        (lambda d: {"data": replace(d, labels=d.labels[:4])}, "labels: got 4, expec"),
        (
            lambda d: {"data": replace(d, labels=d.labels + 1), "layout": "files"},
            "labels: got label 3",
        ),
        (lambda d: {"data": clean(size=12)}, "data: got images of 12 x 12 pixels"),
        (lambda d: {"data": d.images}, "data: got ndarray, expected an ImageSet"),
        (lambda d: {"data": "cifar10:here"}, "data: got str, expected an ImageSet"),
        (lambda d: {"parameters": "cifar10"}, "parameters: got 'cifar10'"),
        (lambda d: {"seed": -1}, "seed: got -1"),
    ],
)
def test_a_refused_call_writes_nothing(tmp_path, changes, message):
    arguments = {"data": clean(), "names": ["contrast"], "layout": "arrays"}
    out = tmp_path / "out"
    with pytest.raises((TypeError, ValueError), match=message):
        data.write_corrupted(out=out, **arguments | changes(clean()))
    assert not out.exists()


def test_tensors_are_written_and_a_file_is_no_folder(tmp_path):
    whole = clean()
    tensors = replace(
        whole, images=torch.tensor(whole.images), labels=torch.tensor(whole.labels)
    )
    data.write_corrupted(whole, tmp_path / "out", names=["contrast"])
    data.write_corrupted(tensors, tmp_path / "out", names=["contrast"])
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"out: got .*file, a file, expected a folder"):
        data.write_corrupted(whole, tmp_path / "file", names=["contrast"])


def test_gray_images_are_no_files(tmp_path):
    with pytest.raises(ValueError, match="data: got 1 channels, expected 3 for files"):
        data.write_corrupted(clean().gray(), tmp_path, layout="files")
    written = data.write_corrupted(clean().gray(), tmp_path, names=["contrast"])
    assert written.cell("contrast", 1).images.shape == (6, 1, 32, 32)


def flip(path, place):
    whole = bytearray(path.read_bytes())
    whole[place] ^= 1
    path.write_bytes(bytes(whole))


def test_a_flipped_bit_of_a_written_array_is_noticed_and_mended(tmp_path):
    options = {"names": ["contrast", "fog"], "layout": "arrays"}
    data.write_corrupted(clean(), tmp_path, **options)
    path = tmp_path / "fog.npy"
    whole = path.read_bytes()
    flip(path, -1)  # in the fifth severity
    found = data.CorruptedFolder(tmp_path)
    assert len(found.cell("fog", 4)) == len(found.cell("contrast", 5)) == 6
    with pytest.raises(ValueError, match=r"^data: .*fog\.npy is damaged at severity 5"):
        found.cell("fog", 5)
    with pytest.warns(UserWarning, match=r"fog\.npy is damaged: it is made again"):
        data.write_corrupted(clean(), tmp_path, **options)
    assert path.read_bytes() == whole


def test_a_flipped_bit_of_a_part_is_not_kept(tmp_path, monkeypatch):
    options = {"names": ["contrast"], "layout": "arrays"}
    data.write_corrupted(clean(), tmp_path / "whole", **options)
    with monkeypatch.context() as patch:
        patch.setattr(_write.corruptions, "corrupt", interrupting)
        with pytest.raises(KeyboardInterrupt):
            data.write_corrupted(clean(), tmp_path / "cut", **options)
    parts = sorted((tmp_path / "cut").glob(".contrast-?.npy"))
    assert len(parts) == 4
    flip(parts[1], -1)
    with pytest.warns(UserWarning, match="contrast-2.npy is damaged"):
        data.write_corrupted(clean(), tmp_path / "cut", **options)
    one, other = (
        (tmp_path / name / "contrast.npy").read_bytes() for name in ("cut", "whole")
    )
    assert one == other


def interrupting(images, name, severity, **options):
    if severity == 5:
        raise KeyboardInterrupt
    return corrupt(images, name, severity, **options)


corrupt = nf.corrupt


@pytest.mark.parametrize("text", ["{", "[]", '{"classes": 3}', None])
def test_a_damaged_manifest_is_named(tmp_path, text):
    data.write_corrupted(clean(), tmp_path, names=["contrast"], layout="arrays")
    path = tmp_path / "corrupted.json"
    whole = path.read_text()
    path.write_text(whole.replace('"seed": 0', '"seed": 1') if text is None else text)
    with pytest.raises(ValueError, match=r"data: .*corrupted\.json is damaged.*remove"):
        data.CorruptedFolder(tmp_path)
    with pytest.raises(ValueError, match=r"^out: .*corrupted\.json is damaged.*empty"):
        data.write_corrupted(clean(), tmp_path, names=["contrast"], layout="arrays")
