"""The manner of a model: its answers and gradients in training mode, with dropout.

Models with the same weights and the same answers in evaluation mode may still train in
different ways. Manners are compared only on the same type of device, because random
draws differ between types.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from neurofreq._shared import runtime
from neurofreq._shared.networks import calling, fingerprint, passes, probe_gradients
from neurofreq._shared.networks.features import unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

_N_AGAIN = 4  # passes that must all agree before a model counts as a different one


def key(device: torch.device) -> str:
    """Return the key under which a run stores its manner on a type of device."""
    if device.type == "cuda":
        return f"training on {torch.cuda.get_device_name(device)}"
    return f"training on {device.type} {torch.backends.cpu.get_cpu_capability()}"


def steady(model: nn.Module, images: Tensor) -> dict[str, Tensor] | None:
    """Return the manner of a model; None if a pass fails or is not reproducible."""
    first, again = _found(model, images), _found(model, images)
    if first is None or again is None or not _are_alike(model, first, again):
        return None
    return first


def is_same(model: nn.Module, images: Tensor, kept: dict[str, Tensor]) -> bool:
    """Return whether a model has the stored manner; True if it is not reproducible."""
    first = _found(model, images)
    if first is None or _are_alike(model, first, kept):
        return True
    others = [_found(model, images) for _ in range(_N_AGAIN)]
    return any(one is None or not _are_alike(model, first, one) for one in others)


def _are_alike(
    model: nn.Module, first: dict[str, Tensor], second: dict[str, Tensor]
) -> bool:
    if first.keys() != second.keys():
        return False
    tolerance = fingerprint.rounding(model, first["answers"])
    answers, slopes = (
        (first[name].double().numpy(), second[name].double().numpy())
        for name in ("answers", "slopes")
    )
    # Before a normalization, a parameter's gradient may be rounding error only.
    return fingerprint.agree_slopes(*answers, tolerance, answers[0][:0]) and (
        fingerprint.agree_slopes(*slopes, tolerance, slopes[0])
    )


def _found(model: nn.Module, images: Tensor) -> dict[str, Tensor] | None:
    """Return answers and gradient norms of a pass; None on failure or infinity."""
    inner = unwrapped(model)
    device = calling.device_of(inner)
    shown = images.to(device, calling.dtype_of(inner), copy=True)
    try:
        with (
            _seeded(device),
            passes.eagerly(),
            passes.undisturbed(inner),
            _training(inner),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            logits = calling.logits_of(inner(shown))
            parameters = [p for p in inner.parameters() if p.requires_grad]
            gradients = torch.autograd.grad(
                probe_gradients.summed(logits), parameters, allow_unused=True
            )
    except Exception:  # some models accept no passes outside their own training code
        return None
    sizes = [0.0 if g is None else float(g.float().norm()) for g in gradients]
    found = {
        "answers": logits.detach().float().cpu(),
        "slopes": torch.tensor(sizes)[:, None],
    }
    return found if all(value.isfinite().all() for value in found.values()) else None


@contextmanager
def _training(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _seeded(device: torch.device) -> Iterator[None]:
    """Seed the global generators of torch, NumPy and Python; restore them after."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    try:
        with runtime.seeded(0, device):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
