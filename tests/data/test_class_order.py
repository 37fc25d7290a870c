"""The labels of folders of classes follow the order of the model's classes."""

import numpy as np
import pytest
from PIL import Image

from neurofreq import data
from neurofreq.data import CorruptedFolder, class_order

# WordNet ids with their indices in ImageNet's published order.
KNOWN = {
    "n01440764": 0,  # tench
    "n01664065": 33,  # loggerhead
    "n02123045": 281,  # tabby
    "n03125729": 516,  # cradle
    "n15075141": 999,  # toilet tissue
}


def folders(root, names, size=(32, 32)):
    for name in names:
        (root / name).mkdir(parents=True)
        Image.new("RGB", size).save(root / name / "1.png")
    return root


def test_the_list_of_imagenet_is_the_published_one():
    ids = class_order.imagenet()
    assert len(ids) == len(set(ids)) == 1000
    assert list(ids) == sorted(ids)
    assert {name: ids.index(name) for name in KNOWN} == KNOWN


@pytest.mark.parametrize("inside", ["", "val"])
def test_a_part_of_imagenet_has_the_labels_of_the_whole(tmp_path, inside):
    folders(tmp_path / inside, KNOWN)
    found = data.open_data(f"imagenet:{tmp_path}")
    assert found.labels.tolist() == list(KNOWN.values())
    assert found.class_names == class_order.imagenet()
    again = data.open_folder(tmp_path / inside)
    assert again.labels.tolist() == list(KNOWN.values())
    assert [again.class_names[label] for label in again.labels] == list(KNOWN)
    assert (
        data.open_data(f"imagenet:{tmp_path}", n=3).class_names
        == class_order.imagenet()
    )


def test_a_folder_that_is_no_class_of_imagenet_is_named(tmp_path):
    folders(tmp_path, [*KNOWN, "others"])
    with pytest.raises(ValueError, match="'others', which is no class of ImageNet"):
        data.open_imagenet(tmp_path)
    names = [*KNOWN, "others"]
    assert data.open_imagenet(tmp_path, classes=names).labels.tolist() == [*range(6)]
    assert data.open_folder(tmp_path).labels.tolist() == [*range(6)]


def test_tinyimagenet_has_an_order_of_its_own(tmp_path):
    names = class_order.imagenet()[::5]
    tiny = data.open_folder(folders(tmp_path / "tiny", names, (64, 64)))
    assert tiny.labels.tolist() == [*range(200)]
    assert tiny.class_names == names
    larger = data.open_folder(folders(tmp_path / "large", names, (65, 64)))
    assert larger.labels.tolist() == [*range(0, 1000, 5)]
    fewer = data.open_folder(folders(tmp_path / "few", names[1:], (64, 64)))
    assert fewer.labels.tolist() == [*range(5, 1000, 5)]


def test_a_corrupted_folder_is_numbered_as_a_clean_one(tmp_path):
    for severity in ("1", "2"):
        folders(tmp_path / "blur" / "fog" / severity, KNOWN)
    found = CorruptedFolder(tmp_path)
    assert found.labels.tolist() == list(KNOWN.values())
    assert found.class_names == class_order.imagenet()
    assert found.cell("fog", 2).labels.tolist() == list(KNOWN.values())


def test_written_corruptions_keep_the_labels_of_imagenet(tmp_path):
    clean = data.open_folder(folders(tmp_path / "clean", KNOWN))
    for layout in ("files", "arrays"):
        made = data.write_corrupted(
            clean, tmp_path / layout, names=["contrast"], layout=layout
        )
        assert made.labels.tolist() == list(KNOWN.values())
        assert made.class_names == class_order.imagenet()


