"""Similarity of responses, the loss and the regularizer: oracles and bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import neurofreq as nf

# Responses.


def brute_force(responses, weights):
    centred = (responses - responses.mean(axis=0)) * weights
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit @ unit.T


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 300),
    k=st.integers(2, 40),
    dtype=st.sampled_from([np.float32, np.float64]),
    offset=st.sampled_from([0.0, 100.0]),
    seed=st.integers(0, 1000),
)
def test_response_similarity_agrees_with_numpy(n, k, dtype, offset, seed):
    rng = np.random.default_rng(seed)
    responses = (rng.gamma(2.0, size=(n, k)) + offset).astype(dtype)
    weights = rng.uniform(0.1, 3.0, size=k)
    ours = nf.response_similarity(responses, weights=weights)
    assert ours.dtype == dtype
    expected = brute_force(responses.astype(np.float64), weights)
    bound = 1e-5 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(ours, expected, rtol=0, atol=bound)
    np.testing.assert_array_equal(ours, ours.T)
    np.testing.assert_array_equal(ours.diagonal(), 1.0)
    assert np.abs(ours).max() <= 1.0


def test_weights_of_zero_remove_a_neuron_and_scale_does_not_matter():
    responses = np.random.default_rng(0).normal(size=(20, 5))
    weights = np.array([1.0, 0.0, 2.0, 0.5, 0.0])
    kept = weights > 0
    np.testing.assert_allclose(
        nf.response_similarity(responses, weights=7 * weights),
        nf.response_similarity(responses[:, kept], weights=weights[kept]),
        atol=1e-14,
    )


def test_integers_lists_and_strides_are_accepted():
    counts = np.random.default_rng(0).poisson(4.0, (30, 12))
    expected = nf.response_similarity(counts.astype(float))
    np.testing.assert_array_equal(nf.response_similarity(counts), expected)
    np.testing.assert_array_equal(nf.response_similarity(counts.tolist()), expected)
    transposed = np.asfortranarray(counts.astype(np.float64))
    np.testing.assert_array_equal(nf.response_similarity(transposed), expected)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 8), st.integers(2, 8), st.integers(1, 6)),
    seed=st.integers(0, 1000),
)
def test_reliability_agrees_with_numpy(shape, seed):
    trials = np.random.default_rng(seed).poisson(3.0, shape) * 1.0
    trials[..., 0] = 0.0  # never fires
    expected = np.zeros(shape[2])
    sigma = trials.mean(axis=0).std(axis=0, ddof=1)
    eta = np.sqrt(trials.var(axis=0, ddof=1).mean(axis=0))
    if ((eta == 0) & (sigma > 0)).any():
        with pytest.raises(ValueError, match="never differ"):
            nf.reliability(trials)
        return
    np.divide(sigma, eta, out=expected, where=eta > 0)
    np.testing.assert_allclose(nf.reliability(trials), expected, rtol=1e-12, atol=0)


def test_missing_trials_do_not_count():
    trials = np.random.default_rng(0).normal(size=(6, 5, 2))
    trials[4:, :, 0] = np.nan  # neuron 0: four trials
    trials[:, 3, 1] = np.nan  # neuron 1: no trial of image 3
    weights = nf.reliability(trials)
    np.testing.assert_allclose(weights[0], nf.reliability(trials[:4, :, :1])[0])
    seen = np.delete(trials, 3, axis=1)
    np.testing.assert_allclose(weights[1], nf.reliability(seen[..., 1:])[0])


R = np.arange(12.0).reshape(4, 3) ** 2


@pytest.mark.parametrize(
    ("responses", "weights", "message"),
    [
        (R[0], None, r"responses: got shape \(3,\), expected \(N, K\)"),
        (R[:1], None, r"got shape \(1, 3\), expected at least 2 images"),
        (R[:, :0], None, "expected at least 2 images and 1 neuron"),
        (R * np.nan, None, "responses: got NaN"),
        (np.full((3, 4), 0.1), None, "image 0 equals the mean over images"),
        (R, [1.0, 2.0], "weights: got 2, expected 3"),
        (R, [[1.0, 1.0, 1.0]], r"weights: got shape \(1, 3\)"),
        (R, [1.0, -1.0, 1.0], "weights: expected finite values"),
        (R, [1.0, np.nan, 1.0], "weights: expected finite values"),
        (R, [0.0, 0.0, 0.0], "weights: got only zeros"),
    ],
)
def test_bad_responses_are_named(responses, weights, message):
    with pytest.raises(ValueError, match=message):
        nf.response_similarity(responses, weights=weights)


T = np.random.default_rng(0).normal(size=(3, 4, 2))


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        (T[0], "trials: got shape"),
        (T[:1], "image 0 has a single trial of neuron 0"),
        (T[:, :1], "got 1 images with trials of neuron 0"),
        (T * np.nan, "got 0 images with trials of neuron 0"),
        (np.where(T[0, 1, 1] == T, np.inf, T), "infinite responses of neuron 1"),
        (np.tile(T[:1], (3, 1, 1)), "neuron 0 never differ"),
    ],
)
def test_bad_trials_are_named(trials, message):
    with pytest.raises(ValueError, match=message):
        nf.reliability(trials)


@pytest.mark.data
@pytest.mark.parametrize(("region", "known"), [(1, 0.46), (2, 0.24), (3, 0.57)])
def test_mouse_v1_recordings_give_the_known_split_half_correlation(
    data_dir, region, known
):
    with np.load(data_dir / "neural" / "mouse_v1_antolik2016.npz") as file:
        trials = file[f"region{region}_trials"].astype(np.float64)
    weights = nf.reliability(trials)
    assert np.isfinite(weights).all()
    assert (weights > 0.0).all()
    target = nf.response_similarity(trials.mean(axis=0), weights=weights)
    np.testing.assert_array_equal(target, target.T)
    np.testing.assert_array_equal(target.diagonal(), 1.0)
    upper = np.triu_indices(len(target), 1)

    def halves(prepare):
        even, odd = (
            nf.response_similarity(prepare(trials[start::2].mean(axis=0)))[upper]
            for start in (0, 1)
        )
        return np.corrcoef(even, odd)[0, 1]

    def correlation_distance(mean):
        """Make the cosine a correlation over neurons of equal variance."""
        z = (mean - mean.mean(axis=0)) / mean.std(axis=0)
        return z - z.mean(axis=1, keepdims=True)

    assert halves(correlation_distance) == pytest.approx(known, abs=0.006)
    # Weighted by reliability the halves agree better, as they should.
    assert halves(lambda mean: weights * mean) > known


# The loss.


def oracle(features, target, pairs, means, logits, half):
    """The formulas of the paper in NumPy, one pair at a time."""
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
    # Two unit vectors at a known angle against a target of 0: arctanh itself.
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
        (F, EYE[:3], {}, ValueError, r"target: got shape \(3, 4\)"),
        (F, EYE * 1.1, {}, ValueError, r"target: got values in \[0, 1.1\]"),
        (F, EYE * np.nan, {}, ValueError, "target: got values in"),
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
    with pytest.raises(ValueError, match="features: got 1 layers, expected 2"):
        nf.SimilarityLoss(2)([F], EYE)


# The regularizer.


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
    target = matrix if all_pairs else matrix[pairs[:, 0], pairs[:, 1]]
    means = [0.1 * f.detach().mean((0, 2, 3)) for f in (stem, body)]
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
        seen += [tuple(images[pair].tolist()) for pair in pairs]
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
        ("stem", TypeError, "layers: got a single string"),
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


S4 = np.eye(4)
X4 = torch.rand(4, 1, 12, 12)


@pytest.mark.parametrize(
    ("similarity", "stimuli", "keywords", "error", "message"),
    [
        (np.eye(1), X4[:1], {}, ValueError, "stimuli: got 1 image"),
        (S4[:3], X4, {}, ValueError, r"similarity: got shape \(3, 4\), expected \(4,"),
        (np.eye(5), X4, {}, ValueError, r"similarity: got shape \(5, 5\)"),
        (S4 + np.eye(4, k=1) / 2, X4, {}, ValueError, "that is not symmetric"),
        (1.01 * S4, X4, {}, ValueError, r"similarity: got values in \[0, 1.01\]"),
        (S4 * np.nan, X4, {}, ValueError, "similarity: got NaN"),
        (S4, X4 * np.nan, {}, ValueError, "stimuli: got NaN"),
        (S4, X4.half(), {}, TypeError, "stimuli: got dtype float16"),
        (S4, X4[:, 0], {}, ValueError, r"stimuli: got shape \(4, 12, 12\)"),
        (S4, X4, {"n_pairs": 0}, ValueError, "n_pairs: got 0"),
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
