"""Robust accuracy: closed forms, no attack twice, independence, bad input."""

import numpy as np
import pytest
import torch
from helpers.attack import batch, predicted, relu
from torch import nn

import neurofreq as nf
from neurofreq.attacks import _robust

robust_accuracy = nf.attacks.robust_accuracy
DUAL = {"linf": 1, "l2": 2, "l1": torch.inf}


def linear(n_classes=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(90, n_classes)).double()


def exact(model, images, labels, norm):
    """Return the distance to the nearest other class of a linear classifier."""
    weight, bias = model[1].weight.detach(), model[1].bias.detach()
    logits = images.flatten(1) @ weight.T + bias
    found = torch.full((len(images),), torch.inf, dtype=torch.float64)
    for k in range(len(weight)):
        gap = logits.gather(1, labels[:, None])[:, 0] - logits[:, k]
        normal = weight[labels] - weight[k]
        size = torch.linalg.vector_norm(normal, DUAL[norm], dim=1)
        found = torch.where(labels == k, found, torch.minimum(found, gap / size))
    return found.clamp(min=0)


class Counting(nn.Module):
    """A model that remembers how many images it got."""

    def __init__(self, model):
        super().__init__()
        self.model, self._n = model, [0, 0]

    def forward(self, x):
        self._n[0] += len(x)
        logits = self.model(x)
        if logits.requires_grad:
            n = len(x)
            logits.register_hook(lambda _: self.back(n))
        return logits

    def back(self, n):
        self._n[1] += n


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_curve_of_a_linear_classifier_is_exact(norm, n_classes):
    model, images = linear(n_classes), batch(24)
    labels = predicted(model, images)
    labels[:4] = (labels[:4] + 1) % n_classes  # already misclassified
    distance = exact(model, images, labels, norm)
    distance[:4] = 0
    # Budgets between the distances, so that the answer of each image is clear.
    edges = torch.sort(distance[4:]).values
    epsilons = torch.cat(
        [edges.new_zeros(1), (edges[1:] + edges[:-1]) / 2, 2 * edges[-1:]]
    )
    shuffled = epsilons[torch.randperm(len(epsilons))].numpy()
    found = robust_accuracy(model, images, labels, epsilons=shuffled, norm=norm)
    expected = (distance.numpy()[None] > shuffled[:, None]).mean(axis=1)
    np.testing.assert_array_equal(found.value, expected)
    np.testing.assert_array_equal(found.epsilons, shuffled)
    assert found.n == 24
    assert found.broken_by[:4].tolist() == ["clean"] * 4
    right = distance > 0
    np.testing.assert_allclose(found.distance[right], distance[right], rtol=1e-3)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_every_broken_image_is_adversarial_within_its_budget(norm):
    model, images = relu(), batch(20)
    labels = predicted(model, images)
    scale = {"linf": 0.03, "l2": 0.2, "l1": 1.0, "l0": 3.0}[norm]
    epsilons = [2 * scale, scale, 0.0]
    found = robust_accuracy(model, images, labels, epsilons=epsilons, norm=norm)
    size = nf.attacks.perturbation_size(found.adversarial, images, norm)
    is_wrong = (predicted(model, found.adversarial) != labels).numpy()
    for correct, epsilon in zip(found.correct, epsilons, strict=True):
        np.testing.assert_array_equal(~correct, is_wrong & (size <= epsilon).numpy())
    assert found.value[0] < found.value[1] < found.value[2] == 1.0
    assert np.array_equal(found.smallest == scale, ~found.correct[1])


def test_targeted_attacks_break_what_the_minimal_attack_misses(monkeypatch):
    """A minimal attack that stops far away leaves the budgets to PGD."""
    model, images = linear(), batch(24)
    labels = predicted(model, images)
    distance = exact(model, images, labels, "l2")
    edges = torch.sort(distance).values
    epsilons = ((edges[1:] + edges[:-1]) / 2).numpy()
    walk = _robust._Search.walk

    def lame(self, attack, rank=0, rows=None):
        walk(self, attack, rank, rows)
        self._distance[self._distance > 0] *= 1.9

    monkeypatch.setattr(_robust._Search, "walk", lame)
    found = robust_accuracy(model, images, labels, epsilons=epsilons, norm="l2")
    expected = (distance.numpy()[None] > epsilons[:, None]).mean(axis=1)
    np.testing.assert_array_equal(found.value, expected)
    assert "targeted" in found.broken_by


