"""Names of classes and files cannot lead out of their folder."""

import contextlib
import pickle

import numpy as np
import pytest
from PIL import Image

from neurofreq import data
from neurofreq._shared.files import safe_names
from neurofreq.data import ImageFiles, ImageSet

BAD = [
    "", ".", "..", "../x", "../../outside", "/outside/x", "a/b", "a\\b", "C:x", "a\0b",
    "a\nb", ".hidden", "nul", "CON.txt", "com1", "end.", "end ", "x" * 256, "a*b",
]  # fmt: skip


def clean(name):
    images = np.zeros((4, 3, 16, 16), np.uint8)
    return ImageSet(images, [0, 1, 0, 1], ("fine", name), "four")


@pytest.mark.parametrize("name", BAD)
def test_a_class_name_that_leads_out_is_refused_before_anything_is_written(
    tmp_path, name
):
    out = tmp_path / "work" / "out"
    with pytest.raises(ValueError, match=r"class_names: got .*, expected the name of"):
        data.write_corrupted(clean(name), out, names=["contrast"], layout="files")
    assert not (tmp_path / "work").exists()


def test_names_that_no_image_has_do_no_harm(tmp_path):
    whole = ImageSet(np.zeros((2, 3, 16, 16), np.uint8), [0, 0], ("a", "../b"), "two")
    made = data.write_corrupted(whole, tmp_path, names=["contrast"], layout="files")
    assert made.class_names == ("a", "../b")
    assert made.labels.tolist() == [0, 0]


def test_plain_names_are_taken():
    for name in ("n01440764", "bar-", "Ragdoll cat", "ünïcode", "a.b", "0", "x" * 255):
        assert safe_names.checked("name", name) == name
    with pytest.raises(TypeError, match="name: got int, expected a string"):
        safe_names.checked("name", 3)


def tiny(root, wnid="n01", file="a.JPEG"):
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text(f"{wnid}\n")
    (root / "val" / "val_annotations.txt").write_text(f"{file}\t{wnid}\t0\n")
    Image.new("RGB", (64, 64)).save(root / "val" / "images" / "a.JPEG")
    Image.new("RGB", (64, 64)).save(root / "secret.JPEG")
    return root


def test_the_lists_of_an_archive_name_files_of_its_own(tmp_path):
    assert len(data.open_tinyimagenet(tiny(tmp_path / "fine"))) == 1
    with pytest.raises(ValueError, match=r"wnids.txt: got '../../x'"):
        data.open_tinyimagenet(tiny(tmp_path / "class", wnid="../../x"))
    for number, file in enumerate(["../../secret.JPEG", "/etc/a.JPEG", ""]):
        root = tiny(tmp_path / f"file{number}", file=file)
        with pytest.raises(ValueError, match=r"val_annotations.txt: got "):
            data.open_tinyimagenet(root)


@pytest.mark.parametrize("link", ["contrast", "contrast/3", "contrast/5/fine"])
def test_a_link_in_the_folder_is_not_followed(tmp_path, link):
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    (out / link).parent.mkdir(parents=True)
    (out / link).symlink_to(outside)
    with pytest.raises(ValueError, match=r"out: got .*, a link, expected a folder"):
        data.write_corrupted(clean("b"), out, names=["contrast"], layout="files")
    assert not list(outside.iterdir())
    assert not (out / "corrupted.json").exists()


def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    made = data.write_corrupted(
        clean("b"), tmp_path / "out", names=["contrast"], layout="files"
    )
    assert len(made) == 4


def test_names_of_files_stay_in_their_class(tmp_path):
    picture = tmp_path / "a" / ".." / "b.png"
    (tmp_path / "a").mkdir()
    Image.new("RGB", (16, 16)).save(picture)
    files = ImageFiles.of(tmp_path, ("a/../b.png",))
    made = data.write_corrupted(
        ImageSet(files, [0], ("x",), "one"), tmp_path / "out", names=["contrast"]
    )
    assert made.cell("contrast", 1).images.names == ("x/b.JPEG",)


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("place", ["whole", "labels", "data"])
def test_a_hostile_pickle_of_cifar10_runs_nothing(tmp_path, place):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    harm = Harm(tmp_path / "ran")
    batch = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}
    content = harm if place == "whole" else batch | {place.encode(): harm}
    (folder / "test_batch").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="test_batch is no CIFAR-10 batch"):
        data.open_cifar10(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_damaged_pickle_of_cifar10_names_its_file(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    whole = pickle.dumps(
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": np.array([0, 1])}
    )
    for _ in range(500):
        content = bytearray(whole)
        for at in rng.choice(200, 3):
            content[at] = rng.integers(256)
        (folder / "test_batch").write_bytes(content)
        with contextlib.suppress(ValueError):  # the error names the file, as above
            data.open_cifar10(tmp_path)
