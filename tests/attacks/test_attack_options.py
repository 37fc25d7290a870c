"""Options that all attacks share: criteria, starts, deterministic mode, devices."""

import numpy as np
import pytest
import torch
from torch import nn

import neurofreq as nf
from neurofreq import models

ATTACK = nf.attacks.BrendelBethge()


def relu(dtype=torch.float64):
    torch.manual_seed(1)
    layers = nn.Flatten(), nn.Linear(90, 40), nn.ReLU(), nn.Linear(40, 4)
    return nn.Sequential(*layers).to(dtype)


def batch(n=12, dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    return torch.rand(n, 3, 6, 5, generator=generator, dtype=dtype) * 0.6 + 0.2


def logits(model, images):
    with torch.no_grad():
        return model(images)


def test_a_margin_is_kept_and_costs_distance():
    model, images = relu(), batch()
    labels = logits(model, images).argmax(1)
    plain = ATTACK(model, images, labels)
    found = ATTACK(model, images, labels, margin=0.2)
    after = logits(model, found.adversarial)
    own = after.gather(1, labels[:, None])[:, 0]
    assert (after.amax(1) - own > 0.2).all()
    assert (found.distance > plain.distance).all()
    assert found.success.all()


@pytest.mark.parametrize("targeted", [False, True])
def test_a_probability_is_kept(targeted):
    model, images = relu(), batch()
    model[3].weight.data *= 10.0  # large logits give high probabilities
    labels = logits(model, images).argmax(1)
    targets = (labels + 1) % 4 if targeted else None
    found = ATTACK(model, images, labels, targets=targets, min_probability=0.6)
    probability = logits(model, found.adversarial).softmax(1)
    assert found.success.all()
    if targeted:
        assert (probability.gather(1, targets[:, None]) >= 0.6 - 1e-9).all()
    else:
        assert (probability.amax(1) >= 0.6 - 1e-9).all()
        assert (probability.argmax(1) != labels).all()


def test_a_criterion_of_ones_own():
    model, images = relu(), batch()
    labels = logits(model, images).argmax(1)
    level = logits(model, images)[:, 2] + 0.3
    seen = []

    def raised(points, outputs, index):
        assert len(points) == len(outputs) == len(index)
        seen.append(index)
        return level[index] - outputs[:, 2]

    found = ATTACK(model, images, labels, criterion=raised)
    assert found.success.all()
    assert (logits(model, found.adversarial)[:, 2] > level).all()
    assert {int(i) for index in seen for i in index} == set(range(12))

    def same(points, outputs):
        own = outputs.gather(1, labels[:1, None].expand(len(outputs), 1))[:, 0]
        rest = outputs.clone()
        rest[:, labels[0]] = -torch.inf
        return own - rest.amax(1)

    mine = ATTACK(model, images[:1], labels[:1], criterion=same)
    usual = ATTACK(model, images[:1], labels[:1])
    torch.testing.assert_close(mine.distance, usual.distance, rtol=0.02, atol=0)


def test_a_third_parameter_with_a_default_is_not_given_the_index():
    model, images = relu(), batch(4)

    def by_default(points, outputs, threshold=0.3):
        return threshold - outputs.softmax(1)[:, 2]

    def by_name(points, outputs, index=None):
        assert len(index) == len(points)
        return by_default(points, outputs)

    class Called:
        @property
        def __signature__(self):  # a callable written in C has none
            raise ValueError

        def __call__(self, points, outputs):
            return by_default(points, outputs)

    expected = ATTACK(
        model, images, [0] * 4, criterion=lambda x, z: by_default(x, z)
    ).distance
    assert expected.isfinite().any()
    for criterion in (by_default, by_name, Called()):
        found = ATTACK(model, images, [0] * 4, criterion=criterion)
        assert torch.equal(found.distance, expected)


def test_the_index_counts_from_the_first():
    model, images = relu(), batch(3)
    seen = set()

    def noted(points, outputs, index):
        seen.update(index.tolist())
        return 0.3 - outputs.softmax(1)[:, 2]

    ATTACK(model, images, [0, 0, 0], criterion=noted, first_index=7)
    assert seen == {7, 8, 9}


@pytest.mark.parametrize(
    ("criterion", "error", "message"),
    [
        (3, TypeError, "criterion: got int, expected a callable"),
        (lambda x, z: z, ValueError, r"criterion: got a tensor of shape \[3, 4\]"),
        (lambda x, z: z[:, 0] > 0, TypeError, "differentiable"),
        (lambda x, z: 1.0, nf.ModelError, "criterion: got float"),
    ],
)
def test_bad_criteria_are_said(criterion, error, message):
    model, images = relu(), batch(3)
    with pytest.raises(error, match=message):
        ATTACK(model, images, [0, 0, 0], criterion=criterion)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"margin": -1.0}, "margin: got -1.0"),
        ({"margin": float("nan")}, "margin: got nan"),
        ({"min_probability": 1.0}, r"min_probability: got 1.0, expected \[0, 1\)"),
    ],
)
def test_bad_limits_are_said(changes, message):
    with pytest.raises(ValueError, match=message):
        ATTACK(relu(), batch(3), [0, 0, 0], **changes)


