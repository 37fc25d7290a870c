"""Images with labels from arrays, data sets, loaders and specs."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from neurofreq import data, models, report

PIXELS = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


class Named(Dataset):
    classes = ("ant", "bee", "cat")

    def __len__(self):
        return 6

    def __getitem__(self, index):  # no end, as in many data sets
        return PIXELS[index % 6], int(LABELS[index % 6])


class Pictures(Named):
    def __init__(self, mode="RGB", side=16):
        self.mode, self.side = mode, side

    def __getitem__(self, index):
        side = self.side if index == 3 else 16
        levels = np.full((side, side, 3), 40 * index, np.uint8)
        return {"img": Image.fromarray(levels).convert(self.mode), "label": index % 3}


class Streamed(IterableDataset):
    def __iter__(self):
        return iter((PIXELS[i], LABELS[i]) for i in range(6))


GIVEN = {
    "pair": (PIXELS, LABELS),
    "list": [PIXELS.numpy(), LABELS.tolist()],
    "data set": TensorDataset(PIXELS, LABELS),
    "own": Named(),
    "streamed": Streamed(),
    "loader": DataLoader(TensorDataset(PIXELS, LABELS), batch_size=4),
    "triples": DataLoader(
        TensorDataset(PIXELS, LABELS, torch.arange(6)), batch_size=4
    ),
    "mappings": DataLoader(
        [{"pixel_values": one, "labels": label} for one, label in Streamed()],
        batch_size=5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", GIVEN)
def test_images_are_read_from_anything_in_their_order(kind):
    found = data.as_image_set(GIVEN[kind], name="mine")
    np.testing.assert_array_equal(found.images, PIXELS.numpy())
    np.testing.assert_array_equal(found.labels, LABELS.numpy())
    assert found.name == "mine"
    assert found.class_names == (Named.classes if kind == "own" else ("0", "1", "2"))
    assert data.as_image_set(found, name="other") is found


def test_names_of_classes_are_found_behind_subsets_and_loaders():
    part = Subset(Subset(Named(), [4, 0, 2]), [1, 2])
    for given in (part, DataLoader(part, batch_size=2)):
        found = data.as_image_set(given)
        assert found.class_names == Named.classes
        assert found.labels.tolist() == [0, 2]


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_pictures_become_bytes(mode, channels):
    found = data.as_image_set(Pictures(mode))
    assert found.images.shape == (6, channels, 16, 16)
    assert found.images.dtype == np.uint8
    assert found.images[:, 0, 0, 0].tolist() == [40 * index for index in range(6)]


REFUSED = [
    (Pictures("RGBA"), TypeError, "Pillow image of mode RGBA, expected RGB or L"),
    (Pictures(side=20), ValueError, r"got shape \(3, 20, 20\) at position 3, expected"),
    ((PIXELS * 4 - 2, LABELS), ValueError, "leave the normalization to the model"),
    ((PIXELS * 2, LABELS), ValueError, r"images: got values in \[.*, expected \[0, 1"),
    ((PIXELS, LABELS[:4]), ValueError, "data: got 4, expected 6, one per image"),
    ((PIXELS,), ValueError, r"got 1 parts, expected \(images, labels\)"),
    (TensorDataset(PIXELS), TypeError, r"expected \(images, labels\)"),
    (TensorDataset(PIXELS, LABELS / 2), TypeError, "data: got"),
    (TensorDataset(PIXELS[:0], LABELS[:0]), ValueError, "data: got no images"),
    (DataLoader(Named(), shuffle=True), ValueError, "got a loader that shuffles"),
    (PIXELS, TypeError, "expected an ImageSet, a SPEC"),
    (None, TypeError, "data: got None"),
    ({"images": PIXELS}, TypeError, "expected an ImageSet, a SPEC"),
]


@pytest.mark.parametrize(("given", "error", "message"), REFUSED)
def test_what_holds_no_images_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        data.as_image_set(given)


def test_reading_shows_a_bar(terminal):
    data.as_image_set(Named(), progress=True)
    assert "6/6" in terminal.readouterr().err


@pytest.mark.filterwarnings("ignore:.* accuracy .* is that of guessing")
def test_a_report_takes_specs_and_data_sets(tmp_path):
    torch.manual_seed(0)
    model = models.small_cnn(in_channels=3, n_classes=3)
    torch.save(model.state_dict(), tmp_path / "w.pt")
    spec = f"small_cnn,in_channels=3,n_classes=3@{tmp_path / 'w.pt'}"
    how = {"measurements": ["clean"], "progress": False}
    forms = {"one": spec, "two": [f"kept={spec}", model], "three": {"a": spec}}
    names = {
        "one": ["small_cnn,in_channels=3,n_classes=3"],
        "two": ["kept", "SmallCNN"],
        "three": ["a"],
    }
    values = []
    for form, given in forms.items():
        found = report.run(given, Named(), tmp_path / form, **how)
        if form != "two":
            assert found.summary["model"].tolist() == names[form]
        assert len(found.summary) == len(names[form])
        values += found.summary["clean_accuracy"].tolist()
    assert len(set(values)) == 1  # all are the same network


@pytest.fixture
def photos(tmp_path):
    for part in ("train", "val"):
        for place, name in enumerate(("ant", "bee")):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            level = 50 * place + (100 if part == "val" else 0)
            Image.new("RGB", (40, 30), (level,) * 3).save(folder / "one.png")
    return tmp_path / "photos"


def found_all(photos):
    return np.asarray(data.open_folder(photos / "val").images)


def test_a_folder_is_a_spec(photos, terminal):
    found = data.open_data(f"folder:{photos},resize=20,crop=16")
    assert found.images.shape == (2, 3, 16, 16)
    assert np.asarray(found.images)[:, 0, 0, 0].tolist() == [100, 150]
    assert found.class_names == ("ant", "bee")
    whole = data.load_data(f"folder:{photos / 'val'}", progress=True)
    np.testing.assert_allclose(whole.images, found_all(photos) / 255, rtol=1e-6)
    assert "2/2" in terminal.readouterr().err
    other = data.load_data(f"folder:{photos}", split="train", n=1)
    assert other.images.shape == (1, 3, 30, 40)
    plain = data.open_data(f"folder:{photos / 'val'},crop=8")
    assert plain.images.shape == (2, 3, 8, 8)
    with pytest.raises(ValueError, match="got crop twice"):
        data.open_data(f"folder:{photos},crop=8,crop=9")
    with pytest.raises(FileNotFoundError, match="nowhere is missing"):
        data.open_data("folder:nowhere")


def test_arrays_in_a_file_are_a_spec(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, images=PIXELS.numpy(), labels=LABELS.numpy())
    found = data.open_data(f"npz:{path}", n=4)
    assert (len(found), found.name, found.class_names) == (4, "mine", ("0", "1", "2"))
    np.savez(
        path, images=PIXELS.numpy(), labels=LABELS.numpy(), class_names=Named.classes
    )
    assert data.open_data(f"npz:{path}").class_names == Named.classes
    np.savez(path, x=PIXELS.numpy())
    with pytest.raises(ValueError, match=r"with x, expected images, labels and"):
        data.open_data(f"npz:{path}")
    np.savez(path, images=np.array([print], dtype=object), labels=LABELS.numpy())
    with pytest.raises(ValueError, match="an array of objects, which is not read"):
        data.open_data(f"npz:{path}")


FACTORY = """
import helper_beside
import numpy as np