def test_broken_images_are_not_attacked_again():
    images = batch(24)
    labels = predicted(relu(), images)
    small, large = 0.01, 0.5
    model = Counting(relu()).eval()
    both = robust_accuracy(model, images, labels, epsilons=[large, small])
    one = robust_accuracy(relu(), images, labels, epsilons=[small])
    # The large budget is broken by the minimal attack and costs nothing more.
    assert both.value[0] == 0.0
    np.testing.assert_array_equal(both.n_queries, one.n_queries)
    np.testing.assert_array_equal(both.n_gradients, one.n_gradients)
    # The counts are those of the model, except for the check of the model itself.
    assert model._n[1] == both.n_gradients.sum()
    assert 0 <= model._n[0] - both.n_queries.sum() <= 16


def test_misclassified_images_cost_one_query():
    model, images = relu(), batch(8)
    labels = (predicted(model, images) + 1) % 4
    found = robust_accuracy(model, images, labels, epsilons=[0.0, 0.1])
    assert found.value.tolist() == [0.0, 0.0]
    assert found.n_queries.tolist() == [1] * 8
    assert not found.n_gradients.any()


@pytest.mark.parametrize("decision", ["auto", "always"])
def test_the_split_of_the_images_changes_nothing(decision):
    model, images = relu(), batch(18)
    labels = predicted(model, images)
    labels[3] = (labels[3] + 1) % 4
    options = {
        "epsilons": [0.02, 0.05], "seed": 5, "decision": decision, "max_queries": 60,
        "deterministic": True,
    }  # fmt: skip
    whole = robust_accuracy(model, images, labels, **options)
    for size in (1, 7):
        parts = [
            robust_accuracy(
                model, images[i : i + size], labels[i : i + size], first_index=i,
                **options,
            )
            for i in range(0, 18, size)
        ]  # fmt: skip
        for name in ("distance", "n_queries", "n_gradients", "broken_by"):
            joined = np.concatenate([np.asarray(getattr(part, name)) for part in parts])
            np.testing.assert_array_equal(joined, np.asarray(getattr(whole, name)))


class Steps(nn.Module):
    """A model without any gradient."""

    def forward(self, x):
        bright = (x.mean((1, 2, 3)) * 64).floor() / 64 - 0.5
        return torch.stack([-bright, bright], 1)


def test_a_model_without_gradients_is_attacked_by_its_decisions():
    images = torch.full((3, 1, 8, 8), 0.4)
    options = {"epsilons": [0.5, 0.01], "norm": "linf", "max_queries": 300}
    found = robust_accuracy(Steps(), images, [0, 0, 0], **options)
    assert found.value.tolist() == [0.0, 1.0]
    assert "decision" in found.broken_by
    never = robust_accuracy(Steps(), images, [0, 0, 0], decision="never", **options)
    assert (found.distance <= never.distance).all()
    assert (found.distance < never.distance).any()


def test_intervals_are_those_of_the_package():
    model, images = relu(), batch(20)
    found = robust_accuracy(
        model, images, predicted(model, images), epsilons=[0.05, 0.02], level=0.8
    )
    means = nf.intervals.resampled_means(found.correct.T.astype(float))
    table = found.by_epsilon
    assert table["epsilon"].tolist() == [0.05, 0.02]
    for at, row in enumerate(table.to_dict("records")):
        low, high = nf.intervals.percentile_interval(means[:, at], level=0.8)
        assert (row["low"], row["high"], row["n"]) == (low, high, 20)
        assert row["accuracy"] == found.value[at]
    curve = found.curve()
    np.testing.assert_array_equal(curve.x, [0.02, 0.05])
    np.testing.assert_array_equal(curve.y, found.value[::-1])
    assert str(found).splitlines()[0].startswith("linf 0.05:")
    assert len(found.by_image) == 20


