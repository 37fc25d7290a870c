"""The regularizer on a user's own network: draws, hooks, state, bad input."""

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import neurofreq as nf


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.body = nn.Conv2d(4, 8, 3, stride=2)
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(8, 5)

    def forward(self, images):
        return self.head(self.body(self.stem(images)).relu().mean((2, 3)))


def regularizer(model, layers=("stem", "body"), n=12, **keywords):
    rng = np.random.default_rng(0)
    target = nf.response_similarity(rng.normal(size=(n, 20)))
    stimuli = torch.from_numpy(rng.uniform(size=(n, 1, 12, 16))).float()
    return nf.SimilarityRegularizer(model, layers, target, stimuli, **keywords)


@pytest.mark.parametrize("all_pairs", [True, False])
def test_the_regularizer_is_the_loss_on_the_drawn_stimuli(all_pairs):
    torch.manual_seed(0)
    model = Net().eval()
    r = regularizer(model, n_pairs=3, all_pairs=all_pairs, seed=5)
    images, pairs = r._draw()
    loss = r.loss()
    stem = model.stem(r.stimuli[images])
    body = model.body(stem)
    matrix = r.similarity[images][:, images]
    target = matrix if all_pairs else matrix[pairs[0], pairs[1]]
    means = [0.1 * f.detach().mean((0, 2, 3)) for f in (stem, body)]
    pairs = None if all_pairs else torch.from_numpy(pairs.T)
    expected = nf.similarity_loss([stem, body], target, pairs=pairs, means=means)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert model.stem[0].weight.grad.abs().sum() > 0
    assert r.criterion.logits.grad.abs().sum() > 0
    assert model.head.weight.grad is None


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 15), n_pairs=st.integers(1, 20), seed=st.integers(0, 99))
def test_pairs_are_used_once_before_any_is_used_again(n, n_pairs, seed):
    model = nn.Sequential(nn.Conv2d(1, 2, 3))
    r = regularizer(model, ["0"], n=n, n_pairs=n_pairs, seed=seed)
    total = n * (n - 1) // 2
    seen = []
    while len(seen) < total:
        images, pairs = r._draw()
        seen += [tuple(images[pair].tolist()) for pair in pairs.T]
        r.step += 1
    expected = {(i, j) for j in range(n) for i in range(j)}
    assert len(seen) == total
    assert {tuple(sorted(pair)) for pair in seen} == expected


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 15), n_pairs=st.integers(1, 20))
def test_images_are_used_once_before_any_is_used_again(n, n_pairs):
    model = nn.Sequential(nn.Conv2d(1, 2, 3))
    r = regularizer(model, ["0"], n=n, n_pairs=n_pairs, all_pairs=True)
    seen = []
    for _ in range(max(1, n // (2 * n_pairs))):
        images, _ = r._draw()
        assert len(images) >= 2
        seen += images.tolist()
        r.step += 1
    assert len(seen) == len(set(seen))


def test_the_model_is_left_as_found():
    model = Net().eval()
    names = set(dict(model.named_parameters()))
    r = regularizer(model)
    r.loss()
    assert not any(module._forward_hooks for module in model.modules())
    assert not any(module.training for module in model.modules())
    assert [name for name, _ in r.named_parameters()] == ["criterion.logits"]
    assert set(dict(model.named_parameters())) == names
    model.forward = lambda images: 1 / 0
    with pytest.raises(ZeroDivisionError):
        r.loss()
    assert not any(module._forward_hooks for module in model.modules())


def test_a_closed_regularizer_lets_go_of_the_model():
    with regularizer(Net()) as r:
        r.loss()
    with pytest.raises(RuntimeError, match="the regularizer is closed"):
        r.loss()


def test_a_resumed_regularizer_draws_what_an_uninterrupted_one_would():
    torch.manual_seed(0)
    model = Net().eval()
    whole, first = regularizer(model, seed=1), regularizer(model, seed=1)
    losses = [whole.loss().item() for _ in range(9)]
    resumed = [first.loss().item() for _ in range(4)]
    second = regularizer(model, seed=1)
    second.load_state_dict(first.state_dict())
    resumed += [second.loss().item() for _ in range(5)]
    assert resumed == losses
    assert regularizer(model, seed=2).loss().item() != losses[0]


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        (["stm"], ValueError, "the model has no 'stm'; the nearest names are 'stem'"),
        (["stem", "stem"], ValueError, "expected distinct names"),
        ([], ValueError, "layers: got \\[\\]"),
        ("stem", TypeError, "layers: got the single string"),
    ],
)
def test_bad_layers_are_named(layers, error, message):
    with pytest.raises(error, match=message):
        regularizer(Net(), layers)


