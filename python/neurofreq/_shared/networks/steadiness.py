"""Whether what a model says of an image depends on more than the image."""

from __future__ import annotations

from typing import Any

import torch

# Of the largest value: more than rounding, in single and in half precision.
JITTER, HALF_JITTER = 1e-3, 5e-2


def hint(model: Any) -> str:
    """Return what to look at besides in a model whose mode is not ours to set."""
    if isinstance(model, torch.nn.Module):
        return ""
    return "; is a network inside of it in training mode?"


def beside_others(one: torch.Tensor) -> torch.Tensor:
    """Return an image with two others after it: black, and its inverse."""
    return torch.cat([one, 0.0 * one, 1.0 - one])


def told_refusal(error: Exception, hint: str = "") -> str:
    """Say that one image alone is refused, where several are taken."""
    return (
        f"model: it refuses one image alone ({error}) and takes several: its answers "
        f"may depend on the images beside (batch statistics{hint})"
    )


def told(
    first: torch.Tensor,
    again: torch.Tensor,
    single: torch.Tensor,
    *,
    is_half: bool,
    what: str = "logits",
    hint: str = "",
) -> str | None:
    """Say how answers to some images, to them again and to one alone differ."""
    limit = (HALF_JITTER if is_half else JITTER) * _largest(first)
    if (change := _largest(first - again)) > limit:
        return (
            f"model: got {what} that differ by {change:.3g} between two equal calls, "
            f"expected the same (is dropout on?{hint})"
        )
    if (change := _largest(first[:1] - single)) > limit:
        return (
            f"model: got {what} of one image that differ by {change:.3g} with the "
            "images beside it, expected the same (batch statistics in evaluation "
            f"mode, such as batch norm without running averages?{hint})"
        )
    return None


def _largest(values: torch.Tensor) -> float:
    """Return the largest size of a value, NaN aside."""
    return (
        float(values.double().abs().nan_to_num(0.0).amax()) if values.numel() else 0.0
    )