def test_numbers_are_labels(tmp_path):
    whole = data.open_folder(folders(tmp_path / "whole", map(str, range(12))))
    assert whole.labels.tolist() == [*range(12)]
    assert whole.class_names == tuple(map(str, range(12)))
    part = data.open_folder(folders(tmp_path / "part", ["3", "010", "7"]))
    assert part.labels.tolist() == [3, 7, 10]
    assert len(part.class_names) == 11
    assert part.class_names[10] == "010"
    with pytest.raises(ValueError, match="'07' and '7', expected one folder for a num"):
        data.open_folder(folders(tmp_path / "twice", ["7", "07"]))
    dates = data.open_folder(folders(tmp_path / "dates", ["20231104", "20231105"]))
    assert dates.labels.tolist() == [0, 1]


def test_classes_without_a_folder_keep_their_places(tmp_path):
    folders(tmp_path, ["c", "a"])
    found = data.open_folder(tmp_path, classes=["d", "c", "b", "a"])
    assert found.labels.tolist() == [1, 3]
    assert found.class_names == ("d", "c", "b", "a")
    assert [name[0] for name in found.images.names] == ["c", "a"]
    found = data.open_imagenet(tmp_path, classes=np.array(["d", "c", "b", "a"]))
    assert found.labels.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        (["a", "b"], ValueError, "holds 'c', expected only the 2 known classes"),
        (["x", "y"], FileNotFoundError, "has no folder of the 2 classes"),
        (["a", "c", "a"], ValueError, "classes: got 'a' twice"),
        (["a", "c", 3], TypeError, "classes: got 3 among the names"),
        ("ac", TypeError, "classes: got 'ac', expected a sequence of names"),
    ],
)
def test_other_lists_of_classes_are_refused(tmp_path, classes, error, message):
    folders(tmp_path, ["a", "c"])
    with pytest.raises(error, match=message):
        data.open_folder(tmp_path, classes=classes)


def test_a_file_beside_the_folders_names_their_order(tmp_path):
    folders(tmp_path, KNOWN)
    order = [*reversed(KNOWN), "another class"]
    (tmp_path / "classes.txt").write_text("\n".join(order) + "\n\n")
    for found in (data.open_folder(tmp_path), data.open_data(f"imagenet:{tmp_path}")):
        assert found.labels.tolist() == [*range(5)]
        assert found.class_names == tuple(order)
    again = data.open_folder(tmp_path, classes=list(KNOWN))
    assert again.class_names == tuple(KNOWN)


@pytest.mark.data
def test_eighty_photographs_have_their_labels(data_dir, tmp_path):
    import zipfile

    with zipfile.ZipFile(data_dir / "images" / "imagenet-sample-80.zip") as archive:
        for name in archive.namelist():
            wnid = name.partition("_")[0]
            (tmp_path / wnid).mkdir(exist_ok=True)
            (tmp_path / wnid / name).write_bytes(archive.read(name))
    found = data.open_data(f"imagenet:{tmp_path}")
    tench = next(i for i, name in enumerate(found.images.names) if "tench" in name)
    assert found.labels[tench] == 0
    assert len(set(found.labels)) == 80
    assert found.labels.max() > 900


def test_images_below_a_class_folder_and_mixed_names_are_refused(tmp_path):
    picture = Image.new("RGB", (8, 8))
    for name in ("a/0.png", "a/more/1.png", "b/0.png"):
        (tmp_path / "deep" / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "deep" / name)
    with pytest.raises(ValueError, match="holds images, and more in 'more'"):
        data.open_folder(tmp_path / "deep")
    for name in ("0/0.png", "10/0.png", "unknown/0.png"):
        (tmp_path / "mixed" / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "mixed" / name)
    with pytest.raises(ValueError, match="holds '0' and 'unknown', expected numbers"):
        data.open_folder(tmp_path / "mixed")


def test_a_listing_may_begin_with_a_mark_of_its_byte_order(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "0.png")
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbfb\na\n")
    assert data.open_folder(tmp_path).class_names == ("b", "a")
    (tmp_path / "classes.txt").write_bytes("b\na\n".encode("utf-16"))
    with pytest.raises(ValueError, match=r"classes.txt is no UTF-8 text"):
        data.open_folder(tmp_path)
