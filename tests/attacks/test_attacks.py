"""Brendel & Bethge: known answers, independence, bad input, an unchanged model."""

import numpy as np
import pytest
import torch
from helpers.attack import ATTACK, batch, predicted, relu
from torch import nn

import neurofreq as nf


def linear(n_classes=3, dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(90, n_classes)).to(dtype)


def exact(norm, images, normal, height):
    """The smallest size of a change that crosses a plane, one image at a time."""
    sizes = []
    for image, h in zip(images.flatten(1), height, strict=True):
        move = -torch.sign(h) * normal  # the direction towards the plane, per pixel
        room = torch.where(move > 0, 1 - image, image)
        if norm == "linf":
            sizes.append(h.abs() / normal.abs().sum())
        elif norm == "l2":
            sizes.append(h.abs() / normal.norm())
        else:  # l1: steepest pixels first; l0: largest gain first
            gain = normal.abs() * room
            order = (normal.abs() if norm == "l1" else gain).argsort(descending=True)
            covered = gain[order].cumsum(0)
            n = int((covered < h.abs()).sum())
            before = covered[n - 1] if n else 0.0
            last = (h.abs() - before) / normal[order[n]].abs()
            sizes.append(room[order[:n]].sum() + last if norm == "l1" else n + 1)
    return torch.tensor(sizes, dtype=images.dtype)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
