"""Find the stages of networks of torchvision and timm, beside those in `stages`.

A family is known by the names of its modules and the classes of its blocks. Each
function returns an empty list for other networks, and for a network with a convolution
outside the stem, the stages and the modules between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules.conv import _ConvNd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    _Modules = Mapping[str, nn.Module]

# Classes of stages, and of the blocks in a stage that is a sequence.
_STAGES = {"ConvNeXtStage", "SwinTransformerStage", "SwinTransformerV2Stage"}
_BLOCKS = {
    "MBConv", "FusedMBConv", "CNBlock", "SwinTransformerBlock",
    "SwinTransformerBlockV2", "DepthwiseSeparableConv", "InvertedResidual",
    "EdgeResidual", "ConvBnAct",
}  # fmt: skip
_IDLE = (nn.Identity, nn.Dropout)


def features(name: str, modules: _Modules) -> list[str]:
    """Return stem, stages and last convolution of torchvision's ``features``.

    ConvNeXt, EfficientNet and Swin have such a sequence.
    """
    if split(name)[1] != "features" or not isinstance(modules[name], nn.Sequential):
        return []
    inside = children(name, modules)
    found = [one for one in inside if _is_stage(modules[one])]
    if len(found) < 2 or inside[0] in found:
        return []
    after = inside[inside.index(found[-1]) + 1 :]
    tail = [one for one in after if convolutions(modules[one])]
    between = [one for one in inside if one not in found]
    layers = [inside[0], *found, *tail]
    return (
        layers if hold_all(layers, modules, besides=_within(between, modules)) else []
    )


def staged(name: str, modules: _Modules) -> list[str]:
    """Return stem, stages and last convolution of timm's networks.

    ConvNeXt, EfficientNet and Swin have a sequence of stages after the stem.
    """
    prefix, last = split(name)
    inside = children(name, modules)
    is_other = last not in ("stages", "blocks", "layers") or len(inside) < 2
    if is_other or not all(_is_stage(modules[one]) for one in inside):
        return []
    beside = _siblings(prefix, modules)
    before = beside[: beside.index(name)]
    after = beside[beside.index(name) + 1 :]
    stem = [one for one in before if not isinstance(modules[one], _IDLE)][-1:]
    heads = [one for one in after if convolutions(modules[one])]
    tail = []
    if heads:  # the activation that follows the last convolution
        tail = after[after.index(heads[-1]) + 1 :][:1]
        if not tail:
            return []
    layers = [*stem, *inside, *tail]
    return (
        layers
        if hold_all(layers, modules, besides=_within([*before, *heads], modules))
        else []
    )


def transformer(name: str, modules: _Modules) -> list[str]:
    """Return the blocks of a vision transformer, also of transformers."""
    inside = children(name, modules)
    if split(name)[1] not in ("blocks", "layers", "layer") or len(inside) < 2:
        return []
    if not all(_has_attention(modules[one]) for one in inside):
        return []
    if any(_is_stage(modules[one]) for one in inside):
        return []
    order = list(modules)
    before = order[: order.index(name)]
    return inside if hold_all(inside, modules, besides=before) else []


def densenet(name: str, modules: _Modules) -> list[str]:
    """Return the stem and the dense blocks of a DenseNet of torchvision or timm."""
    if split(name)[1] != "features":
        return []
    inside = children(name, modules)
    found = [one for one in inside if split(one)[1].startswith("denseblock")]
    if len(found) < 2 or f"{name}.norm0" not in inside:
        return []
    relu = f"{name}.relu0"  # timm's norm0 includes the ReLU
    stem = relu if relu in inside else f"{name}.norm0"
    between = [one for one in inside if one not in found]
    layers = [stem, *found]
    return (
        layers if hold_all(layers, modules, besides=_within(between, modules)) else []
    )


def hold_all(
    layers: Sequence[str], modules: _Modules, besides: Sequence[str] = ()
) -> bool:
    """Return whether `layers` hold all convolutions that are not in `besides`.

    Modules inside a module of `besides` must be in `besides` too.
    """
    inside = {id(one) for name in layers for one in convolutions(modules[name])}
    inside |= {id(modules[name]) for name in besides}
    every = (m for m in modules.values() if isinstance(m, _ConvNd))
    return all(id(module) in inside for module in every)


def convolutions(module: nn.Module) -> list[nn.Module]:
    """Return the convolutions of a module, itself among them."""
    return [inner for inner in module.modules() if isinstance(inner, _ConvNd)]


def children(name: str, modules: _Modules) -> list[str]:
    """Return the names of the direct submodules of a module, in their order."""
    prefix = f"{name}." if name else ""
    return [prefix + one for one, _ in modules[name].named_children()]


def split(name: str) -> tuple[str, str]:
    """Return a name's prefix, with its dot, and its last part."""
    prefix, dot, last = name.rpartition(".")
    return prefix + dot, last


def _siblings(prefix: str, modules: _Modules) -> list[str]:
    return children(prefix.removesuffix("."), modules)


def _within(names: Sequence[str], modules: _Modules) -> list[str]:
    """Return modules and all modules inside them."""
    return [m for m in modules if any(f"{m}.".startswith(f"{one}.") for one in names)]


def _is_stage(module: nn.Module) -> bool:
    """Return whether a module is a stage, or a sequence of the blocks of a stage."""
    if type(module).__name__ in _STAGES:
        return True
    inside = [type(one).__name__ for one in module.children()]
    return isinstance(module, nn.Sequential) and bool(inside) and {*inside} <= _BLOCKS


def _has_attention(module: nn.Module) -> bool:
    return any("Attention" in type(inner).__name__ for inner in module.modules())
