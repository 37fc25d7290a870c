"""Rounds of an attack: transfers, waits, recordings and batches that do not fit.

A pretended graph runs the recorded function again on the CPU.
"""

import warnings

import numpy as np
import pytest
import torch
from helpers.attack import ATTACK, batch, predicted, relu
from helpers.counts import Count, Reads
from helpers.graphs import FakeGraphs
from torch import nn

import neurofreq as nf
from neurofreq.attacks import _queries

PGD = nf.attacks.PGD(epsilon=0.05, steps=12)
IN_VAIN = nf.attacks.PGD(epsilon=1e-6, steps=12)
ROUND = {"value": 11, "gradient": 18}
"""Operators of a round beyond the forward and backward pass of the model."""


@pytest.fixture
def fake(monkeypatch):
    """Record on the CPU, with a pretended graph, and keep the recordings."""
    made = FakeGraphs()
    made.recordings = []
    real = _queries.Recordings

    class Kept(real):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.recordings.append(self)

    monkeypatch.setattr(_queries.graphs, "cuda_graphs", lambda device: made)
    monkeypatch.setattr(_queries, "Recordings", Kept)
    return made


def attacked(attack=PGD, model=None, n=12, **options):
    model = relu() if model is None else model
    images = batch(n)
    return attack(model, images, predicted(model, images), **options)


def assert_equal(found, expected):
    for name in ("adversarial", "distance", "success", "n_queries", "n_gradients"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-12
        )
    assert found.status.tolist() == expected.status.tolist()


@pytest.mark.parametrize("batch_size", [5, 12, 100])
@pytest.mark.parametrize(
    "attack", [PGD, ATTACK, nf.attacks.Boundary("l2", max_queries=60)]
)
def test_recorded_queries_give_the_eager_results(fake, attack, batch_size):
    found = attacked(attack, batch_size=batch_size)
    assert fake.recordings[0].n_replayed > 5
    expected = attacked(attack, batch_size=batch_size, capture=False)
    assert len(fake.recordings) == 1
    assert_equal(found, expected)


def test_images_that_are_sent_alone_are_recorded_alone(fake):
    found = attacked(IN_VAIN, deterministic=True)
    assert fake.recordings[0].n_replayed > 12 * 10
    assert fake.log.count("capture") <= 2
    assert_equal(found, attacked(IN_VAIN, deterministic=True, capture=False))


def test_queries_are_warmed_recorded_and_replayed(fake):
    attacked(IN_VAIN)
    # The first query runs eagerly: it checks the classes. It asks for values.
    assert fake.log[:13] == ["warm", "warm", "warm", "capture", *["replay"] * 9]


def test_a_criterion_and_targets_are_recorded(fake):
    def away(images, logits, index):
        return logits.gather(1, index[:, None] % 4)[:, 0] - logits.mean(1)

    for options in ({"criterion": away}, {"targets": np.arange(12) % 4}):
        model = relu()
        labels = (np.arange(12) + 1) % 4
        found = ATTACK(model, batch(), labels, **options)
        expected = ATTACK(model, batch(), labels, capture=False, **options)
        assert fake.recordings[-1].n_replayed > 5
        assert_equal(found, expected)


def test_runs_of_one_call_share_recordings(fake):
    model, images = relu(), batch()
    labels = predicted(model, images)
    budgets = [0.001, 0.01, 0.05, 0.1]
    found = PGD(model, images, labels, epsilons=budgets)
    n_captured = fake.log.count("capture")
    assert len(fake.recordings) == 1
    assert n_captured <= 4  # two sizes or fewer, values and gradients
    expected = PGD(model, images, labels, epsilons=budgets, capture=False)
    np.testing.assert_array_equal(found.within, expected.within)


class Branching(nn.Module):
    """Reads a value of the images."""

    def __init__(self):
        super().__init__()
        self.inner = relu()

    def forward(self, x):
        return self.inner(x if x.detach().sum() > 0 else -x)


