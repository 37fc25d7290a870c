"""Run attacks on checked images: whole batches, or rows of a batch.

An image keeps its position in the data set, and with it its random stream, in whichever
rows of the batch it is attacked.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._shared import transfer
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import batches, calling
from neurofreq._shared.progress import bar
from neurofreq.attacks import _result
from neurofreq.attacks._queries import Queries
from neurofreq.attacks._task import Callables, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from neurofreq._shared.inputs.validate import Array
    from neurofreq.attacks._call import Attack
    from neurofreq.attacks._options import Options
    from neurofreq.attacks._result import AttackResult


@dataclass(frozen=True)
class Batch:
    """Checked images with what belongs to each of them.

    `rows` are the positions among the images of the call, None for all images.
    """

    pixels: Array
    labels: NDArray[np.int64]
    targets: NDArray[np.int64] | None
    points: Array | None
    rows: NDArray[np.int64] | None = None

    @classmethod
    def whole(cls, pixels: Array, labels: Any, targets: Any, options: Options) -> Batch:
        """Return all images of a call."""
        if options.starting_points is not None:
            _require_like(pixels, options.starting_points, "starting_points")
        if options.candidates is not None:
            _require_like(pixels, options.candidates, "candidates")
        return cls(pixels, labels, targets, options.starting_points)

    def part(self, rows: NDArray[np.int64], targets: Any = None) -> Batch:
        """Return some images of the batch, with other targets if they are given."""
        if targets is None and self.targets is not None:
            targets = self.targets[rows]
        return Batch(
            pixels=self.pixels[rows],
            labels=self.labels[rows],
            targets=targets,
            points=None if self.points is None else self.points[rows],
            rows=rows if self.rows is None else self.rows[rows],
        )


class Run(Protocol):
    """Attack a batch of the call.

    `classifier` is the model, already tried, and `size` the number of images of a pass.
    """

    classifier: calling.Classifier
    size: int

    def __call__(self, attack: Attack, batch: Batch) -> AttackResult: ...


@contextmanager
def running(
    attack: Attack, model: calling.Model, batch: Batch, options: Options
) -> Iterator[Run]:
    """Try and guard the model, and yield the function that attacks images with it."""
    device = calling.device_of(model, batch.pixels)
    with (
        calling.evaluating(model),
        torch.inference_mode(False),
        torch.enable_grad(),
        bar(
            total=len(batch.pixels) * attack.planned,
            unit="step",
            progress=options.progress,
        ) as shown,
    ):
        one = calling.to_tensor(batch.pixels[:1], device)
        asked = calling.tried(
            model, one, alone=options.deterministic,
            as_logits=attack.needs_gradient and options.judge is None,
            autocast=options.autocast, channels_last=options.channels_last,
        )  # fmt: skip
        size = batches.chosen(options.batch_size, asked, one, gradient=True)
        queries = Queries(
            asked, device, min(size, len(batch.pixels)),
            alone=options.deterministic, capture=options.capture,
        )  # fmt: skip
        yield _Run(asked, options, device, shown.update, size, queries)


class _Run:
    def __init__(
        self,
        classifier: calling.Classifier,
        options: Options,
        device: Any,
        advance: Any,
        size: int,
        queries: Queries,
    ) -> None:
        self.classifier, self.size = classifier, size
        self._options, self._device, self._advance = options, device, advance
        self._queries = queries

    def __call__(self, attack: Attack, batch: Batch) -> AttackResult:
        """Attack the images of a batch."""
        options = self._options
        rows = np.arange(len(batch.pixels)) if batch.rows is None else batch.rows
        n_surveyed = 0
        if batch.targets is None and options.judge is None:
            n_surveyed = attack._n_surveyed
        source, points = self._source(attack, batch, n_surveyed)
        size = min(self.size, self.classifier.room.most or self.size)
        task = Task(
            images=calling.to_tensor(batch.pixels, "cpu"),
            labels=batch.labels.tolist(),
            targets=None if batch.targets is None else batch.targets.tolist(),
            is_custom=options.judge is not None,
            margin=options.margin,
            probability=options.min_probability,
            norm=attack.norm,
            source=source,
            points=points,
            n_starts=attack.n_starts,
            n_surveyed=n_surveyed,
            n_bisections=attack.binary_search_steps,
            seed=options.seed,
            indices=[(options.first_index + row) % 2**64 for row in rows.tolist()],
            batch_size=size,
            is_deterministic=options.deterministic,
            is_queued=transfer.is_queued(self._device),
        )
        judge = self._judge(batch)
        queries = self._queries.of((judge, batch.targets is None))
        callables = Callables(self.classifier, judge, queries, self._advance)
        settings = attack._settings(is_surveyed=source == "survey")
        found = _neurofreq.attack(callables, attack._method, settings, task)
        return _result.from_rust(
            batch.pixels, found, options.trajectory, is_shaped=attack.shaped,
            norm=attack.norm,
        )  # fmt: skip

    def _judge(self, batch: Batch) -> Any:
        """Return the criterion, with positions among all images of the call."""
        judge = self._options.judge
        if judge is None or batch.rows is None:
            return judge
        rows = torch.from_numpy(batch.rows).to(self._device)

        def judged(images: Any, logits: Any, row: torch.Tensor) -> Any:
            return judge(images, logits, rows[row])

        return judged

    def _source(
        self, attack: Attack, batch: Batch, n_surveyed: int
    ) -> tuple[str, torch.Tensor | None]:
        """Return the kind of starting points, and their images if they are given."""
        if batch.points is not None:
            return "given", calling.to_tensor(batch.points, "cpu")
        if self._options.candidates is not None and attack.needs_start:
            return "pool", calling.to_tensor(self._options.candidates, self._device)
        if not attack.needs_start:
            return "unneeded", None
        if not attack.needs_gradient:
            return "noise", None
        if attack.scatter:
            return "scatter", None
        return ("survey" if n_surveyed else "climb"), None


def _require_like(images: Array, points: Array, name: str) -> None:
    """Require points that match the images; candidates may differ in number."""
    first = images if name == "starting_points" else images[:1]
    validate.same(first, points[: len(first)], ("images", name))
    if name == "starting_points" and len(points) != len(images):
        raise ValueError(f"{name}: got {len(points)}, expected {len(images)}")
