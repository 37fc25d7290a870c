"""Find the layers of `layers="auto"`, for network families with known stages.

A model is accepted only if its stages contain all convolutions. A guess that misses
convolutions would be a silent error.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from torch import nn

from neurofreq._shared.networks import families, passes
from neurofreq._shared.networks.candidates import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    _Modules = Mapping[str, nn.Module]

_IN_VGG = (
    nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Dropout, nn.Dropout2d
)  # fmt: skip


def stages(model: nn.Module, example: Any = None) -> list[str]:
    """Return the layers of the paper: the stem and each stage, after the ReLU.

    The layers of a ResNet are its submodules ``relu`` (``act1`` in timm), ``layer1``,
    ``layer2``, ...; in a ResNet18, these follow convolutions 1, 5, 9, 13 and 17. The
    layers of a VGG or AlexNet are the ReLU before each pooling in ``features``. The
    layers of a DenseNet, ConvNeXt, EfficientNet or Swin are the stem and the stages,
    and those of a vision transformer are its blocks; all of torchvision and timm.
    `vgg19_bn` and `small_cnn` are also supported. Raises ValueError for other models,
    and if a convolution is outside these layers; the message lists layers, with their
    shapes for the images `example`.
    """
    modules = passes.named(model)
    known = (
        _resnet, _vgg, _vgg19_bn, _small_cnn, families.features, families.densenet,
        families.staged, families.transformer,
    )  # fmt: skip
    for name in modules:
        for family in known:
            if found := family(name, modules):
                return found
    raise ValueError(
        "layers: got 'auto' for a model that is not a known ResNet, VGG, DenseNet, "
        "ConvNeXt, EfficientNet, Swin or vision transformer, expected the names of "
        f"layers, such as {listed(model, example)}"
    )


def _resnet(name: str, modules: _Modules) -> list[str]:
    """Return the stem's ReLU and the stages, if they hold all convolutions."""
    prefix, last = families.split(name)
    is_ours = last == "relu" and isinstance(modules[name], nn.ReLU)
    if not is_ours and last != "act1":
        return []
    blocks = _numbered(f"{prefix}layer", modules)
    order = list(modules)
    stem = order[: order.index(name)]
    if len(blocks) < 2 or blocks[0] in stem:
        return []
    return [name, *blocks] if families.hold_all(blocks, modules, besides=stem) else []


def _vgg(name: str, modules: _Modules) -> list[str]:
    """Return the ReLU before each max-pooling of a plain ``features`` sequence."""
    if families.split(name)[1] != "features" or not families.hold_all([name], modules):
        return []
    return _before_pooling([name], modules)


def _vgg19_bn(name: str, modules: _Modules) -> list[str]:
    """Return the ReLU before each max-pooling of our VGG19, which has two sequences."""
    parts = [part for part, _ in modules[name].named_children()]
    if parts != ["shared", "private", "readout"]:
        return []
    prefix = f"{name}." if name else ""
    return _before_pooling([f"{prefix}shared", f"{prefix}private"], modules)


def _small_cnn(name: str, modules: _Modules) -> list[str]:
    """Return the numbered stages of a sequence without other convolutions."""
    prefix, last = families.split(name)
    parent = modules.get(prefix.removesuffix("."))
    if last != "stage1" or not isinstance(parent, nn.Sequential):
        return []
    found = _numbered(f"{prefix}stage", modules)
    return found if families.hold_all(found, modules) else []


def _before_pooling(parts: Sequence[str], modules: _Modules) -> list[str]:
    """Return the ReLU before each pooling; nothing if a module does not fit a VGG."""
    inside: list[tuple[str, nn.Module]] = []
    for part in parts:
        if not isinstance(modules[part], nn.Sequential):
            return []
        inside += [(f"{part}.{key}", m) for key, m in modules[part].named_children()]
    pools = [k for k, (_, m) in enumerate(inside) if isinstance(m, nn.MaxPool2d)]
    if not pools or not all(isinstance(m, _IN_VGG) for _, m in inside[: pools[-1]]):
        return []
    if any(list(families.convolutions(m)) for _, m in inside[pools[-1] :]):
        return []  # the layers would miss the convolutions after the last pooling
    before = [
        name
        for (name, module), (_, after) in pairwise(inside)
        if isinstance(module, nn.ReLU) and isinstance(after, nn.MaxPool2d)
    ]
    return before if len(before) == len(pools) else []


def _numbered(name: str, modules: _Modules) -> list[str]:
    """Return the existing names among ``name1``, ``name2`` ..., up to the first gap."""
    found: list[str] = []
    while (following := f"{name}{len(found) + 1}") in modules:
        found.append(following)
    return found
