"""Compute a model's gradients at a few images, because attacks depend on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from neurofreq._shared.networks import calling, passes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_N_IMAGES = 3


def found(
    model: torch.nn.Module,
    images: torch.Tensor,
    *,
    batch_size: int,
    device: torch.device,
) -> NDArray[np.float64]:
    """Return sizes of the gradients of `summed` logits, shape (min(N, 3), 5).

    A row holds the norm of an image's gradient, and the gradient's projections on four
    waves. All five are multiplied by the root of the number of values in an image. A
    row is zero if there is no gradient, and NaN if differentiation fails. The model
    and its parameters' gradients are unchanged.
    """
    few = images[:_N_IMAGES].float().numpy()
    # Noise breaks ties in uniform areas. Otherwise rounding would decide a maximum.
    noise = np.random.default_rng(0).random(few.shape)
    noisy = torch.from_numpy(0.9 * few + 0.1 * noise).to(images.dtype)
    ask = calling.Classifier(model)
    with passes.eagerly(), calling.evaluating(model), torch.inference_mode(False):
        ask.settle(calling.to_tensor(noisy[:1], device))
        rows = torch.cat(
            [
                _gradient(ask, calling.to_tensor(batch, device))
                for batch in torch.split(noisy, batch_size)
            ]
        ).flatten(1)
    n = rows.shape[1]
    t = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    # Smooth waves hardly change if rounding moves a gradient by a pixel.
    waves = [(k * torch.pi * t).cos() for k in range(3)]
    waves.append((2 * n / images.shape[-1] * torch.pi * t).sin())  # along each row
    parts = [rows @ (wave / wave.norm()) for wave in waves]
    return (torch.stack([rows.norm(dim=1), *parts], dim=1) * n**0.5).numpy()


def summed(logits: torch.Tensor) -> torch.Tensor:
    """Return a weighted sum of all logits; rounding may change the largest logit."""
    weights = torch.arange(1, logits.shape[1] + 1, device=logits.device).cos()
    return (logits * weights.to(logits.dtype)).sum()


def _gradient(ask: calling.Classifier, batch: torch.Tensor) -> torch.Tensor:
    """Return the gradient at each image: zeros without a graph, NaN where it fails."""
    batch.requires_grad_()
    try:
        with torch.enable_grad():
            total = summed(ask(batch))
            gradient = None
            if total.requires_grad:
                (gradient,) = torch.autograd.grad(total, batch, allow_unused=True)
    except Exception:  # a model may refuse to be differentiated in any way
        return torch.full(batch.shape, torch.nan, dtype=torch.float64, device="cpu")
    if gradient is None:
        return torch.zeros(batch.shape, dtype=torch.float64, device="cpu")
    return gradient.detach().cpu().double().nan_to_num(0.0, 0.0, 0.0)
