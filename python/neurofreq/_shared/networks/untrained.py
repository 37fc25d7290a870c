"""Remember a network's random initial weights, to detect untrained networks."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

RANDOM = "random"
_MARK = "_first_weights"
_N_KEPT = 16  # values per parameter; training changes some of them

Options = ParamSpec("Options")
Made = TypeVar("Made", bound=nn.Module)


def untrained(factory: Callable[Options, Made]) -> Callable[Options, Made]:
    """Make a factory's networks remember their random initial weights."""

    @functools.wraps(factory)
    def made(*args: Options.args, **options: Options.kwargs) -> Made:
        model = factory(*args, **options)
        kept = [_first(one).cpu() for one in model.parameters() if not one.is_meta]
        object.__setattr__(model, _MARK, tuple(kept))
        return model

    return made


def is_random(model: nn.Module) -> bool:
    """Return whether a network, or a part of it, still has its initial weights.

    False for networks that neurofreq did not create.
    """
    return any(_is_as_made(part) for part in model.modules())


def _is_as_made(model: nn.Module) -> bool:
    first = getattr(model, _MARK, ())
    now = list(model.parameters())
    return len(first) == len(now) > 0 and all(
        torch.equal(was.to(one.dtype), _first(one).cpu())
        for was, one in zip(first, now, strict=True)
    )


def _first(parameter: nn.Parameter) -> torch.Tensor:
    return parameter.detach().flatten()[:_N_KEPT].clone()
