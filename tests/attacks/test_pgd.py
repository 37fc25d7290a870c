"""PGD: known answers, a plain torch peer, exact budgets, independence, bad input."""

import numpy as np
import pytest
import torch
from helpers.attack import batch, predicted, relu
from torch import nn

import neurofreq as nf

PGD = nf.attacks.PGD
NORMS = ("linf", "l2")
STEP_RULES = ("adaptive", "constant")


def linear(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(90, 2)).to(dtype)


def size(adversarial, images, norm):
    change = (adversarial - images).flatten(1)
    return torch.linalg.vector_norm(change, dim=1, ord={"linf": torch.inf}.get(norm, 2))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("step_rule", STEP_RULES)
@pytest.mark.parametrize("targeted", [False, True])
def test_a_linear_classifier_gives_in_exactly_at_the_dual_norm(
    norm, step_rule, targeted
):
    model, images = linear(), batch()
    labels = predicted(model, images)
    weight, bias = model[1].weight.detach(), model[1].bias.detach()
    normal = weight[0] - weight[1]
    dual = normal.abs().sum() if norm == "linf" else normal.norm()
    exact = (images.flatten(1) @ normal + bias[0] - bias[1]).abs() / dual
    epsilon = float(exact.median())  # torch takes the lower of the middle two
    attack = PGD(norm=norm, epsilon=epsilon * (1 + 1e-6), step_rule=step_rule)
    targets = 1 - labels if targeted else None
    found = attack(model, images, labels, targets=targets)
    assert torch.equal(found.success, exact <= epsilon)
    assert found.success.sum() == 6
    assert (found.distance[found.success] >= exact[found.success]).all()
    assert set(found.status) == {"completed"}


def first_adversarial(model, images, labels, norm, epsilon, steps):
    """Return for each image the first adversarial iterate of plain PGD."""
    found = images.clone()
    success = torch.zeros(len(images), dtype=torch.bool)
    x = images.clone()
    for _ in range(steps + 1):
        x.requires_grad_(True)
        logits = model(x)
        own = logits.gather(1, labels[:, None])
        others = logits.scatter(1, labels[:, None], -torch.inf)
        is_new = (logits.argmax(1) != labels) & ~success
        found[is_new] = x[is_new].detach()
        success |= is_new
        (gradient,) = torch.autograd.grad((own[:, 0] - others.amax(1)).sum(), x)
        with torch.no_grad():
            if norm == "linf":
                moved = x - 2.5 / steps * epsilon * gradient.sign()
                x = torch.max(torch.min(moved, images + epsilon), images - epsilon)
            else:
                unit = gradient / gradient.flatten(1).norm(dim=1)[:, None, None, None]
                change = x - 2.5 / steps * epsilon * unit - images
                length = change.flatten(1).norm(dim=1)[:, None, None, None]
                x = images + change * (epsilon / length).clamp(max=1)
            x = x.clamp(0, 1).detach()
    return found, success


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.05), ("l2", 0.35)])
def test_constant_steps_are_those_of_plain_pgd(norm, epsilon):
    model, images = relu(), batch(30)
    labels = predicted(model, images)
    attack = PGD(norm=norm, epsilon=epsilon, steps=20, step_rule="constant")
    found = attack(model, images, labels)
    expected, success = first_adversarial(model, images, labels, norm, epsilon, 20)
    assert torch.equal(found.success, success)
    assert 5 < success.sum() < 25
    torch.testing.assert_close(found.adversarial, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.05), ("l2", 0.35)])
def test_adaptive_steps_find_no_less_in_fewer_queries(norm, epsilon):
    model, images = relu(), batch(30)
    labels = predicted(model, images)
    adaptive, constant = (
        PGD(norm=norm, epsilon=epsilon, step_rule=rule)(model, images, labels)
        for rule in STEP_RULES
    )
    assert adaptive.success.sum() >= constant.success.sum()
    both = adaptive.success & constant.success
    assert adaptive.n_queries[both].sum() < constant.n_queries[both].sum()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("targeted", [False, True])
def test_results_are_what_they_say(dtype, norm, targeted):
    model, images = relu(dtype), batch(dtype=dtype)
    labels = predicted(model, images)
    targets = (labels + 1) % 4 if targeted else None
    epsilon = (0.08 if norm == "linf" else 0.6) * (1 + targeted)
    attack = PGD(norm=norm, epsilon=epsilon, restarts=1)
    found = attack(model, images, labels, targets=targets)
    assert found.adversarial.dtype == dtype
    assert found.adversarial.min() >= 0
    assert found.adversarial.max() <= 1
    exact = size(found.adversarial.double(), images.double(), norm)
    assert (exact <= epsilon).all()
    success = found.success
    assert 4 < success.sum() <= 12
    torch.testing.assert_close(found.distance[success], exact[success].to(dtype))
    assert found.distance[~success].isinf().all()
    after = predicted(model, found.adversarial)
    wanted = after == targets if targeted else after != labels
    assert wanted[success].all()
    assert torch.equal(found.adversarial[~success], images[~success])
    assert (found.n_gradients < found.n_queries).all()


