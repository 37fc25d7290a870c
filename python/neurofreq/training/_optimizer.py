"""The optimizer of a recipe, and a check of the memory layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from neurofreq.training._recipe import Recipe

NARROWEST = 16
"""Fewest safe input channels: the float32 values of a 512-bit vector register."""


def check_channels_last(model: nn.Module, device: torch.device) -> None:
    """Refuse convolutions for which oneDNN writes outside the gradient's memory.

    uxlfoundation/oneDNN issue 6035: the bug needs fewer channels than a vector register
    holds.
    """
    if device.type != "cpu":
        return
    for name, module in model.named_modules():
        if (
            isinstance(module, nn.Conv2d)
            and module.kernel_size == (1, 1)
            and max(module.stride) > 1
            and module.in_channels < NARROWEST
        ):
            raise ValueError(
                f"channels_last: got True with {name}, a strided 1x1 convolution of "
                f"{module.in_channels} channels, expected False: with fewer than "
                f"{NARROWEST} channels, oneDNN writes outside its memory"
            )


def sgd(model: nn.Module, recipe: Recipe, regularizer: Any) -> torch.optim.Optimizer:
    """Return SGD over the trainable parameters, with weight decay by the recipe.

    Without `decay_all`, only parameters with two or more axes decay.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(
            "model: got no parameter to train, expected one with requires_grad=True"
        )
    kernels = [p for p in parameters if recipe.decay_all or p.ndim > 1]
    others = [p for p in parameters if not (recipe.decay_all or p.ndim > 1)]
    groups = [
        {"params": kernels, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if regularizer is not None:
        groups.append({"params": list(regularizer.parameters()), "weight_decay": 0.0})
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
    )
