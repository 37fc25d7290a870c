"""Wrap a user's criterion for an attack."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


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


def _takes_index(criterion: Callable[..., torch.Tensor]) -> bool:
    """Return whether the third parameter is required, or is named "index"."""
    try:
        signature = inspect.signature(criterion)
    except ValueError:  # a callable written in C has no signature
        return False
    third = list(signature.parameters.values())[2:3]
    if third and third[0].name == "index":
        return third[0].kind is not inspect.Parameter.KEYWORD_ONLY
    try:
        signature.bind(None, None)
    except TypeError:
        return True
    return False
