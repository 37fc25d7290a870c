"""Ctrl-C ends every loop of the compiled module, and the module still works."""

import signal
import threading
import time

import numpy as np
import pytest
import torch

import neurofreq as nf
from neurofreq import _neurofreq

# Without checks for signals, each call below takes many times longer.
FIRST = 0.3  # seconds until the signal
LATEST = 4.0  # seconds until the exception: a busy machine is slow


class Alarm(Exception):
    """The exception of the test's signal handler."""


def images(n, size):
    """Make `n` images that share memory."""
    one = np.random.default_rng(0).random((1, 1, size, size), dtype=np.float32)
    return np.broadcast_to(one, (n, 1, size, size))


def values(*shape):
    return np.random.default_rng(0).random(shape)


def split_half_neurons():
    trials = values(8, 60, 200)
    return lambda: _neurofreq.split_half_neurons(trials, 10**9, 0, True)


def split_half_similarity():
    trials, ones = values(8, 60, 200), np.ones(200)
    return lambda: _neurofreq.split_half_similarity(trials, ones, 10**9, 0, True)


def resampled_means():
    rows = values(4000, 3)
    return lambda: _neurofreq.resampled_means(rows, 10**6, 0)


def response_similarity():
    rows, ones = values(4000, 8000), np.ones(8000)
    return lambda: _neurofreq.response_similarity_f64(rows, ones)


def column_correlation():
    many = np.broadcast_to(values(1000, 1), (1000, 10**7))
    return lambda: _neurofreq.column_correlation(many, many)


def reliability():
    many = np.broadcast_to(values(4, 1000, 1), (4, 1000, 10**6))
    return lambda: _neurofreq.reliability(many)


def noise_ceiling():
    one = values(800, 800)
    many = np.broadcast_to(one + one.T, (400, 800, 800))
    return lambda: _neurofreq.noise_ceiling(many, True)


def hybrid_images():
    batch, frequencies = images(16, 256), list(np.linspace(0.1, 1, 400))
    return lambda: _neurofreq.hybrid_images(batch, batch, frequencies)


def total_power():
    many = images(10**5, 500)
    return lambda: _neurofreq.total_power(many, True)


def total_power_of_tensors():
    many = torch.from_numpy(images(1, 500).copy()).expand(10**5, 1, 500, 500)
    return lambda: _neurofreq.total_power_tensor(many, True)


def crossing():
    x, curves = np.arange(2000.0), np.broadcast_to(0.0, (10**7, 2000))
    return lambda: _neurofreq.crossing(x, curves, 0.5)


def corrupt():
    many, streams = images(4000, 128), np.arange(4000, dtype=np.uint64)
    rest = (streams, "nchw", "imagenet", None)
    return lambda: _neurofreq.corrupt(many, "glass_blur", 5, 0, *rest)


def corrupt_one():
    large = np.broadcast_to(images(1, 2000), (1, 1, 2000, 2000))
    rest = (np.zeros(1, np.uint64), "nchw", "imagenet", None)
    return lambda: _neurofreq.corrupt(large, "elastic_transform", 1, 0, *rest)


def half_alike():
    """Make labels for which random pairs fail: half of them are one class."""
    return np.maximum(np.arange(1_000_000) - 499_999, 0)


def hybrid_pairs():
    labels = half_alike()
    return lambda: _neurofreq.hybrid_pairs(labels, 0)


def shuffled_targets():
    labels = half_alike()
    return lambda: _neurofreq.shuffled_targets(labels, 0, False)


def trust_region_steps():
    shape = (600, 50_000)
    origins, points, normals = (
        np.broadcast_to(one, shape) for one in values(3, shape[1])
    )
    numbers = np.full(shape[0], 0.1)
    rest = (numbers, numbers)
    return lambda: _neurofreq.trust_region_steps("l0", origins, points, normals, *rest)


def similarity_loss():
    features = torch.from_numpy(values(2000, 1)).expand(2000, 60_000)
    return lambda: nf.similarity_loss(features, torch.eye(2000).double())


PREPARED = [
    split_half_neurons,
    split_half_similarity,
    resampled_means,
    response_similarity,
    column_correlation,
    reliability,
    noise_ceiling,
    hybrid_images,
    total_power,
    total_power_of_tensors,
    crossing,
    corrupt,
    corrupt_one,
    hybrid_pairs,
    shuffled_targets,
    trust_region_steps,
    similarity_loss,
]


def raise_alarm(*_):
    raise Alarm


@pytest.fixture
def alarm():
    before = signal.signal(signal.SIGALRM, raise_alarm)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.timeout(300, method="thread")
@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("prepare", PREPARED)
def test_a_signal_ends_the_call(prepare):
    call = prepare()
    start = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, FIRST)
    with pytest.raises(Alarm):
        call()
    assert time.perf_counter() - start < FIRST + LATEST
    assert nf.response_similarity(np.eye(3)).shape == (3, 3)


def test_ctrl_c_is_a_keyboard_interrupt():
    call = split_half_neurons()
    timer = threading.Timer(FIRST, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        call()
    timer.join()


def test_other_threads_compute_alike():
    batch = images(400, 128)
    found = []
    thread = threading.Thread(
        target=lambda: found.append(_neurofreq.total_power(batch, True))
    )
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0], _neurofreq.total_power(batch, True))
