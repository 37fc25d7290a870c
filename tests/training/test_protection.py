"""Robust training: adversaries, AugMix, noise, consistent predictions."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from helpers.training import network, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms import functional as peer

import neurofreq as nf
from neurofreq import training
from neurofreq.training import RECIPES, Adversary, Recipe, _augment, _augmix, _inputs
from neurofreq.training._objective import divergence

FAST = Recipe(epochs=2, batch_size=16, lr=0.05, validation=0.2)


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def photographs(n=6, channels=3, side=32):
    """Return smooth images that span [0, 1], rounded to 8 bits."""
    generator = draws(1)
    coarse = torch.rand(n, channels, 5, 5, generator=generator)
    images = nn.functional.interpolate(coarse, (side, side), mode="bicubic")
    return (images.clamp(0, 1) * 255).round() / 255


def linear(n_classes=4, side=8):
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, n_classes))


def length(change):
    return change.flatten(1).norm(dim=1)


@settings(deadline=None, max_examples=30)
@given(
    norm=st.sampled_from(["linf", "l2"]),
    epsilon=st.floats(1e-3, 2.0),
    steps=st.integers(1, 4),
    step=st.floats(0.1, 3.0),
    seed=st.integers(0, 2**31),
)
def test_adversarial_images_keep_to_the_ball_and_the_box(
    norm, epsilon, steps, step, seed
):
    images, labels = photographs(side=8), torch.arange(6) % 4
    adversary = Adversary(norm, epsilon, steps, step)
    found = adversary.perturb(linear(), images, labels, draws(seed))
    change = found - images
    size = change.abs().amax(dim=(1, 2, 3)) if norm == "linf" else length(change)
    # The sum of pixel and change has a rounding error of 6e-8.
    assert float(size.max()) <= epsilon * (1 + 1e-5) + 1e-6
    assert float(found.min()) >= 0.0
    assert float(found.max()) <= 1.0
    assert not found.requires_grad


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_adversary_of_a_linear_model_reaches_its_closed_form(norm):
    """For two classes, the worst point is along the difference of the weights."""
    model = linear(n_classes=2).double()
    images = torch.full((5, 3, 8, 8), 0.5, dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 1, 1])
    weights = model[1].weight.detach()
    towards = (weights[1 - labels] - weights[labels]).view_as(images)
    epsilon = 0.05 if norm == "linf" else 0.5
    best = (
        towards.sign()
        if norm == "linf"
        else towards / length(towards)[:, None, None, None]
    )
    steps = 1 if norm == "linf" else 30
    adversary = Adversary(norm, epsilon, steps, 2.0)
    found = adversary.perturb(model, images, labels, draws())
    torch.testing.assert_close(
        found - images, epsilon * best, atol=1e-3 * epsilon, rtol=1e-3
    )


def test_the_adversary_leaves_the_model_as_it_was():
    model = network().train()
    images, labels = problem()
    before = [p.clone() for p in model.parameters()]
    kept = nn.Parameter(torch.ones(1))
    kept.grad = torch.ones(1)
    Adversary().perturb(model, images[:8], labels[:8], draws())
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(
        torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"norm": "l1"}, "norm: got 'l1'"),
        ({"epsilon": 0.0}, "epsilon: got 0.0, expected above 0"),
        ({"steps": 0}, "steps"),
        ({"step": -1.0}, "step: got -1.0"),
    ],
)
def test_bad_adversaries_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Adversary(**values)


def test_training_against_the_adversary_resists_it():
    """Two pixels: a strong signal that is not robust, and a weak robust signal."""
    generator = draws(5)
    labels = torch.arange(400) % 2
    sign = (2.0 * labels - 1.0).view(-1, 1, 1, 1)
    images = torch.full((400, 1, 4, 4), 0.5)
    images[:, :, 0, 0] += 0.04 * sign[:, 0, 0]  # smaller than the adversary's epsilon
    images[:, :, 2, 2] += (
        0.2 * sign[:, 0, 0] * (torch.rand(400, 1, generator=generator) < 0.9)
    )
    plain = Recipe(epochs=30, batch_size=50, lr=0.5)
    hard = plain.replace(adversary="linf", epsilon=0.1, attack_steps=2, attack_step=1.0)
    scores = []
    for recipe in (plain, hard):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
        with torch.no_grad():
            model[1].weight[:, 0] = torch.tensor([-8.0, 8.0])
        training.fit(model, images, labels, recipe)
        worst = Adversary("linf", 0.1, 5, 1.0).perturb(model, images, labels, draws())
        scores.append(float((model(worst).argmax(1) == labels).float().mean()))
    assert scores[1] > 0.85 > 0.5 > scores[0]


PEERS = {
    "posterize": (
        _augmix._posterized,
        lambda x, s: peer.posterize(x, 4 - int(s * 0.4)),
    ),
    "solarize": (
        _augmix._solarized,
        lambda x, s: peer.solarize(x, math.ceil(255 * (1 - s / 10) - 1e-9)),
    ),
    "autocontrast": (_augmix._contrasted, lambda x, s: peer.autocontrast(x)),
    "equalize": (_augmix._equalized, lambda x, s: peer.equalize(x)),
}


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("level", [0.3, 2.6, 9.0])
def test_operations_on_values_agree_with_torchvision(name, level):
    ours, theirs = PEERS[name]
    images = photographs()
    images[0] = 128 / 255  # a constant channel
    bytes_ = (images * 255).round().to(torch.uint8)
    expected = torch.stack([theirs(one, level) for one in bytes_]).float()
    found = ours(images, torch.full((6, 1, 1, 1), level)) * 255
    tolerance = 1.0 if name == "autocontrast" else 1e-3  # torchvision truncates
    assert float((found - expected).abs().max()) <= tolerance


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (0, {"angle": -15.0}),
        (1, {"shear": [math.degrees(math.atan(0.15)), 0.0]}),
        (2, {"shear": [0.0, math.degrees(math.atan(0.15))]}),
        (3, {"translate": [-32 / 6, 0.0]}),
        (4, {"translate": [0.0, -32 / 6]}),
    ],
)
def test_operations_on_shapes_agree_with_torchvision(kind, arguments):
    """Compare at half strength and in the center, where borders do not matter."""
    images = photographs()
    kinds, strength = torch.full((6,), kind), torch.full((6,), 5.0)
    matrices = _augmix._matrices(kinds, strength, images)
    found = _augmix._moved(images, matrices)
    whole = {"angle": 0.0, "translate": [0.0, 0.0], "scale": 1.0, "shear": [0.0, 0.0]}
    expected = peer.affine(
        images, **(whole | arguments), interpolation=peer.InterpolationMode.BILINEAR
    )
    middle = (slice(None), slice(None), slice(10, 22), slice(10, 22))
    if kind in (3, 4):  # torchvision rounds to whole pixels
        expected = peer.affine(images, **(whole | {"translate": [0, 0]}))
        axis = 3 if kind == 3 else 2
        first = expected.roll(-5, axis)[middle]
        second = expected.roll(-6, axis)[middle]
        torch.testing.assert_close(
            found[middle], first * 2 / 3 + second / 3, atol=1e-5, rtol=0
        )
        return
    torch.testing.assert_close(found[middle], expected[middle], atol=2e-2, rtol=0)


def test_augmix_is_drawn_from_its_generator_alone():
    images = photographs()
    before = torch.random.get_rng_state()
    first, second = (training.augmix(images, draws(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not torch.equal(first, training.augmix(images, draws(5)))
    assert float(first.min()) >= 0.0
    assert float(first.max()) <= 1.0
    assert float((first - images).abs().mean()) > 0.01


def test_augmix_moves_images_more_the_stronger_it_is():
    images = photographs(n=40)
    weak, strong = (
        float((training.augmix(images, draws(), severity=s) - images).abs().mean())
        for s in (0.2, 10.0)
    )
    assert strong > 1.2 * weak


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"severity": 11.0}, "severity: got 11.0"),
        ({"width": 0}, "width"),
        ({"depth": 0}, "depth"),
        ({"alpha": 0.0}, "alpha: got 0.0"),
    ],
)
def test_bad_settings_of_augmix_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        training.augmix(photographs(), draws(), **values)


def test_augmix_refuses_what_are_no_images_and_takes_one_of_odd_sides():
    with pytest.raises(TypeError, match="images"):
        training.augmix(photographs().mul(255).to(torch.uint8), draws())
    for bad in (photographs() * math.nan, photographs() * 3, photographs()[0]):
        with pytest.raises(ValueError, match="images"):
            training.augmix(bad, draws())
    one = photographs(n=1, channels=1)[:, :, :31, ::2]
    assert training.augmix(one, draws()).shape == (1, 1, 31, 16)


def test_half_of_the_images_get_noise():
    images = torch.full((400, 1, 8, 8), 0.5)
    change = _inputs.noisy(images, draws(), sd=0.1) - images
    is_noisy = change.flatten(1).abs().amax(1) > 0
    assert 160 < int(is_noisy.sum()) < 240
    assert float(change[is_noisy].std()) == pytest.approx(0.1, rel=0.02)


def test_jitter_changes_colours_within_its_strength():
    images = photographs(n=50)
    same = _augment.jitter(images, draws(), strength=0.0)
    torch.testing.assert_close(same, images, atol=1e-6, rtol=0)
    changed = _augment.jitter(images, draws(), strength=0.25)
    assert float(changed.min()) >= 0.0
    assert float(changed.max()) <= 1.0
    ratio = changed.mean((1, 2, 3)) / images.mean((1, 2, 3))
    assert 0.7 < float(ratio.min()) < 0.95
    assert 1.05 < float(ratio.max()) < 1.3


def test_divergence_is_that_of_jensen_and_shannon():
    from scipy.spatial.distance import jensenshannon

    logits = torch.randn(2, 7, 5, generator=draws(), dtype=torch.float64) * 3
    p, q = logits.softmax(2).numpy()
    expected = np.mean([jensenshannon(a, b) ** 2 for a, b in zip(p, q, strict=True)])
    assert float(divergence(logits)) == pytest.approx(expected, rel=1e-10)
    assert float(divergence(logits[:1].repeat(3, 1, 1))) == pytest.approx(0, abs=1e-12)
    apart = 200.0 * torch.eye(3, dtype=torch.float64)[:, None]
    assert float(divergence(apart)) == pytest.approx(math.log(3), rel=1e-6)


def test_views_are_named_alike_after_a_step():
    images, labels = problem()
    model = network().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    views = (training.augmix(images[:8], draws()), images[:8])
    values = nf.training_step(
        model, optimizer, images[:8], labels[:8], views=views, consistency=3.0
    )
    assert values["divergence"] > 0.0
    assert values["loss"] == pytest.approx(
        values["cross_entropy"] + 3.0 * values["divergence"], rel=1e-5
    )
    with pytest.raises(ValueError, match="views: got shape"):
        nf.training_step(model, optimizer, images[:8], labels[:8], views=[images[:4]])
    with pytest.raises(ValueError, match="consistency: got -1"):
        nf.training_step(model, optimizer, images[:8], labels[:8], consistency=-1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"adversary": "linf", "epsilon": 0.05},
        {"adversary": "l2", "epsilon": 0.5, "attack_steps": 2, "attack_step": 0.7},
        {"augmix": True},
        {"augmix": True, "consistency": 12.0},
        {"noise": 0.1, "channels_last": True},
        {"schedule": "cosine", "augment": "shift_turn_flip_and_jitter"},
    ],
)
def test_a_protected_run_resumes_to_the_same_numbers(changes, tmp_path):
    recipe = FAST.replace(**changes)
    images, labels = problem()
    whole = training.fit(network(), images, labels, recipe)

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.fit(network(), images, labels, recipe, folder=tmp_path, callback=stop)
    assert training.fit(network(), images, labels, recipe, folder=tmp_path) == whole
    plain = training.fit(network(), images, labels, FAST)
    assert plain[-1]["loss"] != whole[-1]["loss"]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_its_network(name, tmp_path):
    """Two small steps per recipe; principal components are fitted to the images."""
    recipe = RECIPES[name].fast(epochs=1)
    network_ = recipe.network.replace("base_width=16", "base_width=2")
    network_ = network_.replace("pca=512", "pca=20")
    validation = 0.1 if recipe.validation else 0.0
    recipe = recipe.replace(network=network_, validation=validation, batch_size=20)
    data = nf.data.load_data("synthetic", split="train", n=40)
    data = dataclasses.replace(data, images=data.images.repeat(3, axis=1))
    found = training.train(recipe, data, tmp_path)
    assert math.isfinite(found.history[-1]["loss"])
    shown = data.load()
    if name in ("mouse", "monkey"):
        shown = shown.gray()
    again = nf.models.load_model(network_, weights=tmp_path / "best.safetensors")
    images = torch.as_tensor(shown.images[:4])
    torch.testing.assert_close(again(images), found.model(images))
    if name == "pca":
        assert len(found.model.front.components) == 20


def test_front_ends_stay_in_single_precision():
    images = photographs()
    for front in (nf.models.Blur(1.5), nf.models.PCA.fit(images, 3)):
        with torch.autocast("cpu", torch.bfloat16):
            half = front(images)
        torch.testing.assert_close(half, front(images), atol=1e-6, rtol=0)


def test_channels_that_would_write_past_their_memory_are_refused():
    images, labels = problem()
    narrow = nn.Sequential(
        nn.Conv2d(images.shape[1], 8, 3, padding=1),
        nn.Conv2d(8, 10, 1, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    with pytest.raises(ValueError, match="channels_last: got True with 1, a strided"):
        training.fit(narrow, images, labels, FAST.replace(channels_last=True))


def test_narrow_networks_of_ours_train_channels_last():
    """A shortcut that subsamples before a convolution equals a strided convolution."""
    torch.manual_seed(0)
    model = nf.models.resnet18(base_width=4)
    images, labels = photographs(n=20), torch.arange(20) % 10
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last):
        model.to(memory_format=layout).zero_grad()
        logits = model.train()(images.contiguous(memory_format=layout))
        nn.functional.cross_entropy(logits, labels).backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
    shortcut = model.network.layer2[0].downsample
    features = torch.randn(2, 4, 8, 8)
    weight, norm = shortcut.get_submodule("0").weight, shortcut.get_submodule("1")
    expected = norm(nn.functional.conv2d(features, weight, stride=2))
    torch.testing.assert_close(shortcut(features), expected, atol=1e-5, rtol=1e-4)
