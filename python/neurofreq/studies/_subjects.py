"""Pair each model with the images that it is shown, and try it on two of them."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling, classes, fingerprint, luma
from neurofreq.models import fold_batch_norm
from neurofreq.studies.measuring import Subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neurofreq._shared.networks.fingerprint import Known, Probes
    from neurofreq.data import ImageSet
    from neurofreq.studies.measuring import Running

_GRAY: dict[str, bool | Literal["auto"]] = {
    "always": True,
    "never": False,
    "auto": "auto",
}


class Views:
    """The images of a study (floats in [0, 1]) in color and gray, each made once.

    `gray` is "auto", "always" or "never". With `fold`, a faster copy of each model is
    measured (see `fold_batch_norm`).
    """

    def __init__(self, data: ImageSet, gray: str, *, fold: bool = False) -> None:
        self.images = np.ascontiguousarray(data.images)
        self.labels = validate.labels(data.labels)
        self._data = data
        self._wanted = gray
        self._fold = fold
        self._probes: dict[bool, Probes] = {}

    @functools.cached_property
    def gray(self) -> NDArray[np.float32]:
        """The images in gray, made when the first model needs them."""
        return self._data.gray().images

    def subject(
        self, name: str, model: object, running: Running, known: Known
    ) -> Subject:
        """Pair a model with the images that it is shown, and try it on two of them.

        Raises TypeError if `model` is not an ``nn.Module``, ValueError if it does not
        fit the images or labels or cannot be folded, and ModelError if its logits are
        not finite.
        """
        if not isinstance(model, nn.Module):
            raise TypeError(
                f"models: got {type(model).__name__} for {name!r}, expected nn.Module"
            )
        is_gray = luma.is_shown(
            name, model, self.images[:2], self.images.shape[1],
            _GRAY[self._wanted], device=running.device, argument="models",
        )  # fmt: skip
        shown: NDArray[Any] = self.gray if is_gray else self.images
        if calling.dtype_of(model) == torch.float64:
            shown = shown.astype(np.float64)
        subject = Subject(name, model, shown, self.labels, is_gray, "", 0)
        n_outputs = _outputs(subject, running)
        classes.check(
            n_outputs, self.labels, len(self._data.class_names), name, error=ValueError
        )
        subject = dataclasses.replace(subject, n_outputs=n_outputs)
        if is_gray not in self._probes:
            self._probes[is_gray] = fingerprint.probes(self.images, gray=is_gray)
        found = fingerprint.behaviour(
            model, self._probes[is_gray], name=name,
            batch_size=running.batch_size, device=running.device,
        )  # fmt: skip
        subject.digest = known.digest(name, found)
        return _folded(subject) if self._fold else subject


def _folded(subject: Subject) -> Subject:
    """Return the subject with a faster copy of its model and a digest for the copy."""
    model = fold_batch_norm(subject.model, subject.images[:2])
    model.to(memory_format=torch.channels_last)
    return dataclasses.replace(subject, model=model, digest=f"{subject.digest}-folded")


def _outputs(subject: Subject, running: Running) -> int:
    """Return a model's number of classes from a trial, so that errors come early."""
    ask = calling.tried(subject.model, subject.images, device=running.device)
    logits = calling.predict(
        ask,
        subject.images[:2],
        batch_size=running.batch_size,
        device=running.device,
    )
    return logits.shape[1]
