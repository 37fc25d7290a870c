"""A training run on disk: its state after the last whole epoch, in one file.

A folder holds ``settings.json`` (what decides the numbers), ``last.safetensors``
(everything needed to go on), ``best.safetensors`` (the weights with the best
validation score; the last where nothing is held out), ``curves.csv`` and
``curves.png``. Every file is written whole or not at all.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from neurofreq import _runtime, _store
from neurofreq._features import unwrapped
from neurofreq.training import _curves
from neurofreq.training._schedule import Progress

if TYPE_CHECKING:
    from os import PathLike

    from neurofreq.training._augment import Augment
    from neurofreq.training._loop import _Run
    from neurofreq.training._recipe import Recipe


REDRAW = 20.0
"""Seconds after which the picture of an unfinished run is drawn again."""


class Checkpoints:
    """The folder of one training run.

    Parameters
    ----------
    folder : path
        Made where it is missing.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._best_epoch = -1
        self._drawn = -math.inf

    def claim(
        self,
        recipe: Recipe,
        seed: int,
        images: Tensor,
        labels: Tensor,
        regularizer: Any,
        augment: Augment | None = None,
    ) -> None:
        """Write what decides the run's numbers, or compare it with what is there.

        Beside them stands "target", what the regularizer's similarities say of
        their source.

        Raises
        ------
        ValueError
            If the folder holds a run with something else; the first difference
            is named.
        """
        ours = recipe.as_dict() | {
            "seed": seed,
            "data": _store.data_digest(images, labels),
            "regularizer": None if regularizer is None else regularizer.digest(),
            "augment function": None if augment is None else _store.code_name(augment),
            "neurofreq": _runtime.VERSION,
        }
        ours = json.loads(json.dumps(ours))  # as it is read: lists, not tuples
        path = self.folder / "settings.json"
        if not path.exists():
            ours["target"] = getattr(regularizer, "target", None)
            _store.write_text(path, json.dumps(ours, indent=2) + "\n")
            return
        theirs = json.loads(path.read_text())
        for name in ours:
            if theirs.get(name) != ours[name]:
                raise ValueError(
                    f"folder: {self.folder} holds a run with {name} "
                    f"{theirs.get(name)!r}, this one has {ours[name]!r}; "
                    "name another folder or empty it"
                )

    def save(self, run: _Run) -> None:
        """Write the state after an epoch; the best weights first."""
        from safetensors.torch import save

        if run.progress.best_epoch != self._best_epoch or run.best is None:
            best = run.best or unwrapped(run.model).state_dict()
            content = save(_contiguous(best))
            _store.write_bytes(self.folder / "best.safetensors", content)
            self._best_epoch = run.progress.best_epoch
        tensors, numbers = _flatten(run)
        metadata = {"run": json.dumps(numbers)}
        content = save(_contiguous(tensors), metadata=metadata)
        _store.write_bytes(self.folder / "last.safetensors", content)
        self._write_curves(run)

    def _write_curves(self, run: _Run) -> None:
        _curves.write_table(run.history, self.folder)
        if run.is_done or time.monotonic() - self._drawn > REDRAW:
            _curves.write_picture(run.history, self.folder)
            self._drawn = time.monotonic()

    def load(self, run: _Run) -> None:
        """Bring a run to where the folder's ended; a new folder changes nothing.

        Raises
        ------
        ValueError
            If the file was damaged from outside: it is written whole or not at all.
        """
        from safetensors import SafetensorError, safe_open
        from safetensors.torch import load_file

        path = self.folder / "last.safetensors"
        if not path.exists():
            return
        try:
            with safe_open(path, framework="pt") as file:
                numbers = json.loads(file.metadata()["run"])
            tensors = load_file(path)
        except SafetensorError as error:
            raise ValueError(
                f"folder: {path} is damaged ({error}); name another folder, or empty "
                "this one to begin again"
            ) from error
        unwrapped(run.model).load_state_dict(_part(tensors, "model"))
        if run.regularizer is not None:
            run.regularizer.load_state_dict(_part(tensors, "regularizer"))
        _restore(run.optimizer, _part(tensors, "optimizer"))
        run.history = numbers["history"]
        run.progress = Progress(**numbers["progress"])
        if run.progress.best_epoch:
            # Folders of before have none. What best.safetensors holds may be an epoch
            # ahead, where the process was killed between the two files.
            best = _part(tensors, "best")
            run.best = best or load_file(self.folder / "best.safetensors")
            run.best_regularizer = _part(tensors, "best_regularizer") or None
        if run.is_done:  # also what a kill after the last epoch left out
            self._write_curves(run)


def _flatten(run: _Run) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a run, by name, and its numbers."""
    tensors = {f"model.{k}": v for k, v in unwrapped(run.model).state_dict().items()}
    if run.regularizer is not None:
        state = run.regularizer.state_dict()
        tensors |= {f"regularizer.{k}": v for k, v in state.items()}
    for part, best in (("best", run.best), ("best_regularizer", run.best_regularizer)):
        tensors |= {f"{part}.{k}": v for k, v in (best or {}).items()}
    for index, state in run.optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
    progress = dataclasses.asdict(run.progress)
    return tensors, {"history": run.history, "progress": progress}


def _restore(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): value
        for key, value in tensors.items()
        if key.startswith(prefix)
    }


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as a file takes them: on the host, in order, unshared."""
    return {
        name: value.detach().cpu().contiguous().clone()
        for name, value in tensors.items()
    }
