"""Passes that read layers: rows, graphs, compiled modules, hooks and threads."""

import copy
import threading
import time

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import neurofreq as nf
from neurofreq._shared.networks import features, passes
from neurofreq.training import CoTraining

N, SIDE = 20, 12
PIXELS = torch.rand(N, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
RESPONSES = PIXELS[:, 0, 0, :2].numpy() + 0.5
TARGET = nf.neural.pixel_similarity(PIXELS)


def pull(model, layers, **keywords):
    return nf.SimilarityRegularizer(model, layers, TARGET, PIXELS, **keywords)


class Tokens(nn.Module):
    """One token per patch; the block has the axes (tokens, images, values)."""

    def __init__(self, n_tokens=9):
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.place = nn.Embedding(n_tokens, 8)
        self.block = nn.Linear(8, 8)
        self.join = nn.Linear(8, 8)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).permute(2, 0, 1)
        places = torch.arange(len(tokens), device=images.device)
        tokens = self.block(tokens + self.place(places)[:, None])
        return self.join(tokens.mean(0))


@pytest.mark.parametrize("all_pairs", [True, False])
def test_rows_that_are_no_images_are_named(all_pairs):
    one = pull(Tokens(), ["join", "block"], all_pairs=all_pairs, n_pairs=3)
    with pytest.raises(nf.ModelError, match=r"'block' returned shape \(9, \d, 8\) for"):
        one.loss()


@pytest.mark.parametrize("layer", ["block", "place"])
def test_as_many_images_as_rows_hide_nothing(layer):
    nine = nf.neural.pixel_similarity(PIXELS[:9])
    one = nf.SimilarityRegularizer(Tokens(), [layer], nine, PIXELS[:9], all_pairs=True)
    with pytest.raises(nf.ModelError, match=r"returned shape \(9, .*for 2 images"):
        one.loss()
    with pytest.raises(nf.ModelError, match=f"layer: '{layer}' returned shape"):
        nf.neural.teacher_similarity(Tokens(), layer, PIXELS[:9])
    with pytest.raises(nf.ModelError, match="layer: 'block' returned shape"):
        CoTraining(Tokens(), "block", RESPONSES, PIXELS)


def test_the_look_at_other_rows_leaves_buffers_gradients_and_random_state():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 2, 3)
    )
    twin = copy.deepcopy(model)
    one = pull(model, ["3"], all_pairs=True, n_pairs=3)
    images, _ = one._draw()
    torch.manual_seed(0)
    one.loss().backward()
    state = torch.get_rng_state()
    torch.manual_seed(0)
    twin(PIXELS[images])
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in twin.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert int(model[1].num_batches_tracked) == 1


class Parts(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how
        self.stem = nn.Conv2d(1, 4, 3)
        self.stage = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
        self.last = nn.Conv2d(4, 4, 3)

    def forward(self, images):
        return self.last(self.through(self.stem(images)))

    def through(self, x):
        if self.how == "reentrant":
            return checkpoint(self.stage, x, use_reentrant=True)
        if self.how == "checkpoint":
            return checkpoint(self.stage, x, use_reentrant=False)
        if self.how == "training" and self.training:
            return checkpoint(self.stage, x, use_reentrant=True)
        if self.how in ("no_grad", "inference_mode"):
            with getattr(torch, self.how)():
                x = self.stage(x)
            return x.clone() + 0.0
        return self.stage(x.detach() if self.how == "detach" else x)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("how", ["reentrant", "training", "no_grad", "inference_mode"])
def test_a_layer_that_ran_without_gradients_is_named(how):
    for layers in (["stage.1"], ["stem", "stage.1"]):
        one = pull(Parts(how), layers)
        with pytest.raises(nf.ModelError, match=r"'stage.1' returned no graph, expect"):
            one.loss()
        with torch.no_grad():
            assert one.loss().isfinite()
    both = CoTraining(Parts(how), "stage.1", RESPONSES, PIXELS)
    with pytest.raises(nf.ModelError, match=r"layer: 'stage.1' returned no graph"):
        both.loss()


@pytest.mark.parametrize("how", ["plain", "checkpoint", "detach"])
def test_a_layer_with_a_graph_trains(how):
    model = Parts(how)
    pull(model, ["stage.1"]).loss().backward()
    assert model.stage[0].weight.grad.abs().sum() > 0


def test_frozen_layers_are_told_from_those_that_ran_without_gradients():
    model = Parts("plain")
    model.stem.requires_grad_(False)
    one = pull(model, ["stem", "stage.1"])
    one.loss().backward()
    assert model.stage[0].weight.grad.abs().sum() > 0
    assert not model.stem.weight.requires_grad
    with pytest.raises(nf.ModelError, match=r"got \['stem'\], before which all para"):
        pull(model, ["stem"]).loss()
    with torch.no_grad():
        assert pull(model, ["stem"]).loss().isfinite()


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh())
        self.second = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Tanh())

    def forward(self, images):
        return self.second(self.first(images)).mean((2, 3))


