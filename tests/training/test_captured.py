"""Captured steps: recorded once, replayed, and checked one step late.

A pretended graph runs the recorded function again on the CPU.
"""

import random

import numpy as np
import pytest
import torch
from helpers.graphs import FakeGraphs
from helpers.training import network, problem, regularizer
from torch import nn

import neurofreq as nf
from neurofreq import training
from neurofreq.training import _captured

IMAGES, LABELS = problem()


def batches(n, size=20):
    rng = torch.Generator().manual_seed(0)
    order = [torch.randperm(60, generator=rng)[:size] for _ in range(n)]
    return [(IMAGES[index], LABELS[index]) for index in order]


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-3)


def owners(model, pull, optimizer):
    def tensors():
        for module in filter(None, (model, pull)):
            yield from module.parameters()
            yield from module.buffers()
        for state in optimizer.state.values():
            yield from (v for v in state.values() if isinstance(v, torch.Tensor))

    return tensors


class Setting:
    """A model with its optimizer and regularizer, for steps that are recorded."""

    def __init__(self, monkeypatch, model=None, make=sgd, pull="pairs", **keywords):
        self.model = (network() if model is None else model).train()
        self.pull = made(pull, self.model)
        parameters = list(self.model.parameters())
        if self.pull is not None:
            parameters += self.pull.parameters()
        self.optimizer = make(parameters)
        self.graphs = FakeGraphs(owners(self.model, self.pull, self.optimizer))
        monkeypatch.setattr(_captured.graphs, "cuda_graphs", lambda device: self.graphs)
        self.step = training.CapturedStep(
            self.model, self.optimizer, self.pull, 2.0, **keywords
        )

    def run(self, n):
        for images, labels in batches(n):
            losses = self.step(images, labels)
        return losses

    def state(self):
        found = dict(self.model.state_dict())
        if self.pull is not None:
            found |= {f"pull.{k}": v for k, v in self.pull.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
        return {k: torch.as_tensor(v).clone() for k, v in found.items()}


def made(kind, model):
    if kind == "pairs":
        return regularizer(model, IMAGES, n_pairs=4)
    if kind == "all":
        return regularizer(model, IMAGES, n_pairs=4, all_pairs=True)
    if kind == "responses":
        responses = np.random.default_rng(0).random((60, 4))
        return training.CoTraining(model, "4", responses, IMAGES, batch_size=8)
    return None


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.01, eps=0.01)


@pytest.mark.parametrize("make", [sgd, adam])
@pytest.mark.parametrize(
    ("pull", "joint"),  # only similarities have a form with one pass
    [("pairs", False), ("all", False), ("responses", False), ("none", False),
     ("pairs", True), ("all", True)],
)  # fmt: skip
def test_recorded_steps_are_those_of_the_eager_path(monkeypatch, make, pull, joint):
    ours = Setting(monkeypatch, make=make, pull=pull, joint=joint)
    theirs = Setting(monkeypatch, make=make, pull=pull)
    torch.manual_seed(3)
    with ours.step as step:
        found = []
        for number, (images, labels) in enumerate(batches(9)):
            ours.optimizer.param_groups[0]["lr"] = 0.01 * (number + 1)
            found.append(step(images, labels))
    assert step.n_replayed > 3  # the last part of an order has another size
    torch.manual_seed(3)
    for number, (images, labels) in enumerate(batches(9)):
        theirs.optimizer.param_groups[0]["lr"] = 0.01 * (number + 1)
        losses = nf.training_step(
            theirs.model, theirs.optimizer, images, labels, theirs.pull, 2.0,
            joint=joint,
        )  # fmt: skip
        assert dict(found[number]) == pytest.approx(losses, rel=2e-3)
    ours_state, theirs_state = ours.state(), theirs.state()
    assert ours_state.keys() == theirs_state.keys()
    for name, value in ours_state.items():
        assert value.device == theirs_state[name].device
        torch.testing.assert_close(
            value, theirs_state[name], rtol=2e-3, atol=2e-4, msg=name
        )
    for group, other in zip(
        ours.optimizer.param_groups, theirs.optimizer.param_groups, strict=True
    ):
        mine = {k: v for k, v in group.items() if k != "params"}
        assert mine == {k: v for k, v in other.items() if k != "params"}


