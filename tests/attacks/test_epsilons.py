"""Budgets in the call of every attack, and names of norms."""

import numpy as np
import pytest
import torch
from helpers.attack import batch, predicted, relu

import neurofreq as nf

PGD = nf.attacks.PGD


@pytest.mark.parametrize(
    "attack",
    [PGD(steps=8), nf.attacks.BrendelBethge(steps=20), nf.attacks.Boundary("linf", 40)],
)
def test_every_attack_tells_which_images_fit_each_budget(attack):
    model, images = relu(), batch(10)
    labels = predicted(model, images)
    epsilons = [0.05, 0.0, 0.01, 0.3]
    found = attack(model, images, labels, epsilons=epsilons)
    assert found.within.shape == (4, 10)
    sizes = nf.attacks.perturbation_size(found.adversarial, images)
    is_wrong = predicted(model, found.adversarial) != labels
    for within, epsilon in zip(found.within, epsilons, strict=True):
        assert torch.equal(within, is_wrong & (sizes <= epsilon))
    assert torch.equal(found.within, found.success_at(epsilons))
    numpy = attack(model.float(), images.float().numpy(), labels, epsilons=epsilons)
    assert isinstance(numpy.within, np.ndarray)
    assert attack(model.double(), images, labels).within is None


def test_pgd_runs_each_budget_on_images_that_are_not_broken_yet():
    model, images = relu(), batch(20)
    labels = predicted(model, images)
    small, large = 0.02, 0.05
    found = PGD(steps=10)(model, images, labels, epsilons=[large, small, small])
    first = PGD(epsilon=small, steps=10)(model, images, labels)
    left = ~first.success
    assert 0 < left.sum() < 20
    second = PGD(epsilon=large, steps=10)(model, images[left], labels[left])
    assert torch.equal(found.within[1], first.success)
    assert torch.equal(found.within[1], found.within[2])
    assert torch.equal(found.within[0][left], second.success)
    assert torch.equal(found.distance[~left], first.distance[~left])
    assert torch.equal(found.distance[left], second.distance)
    assert torch.equal(found.n_queries[~left], first.n_queries[~left])
    assert torch.equal(found.n_queries[left], first.n_queries[left] + second.n_queries)


def test_random_streams_belong_to_the_image_at_every_budget():
    model, images = relu(), batch(12)
    labels = predicted(model, images)
    options = {"epsilons": [0.015, 0.03], "seed": 1, "trajectory": True}
    attack = PGD(steps=3, restarts=2)
    whole = attack(model, images, labels, **options)
    parts = [
        attack(model, images[i : i + 1], labels[i : i + 1], first_index=i, **options)
        for i in range(12)
    ]
    np.testing.assert_array_equal(
        whole.n_queries, torch.cat([part.n_queries for part in parts])
    )
    np.testing.assert_allclose(
        whole.distance, torch.cat([part.distance for part in parts])
    )
    for path, count in zip(whole.trajectory, whole.n_queries, strict=True):
        assert len(path) == 0 or path[-1, 0] <= count


def test_a_criterion_gets_positions_among_all_images():
    seen = set()

    def second_half(images, logits, index):
        seen.update(index.tolist())
        return torch.where(index >= 105, -1.0, 1.0) * (1 + 0 * logits[:, 0].float())

    found = PGD(steps=2)(
        relu(), batch(8), [0] * 8, criterion=second_half, first_index=100,
        epsilons=[0.01, 0.02],
    )  # fmt: skip
    assert seen == set(range(100, 108))
    assert found.success.tolist() == [False] * 5 + [True] * 3


def test_budgets_of_0_only_ask_about_the_clean_images():
    model, images = relu(), batch(6)
    labels = predicted(model, images)
    labels[0] = (labels[0] + 1) % 4
    found = PGD()(model, images, labels, epsilons=[0.0])
    assert found.within.tolist() == [[True] + [False] * 5]
    assert found.n_queries.max() <= 2


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("linf", "linf"), ("Linf", "linf"), ("L_inf", "linf"), ("inf", "linf"),
        (np.inf, "linf"), (float("inf"), "linf"), (np.float32("inf"), "linf"),
        (2, "l2"), ("2", "l2"), ("L2", "l2"), (2.0, "l2"), (np.int64(2), "l2"),
        (torch.tensor(2), "l2"), (1, "l1"), ("l1", "l1"), (0, "l0"), ("L0", "l0"),
    ],
)  # fmt: skip
def test_norms_have_one_name(given, name):
    assert nf.attacks.BrendelBethge(given).norm == name
    assert nf.attacks.BrendelBethge(given) == nf.attacks.BrendelBethge(name)
    images = batch(2)
    sizes = nf.attacks.perturbation_size(images.flip(0), images, given)
    assert torch.equal(
        sizes, nf.attacks.perturbation_size(images.flip(0), images, name)
    )


@pytest.mark.parametrize("norm", [3, -1, True, None, "l3", "", b"l2", ["l2"], np.nan])
def test_other_norms_are_refused(norm):
    for make in (nf.attacks.BrendelBethge, PGD, nf.attacks.Boundary):
        with pytest.raises(ValueError, match=r"norm: got .* expected one of 'l"):
            make(norm)
    with pytest.raises(
        ValueError, match="norm: got 'l1', expected one of 'linf', 'l2'"
    ):
        PGD("l1")