def test_a_layer_that_forward_does_not_reach_is_named():
    with pytest.raises(nf.ModelError, match="'unused' was not reached"):
        regularizer(Net(), ["stem", "unused"]).loss()


def test_a_layer_that_returns_no_tensor_is_named():
    model = nn.Sequential(nn.Flatten(2), nn.LSTM(192, 3))
    with pytest.raises(nf.ModelError, match="'1' returned tuple"):
        regularizer(model, ["1"]).loss()


def test_a_layer_that_turns_nan_is_named_with_its_step():
    model = Net()
    r = regularizer(model)
    r.loss()
    with torch.no_grad():
        model.body.weight[:] = np.inf
    with pytest.raises(nf.ModelError, match="in layer 'body' at step 1"):
        r.loss()


def test_features_whose_products_overflow_are_named():
    model = Net()
    r = regularizer(model)
    with torch.no_grad():
        model.body.weight.mul_(1e24)
    with pytest.raises(nf.ModelError, match=r"step 0 of layers .*products overflow"):
        r.loss()
    assert int(r.step) == 0


def test_one_pass_is_of_tensors():
    with pytest.raises(TypeError, match=r"images: got ndarray.*expected a Tensor"):
        regularizer(Net()).joint(np.zeros((2, 1, 12, 12), np.float32))


S4 = np.eye(4)
X4 = torch.rand(4, 1, 12, 12)


@pytest.mark.parametrize(
    ("similarity", "stimuli", "keywords", "error", "message"),
    [
        (np.eye(1), X4[:1], {}, ValueError, "got 1 images?, expected at least two"),
        (S4[:3], X4, {}, ValueError, r"similarity: got shape \(3, 4\), expected \(N,"),
        (np.eye(5), X4, {}, ValueError, r"similarity: got shape \(5, 5\)"),
        (S4 + np.eye(4, k=1) / 2, X4, {}, ValueError, "that is not symmetric"),
        (1.01 * S4, X4, {}, ValueError, r"similarity: got values in \[0, 1.01\]"),
        (S4 * np.nan, X4, {}, ValueError, "similarity: got NaN"),
        (S4, X4 * np.nan, {}, ValueError, "stimuli: got NaN"),
        (S4, X4.half(), {}, TypeError, "stimuli: got dtype float16"),
        (S4, X4[:, 0], {}, ValueError, r"stimuli: got shape \(4, 12, 12\)"),
        (S4, X4, {"n_pairs": 0}, ValueError, "n_pairs: got 0"),
        (S4, X4, {"n_pairs": 2.5}, TypeError, "n_pairs: got float"),
        (S4, X4, {"beta": 2.0}, ValueError, "beta: got 2.0"),
        (S4, X4, {"seed": -3}, ValueError, "seed: got -3"),
    ],
)
def test_bad_targets_and_stimuli_are_named(
    similarity, stimuli, keywords, error, message
):
    with pytest.raises(error, match=message):
        nf.SimilarityRegularizer(Net(), ["stem"], similarity, stimuli, **keywords)


def test_something_else_than_a_module_is_refused():
    with pytest.raises(TypeError, match="model: got function, expected an"):
        nf.SimilarityRegularizer(lambda images: images, ["stem"], S4, X4)


def test_a_similarity_that_exceeds_one_by_rounding_is_accepted():
    r = nf.SimilarityRegularizer(Net(), ["stem"], S4 * (1 + 5e-7), X4)
    assert r.similarity.max() == 1.0
    assert np.isfinite(r.loss().item())


def test_a_layer_that_a_later_one_changes_in_place_is_refused():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten())
    target, images = np.eye(6), torch.rand(6, 1, 8, 8)
    regularizer = nf.SimilarityRegularizer(model, ["0"], target, images)
    with pytest.raises(nf.ModelError, match="layers: '0' is changed in place by a lat"):
        regularizer.loss()
    nf.SimilarityRegularizer(model, ["1"], target, images).loss().backward()
    assert model[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["resnet18", "vgg19_bn"])
def test_auto_layers_of_torchvision_are_changed_by_none(name):
    model = getattr(torchvision.models, name)(num_classes=2).eval()
    images = torch.rand(2, 3, 32, 32)
    regularizer = nf.SimilarityRegularizer(model, "auto", np.eye(2), images, n_pairs=1)
    assert len(regularizer.layers) == 5
    regularizer.loss().backward()
