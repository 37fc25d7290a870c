"""Evaluation mode: held while a model is measured, then given back."""

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
    """A module in evaluation mode, the flag it was found with, and for how many."""

    module: torch.nn.Module
    flag: bool
    count: int = 0


_held: dict[int, _Held] = {}
_lock = threading.RLock()


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Hold a model in evaluation mode and give every module its own flag back.

    Several threads may hold one module: the last to leave gives the flag back.

    Parameters
    ----------
    model : callable
        Anything but an ``nn.Module`` has no mode and is left alone.

    Notes
    -----
    A training pass of another thread meanwhile runs in evaluation mode, because a
    module has one flag for all threads.
    """
    modules = list(model.modules()) if isinstance(model, torch.nn.Module) else []
    # Frozen scripts have no flag.
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
    """Give a module its flag back where nobody else holds it."""
    held = _held[id(module)]
    held.count -= 1
    if held.count == 0:
        del _held[id(module)]
        if module.training != held.flag:
            module.training = held.flag


def _evaluate(model: torch.nn.Module) -> None:
    """Call ``eval()``, which a user's class may extend.

    Exported programs refuse it: they were frozen in one mode.
    """
    try:
        model.eval()
    except NotImplementedError:
        return