def images():
    return np.full((4, 3, 8, 8), helper_beside.LEVEL), [0, 1, 0, 1]

def nothing():
    return None
"""


@pytest.mark.parametrize("place", ["file", "module"])
def test_a_factory_of_images_is_a_spec(place, tmp_path, monkeypatch):
    (tmp_path / f"made_{place}.py").write_text(FACTORY)
    (tmp_path / "helper_beside.py").write_text("LEVEL = 0.25")
    monkeypatch.chdir(tmp_path if place == "module" else tmp_path.parent)
    start = f"{tmp_path}/made_{place}.py" if place == "file" else f"made_{place}"
    found = data.open_data(f"{start}:images", n=3)
    assert (found.name, found.images.mean(), len(found)) == ("images", 0.25, 3)
    with pytest.raises(TypeError, match="data: got None"):
        data.open_data(f"{start}:nothing")
    with pytest.raises(AttributeError, match="has no 'absent'"):
        data.open_data(f"{start}:absent")


@pytest.mark.parametrize("spec", ["mnist", "mnist:folder", "npz:", "folder:"])
def test_unknown_specs_list_what_is_known(spec):
    with pytest.raises(ValueError, match=re.escape("'npz:FILE'")):
        data.open_data(spec)
    with pytest.raises(FileNotFoundError, match=r"no file absent\.py"):
        data.open_data("absent.py:images")
