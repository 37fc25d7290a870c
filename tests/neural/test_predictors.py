"""Any predictor of responses is the source of a target, with its preprocessing."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import neurofreq as nf
from neurofreq import data, neural

IMAGES = np.random.default_rng(0).random((9, 3, 20, 40), dtype=np.float32)
WHITE = np.ones((1, 3, 18, 32), np.float32)


class Linear(nn.Module):
    """Weights of pixels, (K, C, H, W); remembers the images that it gets."""

    def __init__(self, shape=(1, 18, 32), k=7, dtype=torch.float32):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        weights = torch.randn(k, *shape, generator=generator, dtype=dtype)
        self.weights = nn.Parameter(weights / weights[0].numel() ** 0.5)
        self.seen = []

    def forward(self, images):
        if images.shape[1:] != self.weights.shape[1:]:
            raise RuntimeError(f"shape {tuple(images.shape)} is invalid")
        self.seen.append(images.clone())
        return torch.einsum("nchw,kchw->nk", images, self.weights)


def cropped(images):
    """The oracle of "crop" for these sizes: rows 0-19, and 36 of 40 columns."""
    height, width = 20, 36  # 20 / 18 < 40 / 32: the height is whole
    left = (40 - width) // 2
    part = torch.from_numpy(images)[:, :, :height, left : left + width]
    return F.interpolate(part, size=(18, 32), mode="bilinear", antialias=True)


def luma(images):
    weights = torch.tensor([0.2989, 0.587, 0.114])
    return (images * weights[:, None, None]).sum(1, keepdim=True)


def test_images_get_the_form_that_the_model_expects():
    model = Linear()
    predictor = neural.Predictor(
        model, gray=True, size=(18, 32), value_range=(0.0, 255.0), mean=113.0, std=59.0
    )
    expected = (luma(cropped(IMAGES)) * 255.0 - 113.0) / 59.0
    torch.testing.assert_close(predictor.prepare(IMAGES), expected, atol=2e-4, rtol=0)
    found = predictor.predict(IMAGES)
    assert found.dtype == np.float32
    torch.testing.assert_close(
        torch.from_numpy(found), model(expected).detach(), atol=2e-4, rtol=1e-4
    )
    assert "gray, 18 x 32 (crop), 0 to 255, minus 113, divided by 59" in repr(predictor)


def test_crop_keeps_proportions_and_stretch_does_not():
    square = torch.zeros(1, 1, 36, 36)
    square[..., 12:24, 12:24] = 1.0
    for fit, height, width in (("crop", 10, 10), ("stretch", 6, 10)):
        predictor = neural.Predictor(Linear(), gray=True, size=(18, 32), fit=fit)
        shown = predictor.prepare(square)[0, 0] > 0.5
        assert shown.any(0).sum() == width, fit
        assert shown.any(1).sum() == height, fit


def test_color_models_get_gray_images_three_times_and_a_mean_per_channel():
    model = Linear((3, 20, 40))
    predictor = neural.Predictor(
        model, gray=False, value_range=(0.0, 255.0), mean=(116.0, 109.0, 100.0), std=2.0
    )
    shown = predictor.prepare(IMAGES[:, :1])
    expected = IMAGES[:, [0, 0, 0]] * 255.0
    expected = (expected - np.array([116.0, 109.0, 100.0])[:, None, None]) / 2.0
    np.testing.assert_allclose(shown.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("n_given", [1, 3])
def test_gray_or_color_is_found_by_asking_the_model(n_channels, n_given):
    model = Linear((n_channels, 20, 40))
    found = neural.Predictor(model).predict(IMAGES[:, :n_given])
    assert found.shape == (9, 7)
    assert all(one.shape[1] == n_channels for one in model.seen)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_batches_do_not_change_the_responses(batch_size):
    model = Linear((3, 20, 40))
    found = neural.Predictor(model, batch_size=batch_size).predict(IMAGES)
    assert max(len(one) for one in model.seen[4:]) <= max(batch_size, 3)
    whole = torch.einsum("nchw,kchw->nk", torch.from_numpy(IMAGES), model.weights)
    np.testing.assert_allclose(found, whole.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_models_of_other_types_are_asked_in_their_type(dtype):
    model = Linear((3, 20, 40), dtype=dtype)
    found = neural.Predictor(model).predict(IMAGES)
    assert found.dtype == np.float32
    assert model.seen[-1].dtype == dtype


@pytest.mark.cuda
def test_a_device_gives_the_responses_of_the_host():
    model = Linear()
    here = neural.Predictor(model, size=(18, 32), gray=True).predict(IMAGES)
    predictor = neural.Predictor(model.cuda(), size=(18, 32), gray=True)
    np.testing.assert_allclose(predictor.predict(IMAGES), here, atol=1e-4)
    target = neural.neural_similarity(predictor, torch.from_numpy(IMAGES).cuda())
    np.testing.assert_allclose(target, nf.response_similarity(here), atol=1e-3)


def test_the_model_stays_as_it_was():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(2400), nn.Linear(2400, 4))
    model.train()
    before = {key: one.clone() for key, one in model.state_dict().items()}
    neural.neural_similarity(model, IMAGES)
    assert model.training
    for key, one in model.state_dict().items():
        assert torch.equal(one, before[key]), key


def test_a_target_is_the_similarity_of_the_weighted_responses_and_names_its_source():
    predictor = neural.Predictor(
        Linear((3, 20, 40)), recordings="mouse V1, predicted, 7 neurons, us 2026"
    )
    rows = predictor.predict(IMAGES)
    weights = np.arange(7.0)
    target = neural.neural_similarity(predictor, IMAGES, weights=weights)
    np.testing.assert_allclose(
        target, nf.response_similarity(rows, weights=weights), atol=1e-6
    )
    assert target.label == (
        "predicted from recordings (mouse V1, predicted, 7 neurons, us 2026)"
    )
    plain = neural.neural_similarity(predictor, IMAGES)
    np.testing.assert_allclose(plain, nf.response_similarity(rows), atol=1e-6)
    assert plain.shuffled(seed=2).label.startswith("shuffled (predicted from record")


def test_a_bare_model_or_function_is_a_source_that_names_no_recordings():
    model = Linear((3, 20, 40))

    def readout(images):
        return model(images)

    for one, name in ((model, "Linear"), (readout, "readout")):
        target = neural.neural_similarity(one, torch.from_numpy(IMAGES))
        assert target.label == f"predicted ({name})"
        rows = neural.Predictor(one).predict(IMAGES)
        np.testing.assert_allclose(target, nf.response_similarity(rows), atol=1e-6)


def test_several_models_are_averaged_with_their_own_weights():
    first = neural.Predictor(Linear((3, 20, 40)), recordings="A")
    second = neural.Predictor(Linear((3, 20, 40), k=4), recordings="B")
    both = neural.neural_similarity(
        [first, second], IMAGES, weights=[np.arange(7.0), None]
    )
    apart = [
        neural.neural_similarity(first, IMAGES, weights=np.arange(7.0)),
        neural.neural_similarity(second, IMAGES),
    ]
    np.testing.assert_allclose(both, np.mean(apart, axis=0), atol=1e-12)
    assert both.label == "predicted from recordings (mean of 2 scans (A), (B))"


def test_an_image_set_of_files_names_the_images_of_its_target(tmp_path):
    from PIL import Image

    for name in ("b", "a", "c"):
        (tmp_path / name).mkdir()
        level = np.random.default_rng(ord(name)).integers(0, 255, (20, 40, 3), np.uint8)
        Image.fromarray(level).save(tmp_path / name / "one.png")
    images = data.open_folder(tmp_path)
    target = neural.neural_similarity(Linear((3, 20, 40)), images)
    assert [str(one).partition("/")[0] for one in target.images] == ["a", "b", "c"]
    target.require_images(images)


class Spoiled(Linear):
    def __init__(self, change):
        super().__init__((3, 20, 40))
        self.change = change

    def forward(self, images):
        return self.change(super().forward(images))


def nan(rows):
    return rows.index_fill(1, torch.tensor([2]), torch.nan)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (Spoiled(nan), nf.ModelError, "NaN or infinite responses for 1 of 1 images"),
        (Spoiled(lambda r: r.unsqueeze(1)), nf.ModelError, "got responses of shape"),
        (Spoiled(lambda r: r > 0), nf.ModelError, "got responses of dtype bool"),
        (Spoiled(lambda r: {"a": r}), nf.ModelError, "got dict, expected a tensor of"),
        (Spoiled(lambda r: 0 * r), nf.ModelError, "the same responses to all images"),
        (Linear((3, 36, 64)), ValueError, "the model refuses images of 3 x 20 x 40"),
        (Linear, TypeError, "models: got type"),
        (3, TypeError, "models: got 3, expected a PredictiveModel"),
        ("mouse", TypeError, "models: got 'mouse'"),
        ([Linear((3, 20, 40)), 3], TypeError, "models: got 3"),
        ([], ValueError, "targets: got none"),
    ],
)
def test_models_that_predict_no_responses_are_refused(model, error, message):
    with pytest.raises(error, match=message):
        neural.neural_similarity(model, IMAGES)


def test_a_refusal_states_the_size_and_what_to_set():
    with pytest.raises(ValueError, match="set size and gray of Predictor") as caught:
        neural.Predictor(Linear((3, 36, 64))).predict(IMAGES)
    assert "shape (1, 3, 20, 40) is invalid" in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_some_constant_neurons_are_told_and_add_nothing():
    silent = Spoiled(lambda rows: rows.index_fill(1, torch.tensor([1, 4]), 2.0))
    with pytest.warns(UserWarning, match=r"2 of 7 neurons \(first: neuron 1\)") as told:
        target = neural.neural_similarity(silent, IMAGES)
    assert told[0].filename == __file__
    kept = np.array([1.0, 0, 1, 1, 0, 1, 1])
    rows = neural.Predictor(silent).predict(IMAGES)
    expected = nf.response_similarity(rows[:, kept > 0])
    np.testing.assert_allclose(target, expected, atol=1e-6)
    neural.neural_similarity(silent, IMAGES, weights=kept)  # no warning


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (IMAGES * 255.0, ValueError, r"images: got values in .*, expected \[0, 1\]"),
        ((IMAGES * 255).astype(np.uint8), TypeError, "uint8, expected float32"),
        (IMAGES / 255.0 / 1.1, ValueError, "divided by 255 twice"),
        (IMAGES[:, :2], ValueError, "images: got 2 channels, expected 1 or 3"),
        (IMAGES[:1], ValueError, "images: got 1, expected at least two"),
        (IMAGES[0], ValueError, "images: got shape"),
    ],
)
def test_bad_images_are_named(images, error, message):
    with pytest.raises(error, match=message):
        neural.neural_similarity(Linear((3, 20, 40)), images)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"mean": 113.0}, ValueError, "mean: got 113.0, expected 0 to 1, value_range"),
        ({"std": 59.0}, ValueError, "std: got 59.0, expected above 0 and at most 1"),
        ({"std": 0.0}, ValueError, "std: got 0.0"),
        ({"mean": (0.1, 0.2)}, ValueError, "mean: got 2 numbers, expected 1 or 3"),
        ({"mean": (0.1,) * 3}, ValueError, "gray: got 'auto' and a mean or std for ea"),
        ({"value_range": (1.0, 0.0)}, ValueError, "value_range: got 0.0, expected mo"),
        ({"value_range": 255}, ValueError, "value_range: got 1 numbers, expected 2"),
        ({"size": 36}, ValueError, "size: got 36"),
        ({"fit": "pad"}, ValueError, "fit: got 'pad', expected one of"),
        ({"gray": "yes"}, ValueError, "gray: got 'yes'"),
        ({"batch_size": 0}, ValueError, "batch_size: got 0"),
        ({"device": "gpu"}, ValueError, "device: got gpu"),
        ({"recordings": 3}, TypeError, "recordings: got int"),
        ({"model": Linear}, TypeError, "model: got the class Linear"),
    ],
)
def test_bad_fields_are_named(fields, error, message):
    with pytest.raises(error, match=message):
        neural.Predictor(**{"model": Linear(), **fields})


def test_weights_and_descriptors_have_one_entry_per_neuron():
    predictor = neural.Predictor(Linear((3, 20, 40)))
    for weights, message in (
        (np.ones(6), "weights: got 6, expected 7"),
        (np.zeros(7), "weights: got only zeros"),
        (-np.ones(7), "weights: expected finite"),
    ):
        with pytest.raises(ValueError, match=message):
            neural.neural_similarity(predictor, IMAGES, weights=weights)
    with pytest.raises(ValueError, match=r"weights: got ndarray of .* for 2 models"):
        neural.neural_similarity([predictor] * 2, IMAGES, weights=np.ones(7))
    named = dataclasses.replace(predictor, neuron={"area": ["V1"] * 6})
    with pytest.raises(ValueError, match=r"neuron: got 'area' of shape \(6,\)"):
        named.predict(IMAGES)


def test_responses_that_depend_on_the_batch_are_told():
    class Together(Linear):
        def forward(self, images):
            rows = super().forward(images)
            return rows - rows.mean(0)

    with pytest.warns(UserWarning, match="model: got responses of one image"):
        neural.Predictor(Together((3, 20, 40))).predict(IMAGES)
