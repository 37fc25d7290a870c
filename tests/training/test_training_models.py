"""Training of users' networks: in-place changes, half precision, containers."""

import numpy as np
import pytest
import torch
from helpers.training import SHORT, network, problem
from torch import nn

import neurofreq as nf
from neurofreq import training
from neurofreq.training import CoTraining


def pull(model, images, layers=("0", "4"), **keywords):
    target = nf.neural.pixel_similarity(images)
    return nf.SimilarityRegularizer(model, list(layers), target, images, **keywords)


class InPlace(nn.Module):
    """Write the normalized images into the input."""

    def __init__(self):
        super().__init__()
        self.net = network()

    def forward(self, images):
        return self.net(images.sub_(0.5).div_(0.2))


@pytest.mark.parametrize(
    "change",
    [{}, {"validation": 0.2}, {"adversary": "linf", "validation": 0.2},
     {"noise": 0.1}, {"augmix": True, "consistency": 1.0}, {"joint": True}],
)  # fmt: skip
def test_a_network_that_writes_into_its_images_changes_none_of_the_user_s(change):
    images, labels = problem(40)
    before = images.clone()
    given = images.numpy()
    model = InPlace()
    one = pull(model, images, ("net.0",))
    recipe = SHORT.replace(epochs=1, **change)
    training.fit(model, given, labels, recipe, regularizer=one)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    nf.training_step(model, optimizer, images, labels)
    assert torch.equal(images, before)
    assert torch.equal(one.stimuli, before)


def test_an_adversary_sees_the_image_that_it_moved():
    images, labels = problem(20)

    class OutOfPlace(InPlace):
        def forward(self, images):
            return self.net((images - 0.5) / 0.2)

    found = []
    for kind in (InPlace, OutOfPlace):
        draws = torch.Generator().manual_seed(0)
        model = kind().eval()
        found.append(training.Adversary().perturb(model, images, labels, draws))
    torch.testing.assert_close(*found)


def test_an_augmentation_may_write_into_what_it_is_given():
    images, labels = problem(40)
    before = images.clone()
    training.fit(
        network(), images, labels, SHORT, augment=lambda part, _: part.mul_(0.5)
    )
    assert torch.equal(images, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_regularizer_cast_to_halves_keeps_its_numbers(dtype):
    images, _ = problem()
    model = network()
    holder = nn.ModuleList([model, pull(model, images, all_pairs=True)])
    one = holder[1]
    one.loss()
    before = {name: value.clone() for name, value in one.named_buffers()}
    holder.to(dtype)
    for name, value in one.named_buffers():
        assert torch.equal(value, before[name]), name
    assert next(model.parameters()).dtype == dtype
    assert one.criterion.logits.dtype == torch.float32
    if dtype == torch.bfloat16:
        loss = one.loss()
        loss.backward()
        assert loss.dtype == torch.float32
        assert model[0].weight.grad.dtype == dtype
        model.float()
        assert one.loss().isfinite()


def test_a_model_in_half_precision_trains_on_images_in_single():
    images, labels = problem(40)
    seen = []

    def augment(part, _):
        seen.append(part.dtype)
        return part

    model = network().bfloat16()
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0].dtype))
    recipe = SHORT.replace(adversary="linf", validation=0.2)
    responses = images[:, 0, 2, :2] + 0.5
    both = CoTraining(model, "4", responses, images).bfloat16()
    rows = training.fit(
        model, images, labels, recipe, regularizer=both, augment=augment
    )
    assert np.isfinite(rows[-1]["responses"])
    assert both.responses.dtype == both.readout.weights.dtype == torch.float32
    assert set(seen) == {torch.float32, torch.bfloat16}
    training.fit(network().bfloat16(), images, labels, SHORT.replace(augmix=True))
    assert len(nf.neural.teacher_similarity(model, "0", images)) == 40


class Answer:
    def __init__(self, logits):
        self.logits = logits