def test_queries_are_counted():
    asked = []

    def model(images):
        asked.append((len(images), images.requires_grad))
        return relu()(images)

    images = batch(5)
    labels = predicted(relu(), images)
    found = PGD(epsilon=0.001, steps=7, restarts=2)(model, images, labels)
    # Checks of the model: 3 + 3 + 1. Per image: the clean image, then 7 + 1 per run.
    assert not found.success.any()
    assert found.n_queries.tolist() == [1 + 3 * 8] * 5
    assert found.n_gradients.tolist() == [3 * 7] * 5
    assert sum(n for n, _ in asked) == 7 + 5 * (1 + 3 * 8)
    assert sum(n for n, graph in asked if graph) == 5 * 3 * 7


def test_arrays_in_arrays_out():
    model, images = relu(torch.float32), batch(4, torch.float32)
    labels = predicted(model, images)
    tensors = PGD(epsilon=0.05)(model, images, labels)
    arrays = PGD(epsilon=0.05)(model, images.numpy(), labels.numpy())
    for of_tensor, of_array in zip(tensors[:6], arrays[:6], strict=True):
        assert isinstance(of_array, np.ndarray)
        np.testing.assert_array_equal(of_array, np.asarray(of_tensor))


@pytest.mark.parametrize("norm", NORMS)
def test_neither_split_nor_threads_change_a_result(norm):
    model, images = relu(), batch(9)
    labels = predicted(model, images)
    attack = PGD(norm=norm, epsilon=0.03 if norm == "linf" else 0.2, restarts=2)
    options = {"seed": 5, "deterministic": True}
    whole = attack(model, images, labels, **options)
    split = attack(model, images, labels, batch_size=2, **options)
    parts = [
        attack(model, images[i:j], labels[i:j], first_index=i, **options)
        for i, j in ((0, 4), (4, 9))
    ]
    n_threads = nf.num_threads()
    nf.set_num_threads(1)
    alone = attack(model, images, labels, **options)
    nf.set_num_threads(n_threads)
    joined = torch.cat([part.adversarial for part in parts])
    for other in (split.adversarial, alone.adversarial, joined):
        assert torch.equal(whole.adversarial, other)


class Recorder(nn.Module):
    """Records all its inputs."""

    def __init__(self):
        super().__init__()
        self.inner, self.asked = relu(), []

    def forward(self, images):
        self.asked.append(images.detach().clone())
        return self.inner(images)


def points(seed, first_index=0, restarts=1, epsilon=0.01):
    """Return all points at which the attack evaluates an image without success."""
    model, images = Recorder(), batch(1)
    attack = PGD(epsilon=epsilon, steps=3, restarts=restarts)
    attack(model, images, predicted(relu(), images), seed=seed, first_index=first_index)
    return torch.cat(model.asked)[6:]  # after the checks of the model


def test_restarts_draw_from_the_stream_of_their_image():
    one = points(1)
    assert torch.equal(one, points(1))
    for other in (points(2), points(1, first_index=1)):
        assert torch.equal(one[:6], other[:6])  # the first run draws nothing
        assert not torch.equal(one[6], other[6])
    assert (one - one[0]).abs().max() <= 0.01
    scattered = points(3, restarts=40)[6::4] - one[0]
    assert scattered.abs().max() > 0.0099
    assert abs(scattered.mean()) < 0.0005  # its standard deviation is 0.0001


def test_an_adversarial_image_stays_as_it_is():
    model, images = relu(), batch(4)
    labels = predicted(model, images)
    labels[1] = (labels[1] + 1) % 4
    found = PGD()(model, images, labels)
    assert found.status[1] == "already_adversarial"
    assert found.distance[1] == 0
    assert found.success[1]
    assert found.n_queries[1] == 1


def test_a_constant_model_has_no_gradient():
    found = PGD(restarts=1)(
        lambda x: torch.tensor([[1.0, 0.0]]) + 0 * x.sum((1, 2, 3))[:, None],
        batch(2, torch.float32),
        [0, 0],
    )
    assert set(found.status) == {"zero_gradient"}
    assert not found.success.any()
    assert found.n_queries.tolist() == [3, 3]


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
    clean = PGD(epsilon=0.05)(model, images, labels)
    images[2, 0, 0, 0] = 0.95
    found = PGD(epsilon=0.05)(model, images, labels)
    assert found.status[2] == "not_finite"
    assert found.distance[2] == float("inf")
    others = [0, 1, 3, 4, 5]
    torch.testing.assert_close(found.distance[others], clean.distance[others])