def test_arrays_tensors_and_image_sets_agree():
    data = nf.data.load_data("synthetic", n=6)
    model = nf.models.load_model("zoo:gray-standard")
    options = {"epsilons": [0.002, 0.01], "norm": np.inf}
    first = robust_accuracy(model, data, **options)
    second = robust_accuracy(model, data.images, data.labels, **options)
    third = robust_accuracy(
        model, torch.from_numpy(data.images), data.labels, **options
    )
    assert isinstance(third.distance, torch.Tensor)
    for other in (second, third):
        np.testing.assert_array_equal(first.distance, np.asarray(other.distance))
    with pytest.raises(ValueError, match="labels: got some with an ImageSet"):
        robust_accuracy(model, data, data.labels, **options)


class Fixed(nn.Module):
    """A linear model with changed logits."""

    def __init__(self, change, n_classes=4):
        super().__init__()
        self.model, self.change = linear(n_classes), change

    def forward(self, x):
        return self.change(self.model(x))


def test_one_class_holds_everywhere():
    found = robust_accuracy(linear(1), batch(3), [0, 0, 0], epsilons=[0.0, 1.0])
    assert found.value.tolist() == [1.0, 1.0]


def test_a_thousand_classes_need_few_gradients():
    model, images = linear(1000), batch(6)
    labels = predicted(model, images)
    distance = exact(model, images, labels, "linf")
    epsilon = float(torch.sort(distance).values[2:4].mean())
    found = robust_accuracy(model, images, labels, epsilons=[epsilon])
    assert found.value.tolist() == [0.5]
    assert found.n_gradients.max() < 700


def test_excluded_classes_are_never_reached():
    def without_last(logits):
        excluded = torch.tensor([0.0, 0.0, 0.0, -torch.inf], dtype=logits.dtype)
        return logits + excluded

    model, images = Fixed(without_last), batch(12)
    labels = predicted(model, images)
    found = robust_accuracy(model, images, labels, epsilons=[0.0, 1.0])
    assert found.value.tolist() == [1.0, 0.0]
    assert (predicted(model, found.adversarial) != 3).all()


def test_a_tie_is_decided_as_by_argmax():
    def tied(logits):
        return torch.zeros_like(logits) * logits

    found = robust_accuracy(Fixed(tied), batch(2), [0, 1], epsilons=[0.1, 0.0])
    assert found.value.tolist() == [0.5, 0.5]


def test_probabilities_give_a_warning():
    model = Fixed(lambda logits: logits.softmax(1))
    images = batch(4)
    labels = predicted(model, images)
    with pytest.warns(UserWarning, match="model: got probabilities"):
        robust_accuracy(model, images, labels, epsilons=[0.05])


def test_a_class_that_no_point_reaches_leaves_the_image_correct():
    def dark(x):
        return torch.stack([x.mean((1, 2, 3)) + 1, 0.5 * x.mean((1, 2, 3))], 1)

    found = robust_accuracy(dark, batch(2), [0, 0], epsilons=[1.0])
    assert found.value.tolist() == [1.0]
    assert np.isinf(np.asarray(found.distance)).all()


@pytest.mark.parametrize(
    ("epsilons", "message"),
    [
        ([], "epsilons: got no budgets"),
        ([0.1, -0.1], r"epsilons: got -0\.1, expected finite numbers of 0 or more"),
        ([float("nan")], "epsilons: got nan, expected finite"),
        ([float("inf")], "epsilons: got inf, expected finite"),
        (0.1, "epsilons: got shape"),
    ],
)
def test_bad_budgets_are_refused(epsilons, message):
    for call in (
        lambda: robust_accuracy(relu(), batch(2), [0, 1], epsilons=epsilons),
        lambda: nf.attacks.PGD()(relu(), batch(2), [0, 1], epsilons=epsilons),
        lambda: nf.attacks.BrendelBethge()(relu(), batch(2), [0, 1], epsilons=epsilons),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_labels_that_the_model_lacks_are_refused():
    with pytest.raises(ValueError, match="labels: got 4, expected 0 to 3"):
        robust_accuracy(relu(), batch(2), [0, 4], epsilons=[0.1])
