"""Plain convolutional networks: for the demo, and for published checkpoints."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks.untrained import untrained
from neurofreq.models._front_ends import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    IMAGENET_MEAN,
    Normalized,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@untrained
def small_cnn(
    *, n_classes: int = 8, width: int = 16, in_channels: int = 1
) -> Normalized:
    """Return three convolution stages and a linear layer, for demos with 32x32 images.

    Parameters
    ----------
    n_classes, width, in_channels : int
        `width` is the number of channels of the first stage. The stages are called
        ``network.stage1`` to ``network.stage3``.

    Raises
    ------
    TypeError, ValueError
        If a number is not a positive integer.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> model = nf.models.small_cnn(n_classes=10, in_channels=3)
    >>> model(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    n_classes = validate.count("n_classes", n_classes)
    width = validate.count("width", width)
    in_channels = validate.count("in_channels", in_channels)
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
    """Return 4x4 convolutions of stride 2, then linear layers, with ReLU between."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise((3, *channels)):
        layers += [nn.Conv2d(n_in, n_out, 4, stride=2, padding=padding), nn.ReLU()]
    layers.append(nn.Flatten())
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@untrained
def cnn_a_mix4() -> Normalized:
    """Return the architecture of CNN-A from the verification literature.

    Its published weights are adversarially trained.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> nf.models.cnn_a_mix4()(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    network = _plain_cnn((16, 32), 1, (2048, 100, 10))
    return Normalized(network, CIFAR10_MEAN, CIFAR10_STD)


@untrained
def cnn_a_wide() -> Normalized:
    """Return the architecture of `cnn_a_mix4`, normalized as by Wong and Kolter.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> nf.models.cnn_a_wide()(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    network = _plain_cnn((16, 32), 1, (2048, 100, 10))
    return Normalized(network, IMAGENET_MEAN, (0.225, 0.225, 0.225))


@untrained
def marabou_large() -> Normalized:
    """Return the larger CIFAR-10 network of the Marabou benchmarks, not normalized.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> nf.models.marabou_large()(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    network = _plain_cnn((32, 64), 0, (2304, 128, 64, 10))
    return Normalized(network, (0.0,) * 3, (1.0,) * 3)
