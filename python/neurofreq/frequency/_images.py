"""Take batches of images to a device, and ask a model about changed images."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from neurofreq._shared import transfer
from neurofreq._shared.inputs import pixel, validate
from neurofreq._shared.networks import batches, calling, classes, luma
from neurofreq._shared.networks.predicted import Predicted
from neurofreq._shared.progress import bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from neurofreq._shared.inputs.validate import Array
    from neurofreq._shared.networks.calling import Classifier, Model


@dataclasses.dataclass(frozen=True)
class Asking:
    """A model and the images that it is shown, checked before any work."""

    model: Model
    images: Array
    truth: NDArray[np.int64]
    ask: Classifier
    batch_size: int | None
    device: torch.device
    progress: bool

    def correct(
        self,
        changes: Callable[[torch.Tensor, int], Iterator[torch.Tensor]],
        count: int,
        desc: str,
    ) -> NDArray[np.bool_]:
        """Return which changed images are classified correctly, (N, count).

        `changes(batch, first)` yields `count` versions of a batch on the device, whose
        first image has the index `first`. Only one version is in memory at a time.
        """
        n = len(self.truth)
        right = np.zeros((n, count), dtype=bool)
        made = bar(total=n * count, desc=desc, unit="image", progress=self.progress)
        with made, calling.evaluating(self.model), torch.no_grad():
            one = take(self.images, np.arange(1), self.device)
            size = batches.chosen(self.batch_size, self.ask, one)
            for first in range(0, n, size):
                rows, predicted = np.arange(first, min(first + size, n)), Predicted()
                for changed in changes(take(self.images, rows, self.device), first):
                    logits = self.ask(changed)
                    predicted.add(logits, len(changed))
                    classes.fit(logits.shape[1], self.truth)
                    made.update(len(changed))
                for k, named in enumerate(predicted.read()):
                    right[rows, k] = named == self.truth[rows]
        return right


def asking(
    model: Model,
    images: Array,
    labels: Any,
    *,
    batch_size: int | None,
    device: torch.device | str | None,
    gray: bool | Literal["auto"],
    progress: bool,
) -> Asking:
    """Check the arguments of a measurement, and try the model on one image."""
    validate.model(model)
    images = validate.images(images, unit_range=True)
    truth = validate.labels(labels, count=len(images))
    batch_size = batches.check(batch_size)
    place = calling.device_of(model) if device is None else validate.device(device)
    progress = validate.flag("progress", progress)
    images = shown(model, images, gray, place)
    ask = calling.tried(model, images, device=place, made=True)
    return Asking(model, images, truth, ask, batch_size, place, progress)


def take(images: Array, rows: NDArray[np.int64], device: torch.device) -> torch.Tensor:
    """Return the images of `rows` on `device`."""
    if isinstance(images, torch.Tensor):
        (index,) = transfer.send([torch.from_numpy(rows)], images.device)
        taken = images.detach()[index]
        if images.device.type != "cpu":
            return taken.to(device)
        return transfer.send([taken], device)[0]
    return transfer.send([torch.from_numpy(images[rows])], device)[0]


def shown(
    model: Model, images: Array, gray: bool | Literal["auto"], device: torch.device
) -> Array:
    """Return the images in color, or their luma if requested or needed."""
    gray = luma.wanted(gray)
    few = images[:2]
    if isinstance(few, torch.Tensor):
        few = few.detach().cpu().numpy()
    is_gray = luma.is_shown("model", model, few, images.shape[1], gray, device=device)
    return pixel.luma(images) if is_gray else images