def test_of_several_budgets_the_smallest_that_suffices():
    model, images = linear(), batch()
    labels = predicted(model, images)
    weight, bias = model[1].weight.detach(), model[1].bias.detach()
    normal = weight[0] - weight[1]
    height = images.flatten(1) @ normal + bias[0] - bias[1]
    exact = (height.abs() / normal.abs().sum()).numpy()
    budgets = np.linspace(0, exact.max() * 0.9, 13)[1:]
    found = PGD(epsilon=budgets[::-1])(model, images, labels)
    at = np.searchsorted(budgets, exact)
    least = np.append(budgets, np.inf)[at]
    np.testing.assert_array_equal(found.success, least < np.inf)
    assert found.success.sum() == 8
    reached = np.asarray(found.success)
    distance = np.asarray(found.distance)[reached]
    assert (distance <= least[reached]).all()
    assert (distance >= exact[reached]).all()


def test_margin_and_probability_count():
    model, images = relu(), batch()
    labels = predicted(model, images)
    options = {"margin": 0.05, "min_probability": 0.3}
    found = PGD(epsilon=0.2)(model, images, labels, **options)
    with torch.no_grad():
        logits = model(found.adversarial)
    top = logits.topk(2).values
    assert found.success.all()
    assert (logits.argmax(1) != labels).all()
    assert (logits.softmax(1).amax(1) >= 0.3 - 1e-9).all()
    own = logits.gather(1, labels[:, None])[:, 0]
    assert (top[:, 0] - own > 0.05 - 1e-9).all()


def test_without_early_stop_all_steps_are_taken():
    model, images = relu(), batch(6)
    labels = predicted(model, images)
    found = PGD(epsilon=0.1, steps=9, early_stop=False)(model, images, labels)
    assert found.success.all()
    assert found.n_queries.tolist() == [1 + 10 + 1] * 6


def test_the_model_is_left_as_found():
    layers = nn.Flatten(), nn.Linear(90, 30), nn.BatchNorm1d(30), nn.Linear(30, 4)
    model = nn.Sequential(*layers).double().train()
    model[1].bias.requires_grad_(False)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = batch()
    with torch.no_grad():
        PGD()(model, images, [0] * len(images))
    assert all(module.training for module in model.modules())
    assert not model[1].bias.requires_grad
    assert all((parameter.grad == 7.0).all() for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not images.requires_grad


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"norm": "l1"}, ValueError, "norm: got 'l1', expected one of 'linf', 'l2'"),
        ({"step_rule": "mine"}, ValueError, "step_rule: got 'mine'"),
        ({"epsilon": 0.0}, ValueError, "epsilon: got 0.0"),
        ({"epsilon": float("nan")}, ValueError, "epsilon: got nan"),
        ({"epsilon": float("inf")}, ValueError, "epsilon: got inf"),
        ({"epsilon": [0.1, -0.1]}, ValueError, "epsilon: got -0.1"),
        ({"epsilon": []}, ValueError, "epsilon: got no budgets"),
        ({"steps": 0}, ValueError, "steps: got 0"),
        ({"steps": 1.5}, TypeError, "steps: got float"),
        ({"restarts": -1}, ValueError, "restarts: got -1"),
        ({"step_size": 0.0}, ValueError, "step_size: got 0.0"),
        ({"step_size": float("nan")}, ValueError, "step_size: got nan"),
    ],
)
def test_bad_settings_are_said(changes, error, message):
    with pytest.raises(error, match=message):
        PGD(**changes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"starting_points": batch(3)}, ValueError, "starting_points: not used by PGD"),
        ({"candidates": batch(3)}, ValueError, "candidates: not used by PGD"),
        ({"labels": [0, 1]}, ValueError, "labels: got 2, expected 3"),
        ({"targets": [1, 3, 1]}, ValueError, "targets: got 3 for image 1"),
        ({"model": lambda x: relu()(x).detach()}, nf.ModelError, "without a graph"),
    ],
)
def test_bad_input_is_said(changes, error, message):
    arguments = {"model": relu(), "images": batch(3), "labels": [3, 3, 3]} | changes
    with pytest.raises(error, match=message):
        PGD()(**arguments)


def test_progress_is_silent_unless_asked_and_ends_at_its_total(terminal):
    model, images = relu(), batch(5)
    labels = predicted(model, images)
    attack = PGD(epsilon=(0.02, 0.05, 0.1), steps=10, restarts=1)
    attack(model, images, labels)
    captured = terminal.readouterr()
    assert captured.out + captured.err == ""
    attack(model, images, labels, progress=True)
    assert "330/330" in terminal.readouterr().err


@pytest.mark.cuda
def test_on_a_cuda_device():
    model, images = relu(torch.float32), batch(6, torch.float32)
    labels = predicted(model, images)
    on_host = PGD(epsilon=0.05)(model, images, labels)
    model.cuda()
    found = PGD(epsilon=0.05)(model, images.cuda(), labels.cuda())
    assert found.adversarial.is_cuda
    assert torch.equal(found.success.cpu(), on_host.success)
