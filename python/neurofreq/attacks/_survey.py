"""Order the other classes of each image by their linearized distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._neurofreq import ModelError
from neurofreq._shared import transfer
from neurofreq._shared.networks import calling
from neurofreq.attacks._task import Callables

if TYPE_CHECKING:
    from neurofreq._shared.inputs.validate import Array


def logits(ask: calling.Classifier, images: torch.Tensor) -> torch.Tensor:
    """Return the logits of a batch; a class that the model excludes has -inf.

    Raises ModelError for other values that are not finite.
    """
    found = ask(images)
    is_out = found.detach() == -torch.inf if found.is_floating_point() else None
    calling.check_logits(
        found if is_out is None else found.masked_fill(is_out, 0.0), len(images)
    )
    if is_out is not None and bool(is_out.all(dim=1).any()):
        raise ModelError("model: got -inf as every logit, expected a finite one")
    return found


def require_classes(classes: Any, n_classes: int, name: str = "labels") -> None:
    """Require classes that the model has."""
    if len(classes) and classes.max() >= n_classes:
        raise ValueError(
            f"{name}: got {classes.max()}, expected 0 to {n_classes - 1} (the model "
            f"has {n_classes} classes)"
        )


def nearest(
    ask: calling.Classifier,
    pixels: Array,
    labels: Any,
    *,
    norm: str,
    most: int,
    batch_size: int,
    device: torch.device | str,
) -> tuple[Any, Any]:
    """Return the likeliest other classes, nearest first, and their distances, (N, K).

    The distance is linearized at the image: the logit difference over the dual norm of
    its gradient. It is infinite where the gradient vanishes, and for -1, which stands
    for a class that the model excludes. One forward pass and K backward passes.
    """
    asked = Callables(ask, None, None, lambda _: None)

    def one(start: int, stop: int) -> tuple[Any, Any]:
        images = calling.to_tensor(pixels[start:stop], device)
        (own,) = transfer.send([torch.as_tensor(labels[start:stop])], images.device)
        found, distance = _neurofreq.nearest_classes(asked, images, own, norm, most)
        return found.cpu().numpy(), distance.double().cpu().numpy()

    parts = ask.room.over(len(pixels), batch_size, one)
    classes, distances = zip(*parts, strict=True)
    return np.concatenate(classes), np.concatenate(distances)