def test_steps_are_warmed_recorded_replayed_and_read_one_step_late(monkeypatch):
    ours = Setting(monkeypatch, pull="none")
    for images, labels in batches(6):
        ours.step(images, labels)
    ours.step.finish()
    assert ours.graphs.log == [
        "warm", "warm", "warm", "capture", "replay", "replay", "read 1", "replay",
        "read 2", "read 3",
    ]  # fmt: skip


@pytest.mark.parametrize("where", ["image", "label", "feature"])
@pytest.mark.parametrize("make", [sgd, adam])
def test_a_bad_step_and_the_queued_one_change_nothing(monkeypatch, where, make):
    ours = Setting(
        monkeypatch, make=make, pull="pairs" if where == "feature" else "none"
    )
    steps = batches(7)
    for images, labels in steps[:5]:
        ours.step(images, labels)
    ours.step.finish()
    before = ours.state()
    images, labels = steps[5]
    error, message = nf.ModelError, r"loss: got loss nan.*no step was taken \(step 6\)"
    if where == "image":
        images = images * np.nan
    elif where == "label":
        labels = labels + 9
        error, message = ValueError, r"labels: got 9 to 11, expected 0 to 2.*\(step 6\)"
    else:
        ours.pull.stimuli.mul_(np.inf)
        message = r"NaN or infinite values in layer '0' at step 5, .*\(step 6\)"
    losses = ours.step(images, labels)
    with pytest.raises(error, match=message):
        ours.step(*steps[6])
    with pytest.raises(error, match=message):
        losses["loss"]
    changed = [
        name
        for name, value in ours.state().items()
        if not torch.equal(value, before[name]) and not name.startswith("1.")
    ]
    assert not changed, "only batch norm's running averages may change"
    if where != "feature":
        assert np.isfinite(ours.step(*steps[6])["loss"]), "training may go on"


def test_shapes_have_their_own_recordings(monkeypatch):
    ours = Setting(monkeypatch, pull="none")
    for _ in range(6):
        for size in (20, 12):
            ours.step(*batches(1, size)[0])
    assert ours.graphs.log.count("capture") == 2
    assert ours.step.n_replayed == 6


def test_other_settings_and_other_memory_are_recorded_again(monkeypatch):
    ours = Setting(monkeypatch, pull="none")
    batch = batches(1)[0]
    for _ in range(5):
        ours.step(*batch)
    ours.model[0].weight.data = ours.model[0].weight.data.clone()
    ours.step(*batch)
    assert ours.graphs.log.count("capture") == 2
    ours.optimizer.param_groups[0]["weight_decay"] = 0.1
    ours.step(*batch)
    assert ours.graphs.log.count("warm") == 4, "new settings are warmed up"


class Odd(nn.Module):
    """A network that a graph cannot record."""

    def __init__(self, how):
        super().__init__()
        self.network, self.how, self.calls = network(), how, 0

    def forward(self, x):
        self.calls += 1
        if self.how == "branch" and x.mean() > 0:
            x = x + 1.0
        elif self.how == "mask":
            x = x + x[x > 0.5].mean()
        elif self.how == "host":
            x = x * float(np.random.random() > 0.5)  # noqa: NPY002
        elif self.how == "python":
            x = x * random.random()
        elif self.how == "calls" and self.calls % 2:
            x = x + 1.0
        return self.network(x)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("branch", r"needs values of the device \(_local_scalar_dense\)"),
        ("mask", r"needs values of the device \(index\)"),
        ("host", "draws random numbers on the host"),
        ("python", "draws random numbers on the host"),
        ("calls", "operators differ from call to call"),
    ],
)
def test_a_model_that_cannot_be_recorded_runs_eagerly(monkeypatch, how, reason):
    ours = Setting(monkeypatch, Odd(how), pull="none")
    with pytest.warns(UserWarning, match=rf"capture: .*{reason}.*every step runs ea"):
        losses = ours.run(5)
    assert ours.step.n_replayed == 0
    assert ours.step.refusal is not None
    assert losses["loss"] > 0.0
    assert "capture" not in ours.graphs.log


