"""The best of several runs; sizes of perturbations; targets by class."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from helpers.attack import batch, predicted
from torch import nn

import neurofreq as nf

BUDGETS = np.linspace(0, 0.5, 51)[1:]


def relu(dtype=torch.float64):
    torch.manual_seed(3)  # a seed with which the images have three classes
    layers = nn.Flatten(), nn.Linear(90, 40), nn.ReLU(), nn.Linear(40, 4)
    return nn.Sequential(*layers).to(dtype)


minimal = nf.attacks.minimal_perturbation


@pytest.fixture
def recorded():
    """Return an attack of 5 steps and the list of its calls."""
    calls = []

    @dataclass(frozen=True)
    class Recorded(nf.attacks.BrendelBethge):
        def __call__(self, *arguments, **options):
            found = super().__call__(*arguments, **options)
            calls.append((self, options, found))
            return found

    return Recorded(steps=5), calls


@pytest.mark.parametrize("source", ["search", "pool"])
def test_the_nearest_of_different_runs_is_kept(recorded, source):
    attack, calls = recorded
    model, images = relu(), batch()
    labels = predicted(model, images)
    pool = batch(60) if source == "pool" else None
    best = minimal(model, images, labels, attack=attack, repeats=3, candidates=pool)
    assert len(calls) == 3
    found = [found for _, _, found in calls]
    distances = torch.stack([one.distance for one in found])
    assert torch.equal(best.distance, distances.amin(0))
    assert len(set(distances.argmin(0).tolist())) > 1, "several runs give the best"
    size = (best.adversarial - images).abs().amax((1, 2, 3))
    assert torch.equal(best.distance, size)
    assert (predicted(model, best.adversarial) != labels).all()
    assert best.success.all()
    assert torch.equal(best.n_queries, sum(one.n_queries for one in found))
    assert torch.equal(best.n_gradients, sum(one.n_gradients for one in found))
    assert len({options["seed"] for _, options, _ in calls}) == 3
    assert calls[0][0] == attack
    assert calls[0][1]["seed"] == 0


def test_runs_of_neighbouring_seeds_share_no_stream(recorded):
    attack, calls = recorded
    model, images = relu(), batch(2)
    labels = predicted(model, images)
    for seed in (0, 1, 2**64 - 1):
        minimal(model, images, labels, attack=attack, repeats=3, seed=seed)
    assert len({options["seed"] for _, options, _ in calls}) == 9


def test_one_run_is_the_attack_itself():
    model, images = relu(), batch(5)
    labels = predicted(model, images)
    best = minimal(model, images, labels, repeats=1, seed=4)
    one = nf.attacks.BrendelBethge()(model, images, labels, seed=4)
    for a, b in zip(best[:6], one[:6], strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_budgets_better_a_weak_attack(norm):
    model, images = relu(), batch()
    labels = predicted(model, images)
    weak = nf.attacks.PGD(norm=norm, epsilon=6.0, steps=4)
    options = {"norm": norm, "attack": weak, "repeats": 1}
    before = minimal(model, images, labels, **options)
    budgets = np.linspace(0, 6, 101)[1:]
    after = minimal(model, images, labels, budgets=budgets, **options)
    assert before.success.all()
    assert (after.distance < 0.8 * before.distance).all()
    assert (after.n_queries > before.n_queries).all()
    size = nf.attacks.perturbation_size(after.adversarial, images, norm)
    torch.testing.assert_close(after.distance, size)
    assert (predicted(model, after.adversarial) != labels).all()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_every_norm_is_measured_as_its_size(norm):
    model, images = relu(), batch(5)
    labels = predicted(model, images)
    found = minimal(model, images, labels, norm=norm, repeats=2)
    assert found.success.all()
    size = nf.attacks.perturbation_size(found.adversarial, images, norm)
    torch.testing.assert_close(found.distance, size, rtol=1e-12, atol=0)


def test_budgets_out_of_reach_are_not_tried():
    model, images = relu(), batch()
    labels = predicted(model, images)
    alone = minimal(model, images, labels, repeats=1)
    least = float(alone.distance.min())
    above = minimal(model, images, labels, repeats=1, budgets=[least, 0.5])
    nearest = alone.distance.argmin()
    assert above.n_queries[nearest] == alone.n_queries[nearest] + 1
    others = alone.distance > least
    # One query for the clean image, and one failed run of 40 steps.
    assert (above.n_queries[others] - alone.n_queries[others]).tolist() == [42] * 11
    assert torch.equal(alone.adversarial, above.adversarial)


def test_neither_split_nor_order_change_a_result():
    model, images = relu(), batch(9)
    labels = predicted(model, images)
    options = {"repeats": 2, "budgets": BUDGETS, "seed": 5, "deterministic": True}
    options["attack"] = nf.attacks.BrendelBethge(steps=3)
    whole = minimal(model, images, labels, **options)
    split = minimal(model, images, labels, batch_size=2, **options)
    parts = [
        minimal(model, images[i:j], labels[i:j], first_index=i, **options)
        for i, j in ((0, 4), (4, 9))
    ]
    joined = torch.cat([part.adversarial for part in parts])
    assert torch.equal(whole.adversarial, split.adversarial)
    assert torch.equal(whole.adversarial, joined)
    assert torch.equal(whole.n_queries, split.n_queries)


@pytest.mark.parametrize("targeted", [False, True])
def test_every_run_keeps_to_margin_and_probability(targeted):
    model, images = relu(), batch()
    labels = predicted(model, images)
    targets = (labels + 1) % 4 if targeted else None
    found = minimal(
        model,
        images,
        labels,
        targets=targets,
        repeats=2,
        budgets=BUDGETS,
        margin=0.02,
        min_probability=0.3,
    )
    with torch.no_grad():
        logits = model(found.adversarial)
    after = logits.argmax(1)
    assert found.success.all()
    assert (after == targets).all() if targeted else (after != labels).all()
    assert (logits.softmax(1).amax(1) >= 0.3 - 1e-9).all()
    other = logits.scatter(1, after[:, None], -torch.inf).amax(1)
    if not targeted:
        other = logits.gather(1, labels[:, None])[:, 0]
    assert (logits.amax(1) - other > 0.02 - 1e-9).all()


def test_statuses_are_those_of_the_best_run():
    def flat(x):
        return torch.tensor([[1.0, 0.0]]) + 0 * x.sum((1, 2, 3))[:, None]

    images = batch(2, torch.float32)
    found = minimal(flat, images, [0, 1], repeats=2, budgets=[0.1])
    assert found.status.tolist() == ["no_start", "already_adversarial"]
    assert found.distance.tolist() == [float("inf"), 0.0]
    assert found.success.tolist() == [False, True]
    assert torch.equal(found.adversarial, images)
    assert found.n_queries[1] == 3


def test_a_run_that_fails_does_not_hide_one_that_succeeds():
    model, images = relu(), batch(6)
    labels = predicted(model, images)
    own_class = images[labels == labels[0]][:1]
    found = minimal(
        model, images, labels, repeats=2, budgets=BUDGETS, candidates=own_class
    )
    hopeless = (labels == labels[0]).numpy()
    assert 0 < hopeless.sum() < 6
    assert found.success.all()
    assert set(found.status[hopeless]) == {"completed"}


def test_arrays_in_arrays_out():
    model, images = relu(torch.float32), batch(4, torch.float32)
    labels = predicted(model, images)
    options = {"repeats": 2, "budgets": (0.05, 0.1)}
    tensors = minimal(model, images, labels, **options)
    arrays = minimal(model, images.numpy(), labels.numpy(), **options)
    for of_tensor, of_array in zip(tensors[:6], arrays[:6], strict=True):
        assert isinstance(of_array, np.ndarray)
        np.testing.assert_array_equal(of_array, np.asarray(of_tensor))
    assert arrays.adversarial.dtype == np.float32
    assert arrays.status.dtype.kind == "U"


def test_the_model_is_left_as_found():
    layers = nn.Flatten(), nn.Linear(90, 30), nn.BatchNorm1d(30), nn.Linear(30, 4)
    model = nn.Sequential(*layers).double().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = batch(3)
    minimal(model, images, [0, 0, 0], repeats=2, budgets=[0.1])
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"norm": "l3"}, ValueError, "norm: got 'l3'"),
        ({"repeats": 0}, ValueError, "repeats: got 0"),
        ({"repeats": 2.0}, TypeError, "repeats: got float"),
        ({"norm": "l1", "budgets": [1.0]}, ValueError, "budgets: got some for norm"),
        ({"budgets": [0.0]}, ValueError, "budgets: got 0.0"),
        ({"budgets": "a"}, TypeError, "budgets: got 'a', expected positive"),
        ({"budgets": []}, ValueError, "budgets: got no budgets"),
        ({"attack": nf.attacks.PGD(norm="l2")}, ValueError, "attack: got norm 'l2'"),
        ({"seed": -1}, ValueError, "seed: got -1"),
        ({"labels": [0, 1]}, ValueError, "labels: got 2, expected 3"),
    ],
)
def test_bad_input_is_said(changes, error, message):
    arguments = {"model": relu(), "images": batch(3), "labels": [3, 3, 3]} | changes
    with pytest.raises(error, match=message):
        minimal(**arguments)


def sizes_by_hand():
    images = np.full((2, 1, 1, 3), 0.5)
    changes = np.array([[0.1, -0.3, 0.0], [0.2, 0.2, 0.1]])
    adversarial = images + changes.reshape(images.shape)
    return adversarial, images


@pytest.mark.parametrize(
    ("norm", "signed", "expected"),
    [
        ("linf", None, [0.3, 0.2]),
        ("linf", "positive", [0.1, 0.2]),
        ("linf", "negative", [0.3, -0.1]),
        ("l2", None, [0.1**0.5, 0.3]),
        ("l1", None, [0.4, 0.5]),
        ("l0", None, [2, 3]),
    ],
)
def test_sizes(norm, signed, expected):
    adversarial, images = sizes_by_hand()
    found = nf.attacks.perturbation_size(adversarial, images, norm, signed=signed)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    tensors = torch.tensor(adversarial), torch.tensor(images)
    of_tensors = nf.attacks.perturbation_size(*tensors, norm, signed=signed)
    assert isinstance(of_tensors, torch.Tensor)
    np.testing.assert_array_equal(of_tensors.numpy(), found)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"norm": "l3"}, ValueError, "norm: got 'l3'"),
        ({"signed": "up"}, ValueError, "signed: got 'up'"),
        ({"norm": "l2", "signed": "positive"}, ValueError, "with norm 'l2'"),
        ({"images": np.zeros((2, 1, 1, 2))}, ValueError, "adversarial: got shape"),
        ({"images": np.zeros((2, 1, 1, 3), int)}, TypeError, "images: got dtype int64"),
        ({"adversarial": torch.zeros(2, 1, 1, 3).double()}, TypeError, "as images"),
        ({"adversarial": np.full((2, 1, 1, 3), np.nan)}, ValueError, "got NaN"),
    ],
)
def test_sizes_bad_input(changes, error, message):
    adversarial, images = sizes_by_hand()
    arguments = {"adversarial": adversarial, "images": images} | changes
    with pytest.raises(error, match=message):
        nf.attacks.perturbation_size(**arguments)


def test_targets_by_class():
    labels = np.array([3, 3, 3, 1, 0, 0, 7])
    drawn = set()
    for seed in range(60):
        targets = nf.attacks.shuffled_targets(labels, seed=seed, method="cls")
        assert targets.dtype == np.int64
        of_class = {c: set(targets[labels == c]) for c in (0, 1, 3, 7)}
        assert all(len(reached) == 1 for reached in of_class.values())
        order = tuple(reached.pop() for reached in of_class.values())
        assert set(order) == {0, 1, 3, 7}
        assert all(c != t for c, t in zip((0, 1, 3, 7), order, strict=True))
        drawn.add(order)
    assert len(drawn) == 9, "all derangements of four"


@pytest.mark.parametrize(
    ("labels", "method", "message"),
    [
        ([1, 1], "cls", "labels: got 1 classes, expected at least 2"),
        ([], "cls", "labels: got 0 classes"),
        ([1, 1, 2], "elm", "2 of 3 are class 1"),
        ([0, 1], "each", "method: got 'each'"),
    ],
)
def test_targets_bad_input(labels, method, message):
    labels = np.array(labels, dtype=np.int64)
    with pytest.raises(ValueError, match=message):
        nf.attacks.shuffled_targets(labels, seed=0, method=method)
