"""A training run on disk: its state after the last complete epoch, in one file.

A folder holds ``settings.json`` (the settings that decide the numbers),
``last.safetensors`` (everything needed to continue), ``best.safetensors`` (the weights
with the best validation score; the last weights if no image is held out),
``curves.csv`` and ``curves.png``. Every file is written completely or not at all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neurofreq._neurofreq import ModelError
from neurofreq._shared import runtime
from neurofreq._shared.files import storage
from neurofreq._shared.networks import calling, fingerprint
from neurofreq._shared.networks.features import unwrapped
from neurofreq.training import _curves, _manner
from neurofreq.training._schedule import Progress

if TYPE_CHECKING:
    from os import PathLike

    from neurofreq.training._augment import Augment
    from neurofreq.training._recipe import Recipe
    from neurofreq.training._run import Run


_ANSWERS = "answers"  # key of the model's answers among the tensors of a run
_TRAINED = "trained"  # key of a flag per parameter: whether it is trained
_N_SHOWN = 8  # images that are used to compare models and augmentations
REDRAW = 20.0
"""The picture of an unfinished run is redrawn after this many seconds."""


class Checkpoints:
    """The folder of one training run, created if it does not exist."""

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        storage.sweep(self.folder)
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
        """Write the run's settings, or compare them with the stored settings.

        Augmentations are compared by their output on some images. "target" (the source
        of the regularizer's similarities) is stored beside the settings, but is not
        compared. Raises ValueError with the first difference if the folder holds
        another run.
        """
        ours = recipe.as_dict() | {
            "seed": seed,
            "data": storage.data_digest(images, labels),
            "regularizer": None if regularizer is None else regularizer.digest(),
            "augment function": None if augment is None else _made(augment, images),
            "neurofreq": runtime.VERSION,
        }
        ours = json.loads(json.dumps(ours))  # tuples become lists, as in the file
        path = self.folder / "settings.json"
        if not path.exists():
            ours["target"] = getattr(regularizer, "target", None)
            storage.write_json(path, ours)
            return
        try:
            theirs = storage.read_json(path)
        except ValueError as error:
            raise ValueError(
                f"folder: {error}; name another folder or empty this one to begin again"
            ) from error
        for name in ours:
            got, expected = ours[name], theirs.get(name)
            if name == "augment function" and _is_alike(got, expected):
                continue
            if got != expected:
                raise ValueError(
                    f"folder: {self.folder} holds a run with {name} "
                    f"{expected!r:.200}, this one has {got!r:.200}; "
                    "name another folder or empty it"
                )

    def save(self, run: Run) -> None:
        """Write the state after an epoch; the best weights first."""
        if run.progress.best_epoch != self._best_epoch or run.best is None:
            best = run.best or unwrapped(run.model).state_dict()
            storage.write_tensors(self.folder / "best.safetensors", best)
            self._best_epoch = run.progress.best_epoch
        tensors, numbers = _flatten(run)
        metadata = {"run": json.dumps(numbers)}
        storage.write_tensors(self.folder / "last.safetensors", tensors, metadata)
        self._write_curves(run)

    def _write_curves(self, run: Run) -> None:
        _curves.write_table(run.history, self.folder)
        if run.is_done or time.monotonic() - self._drawn > REDRAW:
            _curves.write_picture(run.history, self.folder)
            self._drawn = time.monotonic()

    def load(self, run: Run) -> None:
        """Restore the state from the folder; a new folder changes nothing.

        Raises ValueError if the file is damaged or belongs to a run of another model.
        """
        path = self.folder / "last.safetensors"
        if not path.exists():
            return
        try:
            tensors, metadata = storage.read_tensors(path)
            numbers = json.loads(metadata["run"])
            progress = Progress(**numbers["progress"])
            history = list(numbers["history"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"folder: {error if str(path) in str(error) else path}, the state of "
                "this run; name another folder or empty this one to begin again (the "
                f"best weights so far are in {self.folder / 'best.safetensors'})"
            ) from error
        unwrapped(run.model).load_state_dict(_part(tensors, "model"))
        self._check_answers(run, tensors.get(_ANSWERS))
        self._check_manner(run, tensors)
        if run.regularizer is not None:
            run.regularizer.load_state_dict(_part(tensors, "regularizer"))
        _restore(run.optimizer, _part(tensors, "optimizer"))
        run.history, run.progress = history, progress
        if run.progress.best_epoch:
            # Folders of earlier releases have no best state in this file. Then
            # best.safetensors is used, which may be an epoch ahead if the process was
            # killed between the two writes.
            best = _part(tensors, "best")
            run.best = best or storage.read_tensors(self.folder / "best.safetensors")[0]
            run.best_regularizer = _part(tensors, "best_regularizer") or None
        if run.is_done:  # the process may have been killed before it wrote the curves
            self._write_curves(run)

    def _check_answers(self, run: Run, kept: Tensor | None) -> None:
        """Require equal answers: other models may have weights of the same shapes."""
        now = _answers(run)
        if kept is None or now is None:  # an earlier release, or no finite answers
            return
        rounding = fingerprint.rounding(run.model, now)
        pair = now.double().numpy(), kept.double().numpy()
        if not fingerprint.agree(*pair, rounding):
            raise ValueError(
                f"folder: {self.folder} holds a run of a model that answers "
                "differently with the same weights; name another folder or empty it"
            )

    def _check_manner(self, run: Run, kept: dict[str, Tensor]) -> None:
        """Require a model that trains like the folder's model.

        Models with the same answers may train in different ways. Initial weights are
        not compared, because the folder's weights replace them.
        """
        theirs, ours = kept.get(_TRAINED), _trained(run)
        if theirs is not None and not torch.equal(theirs, ours):
            raise ValueError(
                f"folder: {self.folder} holds a run of another model, of which "
                f"{int(theirs.sum())} parameters are trained; this one has other "
                f"parameters with requires_grad ({int(ours.sum())} of {len(ours)}); "
                "name another folder or empty it"
            )
        manner = _part(kept, _manner.key(run.device))
        if manner and not _manner.is_same(run.model, run.images[:_N_SHOWN], manner):
            raise ValueError(
                f"folder: {self.folder} holds a run of another model, which in "
                "training mode has other answers or gradients with the same weights; "
                "name another folder or empty it"
            )


def _flatten(run: Run) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a run by name, and its history and progress."""
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
    answers = _answers(run)
    if answers is not None:
        tensors[_ANSWERS] = answers
    tensors[_TRAINED] = _trained(run)
    found = _manner.steady(run.model, run.images[:_N_SHOWN])
    for name, value in (found or {}).items():
        tensors[f"{_manner.key(run.device)}.{name}"] = value
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


def _answers(run: Run) -> Tensor | None:
    """Return the model's logits for the first images; None if they are not finite."""
    with runtime.seeded(0, run.device), contextlib.suppress(ModelError):
        return calling.predict(unwrapped(run.model), run.images[:_N_SHOWN]).cpu()
    return None


def _trained(run: Run) -> Tensor:
    """Return a flag per parameter of the model: whether the optimizer has it."""
    known = {id(p) for group in run.optimizer.param_groups for p in group["params"]}
    ours = unwrapped(run.model).parameters()
    return torch.tensor([id(parameter) in known for parameter in ours])


def _made(augment: Augment, images: Tensor) -> list[float] | str:
    """Return a few numbers that identify an augmentation by its output."""

    def once() -> list[float]:
        drawn = torch.Generator().manual_seed(0)
        made = augment(images[:_N_SHOWN].clone(), drawn).detach().cpu().double()
        rows = made.flatten(1)
        waves = torch.arange(rows.shape[1], dtype=torch.float64)
        found = [(rows * (waves * step).cos()).mean(1) for step in (0.0, 0.1, 1.0)]
        values: list[float] = torch.cat(found).nan_to_num().tolist()
        return values

    first = once()
    return first if _is_alike(first, once()) else "draws beyond its generator"


def _is_alike(got: Any, expected: Any) -> bool:
    if not (isinstance(got, list) and isinstance(expected, list)):
        return False
    return len(got) == len(expected) and np.allclose(got, expected, 1e-4, 1e-6)
