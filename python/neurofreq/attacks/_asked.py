"""What an attack asks: the model and the criterion as they are called."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from neurofreq import _model

JITTER = 1e-3  # of the largest logit; more than rounding between two equal calls
HALVES = (torch.bfloat16, torch.float16)


def model(
    model: _model.Model, channels_last: bool, autocast: torch.dtype | None
) -> _model.Model:
    """Return the model as it is to be called, on images of its own to write into."""
    if autocast is not None and autocast not in HALVES:
        raise TypeError(
            f"autocast: got {autocast!r}, expected torch.bfloat16 or torch.float16"
        )
    order = torch.channels_last if channels_last else torch.contiguous_format

    def call(images: torch.Tensor) -> torch.Tensor:
        images = images.clone(memory_format=order)
        if autocast is None:
            return model(images)
        with torch.autocast(images.device.type, dtype=autocast):
            logits = model(images)
        return logits.float()

    return call


def criterion(criterion: Callable[..., torch.Tensor] | None, first_index: int) -> Any:
    """Return the criterion as a function of images, logits and row."""
    if criterion is None:
        return None
    if not callable(criterion):
        raise TypeError(
            f"criterion: got {type(criterion).__name__}, expected a callable"
        )
    if _takes_index(criterion):
        return lambda images, logits, row: criterion(images, logits, row + first_index)
    return lambda images, logits, row: criterion(images, logits)


def warn_if_random(model: _model.Model, image: torch.Tensor) -> None:
    """Compare two equal calls: an attack on a random model means little."""
    with torch.no_grad():
        first, second = model(image), model(image)
    if not isinstance(first, torch.Tensor) or first.shape != second.shape:
        return
    if first.numel() == 0:
        return
    change = (first.double() - second.double()).abs().nan_to_num(0.0).max()
    scale = first.double().abs().nan_to_num(0.0).max()
    if change > JITTER * scale:
        warnings.warn(
            f"model: got logits that differ by {float(change):.3g} between two equal "
            "calls, expected the same (is dropout on?)",
            stacklevel=4,
        )


def _takes_index(criterion: Callable[..., torch.Tensor]) -> bool:
    """Say whether a third argument is asked for, or has the name."""
    try:
        signature = inspect.signature(criterion)
    except ValueError:  # of a callable written in C
        return False
    third = list(signature.parameters.values())[2:3]
    if third and third[0].name == "index":
        return third[0].kind is not inspect.Parameter.KEYWORD_ONLY
    try:
        signature.bind(None, None)
    except TypeError:
        return True
    return False
