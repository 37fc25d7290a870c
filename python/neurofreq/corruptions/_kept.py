"""Results of corruption accuracy that a folder keeps, by model and part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared import runtime
from neurofreq._shared.files import storage
from neurofreq._shared.networks import classes, fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from neurofreq.corruptions.grid import Part, Shown, Source


class Kept:
    """Correctness of the images of each part, stored under a record of its origin."""

    def __init__(self, folder: Path, source: Source) -> None:
        self._store, self._source = storage.Store(folder), source
        self._models: dict[str, dict[str, Any]] = {}
        self._parts: dict[Part, dict[str, Any]] = {}

    def identify(
        self, shown: dict[str, Shown], first: Part, batch_size: int | None, device: Any
    ) -> None:
        """Identify all models, and check their classes with the labels of a part."""
        source = self._source
        probes = {
            is_gray: fingerprint.probes(source.some(), gray=is_gray)
            for is_gray in {one.is_gray for one in shown.values()}
        }
        for name, one in shown.items():
            if not isinstance(one.model, torch.nn.Module):
                raise TypeError(
                    f"model: got {type(one.model).__name__}, expected an nn.Module "
                    "when results are kept (`out`): a function cannot be identified"
                )
            found = fingerprint.behaviour(
                one.model, probes[one.is_gray], name=name,
                batch_size=batch_size, device=device,
            )  # fmt: skip
            labels = source.labels(first)  # check the labels before anything is kept
            classes.fit(found.answers.shape[1], labels, source.n_classes, name)
            digest = fingerprint.Known(self._store.folder).digest(name, found)
            self._models[name] = {"model": digest, "is_gray": one.is_gray}

    def load(self, part: Part, name: str) -> dict[str, NDArray[Any]] | None:
        """Return what `save` stored, or None."""
        return self._store.load(self._record(part, name))

    def save(
        self, part: Part, name: str, correct: NDArray[np.bool_], n_outputs: int
    ) -> None:
        """Store which images of a part a model classified correctly."""
        kept = {"correct": correct, "n_outputs": np.array(n_outputs)}
        self._store.save(self._record(part, name), kept)

    def _record(self, part: Part, name: str) -> dict[str, Any]:
        """Return everything that decides the results of a model on a part."""
        if part not in self._parts:
            self._parts[part] = self._source.record(part)
        return {
            "measurement": "corruption_accuracy",
            "corruption": part.corruption,
            "severity": part.severity,
            "rows": [part.start, part.stop],
            **self._models[name],
            "neurofreq": runtime.VERSION,
        } | self._parts[part]
