"""List layers of a network that a user may name, with the shapes of their outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from neurofreq._shared.inputs import pixel
from neurofreq._shared.networks import calling, passes

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST = 8
_IDLE = (nn.Identity, nn.Dropout, nn.Flatten)


def listed(model: nn.Module, example: Any = None) -> str:
    """Return some layers as text, with the shapes of their outputs for two images.

    `example` are images (N, C, H, W), or an object that has them as an attribute.
    Without images, or if the network refuses them, there are no shapes.
    """
    modules = passes.named(model)
    names = _names(modules)
    shapes = {} if example is None else _shapes(model, names, example)
    # A layer without a tensor for each image cannot be used.
    names = [name for name in names if not shapes or name in shapes]
    shown = [f"{name}{shapes.get(name, '')}" for name in names[:_MOST]]
    more = [f"{len(names) - _MOST} more"] if len(names) > _MOST else []
    return ", ".join(map(_one_line, shown + more)) or "none: it has no submodules"


def _one_line(text: str) -> str:
    """Return a name on one line."""
    return " ".join(text.split())


def _names(modules: Mapping[str, nn.Module]) -> list[str]:
    """Return the children of the network, and the children of its sequences."""
    found: list[str] = []

    def visit(name: str, depth: int) -> None:
        prefix = f"{name}." if name else ""
        for one, module in modules[name].named_children():
            is_sequence = isinstance(module, (nn.Sequential, nn.ModuleList))
            wraps = len(modules[name]._modules) == 1
            if (is_sequence or wraps) and depth < 4 and len(module._modules) > 1:
                visit(prefix + one, depth + 1)
            elif not isinstance(module, _IDLE):
                found.append(prefix + one)

    visit("", 0)
    return found


def _shapes(model: nn.Module, names: list[str], example: Any) -> dict[str, str]:
    """Return the shapes of the outputs of layers, as text; empty if the pass fails."""
    modules = passes.named(model)
    shapes: dict[str, str] = {}
    hooks: list[Any] = []

    def note(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and len(output) == len(inputs[0]):
                shapes[name] = f" {tuple(output.shape)}"

        return hook

    try:
        given: Any = getattr(example, "images", example)[:2]
        if not isinstance(given, torch.Tensor):
            given = pixel.to_unit(np.asarray(given))
        images = calling.to_tensor(given, calling.device_of(model))
        hooks += [modules[name].register_forward_hook(note(name)) for name in names]
        with passes.eagerly(), calling.evaluating(model), torch.no_grad():
            model(images.to(calling.dtype_of(model)))
    except Exception:  # the list is part of an error already; shapes only help
        shapes.clear()
    finally:
        for one in hooks:
            one.remove()
    return shapes
