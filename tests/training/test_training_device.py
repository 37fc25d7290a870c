"""Training on a CUDA device: draws from the host, data on the model's device."""

import numpy as np
import pytest
import torch

import neurofreq as nf
from neurofreq import training
from neurofreq.training import AUGMENTATIONS, augmix
from neurofreq.training._inputs import noisy

pytestmark = pytest.mark.cuda


def images(n=12, channels=3):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.random((n, channels, 16, 16), np.float32))


def draws():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_augmentations_are_those_of_the_host(name):
    expected = AUGMENTATIONS[name](images(), draws())
    found = AUGMENTATIONS[name](images().cuda(), draws())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-5)


def test_mixtures_are_those_of_the_host():
    found = augmix(images().cuda(), draws()).cpu()
    expected = augmix(images(), draws())
    # Different rounding of a value changes one gray level, or one posterized step.
    assert float((found - expected).abs().median()) < 1e-5
    assert float(((found - expected).abs() > 1e-3).double().mean()) < 0.02


def test_a_folder_takes_images_of_the_device(tmp_path):
    recipe = training.RECIPES["standard"].replace(epochs=1, batch_size=16)
    labels = np.arange(16) % 4
    histories = []
    for given in (images(16), images(16).cuda()):
        torch.manual_seed(0)
        model = nf.models.resnet18(base_width=8, n_classes=4).cuda()
        histories += [training.fit(model, given, labels, recipe, folder=tmp_path)]
    assert histories[0] == histories[1], "one run: the digest of the data is equal"


def test_what_was_built_before_the_model_moved_follows_it():
    target = nf.neural.v1_similarity(images(12, 1).numpy(), n_neurons=32)
    model = nf.models.resnet18_gray(base_width=8, n_classes=4)
    pull = nf.SimilarityRegularizer(model, "auto", target, images(12, 1))
    responses = torch.rand(12, 3).cuda()
    both = training.CoTraining(model, "network.layer1", responses, images(12, 1))
    model.cuda()
    for one in (pull, both):
        one.loss().backward()
        assert all(p.is_cuda for p in one.parameters())


def test_noise_is_that_of_the_host():
    found = noisy(images().cuda(), draws(), sd=0.1).cpu()
    torch.testing.assert_close(found, noisy(images(), draws(), sd=0.1))


@pytest.mark.parametrize("name", ["standard", "adversarial", "augmix", "noise"])
def test_a_run_learns_as_on_the_host(name):
    """The first losses agree; later losses differ by rounding."""
    recipe = training.RECIPES[name].replace(
        epochs=1, batch_size=32, precision="float32", lr=0.01, schedule="constant"
    )
    labels = np.arange(32) % 4
    rows = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        model = nf.models.resnet18(base_width=8, n_classes=4).to(device)
        rows += training.fit(model, images(32), labels, recipe)
        assert next(model.parameters()).device.type == device
    assert rows[0]["loss"] == pytest.approx(rows[1]["loss"], rel=2e-2)


def test_a_regularizer_follows_its_model():
    torch.manual_seed(0)
    model = nf.models.resnet18_gray(base_width=8, n_classes=4).cuda()
    stimuli = images(8, channels=1)
    target = nf.response_similarity(np.random.default_rng(1).normal(size=(8, 20)))
    pull = nf.SimilarityRegularizer(
        model, "auto", target, stimuli, n_pairs=4, all_pairs=True
    )
    recipe = training.MOUSE.fast(epochs=2).replace(precision="float32", lr=0.01)
    rows = training.fit(
        model, images(32, channels=1), np.arange(32) % 4, recipe, regularizer=pull
    )
    assert all(np.isfinite(row["similarity"]) for row in rows)
