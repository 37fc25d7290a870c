"""The survey of classes, the descent, and the margin of what is returned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neurofreq as nf

BB = nf.attacks.BrendelBethge
DUAL = {"linf": 1, "l2": 2}


class Linear(torch.nn.Module):
    """Logits ``W x + b`` of images (n, 1, 4, 4), and a count of backward passes."""

    def __init__(self, weights, bias):
        super().__init__()
        self.register_buffer("weights", weights)
        self.register_buffer("bias", bias)
        self.n_backward = 0

    def forward(self, images):
        logits = images.flatten(1) @ self.weights.T + self.bias
        if logits.requires_grad:
            logits.register_hook(self._count)
        return logits

    def _count(self, gradient):
        self.n_backward += len(gradient)
        return gradient


def linear(n_classes=6, seed=0, dtype=torch.float64):
    """Return a model whose likeliest rival is often not the nearest, and images."""
    rng = np.random.default_rng(seed)
    slopes = rng.uniform(0.2, 3.0, (n_classes, 1))
    weights = torch.tensor(slopes * rng.normal(size=(n_classes, 16)), dtype=dtype)
    images = torch.tensor(0.5 + 0.05 * rng.normal(size=(40, 1, 4, 4)), dtype=dtype)
    bias = -(weights @ torch.full((16,), 0.5, dtype=dtype))
    model = Linear(weights, bias)
    return model, images, model(images).argmax(1)


def exact(model, images, labels, norm):
    """Return the distances to the planes of all other classes, (N, K)."""
    logits = model(images)
    gaps = logits.gather(1, labels[:, None]) - logits
    normals = model.weights[labels][:, None] - model.weights
    planes = gaps / torch.linalg.vector_norm(normals, DUAL[norm], dim=2)
    planes[torch.arange(len(labels)), labels] = torch.inf
    return planes


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_attack_ends_at_the_nearest_class(norm):
    model, images, labels = linear()
    planes = exact(model, images, labels, norm)
    likeliest = model(images).scatter(1, labels[:, None], -torch.inf).argmax(1)
    assert (planes.argmin(1) != likeliest).any(), "a survey has something to find"
    found = BB(norm)(model, images, labels)
    reached = model(found.adversarial).argmax(1)
    assert (reached == planes.argmin(1)).all()
    least = planes.amin(1)
    assert (found.distance / least).max() < 1.002
    assert (found.distance >= least * (1 - 1e-9)).all()
    blind = BB.v0_1(norm)(model, images, labels)
    assert (blind.distance > 1.01 * least).any(), "without a survey some end elsewhere"


def test_every_backward_pass_is_counted():
    model, images, labels = linear()
    for attack in (BB(), BB(n_starts=2, restarts=1), BB(descent=7), BB(survey=2)):
        model.n_backward = 0
        found = attack(model, images, labels)
        assert int(found.n_gradients.sum()) == model.n_backward, attack


def test_only_the_likeliest_classes_are_surveyed():
    model, images, labels = linear(n_classes=12)
    gradients = [
        int(BB(survey=k, steps=1)(model, images[:1], labels[:1]).n_gradients[0])
        for k in (1, 4, 100)
    ]
    assert gradients[1] - gradients[0] == 3
    assert gradients[2] - gradients[0] == 10, "at most the eleven other classes"
    two, images, labels = linear(n_classes=2)
    assert BB()(two, images, labels).success.all()


def test_further_starts_are_at_the_next_classes():
    model, images, labels = linear()
    one = BB("l2", steps=1)(model, images, labels).distance
    two = BB("l2", steps=1, n_starts=2, restarts=1)(model, images, labels).distance
    assert (two <= one * (1 + 1e-9)).all()


def test_targets_criteria_and_given_starts_take_the_place_of_a_survey():
    model, images, labels = linear()
    other = (labels + 1) % 6

    def criterion(x, logits):
        rivals = logits.scatter(1, logits.argmax(1)[:, None], -torch.inf).amax(1)
        return logits.amax(1) - rivals - 0.1

    for options in (
        {"targets": other},
        {"criterion": criterion},
        {"candidates": torch.rand(64, 1, 4, 4, dtype=torch.float64)},
    ):
        found = BB(survey=9, patience=3, decay=0.7)(model, images, labels, **options)
        plain = BB.v0_1()(model, images, labels, **options)
        assert torch.equal(found.adversarial, plain.adversarial), options
        assert torch.equal(found.n_gradients, plain.n_gradients)


def test_classes_that_cannot_be_reached_are_passed_over():
    model, images, labels = linear()
    planes = exact(model, images, labels, "linf")

    def excluding(x):
        logits = model(x)
        gone = torch.full_like(logits, -torch.inf)
        return torch.where(planes.argmin(1).bincount().argmax() == torch.arange(6),
                           gone, logits)  # fmt: skip

    kept = labels != planes.argmin(1).bincount().argmax()
    found = BB()(excluding, images[kept], labels[kept])
    assert found.success.all()

    class Step(torch.nn.Module):
        """Gradients vanish at the clean image, but not farther away."""

        def forward(self, x):
            far = (x - images[:1]).abs().amax((1, 2, 3)) > 0.02
            logits = model(x)
            flat = logits.detach().clone()
            return torch.where(far[:, None], logits, flat + 0.0 * logits)

    found = BB()(Step(), images[:1], labels[:1])
    assert found.success.all(), "a climb or noise takes over"


def test_a_descent_keeps_what_the_start_found_and_comes_nearer():
    model = nf.models.load_model("zoo:gray-standard")
    images = torch.from_numpy(nf.data.load_data("synthetic", n=12).images)
    labels = model(images).argmax(1)
    targets = (labels + 3) % 10
    for norm, steps in (("linf", 40), ("l2", 200)):
        short = BB(norm, steps=1)(model, images, labels, targets=targets)
        long = BB(norm, steps=1, descent=steps)(model, images, labels, targets=targets)
        ratio = long.distance / short.distance
        assert ratio.max() <= 1.0002
        assert ratio.median() < 0.98, norm


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_a_descent_in_every_norm(norm):
    model, images, labels = linear()
    found = BB(norm, descent=30)(model, images, labels)
    assert found.success.all()
    size = nf.attacks.perturbation_size(found.adversarial, images, norm)
    assert torch.allclose(size, found.distance)
    assert ((found.adversarial >= 0) & (found.adversarial <= 1)).all()


def test_neither_split_nor_threads_change_a_survey_or_a_descent():
    model, images, labels = linear()
    attack = BB("l2", n_starts=2, restarts=1, descent=10)
    whole = attack(model, images, labels, deterministic=True)
    for size in (1, 3, 7):
        parts = [
            attack(model, images[at : at + size], labels[at : at + size],
                   first_index=at, batch_size=2, deterministic=True)
            for at in range(0, len(images), size)
        ]  # fmt: skip
        assert torch.equal(torch.cat([p.adversarial for p in parts]), whole.adversarial)


def test_what_is_returned_is_adversarial_beyond_the_rounding_of_large_logits():
    model, images, labels = linear(dtype=torch.float32)
    offset = 300.0

    def large(x):
        return model(x) + offset

    def margin(x):
        logits = x.double().flatten(1) @ model.weights.double().T + model.bias.double()
        own = logits.gather(1, labels[:, None])[:, 0]
        return logits.scatter(1, labels[:, None], -torch.inf).amax(1) - own

    found = BB("l2")(large, images, labels)
    unit = torch.finfo(torch.float32).eps * offset
    assert found.success.all()
    # The longest push, 1.3 %, reaches this margin unless the image is at the boundary.
    is_far = -margin(images) > 0.1
    assert margin(found.adversarial)[is_far].min() > 8 * unit
    assert (margin(found.adversarial) > 0).all()
    plain = BB("l2")(model, images, labels)
    assert margin(plain.adversarial)[is_far].min() < 8 * unit, "less is enough there"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"survey": -1}, "survey: got -1"),
        ({"survey": 2.5}, "survey: got float"),
        ({"descent": -3}, "descent: got -3"),
        ({"patience": 0}, "patience: got 0"),
        ({"decay": 1.0}, "decay: got 1.0"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        BB(**settings)