def test_an_error_of_the_recording_leaves_the_eager_path(monkeypatch):
    ours = Setting(monkeypatch, pull="all")
    ours.graphs.fails = RuntimeError("operation not permitted\nmore")
    with pytest.warns(UserWarning, match="cannot record the step: operation not perm"):
        ours.run(6)
    assert int(ours.pull.step) == 6
    ours = Setting(monkeypatch, pull="none", capture=True)
    ours.graphs.fails = RuntimeError("operation not permitted")
    with pytest.raises(ValueError, match="capture: got True, but CUDA cannot record"):
        ours.run(6)


def test_other_optimizers_and_losses_are_told(monkeypatch):
    with pytest.warns(UserWarning, match="the optimizer is RMSprop, not one of SGD"):
        Setting(monkeypatch, make=torch.optim.RMSprop, pull="none")
    monkeypatch.undo()
    model = network()
    with pytest.raises(ValueError, match="got True, but the model is on cpu"):
        training.CapturedStep(model, sgd(model.parameters()), capture=True)


RECIPE = training.Recipe(
    epochs=3, batch_size=12, lr=0.05, validation=0.1, n_pairs=4, all_pairs=True,
    alpha=2.0,
)  # fmt: skip


def fitted(pull, folder, **keywords):
    model = network()
    return training.fit(
        model, IMAGES, LABELS, RECIPE, regularizer=made(pull, model), folder=folder,
        **keywords,
    )  # fmt: skip


@pytest.fixture
def recorded(monkeypatch):
    """Record every step that is built; return the pretended graphs."""
    graphs, init = [], _captured.CapturedStep.__init__

    def noted(self, *args, **keywords):
        def tensors():
            modules = [self._objective.model, self._objective.attached]
            for one in filter(None, modules):
                yield from one.state_dict(keep_vars=True).values()
            yield from self._optimizer.states()

        graphs.append(FakeGraphs(tensors))
        init(self, *args, **keywords)

    monkeypatch.setattr(_captured.graphs, "cuda_graphs", lambda device: graphs[-1])
    monkeypatch.setattr(_captured.CapturedStep, "__init__", noted)
    return graphs


@pytest.mark.parametrize("pull", ["all", "none"])
def test_fit_records_and_resumes(monkeypatch, recorded, pull, tmp_path):
    def stop(row):
        raise KeyboardInterrupt

    whole = fitted(pull, tmp_path / "whole")
    assert recorded[0].log.count("replay") >= 5
    with pytest.raises(KeyboardInterrupt):
        fitted(pull, tmp_path / "parts", callback=stop)
    resumed = fitted(pull, tmp_path / "parts")
    monkeypatch.undo()
    eager = fitted(pull, tmp_path / "eager")
    for rows in (whole, resumed):
        for ours, theirs in zip(rows, eager, strict=True):
            assert ours == pytest.approx(theirs, rel=5e-3, abs=1e-3)


def test_a_bad_step_of_fit_is_named_by_its_place(recorded):
    seen = []

    def poison(images, _):
        seen.append(1)
        return images * (np.nan if len(seen) == 8 else 1.0)

    with pytest.raises(nf.ModelError, match=r"nan.*\(epoch 2, step 3 of 5\)"):
        fitted("none", None, augment=poison)
    assert "replay" in recorded[0].log
