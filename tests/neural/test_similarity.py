"""The similarity loss and its module: oracles, gradients, bad input."""

import numpy as np
import pytest
import torch
from torch import nn

import neurofreq as nf


def oracle(features, target, pairs, means, logits, half):
    """Compute the formulas of the paper in NumPy, one pair at a time."""
    gamma = np.exp(logits) / np.exp(logits).sum()
    total = 0.0
    for (i, j), goal in zip(pairs, target, strict=True):
        mixture = 0.0
        for layer, mean, weight in zip(features, means, gamma, strict=True):
            shape = (-1,) + (1,) * (layer.ndim - 2)
            a, b = ((layer[at] - mean.reshape(shape)).ravel() for at in (i, j))
            mixture += weight * a @ b / np.sqrt((a @ a) * (b @ b))
        e = 1e-5
        gap = np.log(1 + mixture + e) - np.log(1 - mixture + e)
        gap -= np.log(1 + goal + e) - np.log(1 - goal + e)
        total += (gap * (0.5 if half else 1.0)) ** 2
    return total / len(target)


def problem(seed=0, dtype=torch.float64, n=6):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    features = [draw(n, 3, 4, 5), draw(n, 7), draw(n, 2, 9)]
    means = [draw(3), draw(7), draw(2)]
    logits = draw(3)
    target = torch.tanh(draw(n, n))
    target = (target + target.T) / 2
    pairs = torch.tensor([[0, 1], [2, 5], [4, 3], [0, 5]])
    return features, target, pairs, means, logits


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("all_pairs", [True, False])
def test_the_loss_agrees_with_the_formula(half, all_pairs):
    features, matrix, pairs, means, logits = problem()
    if all_pairs:
        pairs = torch.combinations(torch.arange(6))
    target = matrix[pairs[:, 0], pairs[:, 1]]
    ours = nf.similarity_loss(
        features,
        matrix if all_pairs else target,
        pairs=None if all_pairs else pairs,
        means=means,
        logits=logits,
        half=half,
    )
    arrays = [[tensor.numpy() for tensor in group] for group in (features, means)]
    expected = oracle(
        arrays[0], target.numpy(), pairs.tolist(), arrays[1], logits.numpy(), half
    )
    assert ours.item() == pytest.approx(expected, rel=1e-12)


def test_without_the_half_the_loss_is_four_times_as_large():
    features, matrix, *_ = problem()
    with_half, without = (
        nf.similarity_loss(features, matrix, half=half).item() for half in (True, False)
    )
    assert without == pytest.approx(4.0 * with_half, rel=1e-12)
    mixture = torch.linspace(-0.9, 0.9, 7, dtype=torch.float64)
    # Two unit vectors at a known angle and a target of 0: the loss is arctanh squared.
    for x in mixture:
        pair = torch.stack(
            [torch.tensor([1.0, 0.0]), torch.stack([x, (1 - x**2).sqrt()])]
        ).double()
        loss = nf.similarity_loss(pair, torch.eye(2).double())
        assert loss.item() == pytest.approx(torch.atanh(x).item() ** 2, abs=1e-3)


def test_equal_similarities_give_no_loss():
    features, *_ = problem()
    flat = features[0].flatten(1)
    unit = flat / flat.norm(dim=1, keepdim=True)
    loss = nf.similarity_loss(features[0], (unit @ unit.T).clamp(-1, 1))
    assert loss.item() < 1e-20


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("all_pairs", [True, False])
def test_gradients_are_right(half, all_pairs):
    features, matrix, pairs, means, logits = problem(n=6)
    target = matrix if all_pairs else matrix[pairs[:, 0], pairs[:, 1]]

    def loss(logits, *features):
        return nf.similarity_loss(
            features,
            target,
            pairs=None if all_pairs else pairs,
            means=means,
            logits=logits,
            half=half,
        )

    inputs = [tensor.requires_grad_() for tensor in (logits, *features)]
    assert torch.autograd.gradcheck(loss, inputs)


def test_pairs_that_come_twice_count_twice():
    features, matrix, _, means, logits = problem(n=4)
    pairs = torch.tensor([[0, 1], [1, 0], [0, 1], [3, 1]])
    target = matrix[pairs[:, 0], pairs[:, 1]]

    def loss(*features):
        return nf.similarity_loss(
            features, target, pairs=pairs, means=means, logits=logits
        )

    assert torch.autograd.gradcheck(loss, [one.requires_grad_() for one in features])


def test_no_copy_of_the_features_is_kept_for_the_backward_pass():
    features = [torch.rand(8, 3, 40, 40, requires_grad=True) for _ in range(2)]
    known = {feature.untyped_storage().data_ptr() for feature in features}
    kept = []

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in known:
            kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        nf.similarity_loss(features, torch.eye(8))
    assert sum(kept) < features[0].numel() / 10