def convolutional(seed=0):
    torch.manual_seed(seed)
    layers = (
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(5),
    )
    model = nn.Sequential(*layers)
    model(torch.rand(64, 3, 12, 12))  # set the running statistics and lazy shapes
    return model.eval()


def photos(n=7):
    generator = torch.Generator().manual_seed(4)
    return torch.rand(n, 3, 12, 12, generator=generator) * 0.5 + 0.25


def test_deterministic_mode_gives_equal_bits_for_any_split_and_threads():
    model, images = convolutional(), photos()
    labels = logits(model, images).argmax(1)
    attack = nf.attacks.BrendelBethge(steps=40)
    whole = attack(model, images, labels, deterministic=True)
    assert whole.success.all()
    threads = nf.num_threads()
    try:
        for size, count in ((1, 1), (3, 2), (128, 1)):
            nf.set_num_threads(count)
            other = attack(model, images, labels, deterministic=True, batch_size=size)
            assert torch.equal(whole.adversarial, other.adversarial)
            assert torch.equal(whole.n_queries, other.n_queries)
    finally:
        nf.set_num_threads(threads)


def test_several_starts_and_restarts_do_not_hurt():
    model, images = relu(), batch()
    labels = logits(model, images).argmax(1)
    one = ATTACK(model, images, labels)
    several = nf.attacks.BrendelBethge(n_starts=3, restarts=2)
    more = several(model, images, labels)
    # The first walk starts at the nearest boundary point among more starts.
    assert more.distance.median() <= one.distance.median() * 1.001
    assert (more.n_gradients > one.n_gradients).all()
    pool = several(model, images, labels, candidates=batch(40))
    assert pool.success.all()


def test_rows_of_the_pool_that_are_no_start_are_passed_over():
    model, images, pool = relu(), batch(), batch(40)
    model[3].bias.data -= logits(model, pool).mean(0)  # every class is predicted
    labels, of_pool = logits(model, images).argmax(1), logits(model, pool)
    lead = of_pool.amax(1) - of_pool[:, labels].T  # (image, row)
    margin = 0.9 * float(lead.amax(1).min())
    starts, others = (lead > margin).sum(1), (lead > 0).sum(1)
    assert ((starts > 0) & (starts < others / 2)).all()
    few = nf.attacks.BrendelBethge(steps=20)
    found = few(model, images, labels, margin=margin, candidates=pool)
    assert found.success.all()


def test_with_a_criterion_every_row_of_the_pool_may_be_drawn():
    model, images, pool = relu(), batch(4), batch(40)
    level = logits(model, pool)[:, 2].sort().values[-3]

    def high(points, outputs):
        return level - outputs[:, 2] - 1e-9

    labels = [2, 2, 2, 2]  # without a criterion, no row of the pool is a start
    few = nf.attacks.BrendelBethge(steps=20)
    found = few(model, images, labels, criterion=high, candidates=pool)
    assert found.success.all()
    none = few(model, images, labels, criterion=high, candidates=images)
    assert set(none.status) == {"no_start"}
    assert none.n_queries.tolist() == [5, 5, 5, 5]


def test_logits_of_minus_infinity_are_no_reason_to_refuse_a_row():
    inner, images = relu(), batch(6)
    mask = torch.zeros(4, dtype=torch.float64)
    mask[3] = -torch.inf

    def model(x):
        return inner(x) + mask

    labels = logits(model, images).argmax(1)
    found = ATTACK(model, images, labels, candidates=batch(40))
    assert set(found.status) == {"completed"}


def test_deterministic_mode_sends_the_pool_one_by_one():
    inner, images, sizes = relu(), batch(4), set()
    labels = logits(inner, images).argmax(1)

    def model(x):
        sizes.add(len(x))
        return inner(x)

    few = nf.attacks.BrendelBethge(steps=3)
    few(model, images, labels, candidates=batch(10), deterministic=True)
    assert sizes == {1}