@pytest.mark.parametrize("targeted", [False, True])
def test_a_linear_classifier_is_left_at_the_exact_distance(targeted, norm):
    model, images = linear(2), batch()
    labels = predicted(model, images)
    targets = 1 - labels if targeted else None
    attack = nf.attacks.BrendelBethge(norm)
    found = attack(model, images, labels, targets=targets)
    weight, bias = model[1].weight.detach(), model[1].bias.detach()
    normal = weight[0] - weight[1]
    height = images.flatten(1) @ normal + bias[0] - bias[1]
    least = exact(norm, images, normal, height)
    assert found.success.all()
    assert set(found.status) == {"completed"}
    assert (found.distance >= least * (1 - 1e-9)).all()
    slack = {"rtol": 0, "atol": 1.01} if norm == "l0" else {"rtol": 0.01, "atol": 0}
    torch.testing.assert_close(found.distance, least, **slack)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_the_published_schedule_reaches_no_more(norm):
    model, images = relu(), batch(6)
    labels = predicted(model, images)
    published = nf.attacks.BrendelBethge.published(norm)
    reference = published(model, images, labels)
    found = nf.attacks.BrendelBethge(norm)(model, images, labels)
    assert reference.success.all()
    assert (reference.n_gradients > 1000).all()
    assert (found.n_gradients < 300).all()
    ratio = found.distance.median() / reference.distance.median()
    assert ratio < (1.1 if norm == "l0" else 1.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_results_are_what_they_say(dtype, targeted, norm):
    model, images = relu(dtype), batch(dtype=dtype)
    labels = predicted(model, images)
    targets = (labels + 1) % 4 if targeted else None
    attack = nf.attacks.BrendelBethge(norm)
    found = attack(model, images, labels, targets=targets)
    assert found.adversarial.dtype == dtype
    assert found.adversarial.min() >= 0
    assert found.adversarial.max() <= 1
    order = {"linf": torch.inf, "l2": 2, "l1": 1, "l0": 0}[norm]
    change = (found.adversarial - images).flatten(1)
    size = torch.linalg.vector_norm(change, order, dim=1)
    torch.testing.assert_close(found.distance, size, rtol=1e-5, atol=1e-7)
    after = predicted(model, found.adversarial)
    assert found.success.all()
    assert (after == targets).all() if targeted else (after != labels).all()
    assert (found.n_queries > found.n_gradients).all()
    assert (found.n_gradients > 10).all()


def test_arrays_in_arrays_out():
    model, images = relu(torch.float32), batch(4, torch.float32)
    labels = predicted(model, images)
    tensors = ATTACK(model, images, labels)
    arrays = ATTACK(model, images.numpy(), labels.numpy())
    for of_tensor, of_array in zip(tensors[:6], arrays[:6], strict=True):
        assert isinstance(of_array, np.ndarray)
        np.testing.assert_array_equal(of_array, np.asarray(of_tensor))
    assert arrays.adversarial.shape == images.shape
    assert arrays.status.dtype.kind == "U"


def test_more_steps_do_not_hurt_and_beat_the_start():
    model, images = relu(), batch()
    labels = predicted(model, images)
    one, some, many = (
        nf.attacks.BrendelBethge(steps=steps)(model, images, labels).distance.median()
        for steps in (1, 50, 500)
    )
    assert many <= some * 1.01
    assert some < one


def test_the_authors_overshoot():
    model, images = relu(), batch()
    labels = predicted(model, images)
    theirs = nf.attacks.BrendelBethge(steps=200, overshoot_rule="authors")
    mine, other = (attack(model, images, labels) for attack in (ATTACK, theirs))
    assert other.success.all()
    torch.testing.assert_close(other.distance, mine.distance, rtol=0.1, atol=0)


def starts_of(model, images):
    pool = batch(60)
    return {"search": {}, "pool": {"candidates": pool}}


@pytest.mark.parametrize("source", ["search", "pool"])
def test_neither_split_nor_threads_change_a_result(source):
    model, images = relu(), batch(9)
    labels = predicted(model, images)
    same = {"seed": 5, "deterministic": True} | starts_of(model, images)[source]
    whole = ATTACK(model, images, labels, **same)
    split = ATTACK(model, images, labels, batch_size=2, **same)
    parts = [
        ATTACK(model, images[i:j], labels[i:j], first_index=i, **same)
        for i, j in ((0, 4), (4, 9))
    ]
    n_threads = nf.num_threads()
    nf.set_num_threads(1)
    alone = ATTACK(model, images, labels, **same)
    nf.set_num_threads(n_threads)
    assert torch.equal(whole.adversarial, alone.adversarial)
    joined = torch.cat([part.adversarial for part in parts])
    assert torch.equal(whole.adversarial, split.adversarial)
    assert torch.equal(whole.adversarial, joined)


def batch_invariant(images):
    """Logits with the same order of sums for any batch, hence the same bits."""
    weight = torch.linspace(-1, 1, 90, dtype=images.dtype)
    flat = images.flatten(1)
    first = (flat * weight).cumsum(1)[:, -1]
    second = (flat.square() * weight.flip(0)).cumsum(1)[:, -1]
    return torch.stack([first, second, torch.zeros_like(first)], 1)


def test_a_batch_invariant_model_gives_equal_bits():
    images = batch(7, torch.float32)
    labels = predicted(batch_invariant, images)
    whole = ATTACK(batch_invariant, images, labels)
    split = ATTACK(batch_invariant, images, labels, batch_size=3)
    assert torch.equal(whole.adversarial, split.adversarial)
    assert torch.equal(whole.n_queries, split.n_queries)


def test_an_adversarial_image_stays_as_it_is():
    model, images = relu(), batch(4)
    labels = predicted(model, images)
    labels[1] = (labels[1] + 1) % 4
    found = ATTACK(model, images, labels)
    assert found.status[1] == "already_adversarial"
    assert found.distance[1] == 0
    assert found.success[1]
    assert torch.equal(found.adversarial[1], images[1])
    assert found.n_queries[1] == 1


def test_given_starts_are_used_and_checked():
    model, images = relu(), batch(8)
    labels = predicted(model, images)
    points = ATTACK(model, images, labels).adversarial
    points[3] = images[3]
    found = ATTACK(model, images, labels, starting_points=points)
    assert found.status[3] == "bad_start"
    assert not found.success[3]
    assert found.distance[3] == float("inf")
    assert torch.equal(found.adversarial[3], images[3])
    others = np.delete(np.arange(8), 3)
    assert set(found.status[others]) == {"completed"}


def test_no_image_of_the_class_in_the_pool_is_a_status():
    model, images = relu(), batch(8)
    labels = predicted(model, images)
    pool = images[labels == labels[0]]
    found = ATTACK(model, images, labels, candidates=pool)
    expected = np.where((labels == labels[0]).numpy(), "no_start", "completed")
    np.testing.assert_array_equal(found.status, expected)


def test_a_constant_model_has_no_start():
    found = ATTACK(
        lambda x: torch.tensor([[1.0, 0.0]]) + 0 * x.sum((1, 2, 3))[:, None],
        batch(2, torch.float32),
        [0, 0],
    )
    assert set(found.status) == {"no_start"}


class Poisoned(nn.Module):
    """NaN for images whose first pixel is above 0.9."""

    def __init__(self):
        super().__init__()
        self.inner = relu()

    def forward(self, x):
        bad = (x[:, 0, 0, 0] > 0.9)[:, None]
        return torch.where(bad, torch.nan, self.inner(x))


def test_one_bad_image_does_not_end_the_others():
    model, images = Poisoned(), batch(6)
    labels = predicted(model.inner, images)
    clean = ATTACK(model, images, labels, deterministic=True)
    images[2, 0, 0, 0] = 0.95
    found = ATTACK(model, images, labels, deterministic=True)
    assert found.status[2] == "not_finite"
    assert found.distance[2] == float("inf")
    others = [0, 1, 3, 4, 5]
    assert torch.equal(found.distance[others], clean.distance[others])


def test_the_model_is_left_as_found():
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(90, 30),
        nn.BatchNorm1d(30),
        nn.Dropout(),
        nn.Linear(30, 4),
    ).double()
    model.train()
    model[2].eval()
    model[1].bias.requires_grad_(False)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = batch()
    ATTACK(model, images, predicted(model.eval(), images))
    model.train()
    model[2].eval()
    flags = [module.training for module in model.modules()]
    with torch.no_grad():
        ATTACK(model, images, [0] * len(images))
    assert [module.training for module in model.modules()] == flags
    assert not model[1].bias.requires_grad
    assert model[1].weight.requires_grad
    for parameter in model.parameters():
        assert (parameter.grad == 7.0).all()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not images.requires_grad


def test_under_inference_mode():
    model, images = relu(), batch(3)
    labels = predicted(model, images)
    with torch.inference_mode():
        found = ATTACK(model, images, labels)
    assert found.success.all()