@pytest.mark.parametrize("all_pairs", [True, False])
def test_gradients_of_gradients_are_right(all_pairs):
    features, matrix, pairs, means, logits = problem(n=5)
    pairs = pairs.clamp_max(4)
    target = matrix if all_pairs else matrix[pairs[:, 0], pairs[:, 1]]

    def loss(logits, *features):
        given = None if all_pairs else pairs
        return nf.similarity_loss(
            features, target, pairs=given, means=means[1:], logits=logits
        )

    inputs = [one.requires_grad_() for one in (logits[1:].clone(), *features[1:])]
    assert torch.autograd.gradgradcheck(loss, inputs)


def test_a_gradient_penalty_goes_through_layers_that_depend_on_each_other():
    features, matrix, *_ = problem()
    weight = torch.linspace(0.5, 1.5, 7, dtype=torch.float64)

    def slope(weight, create_graph):
        first = features[1] * weight
        loss = nf.similarity_loss([first, first.tanh()], matrix)
        return torch.autograd.grad(loss, weight, create_graph=create_graph)[0]

    weight.requires_grad_()
    (ours,) = torch.autograd.grad(slope(weight, True).square().sum(), weight)
    step = 1e-5 * torch.eye(7, dtype=torch.float64)
    for k, found in enumerate(ours):
        ends = [weight.detach() + sign * step[k] for sign in (1, -1)]
        up, down = (slope(w.requires_grad_(), False).square().sum() for w in ends)
        assert found.item() == pytest.approx(float(up - down) / 2e-5, rel=1e-4)


def _in_dual_numbers(loss, features):
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(features, torch.ones(6, 3))
        return loss(dual)


@pytest.mark.parametrize("loss", [nf.similarity_loss, nf.SimilarityLoss(1)])
@pytest.mark.parametrize(
    "how",
    [
        lambda loss, x: torch.func.hessian(loss)(x),
        lambda loss, x: torch.func.jvp(loss, (x,), (torch.ones(6, 3),)),
        lambda loss, x: torch.func.vmap(loss)(x[None]),
        _in_dual_numbers,
    ],
    ids=["hessian", "jvp", "vmap", "dual"],
)
def test_only_backward_differentiation_is_taken(how, loss):
    with pytest.raises(RuntimeError, match=r"features: .* torch.autograd gives"):
        how(lambda x: loss(x, torch.eye(6)), torch.randn(6, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_loss_cast_to_half_precision_stays_in_single(dtype):
    module = nf.SimilarityLoss(2)
    features, matrix, *_ = problem(dtype=torch.float32)
    module(features[:2], matrix)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    nn.ModuleList([module]).to(dtype)
    for name, value in module.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])


def test_no_gradient_reaches_the_means():
    features, matrix, _, means, logits = problem()
    for tensor in (*features, *means, logits):
        tensor.requires_grad_()
    nf.similarity_loss(features, matrix, means=means, logits=logits).backward()
    assert all(layer.grad.abs().sum() > 0 for layer in features)
    assert logits.grad.abs().sum() > 0
    assert all(mean.grad is None for mean in means)


def test_features_without_direction_give_finite_gradients():
    features = torch.ones(4, 3, 5, requires_grad=True)
    mean = torch.ones(3)
    loss = nf.similarity_loss(features, torch.eye(4), means=[mean])
    assert loss.item() == pytest.approx(0.0, abs=1e-12)
    loss.backward()
    assert torch.equal(features.grad, torch.zeros_like(features))
    same = torch.randn(1, 8).expand(4, 8).clone().requires_grad_()
    loss = nf.similarity_loss(same, torch.full((4, 4), -1.0))
    loss.backward()
    assert np.isfinite(loss.item())
    assert torch.isfinite(same.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_are_widened(dtype):
    features, matrix, *_ = problem(dtype=dtype)
    loss = nf.similarity_loss(features, matrix)
    assert loss.dtype == torch.float32
    wide = nf.similarity_loss([layer.float() for layer in features], matrix)
    assert loss.item() == pytest.approx(wide.item(), rel=1e-6)


def test_autocast_does_not_reach_the_loss():
    features, matrix, *_ = problem(dtype=torch.float32)
    plain = nf.similarity_loss(features, matrix)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = nf.similarity_loss(features, matrix)
    assert inside.dtype == torch.float32
    assert inside.item() == plain.item()


F = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))
EYE = torch.eye(4)
PAIRS = torch.tensor([[0, 1]])


