"""Decision-based attacks: known answers, budgets, independence, bad input."""

import numpy as np
import pytest
import torch
from torch import nn

import neurofreq as nf

SHAPE = (3, 6, 5)


def linear(n_classes=2):
    """A linear classifier that gives every class to some of the images."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(90, n_classes)).double()
    with torch.no_grad():
        model[1].bias -= model(batch(40)).mean(0)
    return model


def batch(n=8):
    generator = torch.Generator().manual_seed(3)
    shape = (n, *SHAPE)
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 0.6 + 0.2


def predicted(model, images):
    with torch.no_grad():
        return model(images).argmax(1)


def exact(model, images, norm):
    weight, bias = model[1].weight.detach(), model[1].bias.detach()
    normal = weight[0] - weight[1]
    height = (images.flatten(1) @ normal + bias[0] - bias[1]).abs()
    return height / (normal.norm() if norm == "l2" else normal.abs().sum())


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    ("norm", "proposal", "within"),
    [
        ("l2", "bands", 1.05),
        ("linf", "signs", 1.4),
        ("l2", "estimate", 1.05),
        ("linf", "estimate", 1.4),
        ("l2", "published", 1.3),
        ("linf", "published", 4.0),
    ],
)
def test_a_linear_classifier_is_approached(norm, proposal, within, targeted):
    model, images = linear(), batch()
    labels = predicted(model, images)
    attack = nf.attacks.Boundary(norm, max_queries=6000, proposal=proposal)
    found = attack(
        model,
        images,
        labels,
        targets=1 - labels if targeted else None,
        candidates=batch(40),
    )
    least = exact(model, images, norm)
    assert found.success.all()
    assert (predicted(model, found.adversarial) != labels).all()
    assert (found.distance >= least * (1 - 1e-9)).all()
    assert (found.distance / least).median() < within
    assert (found.n_gradients == 0).all()


@pytest.mark.parametrize(
    ("norm", "proposal"),
    [("l2", "bands"), ("linf", "signs"), ("l2", "estimate"), ("l2", "published")],
)
@pytest.mark.parametrize("budget", [20, 137, 1000])
def test_the_budget_is_kept(norm, proposal, budget):
    model, images = linear(), batch()
    labels = predicted(model, images)
    attack = nf.attacks.Boundary(norm, max_queries=budget, proposal=proposal)
    seen = torch.zeros(8)

    def count(points, outputs, index):
        seen.index_add_(0, index, torch.ones(len(index)))
        return outputs.argmax(1) != labels[index]

    found = attack(model, images, labels, criterion=count, candidates=batch(40))
    assert torch.equal(seen.long(), found.n_queries)
    assert (found.n_queries <= budget).all()
    if budget > 100:
        # Only a search that converged uses less than its budget.
        assert (found.n_queries == budget).any()
    assert found.success.all()


@pytest.mark.parametrize("proposal", ["auto", "estimate", "published"])
def test_the_budget_binds_while_starts_are_sought(proposal):
    model, images = linear(), batch()
    labels = predicted(model, images)
    attack = nf.attacks.Boundary(max_queries=9, n_starts=20, proposal=proposal)
    found = attack(model, images, labels, candidates=batch(40))
    assert found.n_queries.tolist() == [9] * 8
    assert found.success.all()
    hopeless = attack(model, images, labels, candidates=images[labels == labels[0]])
    assert (hopeless.n_queries <= 9).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_black_image_at_the_tip_of_a_cone_is_reached(norm):
    model = nn.Sequential(nn.Flatten(), nn.Linear(90, 2, bias=False)).double()
    with torch.no_grad():
        model[1].weight[:] = torch.tensor([[0.0], [1.0]])
    black = torch.zeros(1, *SHAPE, dtype=torch.float64)
    attack = nf.attacks.Boundary(norm, proposal="published", max_queries=2000)
    found = attack(model, black, [0])
    assert found.success.all()
    assert found.distance.item() < 1e-6


@pytest.mark.parametrize("proposal", ["auto", "estimate", "published"])
def test_more_queries_come_nearer(proposal):
    model, images = linear(), batch()
    labels = predicted(model, images)
    few, many = (
        nf.attacks.Boundary(max_queries=n, proposal=proposal)(
            model, images, labels, candidates=batch(40), deterministic=True
        )
        for n in (300, 3000)
    )
    assert (many.distance <= few.distance).all()
    assert (many.distance < 0.9 * few.distance).any()


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("proposal", ["auto", "estimate", "published"])
def test_neither_split_nor_threads_change_a_result(norm, proposal):
    model, images = linear(3), batch(7)
    labels = predicted(model, images)
    attack = nf.attacks.Boundary(norm, max_queries=300, proposal=proposal)
    same = {"seed": 5, "deterministic": True, "candidates": batch(40)}
    whole = attack(model, images, labels, **same)
    split = attack(model, images, labels, batch_size=2, **same)
    part = attack(model, images[3:], labels[3:], first_index=3, **same)
    assert torch.equal(whole.adversarial, split.adversarial)
    assert torch.equal(whole.adversarial[3:], part.adversarial)
    other = attack(model, images, labels, **(same | {"seed": 6}))
    assert not torch.equal(whole.adversarial, other.adversarial)


@pytest.mark.parametrize(("norm", "shaped"), [("l2", "bands"), ("linf", "signs")])
def test_a_result_tells_that_frequencies_are_preferred(norm, shaped):
    model, images = linear(), batch()
    labels = predicted(model, images)
    for proposal in ("auto", shaped, "estimate", "published"):
        attack = nf.attacks.Boundary(norm, max_queries=200, proposal=proposal)
        found = attack(model, images, labels, candidates=batch(40))
        is_shaped = proposal in ("auto", shaped)
        assert found.shaped == attack.shaped == is_shaped
        if norm == "l2" and found.shaped:
            # Blocks of 4, 2 and 1 pixels, each in gray and in color.
            assert found.probe_spectrum.shape == (8, 6)
            np.testing.assert_allclose(found.probe_spectrum.sum(1), 1)
        else:
            assert found.probe_spectrum is None


@pytest.mark.parametrize(
    ("norm", "distances"),
    [
        ("l2", [0.13870179878293953, 0.16681383506009426, 0.104846307997779]),
        ("linf", [0.020497880650673622, 0.022861556860080734, 0.0167801810884787]),
    ],
)
def test_the_earlier_default_gives_its_numbers(norm, distances):
    model, images = linear(), batch(3)
    attack = nf.attacks.Boundary(norm, max_queries=400, proposal="estimate")
    found = attack(
        model,
        images,
        predicted(model, images),
        candidates=batch(40),
        deterministic=True,
    )
    np.testing.assert_allclose(found.distance, distances, rtol=1e-12)


def test_the_default_is_that_of_the_norm():
    model, images = linear(), batch()
    labels = predicted(model, images)
    for norm, proposal in (("l2", "bands"), ("linf", "signs")):
        first, second = (
            nf.attacks.Boundary(norm, max_queries=200, proposal=one)(
                model, images, labels, candidates=batch(40), deterministic=True
            )
            for one in ("auto", proposal)
        )
        assert torch.equal(first.adversarial, second.adversarial)


def test_no_gradient_is_needed_and_noise_is_a_start():
    inner, images = linear(3), batch()
    labels = predicted(inner, images)

    def model(x):
        assert not x.requires_grad
        return inner(x).detach()

    found = nf.attacks.Boundary(max_queries=500)(model, images, labels)
    assert set(found.status) <= {"completed", "no_start"}
    assert found.success.any()


def test_a_start_that_cannot_be_found_is_a_status():
    model, images = linear(3), batch()
    labels = predicted(model, images)
    pool = images[labels == labels[0]]
    found = nf.attacks.Boundary(max_queries=200)(model, images, labels, candidates=pool)
    expected = np.where((labels == labels[0]).numpy(), "no_start", "completed")
    np.testing.assert_array_equal(found.status, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "l1"}, "norm: got 'l1', expected one of 'l2', 'linf'"),
        ({"proposal": "mine"}, "proposal: got 'mine'"),
        ({"norm": "linf", "proposal": "bands"}, "got 'bands' with norm 'linf'"),
        ({"norm": "l2", "proposal": "signs"}, "got 'signs' with norm 'l2'"),
        ({"max_queries": 0}, "max_queries: got 0"),
        ({"probes": 0}, "probes: got 0"),
        ({"reach": 0.0}, r"reach: got 0.0, expected \(0, 1\)"),
        ({"tolerance": float("nan")}, "tolerance: got nan"),
        ({"step_adaptation": 1.0}, "step_adaptation: got 1.0"),
    ],
)
def test_bad_settings_are_said(changes, message):
    with pytest.raises(ValueError, match=message):
        nf.attacks.Boundary(**changes)