class HostDropout(nn.Module):
    """Draws random numbers on the host."""

    def __init__(self):
        super().__init__()
        self.inner = relu()

    def forward(self, x):
        return self.inner(x) + 1e-12 * np.random.random()  # noqa: NPY002


class Alternating(nn.Module):
    """Uses other operators in every other call."""

    def __init__(self):
        super().__init__()
        self.inner, self.n = relu(), 0

    def forward(self, x):
        self.n += 1
        return self.inner(x if self.n % 2 else x * 1.0)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Branching, "the host needs values of the device"),
        (HostDropout, "draws random numbers on the host"),
        (Alternating, "operators differ from call to call"),
    ],
)
def test_models_that_a_graph_would_get_wrong_run_eagerly(fake, kind, reason):
    with pytest.warns(UserWarning, match=f"capture: .*{reason}.*; every query runs"):
        found = attacked(model=kind())
    assert "capture" not in fake.log
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="capture")
        expected = attacked(model=kind(), capture=False)
    assert_equal(found, expected)
    with pytest.raises(ValueError, match=f"capture: got True, but .*{reason}"):
        attacked(model=kind(), capture=True)


def test_a_model_that_cuda_refuses_runs_eagerly(fake):
    fake.fails = RuntimeError("operation not permitted\nand a stack trace")
    with pytest.warns(UserWarning, match="CUDA cannot record the query: operation not"):
        found = attacked(IN_VAIN)
    assert fake.log.count("capture") == 1
    assert_equal(found, attacked(IN_VAIN, capture=False))


def test_a_model_on_two_devices_is_not_recorded(fake):
    model = relu()
    model.register_buffer("far", torch.empty(1, device="meta"))
    with pytest.warns(UserWarning, match="the model is on 2 devices"):
        attacked(model=model)
    assert not fake.log


def test_random_numbers_of_the_device_are_drawn_anew_in_each_replay(fake):
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = relu()

        def forward(self, x):
            return self.inner(x) + 1e-9 * torch.rand(4, dtype=x.dtype)

    # On the CPU, the device's generator is the host's.
    found = []
    for capture in (None, False):
        torch.manual_seed(1)
        found.append(attacked(model=Noisy(), capture=capture, n=3, batch_size=3))
    assert fake.recordings[0].n_replayed > 5
    assert_equal(*found)


def test_capture_needs_a_cuda_device():
    with pytest.raises(ValueError, match="capture: got True, but the model is on cpu"):
        attacked(capture=True)


class Small(nn.Module):
    """A device that holds `most` images, fewer with gradients."""

    def __init__(self, most, message=None):
        super().__init__()
        self.inner, self.most, self.sizes = relu(), most, []
        self.message = message

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > (self.most if x.requires_grad else 2 * self.most):
            if self.message:
                raise RuntimeError(self.message)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return self.inner(x)


@pytest.mark.parametrize("message", [None, "torch: CUDA out of memory. Tried"])
@pytest.mark.parametrize("attack", [PGD, ATTACK])
@pytest.mark.parametrize("is_recorded", [False, True])
def test_an_attack_goes_on_with_smaller_batches(request, attack, message, is_recorded):
    if is_recorded:
        request.getfixturevalue("fake")
    model = Small(3, message)
    labels = predicted(model.inner, batch())
    with pytest.warns(UserWarning, match="too little memory for 12 images") as told:
        found = attack(model, batch(), labels, batch_size=100)
    assert sum("memory" in str(one.message) for one in told) == 1
    expected = attack(model.inner, batch(), labels, batch_size=3, capture=False)
    assert_equal(found, expected)
    if not is_recorded:
        assert model.sizes.count(12) == 1
        assert 3 in model.sizes


