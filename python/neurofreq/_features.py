"""Outputs of named layers of a user's network, with their graph, from one pass."""

from __future__ import annotations

import difflib
from contextlib import ExitStack, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from neurofreq import _model
from neurofreq._neurofreq import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _Reached(Exception):
    """The last layer asked for has answered: the rest of the pass is not needed."""


class Features:
    """Reads layers of a model; hooks exist only while a pass runs.

    Parameters
    ----------
    model : nn.Module
        Neither copied nor changed. Of a ``DistributedDataParallel`` or compiled
        module the wrapped module is used: hooks are not seen by compiled code.
    layers : "auto" or sequence of str
        Names of submodules; "auto" is `stages`.

    Raises
    ------
    TypeError
        If `model` is not a module, or `layers` is some other string.
    ValueError
        A layer that does not exist (the nearest names are given), or none.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str] | str) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model: got {type(model).__name__}, expected an nn.Module")
        self.model = unwrapped(model)
        if layers == "auto":
            layers = stages(self.model)
        self.layers = _check_layers(self.model, layers)

    def of(
        self, images: Tensor, *, whole: bool = True, copies: bool = False
    ) -> tuple[Any, list[Tensor]]:
        """Pass images through the model once.

        Parameters
        ----------
        images : Tensor
            As the model takes them; moved to its device.
        whole : bool
            Whether to run the model to its end, or leave it once every layer has
            answered.
        copies : bool
            Whether to return copies, without gradient: then later modules may
            change a layer's output in place.

        Returns
        -------
        output : object
            What the model returned; None where it was left early.
        features : list of Tensor
            One per layer; of a layer called more than once, the last.

        Raises
        ------
        ModelError
            A layer that was not reached, returned no tensor, or whose output was
            changed in place by a later module.
        """
        found: dict[str, Any] = {}
        versions: dict[str, int] = {}
        modules = dict(self.model.named_modules())
        output = None
        with ExitStack() as hooks:
            for name in self.layers:

                def keep(_: Any, __: Any, output: Any, name: str = name) -> None:
                    found[name] = output
                    if isinstance(output, Tensor) and copies:
                        found[name] = output.detach().clone()
                    versions[name] = _version(found[name])
                    if not whole and len(found) == len(self.layers):
                        raise _Reached

                hooks.enter_context(modules[name].register_forward_hook(keep))
            with suppress(_Reached):
                # `Module.compile` traced the forward pass without these hooks.
                eager: Any = self.model._call_impl
                output = eager(images.to(_model.device_of(self.model)))
        for name in self.layers:
            if name not in found:
                raise ModelError(
                    f"layers: {name!r} was not reached by the model's forward pass"
                )
            if not isinstance(found[name], Tensor):
                raise ModelError(
                    f"layers: {name!r} returned {type(found[name]).__name__}, "
                    "expected a Tensor"
                )
            if _version(found[name]) != versions[name]:
                raise ModelError(
                    f"layers: {name!r} is changed in place by a later module; name "
                    "that one, or make it work out of place (inplace=False)"
                )
        return output, [found[name] for name in self.layers]


def _version(output: Any) -> int:
    """Return how often a tensor was changed in place, where torch counts that."""
    counts = isinstance(output, Tensor) and not output.is_inference()
    return output._version if counts else 0


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside ``DistributedDataParallel`` and ``torch.compile``."""
    while True:
        if isinstance(model, DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


# A VGG in one sequence, as of torchvision, or in two, as `vgg19_bn`.
_SEQUENCES = {"features": ("features",), "shared": ("shared", "private")}


def stages(model: nn.Module) -> list[str]:
    """Return the layers of the paper: the stem and every stage, after their ReLU.

    Parameters
    ----------
    model : nn.Module
        With submodules ``relu``, ``layer1``, ``layer2`` ... somewhere beside each
        other (a ResNet; convolutions 1, 5, 9, 13 and 17 of a ResNet18), with a
        ``features`` sequence of convolutions and max-pooling (a VGG; the layer
        before each pooling), with ``shared`` and ``private`` ones (`vgg19_bn`), or
        with ``stage1``, ``stage2`` ... (`small_cnn`).

    Raises
    ------
    ValueError
        If it has none of these.
    """
    modules = dict(model.named_modules())
    for name in modules:
        prefix, dot, last = name.rpartition(".")
        if last == "layer1" and f"{prefix}{dot}relu" in modules:
            return [f"{prefix}{dot}relu", *_numbered(f"{prefix}{dot}layer", modules)]
        if last == "stage1":
            return _numbered(f"{prefix}{dot}stage", modules)
        parts = [f"{prefix}{dot}{part}" for part in _SEQUENCES.get(last, ())]
        if parts and all(isinstance(modules.get(p), nn.Sequential) for p in parts):
            inside = [
                (f"{part}.{child}", module)
                for part in parts
                for child, module in modules[part].named_children()
            ]
            pools = [
                before
                for (before, _), (_, child) in pairwise(inside)
                if isinstance(child, nn.MaxPool2d)
            ]
            if pools:
                return pools
    raise ValueError(
        "layers: got 'auto' for a model that is not like a ResNet (relu, layer1, "
        "layer2, ...), a VGG (features with max-pooling) or small_cnn (stage1, "
        "stage2, ...); name its layers"
    )


def _numbered(name: str, modules: Mapping[str, nn.Module]) -> list[str]:
    """Return those of the names ``name1``, ``name2`` ... that there are."""
    found: list[str] = []
    while (following := f"{name}{len(found) + 1}") in modules:
        found.append(following)
    return found


def _check_layers(model: nn.Module, layers: Sequence[str] | str) -> list[str]:
    if isinstance(layers, str):
        raise TypeError(
            f"layers: got the single string {layers!r}, expected a sequence of names "
            "or 'auto'"
        )
    names = list(layers)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"layers: got {names}, expected distinct names, at least one")
    known = [name for name, _ in model.named_modules() if name]
    for name in names:
        if name not in known:
            nearest = difflib.get_close_matches(str(name), known, 3, 0.0)
            raise ValueError(
                f"layers: the model has no {name!r}; the nearest names are "
                f"{', '.join(map(repr, nearest)) or 'none'}"
            )
    return names
