"""The transform inside pipelines: only the images of a sample change."""

import pickle
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

import neurofreq as nf

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32), np.uint8)
NOISE = nf.Corruption("gaussian_noise", 3, seed=0)
EXPECTED = NOISE(PIXELS)
PICTURE = Image.fromarray(PIXELS.transpose(1, 2, 0))
TENSOR = torch.from_numpy(PIXELS)
IMAGE = tv_tensors.Image(TENSOR)
BOXES = tv_tensors.BoundingBoxes([[1, 2, 3, 4]], format="XYXY", canvas_size=(32, 32))
MASK = tv_tensors.Mask(torch.ones(1, 32, 32, dtype=torch.uint8))
Sample = namedtuple("Sample", "image label")


def test_a_label_passes_through_a_pipeline():
    pipeline = v2.Compose([v2.RandomHorizontalFlip(0.0), NOISE])
    image, label = pipeline(TENSOR, 7)
    assert label == 7
    np.testing.assert_array_equal(image, EXPECTED)
    other, _ = pipeline(TENSOR, 8)
    assert torch.equal(image, other)  # the class is not used as the index
    assert type(pipeline(TENSOR)) is torch.Tensor


def test_the_index_is_a_keyword():
    whole = nf.corrupt(PIXELS[None], "gaussian_noise", 3, seed=0, first_index=7)[0]
    image, label = NOISE(TENSOR, 7, index=7)
    assert label == 7
    np.testing.assert_array_equal(image, whole)
    with pytest.raises(TypeError, match="index: got str"):
        NOISE(TENSOR, index="7")


@pytest.mark.parametrize(
    "sample",
    [
        (TENSOR, 3),
        [TENSOR, torch.tensor(3)],
        (PIXELS, np.array([3])),
        Sample(TENSOR, 3),
        {"label": torch.tensor(3), "image": TENSOR},
        OrderedDict(mask=torch.ones(1, 32, 32), pixel_values=TENSOR),
        {"mask": np.ones((1, 32, 32), np.uint8), "img": PIXELS, "path": "a.png"},
        (TENSOR, torch.ones(1, 32, 32)),
        (3, {"deep": [TENSOR, "text", None]}),
    ],
)
def test_the_structure_of_a_sample_stays(sample):
    before = pickle.dumps(sample)
    found = NOISE(sample)
    assert type(found) is type(sample)
    assert pickle.dumps(sample) == before

    def same(ours, theirs):
        if isinstance(theirs, dict):
            assert list(ours) == list(theirs)
            for key in theirs:
                same(ours[key], theirs[key])
        elif isinstance(theirs, (tuple, list)):
            for one, other in zip(ours, theirs, strict=True):
                same(one, other)
        elif isinstance(theirs, (np.ndarray, torch.Tensor)) and theirs.shape == (
            3, 32, 32,
        ):  # fmt: skip
            assert type(ours) is type(theirs)
            np.testing.assert_array_equal(ours, EXPECTED)
        else:
            assert ours is theirs

    same(found, sample)


def test_tv_tensors_keep_their_type_and_boxes_and_masks_pass():
    sample = {
        "image": IMAGE,
        "boxes": BOXES,
        "mask": MASK,
        "extra": torch.ones(3, 9, 9),
    }
    found = v2.Compose([NOISE, v2.ToDtype(torch.float32, scale=True)])(sample)
    assert type(found["image"]) is tv_tensors.Image
    expected = EXPECTED / np.float32(255)
    np.testing.assert_allclose(found["image"].numpy(), expected, atol=1e-6)
    found = NOISE(sample)
    assert all(found[key] is sample[key] for key in ("boxes", "mask", "extra"))
    assert type(NOISE(IMAGE)) is tv_tensors.Image
    assert type(NOISE(tv_tensors.Image(TENSOR[None]), 3)[0]) is tv_tensors.Image
    whole = nf.corrupt(IMAGE[None], "gaussian_noise", 3, seed=0)
    assert type(whole) is torch.Tensor  # indexing returns a plain tensor


def test_pil_images_stay_pil_images():
    image, label = v2.Compose([NOISE])(PICTURE, 3)
    assert isinstance(image, Image.Image)
    assert label == 3
    np.testing.assert_array_equal(np.asarray(image), np.asarray(NOISE(PICTURE)))
    columns = NOISE({"image": [PICTURE, PICTURE], "label": [0, 1]})
    assert columns["label"] == [0, 1]
    for one in columns["image"]:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(NOISE(PICTURE)))
    counted = NOISE([PICTURE, PICTURE], index=4)
    for at, one in enumerate(counted):
        expected = np.asarray(NOISE(PICTURE, index=4 + at))
        np.testing.assert_array_equal(np.asarray(one), expected)


def test_batches_with_labels_are_samples():
    batch, labels = torch.stack([TENSOR] * 4), torch.arange(4)
    images, same = NOISE(batch, labels, index=2)
    assert same is labels
    whole = nf.corrupt(batch, "gaussian_noise", 3, seed=0, first_index=2)
    assert torch.equal(images, whole)


@pytest.mark.parametrize("sample", [(3, "a"), {"label": 3}, [], (MASK, 3)])
def test_a_sample_without_an_image_is_refused(sample):
    with pytest.raises(TypeError, match=r"images: got \(.*\), expected an image among"):
        NOISE(sample)


def test_what_is_no_image_is_refused():
    for value in (MASK, BOXES):
        with pytest.raises(TypeError, match=f"images: got {type(value).__name__}"):
            NOISE(value)
    with pytest.raises(TypeError, match="images: got a masked array"):
        NOISE(np.ma.array(PIXELS, mask=PIXELS > 9))
    with pytest.raises(TypeError, match="images: got a masked array"):
        nf.corrupt(np.ma.array(PIXELS[None], mask=False), "fog", 1, seed=0)


def test_noise_repeats_for_a_seed_alone():
    free = nf.Corruption("gaussian_noise", 3)
    torch.manual_seed(0)
    epochs = [free(TENSOR, 5)[0] for _ in range(3)]
    assert not any(torch.equal(epochs[0], one) for one in epochs[1:])
    other = torch.roll(TENSOR, 1, 2)
    seeded = [NOISE(TENSOR, 5)[0].int() - TENSOR, NOISE(other, 5)[0].int() - other]
    assert not torch.equal(*seeded)  # two images of the same class
    assert torch.equal(NOISE(TENSOR, 5)[0], NOISE(TENSOR, 6)[0])


class Samples(Dataset):
    transform = v2.Compose([NOISE, v2.ToDtype(torch.float32, scale=True)])

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return self.transform(tv_tensors.Image(TENSOR + index), index % 3)


@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_agree_with_the_parent(context):
    loader = DataLoader(
        Samples(), batch_size=3, num_workers=2, multiprocessing_context=context
    )
    batches = list(loader)
    images = torch.cat([images for images, _ in batches])
    assert torch.equal(images, torch.stack([Samples()[i][0] for i in range(6)]))
    assert torch.cat([labels for _, labels in batches]).tolist() == [0, 1, 2] * 2