@pytest.mark.parametrize(
    ("features", "target", "keywords", "error", "message"),
    [
        ([], EYE, {}, ValueError, "features: got no layer"),
        (F[:1], EYE[:1, :1], {}, ValueError, "features: got 1 image"),
        (F[:, 0, 0], EYE, {}, ValueError, r"features: got shape \(4,\)"),
        ([F, F[:2]], EYE, {}, ValueError, "got layers of 4 and 2 images"),
        (F.int(), EYE, {}, TypeError, "features: got dtype torch.int32"),
        ([F.numpy()], EYE, {}, TypeError, "features: got ndarray"),
        (F, EYE.numpy(), {}, TypeError, "target: got ndarray"),
        (F, EYE.bool(), {}, TypeError, "target: got dtype torch.bool"),
        (F, EYE, {"means": [np.zeros(3)]}, TypeError, "means: got ndarray"),
        (F, EYE, {"logits": np.zeros(1)}, TypeError, "logits: got ndarray"),
        (F, EYE[:3], {}, ValueError, r"target: got shape \(3, 4\)"),
        (F, EYE * 1.1, {}, ValueError, r"target: got values in \[0, 1.1\]"),
        (F, EYE * np.nan, {}, ValueError, "target: got values in"),
        (
            F,
            EYE.triu(-1).roll(1, 0),
            {},
            ValueError,
            "target: got a matrix that is not",
        ),
        (F, EYE, {"pairs": PAIRS}, ValueError, r"target: got shape \(4, 4\)"),
        (F, EYE[0, :1], {"pairs": PAIRS + 3}, ValueError, "from 3 to 4, expected 0 to"),
        (F, EYE[0, :1], {"pairs": PAIRS.T}, ValueError, r"pairs: got shape \(2, 1\)"),
        (F, EYE[0, :1], {"pairs": PAIRS.float()}, TypeError, "pairs: got torch.float3"),
        (F, EYE, {"means": []}, ValueError, "means: got 0, expected 1"),
        (F, EYE, {"means": [torch.zeros(5)]}, ValueError, r"expected \(3,\), one per"),
        (F, EYE, {"logits": torch.zeros(2)}, ValueError, r"logits: got shape \(2,\)"),
    ],
)
def test_bad_features_are_named(features, target, keywords, error, message):
    with pytest.raises(error, match=message):
        nf.similarity_loss(features, target, **keywords)


# The module.


def test_running_means_follow_the_recurrence_in_training_only():
    module = nf.SimilarityLoss(2)
    expected = [np.zeros(3), np.zeros(7)]
    for step in range(3):
        features, matrix, *_ = problem(step)
        pair = [features[0].requires_grad_(), features[1]]
        module(pair, matrix).backward()
        for index, axes in ((0, (0, 2, 3)), (1, 0)):
            batch = features[index].detach().numpy().mean(axis=axes)
            expected[index] = 0.9 * expected[index] + 0.1 * batch
        np.testing.assert_allclose(module.mean_0.numpy(), expected[0], rtol=1e-12)
        np.testing.assert_allclose(module.mean_1.numpy(), expected[1], rtol=1e-12)
        assert not module.mean_0.requires_grad
    module.eval()
    loss = module(pair, matrix)
    np.testing.assert_allclose(module.mean_0.numpy(), expected[0], rtol=1e-12)
    direct = nf.similarity_loss(pair, matrix, means=[module.mean_0, module.mean_1])
    assert loss.item() == direct.item()


def test_layer_weights_start_equal_sum_to_one_and_train():
    module = nf.SimilarityLoss(3)
    torch.testing.assert_close(module.layer_weights, torch.full((3,), 1 / 3))
    features, matrix, *_ = problem(dtype=torch.float32)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = module(features, matrix)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[1]
    assert module.layer_weights.sum().item() == pytest.approx(1.0)
    assert module.layer_weights.min() > 0


def test_the_state_survives_saving():
    module = nf.SimilarityLoss(2)
    features, matrix, *_ = problem(dtype=torch.float32)
    module(features[:2], matrix)
    copy = nf.SimilarityLoss(2)
    copy.load_state_dict(module.state_dict())
    assert copy.eval()(features[:2], matrix).item() == pytest.approx(
        module.eval()(features[:2], matrix).item()
    )


def test_features_turned_nan_are_named_and_leave_the_means():
    module = nf.SimilarityLoss(2)
    features, matrix, *_ = problem(dtype=torch.float32)
    module(features[:2], matrix)
    before = module.mean_1.clone()
    features[1][0] = np.nan
    with pytest.raises(nf.ModelError, match="infinite values in layer 1"):
        module(features[:2], matrix)
    assert torch.equal(module.mean_1, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0,), "n_layers: got 0"), ((1, 1.0), "beta: got 1.0"), ((1, -0.1), "beta: got")],
)
def test_bad_settings_are_named(arguments, message):
    keywords = {"beta": arguments[1]} if len(arguments) > 1 else {}
    with pytest.raises(ValueError, match=message):
        nf.SimilarityLoss(arguments[0], **keywords)
    with pytest.raises(TypeError, match="n_layers: got float"):
        nf.SimilarityLoss(1.5)
    with pytest.raises(ValueError, match="features: got 1 layers, expected 2"):
        nf.SimilarityLoss(2)([F], EYE)
