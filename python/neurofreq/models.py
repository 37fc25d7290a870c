"""Networks and where they come from: a registry, a user's module, a file.

Every network takes images in [0, 1] and normalises them itself, so that
attacks and hybrids act on pixels. Nothing is downloaded.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from neurofreq import _checkpoint
from neurofreq._folding import fold_batch_norm as fold_batch_norm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalized(nn.Module):
    """A network behind its input normalisation, ``(x - mean) / std`` per channel.

    Parameters
    ----------
    network : nn.Module
        Takes normalised images (N, C, H, W).
    mean, std : sequence of float, length C
        In units of images in [0, 1].
    """

    def __init__(
        self, network: nn.Module, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.network = network
        # Not persistent: a checkpoint holds the network alone.
        shape = (1, len(mean), 1, 1)
        self.register_buffer("mean", torch.tensor(mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(shape), persistent=False)

    mean: Tensor
    std: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images in [0, 1], shape (N, C, H, W)."""
        return self.network((images - self.mean) / self.std)


class SubsampledIdentity(nn.Module):
    """Option A shortcut of He et al.: every second pixel, new channels zero."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.before = (n_out - n_in) // 2
        self.after = n_out - n_in - self.before

    def forward(self, features: Tensor) -> Tensor:
        """Return features of half the size with zero channels on both sides."""
        channels = (0, 0, 0, 0, self.before, self.after)
        return nn.functional.pad(features[:, :, ::2, ::2], channels)


class CifarResNet(nn.Module):
    """A residual network for small images: stem, stages of basic blocks, mean.

    Parameters
    ----------
    depths, widths : sequence of int
        Blocks and channels of each stage; every stage but the first halves
        height and width.
    n_classes, in_channels : int
    stem : {3, 7}
        Kernel size of the first convolution, stride 1, no max-pooling.
    projection : bool
        Shortcut where the shape changes: a strided 1x1 convolution with batch
        norm, or option A of He et al. without parameters.
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int],
        *,
        n_classes: int = 10,
        in_channels: int = 3,
        stem: int = 3,
        projection: bool = True,
    ) -> None:
        super().__init__()
        if stem not in (3, 7):
            raise ValueError(f"stem: got {stem}, expected 3 or 7")
        self.conv1 = nn.Conv2d(
            in_channels, widths[0], stem, padding=stem // 2, bias=False
        )
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.n_stages = len(depths)
        n_in = widths[0]
        for index, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            stride = 1 if index == 0 else 2
            stage = _stage(n_in, width, depth, stride, projection)
            self.add_module(f"layer{index + 1}", stage)
            n_in = width
        self.linear = nn.Linear(n_in, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (N, n_classes)."""
        features = self.relu(self.bn1(self.conv1(images)))
        for index in range(self.n_stages):
            features = self.get_submodule(f"layer{index + 1}")(features)
        return self.linear(features.mean(dim=(2, 3)))


def _stage(
    n_in: int, n_out: int, depth: int, stride: int, projection: bool
) -> nn.Sequential:
    """Return `depth` basic blocks, the first of which changes the shape."""
    from torchvision.models.resnet import BasicBlock  # a second to import

    shortcut: nn.Module | None = None
    if stride != 1 or n_in != n_out:
        shortcut = SubsampledIdentity(n_in, n_out)
        if projection:
            convolution = nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False)
            shortcut = nn.Sequential(convolution, nn.BatchNorm2d(n_out))
    blocks = [BasicBlock(n_in, n_out, stride, shortcut)]
    blocks += [BasicBlock(n_out, n_out) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


def resnet20() -> nn.Module:
    """Return the CIFAR-10 ResNet-20 of He et al. 2016, option A shortcuts."""
    network = CifarResNet((3, 3, 3), (16, 32, 64), projection=False)
    return Normalized(network, IMAGENET_MEAN, IMAGENET_STD)


def resnet18_gray(
    *, base_width: int = 64, stem: int = 3, n_classes: int = 10
) -> nn.Module:
    """Return the grayscale CIFAR-10 ResNet18 of the paper.

    Parameters
    ----------
    base_width : int
        Channels of the first stage; 64 in the paper.
    stem : {3, 7}
        Kernel size of the first convolution: 3x3 in the authors' own CIFAR
        networks, 7x7 in the code of Attias et al.; which of the two Figure 2
        used is not established.
    n_classes : int
    """
    widths = tuple(base_width * factor for factor in (1, 2, 4, 8))
    network = CifarResNet(
        (2, 2, 2, 2), widths, n_classes=n_classes, in_channels=1, stem=stem
    )
    return Normalized(network, (0.5,), (0.2,))


def small_cnn(
    *, n_classes: int = 8, width: int = 16, in_channels: int = 1
) -> nn.Module:
    """Return three convolution stages and a linear layer, for 32-px demos.

    Parameters
    ----------
    n_classes, width, in_channels : int
        `width` is the number of channels of the first stage; the stages are
        called ``network.stage1`` to ``network.stage3``.
    """
    network = nn.Sequential()
    n_in = in_channels
    for index, n_out in enumerate((width, 2 * width, 4 * width)):
        stage = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=1 + (index > 0), padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
        )
        network.add_module(f"stage{index + 1}", stage)
        n_in = n_out
    network.add_module("pool", nn.AdaptiveAvgPool2d(4))
    network.add_module("flatten", nn.Flatten())
    network.add_module("linear", nn.Linear(16 * n_in, n_classes))
    return Normalized(network, (0.5,) * in_channels, (0.2,) * in_channels)


def _plain_cnn(
    channels: Sequence[int], padding: int, widths: Sequence[int]
) -> nn.Sequential:
    """Return 4x4 stride-2 convolutions, then linear layers, ReLU between all."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise((3, *channels)):
        layers += [nn.Conv2d(n_in, n_out, 4, stride=2, padding=padding), nn.ReLU()]
    layers.append(nn.Flatten())
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def cnn_a_mix4() -> nn.Module:
    """Return the adversarially trained CNN-A of the verification literature."""
    network = _plain_cnn((16, 32), 1, (2048, 100, 10))
    return Normalized(network, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


def cnn_a_wide() -> nn.Module:
    """Return the same architecture with the normalisation of Wong and Kolter."""
    network = _plain_cnn((16, 32), 1, (2048, 100, 10))
    return Normalized(network, IMAGENET_MEAN, (0.225, 0.225, 0.225))


def marabou_large() -> nn.Module:
    """Return the larger CIFAR-10 network of the Marabou benchmarks."""
    return _plain_cnn((32, 64), 0, (2304, 128, 64, 10))


@dataclass(frozen=True)
class ModelInfo:
    """A row of the registry."""

    name: str
    architecture: str
    in_channels: int
    n_classes: int
    group: str


_FACTORIES: dict[str, tuple[Callable[[], nn.Module], ModelInfo]] = {
    name: (factory, ModelInfo(name, architecture, channels, n_classes, group))
    for name, factory, architecture, channels, n_classes, group in (
        ("resnet20", resnet20, "ResNet-20, option A", 3, 10, "base"),
        ("marabou_large", marabou_large, "2 conv, 3 linear", 3, 10, "base"),
        ("cnn_a_mix4", cnn_a_mix4, "2 conv, 2 linear", 3, 10, "adv"),
        ("cnn_a_wide", cnn_a_wide, "2 conv, 2 linear", 3, 10, "adv"),
        ("resnet18_gray", resnet18_gray, "ResNet-18, 3x3 stem", 1, 10, "base"),
        ("small_cnn", small_cnn, "3 conv, 1 linear", 1, 8, "base"),
    )
}


def list_models() -> list[ModelInfo]:
    """Return the registry: name, architecture, channels, classes and group."""
    return [info for _, info in _FACTORIES.values()]


class ModelSpec(NamedTuple):
    """What `parse_spec` returns."""

    label: str
    spec: str
    weights: str | None


def parse_spec(text: str) -> ModelSpec:
    """Split ``[label=]spec[@weights]``, the form of the command line.

    Parameters
    ----------
    text : str
        For example ``resnet20@weights.th`` or ``mine=package.module:factory``.

    Returns
    -------
    ModelSpec(label, spec, weights)
        Without a label, the factory's, file's or registry name.

    Raises
    ------
    ValueError
        If a part is empty.
    """
    label, equals, rest = text.partition("=")
    if not equals:
        label, rest = "", text
    spec, at, weights = rest.partition("@")
    if not spec or (equals and not label) or (at and not weights):
        raise ValueError(f"model: got {text!r}, expected [label=]spec[@weights]")
    if not label:
        label = Path(spec).stem if spec.endswith(".pt2") else spec.rpartition(":")[2]
    return ModelSpec(label, spec, weights or None)


def load_model(
    spec: str,
    *,
    weights: str | PathLike[str] | None = None,
    sha256: str | None = None,
) -> nn.Module:
    """Return a model in evaluation mode.

    Parameters
    ----------
    spec : str
        A name of `list_models`; ``python.module:factory``, where the module
        is found from the current directory too and the factory is called
        without arguments; or an exported program file (``.pt2``).
    weights : path, optional
        Safetensors, or a torch file read with ``weights_only``. A
        ``state_dict`` entry, a list around it and the prefixes ``module.``,
        ``model.`` and ``network.`` are taken off.
    sha256 : str, optional
        Hexadecimal digest the weights file must have.

    Raises
    ------
    ValueError
        An unknown name, a spec of another form, weights that do not fit or
        have another digest.
    FileNotFoundError
        If a file does not exist.
    ImportError, AttributeError
        If the module or its factory cannot be found.
    TypeError
        If the factory returns anything but an ``nn.Module``.
    """
    if spec.endswith(".pt2"):
        if weights is not None:
            raise ValueError("weights: got a file, expected none: a .pt2 holds its own")
        return _checkpoint.load_program(Path(spec))
    model = _from_factory(spec) if ":" in spec else _from_registry(spec)
    if weights is not None:
        holder = model.network if isinstance(model, Normalized) else model
        _checkpoint.load_weights(holder, Path(weights), sha256=sha256)
    return model.eval()


def _from_registry(name: str) -> nn.Module:
    if name not in _FACTORIES:
        near = get_close_matches(name, _FACTORIES, n=1)
        hint = f"; nearest is {near[0]!r}" if near else ""
        raise ValueError(
            f"model: got {name!r}, expected one of {', '.join(_FACTORIES)}, "
            f"python.module:factory, or a .pt2 file{hint}"
        )
    return _FACTORIES[name][0]()


def _from_factory(spec: str) -> nn.Module:
    module_name, _, factory_name = spec.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"model: cannot import {module_name!r} of {spec!r} ({error})"
        ) from error
    finally:
        sys.path.pop(0)
    if not hasattr(module, factory_name):
        raise AttributeError(f"model: {module_name!r} has no {factory_name!r}")
    model = getattr(module, factory_name)
    if not isinstance(model, nn.Module):
        model = model()
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model: {spec!r} gave {type(model).__name__}, expected an nn.Module"
        )
    return model
