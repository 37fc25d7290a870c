"""Check whether a model's output for an image depends on more than the image."""

from __future__ import annotations

from typing import Any

import torch

# Limits relative to the largest value, above rounding in single and half precision.
JITTER, HALF_JITTER = 1e-3, 5e-2


def hint(model: Any) -> str:
    """Return a hint for a warning about a callable, whose mode neurofreq cannot set."""
    if isinstance(model, torch.nn.Module):
        return ""
    return "; is a network inside of it in training mode?"


def beside_others(one: torch.Tensor) -> torch.Tensor:
    """Return a batch of the image, a black image and the inverted image."""
    return torch.cat([one, 0.0 * one, 1.0 - one])


def told_refusal(error: Exception, hint: str = "") -> str:
    """Return the warning for a model that refuses one image and accepts several."""
    return (
        f"model: it refuses a batch of one image ({error}) but accepts larger batches: "
        "its outputs may depend on the other images of a batch (batch statistics"
        f"{hint})"
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
    """Return the warning if logits differ between equal calls or batches, else None."""
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
    """Return the largest absolute value, ignoring NaN."""
    return (
        float(values.double().abs().nan_to_num(0.0).amax()) if values.numel() else 0.0
    )