def wrapped(model):
    model.first = torch.compile(model.first, backend="eager")
    return model


def in_place(model):
    model.second.compile(backend="eager")
    return model


# Warnings of the compiler.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize(
    "compiled",
    [wrapped, in_place, lambda model: torch.compile(model, backend="eager")],
)
def test_whatever_is_compiled_the_layers_are_read(compiled):
    layers = ["first", "first.0", "second.0"]
    expected = pull(Inner(), layers).loss().item()
    model = compiled(Inner())
    model(PIXELS)  # compiled before the hooks exist
    one = pull(model, layers)
    assert one.loss().item() == pytest.approx(expected, rel=1e-6)
    assert not passes._eager
    assert torch._dynamo.eval_frame._stance.stance == "default"


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_compiled_training_step_may_hold_the_regularizer():
    model = Inner()
    one, twin = pull(model, ["first"]), pull(model, ["first"])
    step = torch.compile(lambda x: model(x).mean() + one.loss(), backend="eager")
    found = step(PIXELS).item()
    assert found == pytest.approx((model(PIXELS).mean() + twin.loss()).item(), rel=1e-5)


def test_passes_of_two_threads_do_not_meet():
    model, gates = Inner(), {"a": threading.Event(), "b": threading.Event()}
    started = {"a": threading.Event(), "b": threading.Event()}

    def wait(*_):
        name = threading.current_thread().name
        if name in gates:
            started[name].set()
            gates[name].wait(30)

    model.second.register_forward_pre_hook(wait)
    found = {}

    def read(images):
        name = threading.current_thread().name
        reader = features.Features(model, ["first", "second"])
        with torch.no_grad():
            found[name] = reader.of(images)[1]

    threads = [
        threading.Thread(target=read, args=(part,), name=name)
        for name, part in (("a", PIXELS[:3]), ("b", PIXELS[3:8]))
    ]
    for thread in threads:
        thread.start()
    started["a"].wait(30)
    started["b"].wait(30)
    gates["b"].set()
    gates["a"].set()
    for thread in threads:
        thread.join()
    for name, part in (("a", PIXELS[:3]), ("b", PIXELS[3:8])):
        torch.testing.assert_close(found[name][0], model.first(part))
    assert not any(module._forward_hooks for module in model.modules())


def test_the_user_s_hooks_run_and_their_exceptions_pass():
    model, calls = Parts("plain"), []
    handle = model.register_forward_hook(lambda *_: calls.append(1), always_call=True)
    reader = features.Features(model, ["stem"])
    reader.of(PIXELS[:3], whole=False)
    assert calls
    handle.remove()

    def fail(*_):
        raise LookupError("mine")

    model.stage.register_forward_hook(fail)
    with pytest.raises(LookupError, match="mine"):
        reader.of(PIXELS[:3])
    reader.of(PIXELS[:3], whole=False)  # ends before the hook
    assert not model.stem._forward_hooks


@pytest.mark.parametrize("kind", [Exception, BaseException])
def test_the_early_end_does_not_reach_the_user(kind):
    class Careful(Parts):
        def forward(self, images):
            try:
                return super().forward(images)
            except kind as error:
                raise RuntimeError("the model failed") from error

    reader = features.Features(Careful("plain"), ["stem"])
    output, (found,) = reader.of(PIXELS[:3], whole=False)
    assert output is None
    assert len(found) == 3


def test_the_model_is_given_copies():
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(1, 4, 3)

        def forward(self, images):
            return self.layer(images.sub_(0.5)).mean((2, 3))

    images = PIXELS.clone()
    both = CoTraining(Writes(), "layer", RESPONSES, images)
    both.loss()
    assert torch.equal(both.stimuli, PIXELS)
    reader = features.Features(Writes(), ["layer"])
    reader.of(images)
    nf.neural.teacher_similarity(Writes(), "layer", images)
    assert torch.equal(images, PIXELS)


def test_two_looks_at_one_model_leave_its_buffers():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    mean, inside, order = model[1].running_mean, threading.Event(), []

    def look(name, wait):
        with passes.undisturbed(model):
            order.append(name)
            inside.set()
            wait()
            order.append(name)

    first = threading.Thread(target=look, args=("first", lambda: time.sleep(0.3)))
    second = threading.Thread(target=look, args=("second", lambda: None))
    first.start()
    inside.wait(20)
    second.start()
    first.join()
    second.join()
    assert order == ["first", "first", "second", "second"]
    assert model[1].running_mean is mean
