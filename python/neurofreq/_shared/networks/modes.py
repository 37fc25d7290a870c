"""Hold a model in evaluation mode while it is measured, then restore its modes."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class _Held:
    """A module in evaluation mode, its original flag, and the number of holders."""

    module: torch.nn.Module
    flag: bool
    count: int = 0


_held: dict[int, _Held] = {}
_lock = threading.RLock()


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Hold a model in evaluation mode, then restore the flag of every module.

    If several threads hold a module, the last thread restores the flag. All threads
    share the flag: while a module is held, training passes of other threads also run
    in evaluation mode. Callables that are not modules have no mode.
    """
    modules = list(model.modules()) if isinstance(model, torch.nn.Module) else []
    # Frozen TorchScript modules have no flag.
    modules = [module for module in modules if hasattr(module, "training")]
    with _lock:
        for module in modules:
            held = _held.setdefault(id(module), _Held(module, module.training))
            held.count += 1
    try:
        with _lock:
            if any(module.training for module in modules):
                _evaluate(model)
        yield
    finally:
        with _lock:
            for module in modules:
                _release(module)


def _release(module: torch.nn.Module) -> None:
    """Restore a module's flag if no other thread holds the module."""
    held = _held[id(module)]
    held.count -= 1
    if held.count == 0:
        del _held[id(module)]
        if module.training != held.flag:
            module.training = held.flag


def _evaluate(model: torch.nn.Module) -> None:
    """Call ``eval()``, which a user's class may override.

    Exported programs refuse the call, because their mode is fixed at export.
    """
    try:
        model.eval()
    except NotImplementedError:
        return