def test_memory_that_ends_in_mid_attack_loses_no_result():
    model = Small(100)
    labels = predicted(model.inner, batch())

    def shrink(module, inputs):
        if len(module.sizes) == 10:
            module.most = 2

    model.register_forward_pre_hook(shrink)
    with pytest.warns(UserWarning, match="too little memory"):
        found = PGD(model, batch(), labels)
    assert_equal(found, PGD(model.inner, batch(), labels))


def test_one_image_that_is_too_large_raises_the_devices_error():
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        PGD(Small(0), batch(1), [0])


class Transfers:
    """Counts transfers of a round, in both directions."""

    def __init__(self, monkeypatch):
        self.sent, self.fetched, self.asked = [], 0, []
        send, fetch = _queries.transfer.send, _queries.transfer.fetch
        start = _queries.Queries._start

        def sent(tensors, device):
            self.sent.append(len(tensors))
            return send(tensors, device)

        def fetched(tensor, device):
            self.fetched += 1
            return fetch(tensor, device)

        def started(queries, criterion, query, ask, inputs):
            self.asked.append(ask)
            return start(queries, criterion, query, ask, inputs)

        monkeypatch.setattr(_queries.transfer, "send", sent)
        monkeypatch.setattr(_queries.transfer, "fetch", fetched)
        monkeypatch.setattr(_queries.Queries, "_start", started)


@pytest.mark.parametrize("attack", [PGD, ATTACK])
def test_a_round_has_one_transfer_in_each_direction(monkeypatch, attack):
    transfers = Transfers(monkeypatch)
    attacked(attack)
    rounds = len(transfers.asked)
    assert rounds > 5
    assert transfers.sent.count(3) == rounds  # images, classes and positions at once
    assert len(transfers.sent) == rounds
    assert transfers.fetched == rounds


KINDS = {
    "gradient": lambda n: nf.attacks.PGD(epsilon=1e-6, steps=n),  # breaks nothing
    "value": lambda n: nf.attacks.Boundary("l2", max_queries=40 + n),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_round_starts_few_kernels_and_waits_once(monkeypatch, kind):
    """Compare two numbers of rounds; an answer is read with one `cpu`."""

    def counted(n):
        with monkeypatch.context() as patch:
            transfers, reads = Transfers(patch), Reads(patch)
            with Count() as count:
                attacked(KINDS[kind](n))
        return transfers.asked, reads.names, count

    (few, few_reads, less), (many, many_reads, more) = counted(4), counted(10)
    n = len(many) - len(few)
    assert n > 3
    assert many.count(kind) - few.count(kind) == n
    assert many_reads - few_reads == {"cpu": n}
    assert more.waits == less.waits
    images = batch().requires_grad_(kind == "gradient")
    with Count() as own, torch.set_grad_enabled(kind == "gradient"):
        logits = relu()(images.clone())
        if kind == "gradient":
            torch.autograd.grad(logits[:, 0].sum(), images)
    extra = (more.launches - less.launches) / n - own.launches
    assert extra <= ROUND[kind], more.names - less.names


@pytest.mark.cuda
@pytest.mark.parametrize("attack", [PGD, ATTACK])
def test_recorded_queries_of_a_device_are_eager_queries(attack):
    model = relu().cuda()
    images = batch().cuda()
    labels = predicted(model, images)
    found = attack(model, images, labels, capture=True)
    expected = attack(model, images, labels, capture=False)
    torch.testing.assert_close(found.distance, expected.distance, rtol=1e-6, atol=1e-9)
    assert found.adversarial.is_cuda


@pytest.mark.cuda
def test_a_device_without_memory_is_told_and_the_attack_goes_on():
    model = Small(3).cuda()
    images = batch().cuda()
    labels = predicted(model.inner, images)
    with pytest.warns(UserWarning, match="too little memory"):
        found = PGD(model, images, labels, capture=False)
    expected = PGD(model.inner, images, labels, capture=False)
    torch.testing.assert_close(found.distance, expected.distance, rtol=1e-6, atol=1e-9)
