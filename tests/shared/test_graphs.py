"""The order of CUDA calls around a recorded function, with torch.cuda pretended."""

from contextlib import contextmanager

import pytest
import torch

from neurofreq._shared.networks.graphs import CudaGraphs

DEVICE = torch.device("cuda", 0)


@pytest.fixture
def log(monkeypatch):
    log = []

    class Stream:
        def __init__(self, name="side"):
            self.name = name

        def wait_stream(self, other):
            log.append(f"{self.name} waits for {other.name}")

    @contextmanager
    def stream(one):
        log.append(f"on {one.name}")
        yield

    @contextmanager
    def graph(made, *, pool, stream, capture_error_mode):
        log.append(f"record on {stream.name}, {pool}, {capture_error_mode}")
        yield
        log.append("recorded")

    class Graph:
        def replay(self):
            log.append("replay")

    class Event:
        def record(self, stream):
            log.append(f"event on {stream.name}")

        def synchronize(self):
            log.append("wait for event")

    @contextmanager
    def device(_):
        yield

    current = Stream("current")
    for name, value in {
        "Stream": lambda device: Stream(), "stream": stream, "graph": graph,
        "CUDAGraph": Graph, "Event": Event, "device": device,
        "graph_pool_handle": lambda: "pool",
        "current_stream": lambda device: current,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, value)
    return log


def test_work_is_warmed_on_a_side_stream_and_recorded_there(log):
    graphs = CudaGraphs(DEVICE)
    assert graphs.warm(lambda: log.append("work") or 3) == 3
    assert log == [
        "side waits for current", "on side", "work", "current waits for side"
    ]  # fmt: skip
    log.clear()
    report = torch.tensor([1.0, 2.0])
    replay = graphs.capture(lambda: log.append("work") or report)
    assert log == ["record on side, pool, thread_local", "work", "recorded"]
    log.clear()
    read = graphs.read(replay())
    assert log == ["replay", "event on current"]
    assert read().tolist() == [1.0, 2.0]
    assert log[-1] == "wait for event"
