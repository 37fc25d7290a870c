"""Send the queries of an attack to the model's device, and bring the answers back.

A round of an attack has one transfer in each direction. On a CUDA device, queries are
recorded in CUDA graphs (`training.CapturedStep` explains them) and replayed.
"""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

import torch

from neurofreq._shared import transfer
from neurofreq._shared.networks import graphs

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from torch import Tensor

    from neurofreq._shared.networks.calling import Classifier

    Query = Callable[..., Tensor]

RECORDED = ("value", "gradient")
MOST = 32  # recordings that are kept; other queries run eagerly


class Queries:
    """The queries of one call of an attack, on at most `full` images at once."""

    def __init__(
        self,
        ask: Classifier,
        device: torch.device,
        full: int,
        *,
        alone: bool,
        capture: bool | None,
    ) -> None:
        self._room, self._device = ask.room, device
        self._full, self._alone = full, alone
        self._recordings: Recordings | None = None
        made = None if capture is False else graphs.cuda_graphs(device)
        if made is not None:
            self._recordings = Recordings(made, device, is_required=capture is True)
            if reason := graphs.problem_of(ask.model):
                self._recordings.refuse(reason)
        elif capture is True:
            raise ValueError(
                f"capture: got True, but the model is on {device}, not on a CUDA device"
            )

    def of(self, criterion: Hashable) -> Callable[..., Any]:
        """Return the function that Rust calls, for queries with one criterion."""
        return functools.partial(self._start, criterion)

    def _start(
        self, criterion: Hashable, query: Query, ask: str, inputs: Sequence[Tensor]
    ) -> Callable[[], Tensor] | None:
        """Start a query; return a function that waits for its rows.

        None means that the device has too little memory for so many images.
        """
        n = len(inputs[0])
        if self._room.most is not None and n > self._room.most and not self._alone:
            return None

        def work() -> Tensor:
            if self._alone:
                rows = [[one[i : i + 1] for one in inputs] for i in range(n)]
                answers = [self._answer(criterion, query, ask, row) for row in rows]
                return torch.cat([answer.clone() for answer in answers])
            return self._answer(criterion, query, ask, inputs)

        rows = self._room.tried(work, 1 if self._alone else n)
        if rows is None:
            if self._recordings is not None:
                self._recordings.clear()
            return None
        return transfer.fetch(rows, self._device)

    def _answer(
        self, criterion: Hashable, query: Query, ask: str, inputs: Sequence[Tensor]
    ) -> Tensor:
        """Return the rows of a query on the device."""
        if self._recordings is not None and ask in RECORDED:
            size = 1 if self._alone else self._full
            return self._recordings(criterion, size, query, ask, inputs)
        return query(ask, *transfer.send(inputs, self._device))


class _Form:
    """The inputs of a query at fixed addresses, and its recording."""

    def __init__(self, inputs: Sequence[Tensor], device: torch.device) -> None:
        self.packet = transfer.Packet(inputs, device)
        self.n_calls = 0
        self.watch: graphs.Watch | None = None
        self.replay: Callable[[], Tensor] | None = None


class Recordings:
    """Records queries for each number of images, and replays them.

    Batches that are not full are padded to a half, a quarter and so on of a full batch,
    so that few sizes occur.
    """

    def __init__(
        self, made: graphs.Graphs, device: torch.device, *, is_required: bool
    ) -> None:
        self._graphs: graphs.Graphs | None = made
        self._device, self._is_required = device, is_required
        self._forms: dict[Any, _Form] = {}
        self._known: Query | None = None
        self.n_replayed = 0

    def __call__(
        self,
        criterion: Hashable,
        size: int,
        query: Query,
        ask: str,
        inputs: Sequence[Tensor],
    ) -> Tensor:
        """Return the rows of a query, eagerly at first and then from a recording.

        The rows keep their values until the next call.
        """
        n = len(inputs[0])
        # The first query of an attack runs eagerly: it checks the classes.
        is_new, self._known = query is not self._known, query
        if self._graphs is None or is_new:
            return query(ask, *transfer.send(inputs, self._device))
        inputs = _padded(inputs, size)
        key = criterion, ask, len(inputs[0])
        if key not in self._forms:
            if len(self._forms) >= MOST:
                self._forms.pop(next(iter(self._forms)))
            self._forms[key] = _Form(inputs, self._device)
        form = self._forms[key]
        form.packet.fill(inputs)
        made = self._graphs
        if form.replay is None and not self._record(made, form, query, ask):
            return self._warm(made, form, query, ask)[:n]
        assert form.replay is not None
        self.n_replayed += 1
        return form.replay()[:n]

    def clear(self) -> None:
        """Release all recordings and their memory."""
        self._forms.clear()

    def refuse(self, reason: str) -> None:
        """Continue without recordings, and tell why."""
        self._graphs = None
        self.clear()
        if self._is_required:
            raise ValueError(f"capture: got True, but {reason}")
        warnings.warn(
            f"capture: {reason}; every query runs eagerly, which is slower",
            stacklevel=8,
        )

    def _warm(self, made: graphs.Graphs, form: _Form, query: Query, ask: str) -> Tensor:
        """Run a query eagerly on the inputs of a form, and watch what it does."""
        is_watched = form.n_calls in graphs.WATCHED
        form.n_calls += 1
        if not is_watched:
            return made.warm(lambda: query(ask, *form.packet.tensors))
        watch = graphs.Watch(self._device)

        def work() -> Tensor:
            with watch:
                return query(ask, *form.packet.tensors)

        rows = made.warm(work)
        if reason := watch.problem(form.watch):
            self.refuse(f"the query cannot be recorded: {reason}")
        form.watch = watch
        return rows

    def _record(self, made: graphs.Graphs, form: _Form, query: Query, ask: str) -> bool:
        """Record a query that has been warmed up; return whether it worked."""
        if form.n_calls < graphs.WARM:
            return False
        torch.clear_autocast_cache()  # recordings must not use copies of old weights
        try:
            form.replay = made.capture(lambda: query(ask, *form.packet.tensors))
        except torch.OutOfMemoryError:
            raise
        except graphs.FAILURES as error:
            self.refuse(graphs.told("the query", error))
            return False
        return True


def _padded(inputs: Sequence[Tensor], size: int) -> Sequence[Tensor]:
    """Repeat the first row until the length is `size`, or a half, a quarter of it."""
    n = len(inputs[0])
    while (size + 1) // 2 >= n and size > 1:
        size = (size + 1) // 2
    if size <= n:
        return inputs
    return [
        torch.cat([one, one[:1].expand(size - n, *one.shape[1:])]) for one in inputs
    ]
