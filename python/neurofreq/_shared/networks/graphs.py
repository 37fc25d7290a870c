"""CUDA graphs: record the operators of a function once, then replay them.

Training steps and the queries of attacks are recorded. This module has all calls of
CUDA that a recording needs. Tests replace `CudaGraphs` by a class that runs the
recorded function again on the CPU.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from neurofreq._shared import transfer

if TYPE_CHECKING:
    from collections.abc import Callable

WAITS = frozenset({"_local_scalar_dense", "nonzero", "equal", "masked_select"})
"""Operators whose result the host needs before it continues."""
WARM = 3
"""Calls with each shape of inputs that run eagerly before one is recorded."""
WATCHED = (1, 2)
"""Of these, the calls whose operators are noted and compared. The first call may use
others, for example because it makes buffers."""
FAILURES = (RuntimeError, NotImplementedError, AssertionError)
"""Errors of a recording that fails."""


class Graphs(Protocol):
    """Records and replays work on a device."""

    def warm(self, work: Callable[[], Any]) -> Any:
        """Run work on a stream of its own, as `capture` needs it."""

    def capture(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Record work without running it; return a function that replays it."""

    def read(self, report: Tensor) -> Callable[[], Tensor]:
        """Start a copy to the host; return a function that waits for it."""


class CudaGraphs:
    """Records and replays work on a CUDA device.

    All graphs share one memory pool. This is safe because graphs never run at the same
    time, and nothing in the pool is read after the next replay.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with torch.cuda.device(device):
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._pool = torch.cuda.graph_pool_handle()

    def warm(self, work: Callable[[], Any]) -> Any:
        """Run work on a stream of its own, as `capture` needs it."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            found = work()
        current.wait_stream(self._stream)
        return found

    def capture(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Record work without running it; return a function that replays it.

        Torch registers the device's random generator with the graph, so each replay
        draws other numbers, from the state that the generator has at that time.
        """
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the device meanwhile.
        mode = "thread_local"
        with (
            torch.cuda.device(self._device),
            torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode=mode
            ),
        ):
            report = work()

        def replay() -> Tensor:
            graph.replay()
            return report

        return replay

    def read(self, report: Tensor) -> Callable[[], Tensor]:
        """Start a copy to the host; return a function that waits for it."""
        return transfer.fetch(report, self._device)


def cuda_graphs(device: torch.device) -> Graphs | None:
    """Return what records and replays work on a device; None if it cannot."""
    return CudaGraphs(device) if device.type == "cuda" else None


def told(what: str, error: Exception) -> str:
    """Return the reason of a recording that failed, in one line."""
    first = str(error).strip().splitlines() or [type(error).__name__]
    return f"CUDA cannot record {what}: {first[0]:.200}"


def problem_of(model: Any) -> str | None:
    """Return what is known to prevent a recording before any call of the model."""
    if not isinstance(model, torch.nn.Module):
        return None
    places = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    return f"the model is on {len(places)} devices" if len(places) > 1 else None


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the operators of a call, to find what a graph cannot record.

    A graph repeats operators on the device. It repeats neither decisions of the host
    nor draws of the host's random generators.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators: Counter[str] = Counter()
        self._device = device
        self._waits: set[str] = set()
        self._states: list[Any] = []
        self.has_drawn = False

    def __enter__(self) -> Any:
        """Note the states of the host's random generators."""
        self._states = self._random()
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        """Compare the states of the host's random generators."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self.has_drawn = self._states != self._random()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Note an operator, and whether the host waits for its result."""
        found = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        self.operators[name] += 1
        given = args[0] if args else None
        if isinstance(given, Tensor) and given.device == self._device:
            leaves = isinstance(found, Tensor) and found.device != given.device
            is_masked = name.startswith("index") and _is_masked(args)
            if name in WAITS or leaves or is_masked:
                self._waits.add(name)
        return found

    def problem(self, before: Watch | None) -> str | None:
        """Return why the call cannot be recorded; None if nothing is against it."""
        if self._waits:
            names = ", ".join(sorted(self._waits))
            return f"the host needs values of the device ({names})"
        if self.has_drawn:
            return "it draws random numbers on the host"
        if before is not None and before.operators != self.operators:
            return "its operators differ from call to call"
        return None

    def _random(self) -> list[Any]:
        legacy = np.random.get_state()  # noqa: NPY002
        numbers = [str(legacy[0]), legacy[1].tobytes(), *legacy[2:]]  # type: ignore[index]
        states: list[Any] = [random.getstate(), numbers]
        if self._device.type != "cpu":
            states.append(torch.default_generator.get_state().numpy().tobytes())
        return states


def _is_masked(args: Any) -> bool:
    """Return whether an indexing operator has a mask, whose size the host needs."""
    masks = args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else ()
    return any(
        isinstance(one, Tensor) and one.dtype in (torch.bool, torch.uint8)
        for one in masks
    )
