"""Prepare a network for a pass that must not change it: eager, with copied buffers."""

from __future__ import annotations

import functools
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_P = ParamSpec("_P")
_T = TypeVar("_T")


def named(model: nn.Module) -> dict[str, nn.Module]:
    """Return all submodules by name, without the ``_orig_mod`` that compiling adds."""
    # A compiled module and the module inside it get the same name; the inner module
    # comes later and is kept.
    return {plain(name): module for name, module in model.named_modules()}


def plain(name: str) -> str:
    """Return a submodule's name without the ``_orig_mod`` that compiling adds."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


_lock = threading.Lock()
_eager: list[Any] = []  # torch's eager stance, once for every pass that needs it


def uncompiled(method: Callable[_P, _T]) -> Callable[_P, _T]:
    """Keep a method out of a caller's compiled region: compilers cannot trace it."""

    @functools.wraps(method)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        if "torch._dynamo" in sys.modules:  # its import is slow
            disable: Any = torch.compiler.disable
            return disable(method)(*args, **kwargs)
        return method(*args, **kwargs)

    return call


@contextmanager
def eagerly() -> Iterator[None]:
    """Run compiled code eagerly: code that was compiled without hooks skips them.

    Torch has one stance for all threads: the first pass sets it, and the last pass
    restores the earlier stance. Meanwhile other threads also run eagerly.
    """
    if "torch._dynamo" not in sys.modules:  # then nothing is compiled
        yield
        return
    with _lock:
        _eager.append(_eager[0] if _eager else torch.compiler.set_stance("force_eager"))
    try:
        yield
    finally:
        with _lock:
            stance = _eager.pop()
            if not _eager:
                stance.__exit__(None, None, None)


# A second pass at the same time would restore the copies of the first one.
_one_at_a_time = threading.RLock()


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Let a pass work on copies of buffers, with gradients for all parameters.

    Frozen parameters are replaced by trainable parameters with the same memory. If a
    feature then has no graph, the forward pass has cut the graph.

    If another thread trains the model meanwhile, it updates the copies, and its update
    of batch norm's running averages is lost. Weights and gradients are not affected.
    """
    with _one_at_a_time:
        replaced = _replaced(model)
        try:
            yield
        finally:
            for tensors, name, tensor in replaced:
                tensors[name] = tensor


def _replaced(model: nn.Module) -> list[tuple[dict[str, Any], str, Any]]:
    """Replace buffers and frozen parameters by copies; return the originals."""
    replaced: list[tuple[dict[str, Any], str, Any]] = []
    for module in model.modules():
        if isinstance(module, torch.jit.ScriptModule):
            continue
        for name, buffer in module._buffers.items():
            if buffer is not None:
                replaced.append((module._buffers, name, buffer))
                module._buffers[name] = buffer.detach().clone()
        for name, parameter in module._parameters.items():
            if parameter is not None and _is_frozen(parameter):
                replaced.append((module._parameters, name, parameter))
                module._parameters[name] = nn.Parameter(parameter.detach())
    return replaced


def _is_frozen(parameter: nn.Parameter) -> bool:
    if parameter.requires_grad or parameter.is_inference():
        return False
    return bool(parameter.is_floating_point())