class Contained(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.net, self.kind = network(), kind

    def forward(self, images):
        return self.kind(self.net(images))


@pytest.mark.parametrize("kind", [Answer, lambda logits: {"logits": logits}])
@pytest.mark.parametrize("change", [{}, {"joint": True}, {"adversary": "l2"}])
def test_logits_in_a_container_are_taken(kind, change):
    images, labels = problem(40)
    recipe = SHORT.replace(epochs=1, validation=0.2, **change)
    rows = []
    for model in (Contained(kind), Contained(lambda logits: logits)):
        one = pull(model, images, ("net.0",))
        rows += training.fit(model, images, labels, recipe, regularizer=one)
    assert rows[0] == rows[1]


def test_other_containers_are_refused():
    images, labels = problem(40)
    with pytest.raises(nf.ModelError, match="model: got tuple, expected a tensor"):
        training.fit(Contained(lambda logits: (logits,)), images, labels, SHORT)


class Mine(Exception):
    pass


@pytest.mark.parametrize("error", [Mine, KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("when", ["forward", "backward"])
def test_what_the_user_s_code_raises_comes_out_unchanged(error, when):
    class Raises(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            if when == "forward":
                raise error("mine")
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise error("mine")

    images, labels = problem(40)
    model = network()
    model[0].register_forward_hook(lambda *args: Raises.apply(args[2]))
    one = pull(model, images)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for call in (
        lambda: training.fit(model, images, labels, SHORT, regularizer=one),
        lambda: nf.training_step(model, optimizer, images, labels, one),
        lambda: one.loss().backward(),
    ):
        with pytest.raises(error, match="mine"):
            call()
    assert all(len(module._forward_hooks) < 2 for module in model.modules())


def test_training_without_gradients_is_named():
    images, labels = problem(40)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.no_grad(), pytest.raises(nf.ModelError, match="logits without a graph"):
        nf.training_step(model, optimizer, images, labels)
    with pytest.raises(ValueError, match="model: got no parameter to train"):
        training.fit(network().requires_grad_(False), images, labels, SHORT)
    with pytest.raises(TypeError, match=r"images: got ndarray .*expected a Tensor"):
        nf.training_step(model, optimizer, images.numpy(), labels)


def test_the_check_before_training_draws_nothing():
    images, labels = problem(40)
    model = network()
    model[0].register_forward_hook(lambda *args: args[2] + torch.randn(()))
    state = torch.get_rng_state()
    training.fit(model, images, labels, SHORT)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("as_array", [True, False])
def test_stimuli_in_0_to_255_are_refused(as_array):
    images, _ = problem(12)
    for scale, names in ((255.0, ["divide by 255"]), (1.01, [r"\[0, 1\]"])):
        scaled = images / images.max() * scale
        scaled = scaled.numpy() if as_array else scaled
        for call in (
            lambda given: pull_raw(given),
            lambda given: CoTraining(network(), "4", np.eye(12) + 1, given),
            lambda given: nf.neural.teacher_similarity(network(), "0", given),
        ):
            with pytest.raises(ValueError, match=names[0]):
                call(scaled)
    pull_raw((images - 0.5) / 0.2)  # standardized
    pull_raw(images / images.max() * (1 + 1e-6))
    with pytest.raises(TypeError, match=r"stimuli: got dtype uint8.*divide by 255"):
        pull_raw((images * 255).byte())


def pull_raw(stimuli):
    return nf.SimilarityRegularizer(network(), ["0"], np.eye(12), stimuli)


@pytest.fixture
def meta():
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def made(change):
    """Run every function that makes new tensors, and return the results."""
    with torch.device("cpu"):
        images, labels = problem(40)
        models = [network() for _ in range(3)]
    target = nf.neural.pixel_similarity(images.numpy())
    one = nf.SimilarityRegularizer(models[0], ["0", "4"], target, images.numpy())
    recipe = SHORT.replace(epochs=1, validation=0.2, **change)
    rows = training.fit(models[0], images, labels, recipe, regularizer=one)
    responses = images[:, 0, 2, :2].numpy() + 0.5
    both = CoTraining(models[1], "4", responses, images)
    rows += training.fit(models[1], images, labels.numpy(), recipe, regularizer=both)
    teacher = nf.neural.teacher_similarity(models[2], "0", images)
    return rows, teacher.upper.sum()


CHANGES = [
    {"augment": "shift_turn_flip_and_jitter", "noise": 0.1},
    {"augmix": True, "adversary": "linf"},
    {"adversary": "l2", "schedule": "plateau"},
]


@pytest.mark.parametrize("change", CHANGES)
def test_torch_s_default_device_changes_nothing(change, meta):
    found = made(change)
    torch.set_default_device(None)
    assert made(change) == found


def test_a_predictive_model_is_fitted_whatever_the_default_device(meta):
    rng = np.random.default_rng(0)
    images, trials = rng.random((30, 1, 12, 12)), rng.random((3, 30, 3))
    with torch.device("cpu"):
        responses = nf.neural.Responses(trials)
    settings = {"n_folds": 3, "max_epochs": 1, "n_channels": 2}
    found = nf.neural.PredictiveModel(**settings).fit(images, responses).held_out
    torch.set_default_device(None)
    expected = nf.neural.PredictiveModel(**settings).fit(images, responses).held_out
    np.testing.assert_array_equal(found, expected)