@pytest.mark.parametrize("source", ["search", "pool"])
@pytest.mark.parametrize("attack", [ATTACK, nf.attacks.Boundary(max_queries=200)])
def test_a_model_may_write_into_its_images(attack, source):
    inner, images = relu(), batch(4)
    pool = batch(40) if source == "pool" else None
    before = images.clone()

    def fresh(x):
        return inner(x.sub(0.5).div(0.3))

    def reused(x):
        return inner(x.sub_(0.5).div_(0.3))

    labels = logits(fresh, images).argmax(1)
    expected = attack(fresh, images, labels, candidates=pool)
    found = attack(reused, images, labels, candidates=pool)
    assert torch.equal(found.adversarial, expected.adversarial)
    assert torch.equal(images, before)


def test_the_trajectory_falls_to_the_distance():
    model, images = relu(), batch(4)
    labels = logits(model, images).argmax(1)
    found = ATTACK(model, images, labels, trajectory=True)
    assert ATTACK(model, images, labels).trajectory is None
    for row, path in enumerate(found.trajectory):
        assert path.shape[1] == 2
        assert (np.diff(path[:, 0]) >= 0).all()
        assert (np.diff(path[:, 1]) < 0).all()
        # The final confirmation may increase the distance by a factor of 1e-4.
        assert path[-1, 1] == pytest.approx(float(found.distance[row]), rel=2e-4)


def test_channels_last_and_autocast_reach_the_model():
    model, images = convolutional(), photos()
    labels = logits(model, images).argmax(1)
    plain = ATTACK(model, images, labels)
    seen = []

    class Watched(nn.Module):
        def forward(self, x):
            last = x.is_contiguous(memory_format=torch.channels_last)
            seen.append((last, torch.is_autocast_enabled("cpu")))
            return model(x)

    found = ATTACK(Watched(), images, labels, channels_last=True)
    assert set(seen) == {(True, False)}
    torch.testing.assert_close(found.distance, plain.distance, rtol=0.05, atol=0)
    seen.clear()
    found = ATTACK(Watched(), images, labels, autocast=torch.bfloat16)
    assert set(seen) == {(False, True)}
    assert found.adversarial.dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")
    torch.testing.assert_close(found.distance, plain.distance, rtol=0.2, atol=0)


def test_dropout_outside_of_modules_is_warned_about():
    model, images = relu(torch.float32), batch(2, torch.float32)

    def random(x):
        return nn.functional.dropout(model(x), 0.5, training=True)

    with pytest.warns(UserWarning, match="two equal calls"):
        ATTACK(random, images, [0, 0])


def test_folding_batch_norm_changes_nothing_but_the_model():
    model, images = convolutional(), photos()
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = models.fold_batch_norm(model, images)
    assert model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    model.eval()
    expected = logits(model, images)
    difference = (logits(folded, images) - expected).abs().max()
    assert difference <= 1e-5 * expected.abs().max()


def test_a_resnet_is_folded():
    model = models.resnet18_gray(base_width=4).eval()
    folded = models.fold_batch_norm(model, torch.rand(2, 1, 32, 32))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())


def test_rounding_behind_a_strong_blur_is_no_wrong_fold():
    images = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    folded = models.fold_batch_norm(models.load_model("zoo:blur-3.0"), images)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())


@pytest.mark.parametrize("raised", [KeyError("mine"), StopIteration(), ValueError()])
def test_folding_lets_out_what_the_model_raises(raised):
    class Failing(nn.Module):
        def forward(self, x):
            raise raised

    with pytest.raises(type(raised)) as found:
        models.fold_batch_norm(Failing(), torch.rand(1, 1, 4, 4))
    assert found.value is raised


def test_a_batch_norm_that_is_called_by_keyword_is_folded():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(1, 3, 3)
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x):
            return self.norm(input=self.convolution(x)).mean((2, 3))

    folded = models.fold_batch_norm(Named(), torch.rand(1, 1, 4, 4))
    assert not any(isinstance(one, nn.BatchNorm2d) for one in folded.modules())


def test_what_cannot_be_folded_is_said():
    class Branching(nn.Module):
        def forward(self, x):
            return x.flatten(1) if x.sum() > 0 else -x.flatten(1)

    with pytest.raises(ValueError, match="cannot be traced"):
        models.fold_batch_norm(Branching(), torch.rand(1, 1, 4, 4))
    with pytest.raises(ValueError, match="differ by"):
        models.fold_batch_norm(convolutional(), photos(), tolerance=0.0)
