"""Residual networks for small images: ResNet18 of the papers, and ResNet-20."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks.untrained import untrained
from neurofreq.models._front_ends import IMAGENET_MEAN, IMAGENET_STD, Normalized

if TYPE_CHECKING:
    from collections.abc import Sequence


class Subsample(nn.Module):
    """Take every second pixel.

    Before a 1x1 convolution, this is equal to stride 2 in the convolution. This module
    avoids a bug of oneDNN: strided convolutions with few channels (fewer than 8 or 16,
    depending on the CPU) write outside their memory when they compute gradients in
    channels-last layout.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Return features of half the size."""
        return features[:, :, ::2, ::2]


class SubsampledIdentity(nn.Module):
    """Option A shortcut of He et al.: take every second pixel, add zero channels.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> shortcut = nf.models.SubsampledIdentity(16, 32)
    >>> shortcut(torch.rand(2, 16, 8, 8)).shape
    torch.Size([2, 32, 4, 4])
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.before = (n_out - n_in) // 2
        self.after = n_out - n_in - self.before

    def forward(self, features: Tensor) -> Tensor:
        """Return features of half the size with zero channels on both sides."""
        channels = (0, 0, 0, 0, self.before, self.after)
        return nn.functional.pad(features[:, :, ::2, ::2], channels)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; the module names match checkpoints."""

    def __init__(
        self, n_in: int, n_out: int, stride: int = 1, shortcut: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.downsample = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """Return the rectified features; they have the block's number of channels."""
        change = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(features)))))
        change += features if self.downsample is None else self.downsample(features)
        return self.relu(change)


class CifarResNet(nn.Module):
    """A residual network for small images: stem, basic blocks, mean, linear layer.

    Parameters
    ----------
    depths, widths : sequence of int
        Blocks and channels of each stage. Every stage except the first halves
        height and width.
    n_classes, in_channels : int
    stem : {3, 7}
        Kernel size of the first convolution, stride 1, no max-pooling.
    projection : bool
        Shortcut of blocks that change the shape. True: a 1x1 convolution with batch
        norm on every second pixel. False: option A of He et al., which has no
        parameters.

    Raises
    ------
    TypeError, ValueError
        If a count is not a positive integer, or the stem is not 3 or 7.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> network = nf.models.CifarResNet((1, 1, 1), (8, 16, 32), n_classes=5)
    >>> network(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 5])
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
        stem = validate.integer("stem", stem)
        if stem not in (3, 7):
            raise ValueError(f"stem: got {stem}, expected 3 or 7")
        n_classes = validate.count("n_classes", n_classes)
        in_channels = validate.count("in_channels", in_channels)
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
    shortcut: nn.Module | None = None
    if stride != 1 or n_in != n_out:
        shortcut = SubsampledIdentity(n_in, n_out)
        if projection:
            shortcut = nn.Sequential()
            if stride != 1:
                shortcut.add_module("subsample", Subsample())
            # Checkpoints of such networks use these names.
            shortcut.add_module("0", nn.Conv2d(n_in, n_out, 1, bias=False))
            shortcut.add_module("1", nn.BatchNorm2d(n_out))
    blocks = [BasicBlock(n_in, n_out, stride, shortcut)]
    blocks += [BasicBlock(n_out, n_out) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


@untrained
def resnet20() -> Normalized:
    """Return the CIFAR-10 ResNet-20 of He et al. 2016, with option A shortcuts.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> nf.models.resnet20()(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    network = CifarResNet((3, 3, 3), (16, 32, 64), projection=False)
    return Normalized(network, IMAGENET_MEAN, IMAGENET_STD)


@untrained
def resnet18(*, base_width: int = 64, stem: int = 3, n_classes: int = 10) -> Normalized:
    """Return the color ResNet18 for images of 32 pixels, with ImageNet normalization.

    Parameters
    ----------
    base_width : int
        Channels of the first stage, 64 in the papers. The stages ``network.layer1`` to
        ``network.layer4`` have 1, 2, 4 and 8 times as many.
    stem : {3, 7}
        Kernel size of the first convolution, stride 1, no max-pooling.
    n_classes : int

    Raises
    ------
    TypeError, ValueError
        If a number is not a positive integer, or the stem is not 3 or 7.

    References
    ----------
    Li et al. 2023, PLOS Comput Biol 19(3): e1010932, the networks "blur" and
    "PCA" of Figures 4 and 5.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> model = nf.models.resnet18(base_width=8, n_classes=5)
    >>> model(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 5])
    """
    network = _resnet18(3, base_width, stem, n_classes)
    return Normalized(network, IMAGENET_MEAN, IMAGENET_STD)


@untrained
def resnet18_gray(
    *, base_width: int = 64, stem: int = 3, n_classes: int = 10
) -> Normalized:
    """Return the grayscale CIFAR-10 ResNet18 of the paper, mean 0.5 and std 0.2.

    Parameters
    ----------
    base_width : int
        Channels of the first stage; 64 in the paper.
    stem : {3, 7}
        Kernel size of the first convolution: 3x3 in the authors' CIFAR networks, 7x7 in
        the code of Attias et al. It is not known which of them Figure 2 used.
    n_classes : int

    Raises
    ------
    TypeError, ValueError
        If a number is not a positive integer, or the stem is not 3 or 7.

    References
    ----------
    Li et al. 2023, Figures 2 and 3; Attias et al. 2024, arXiv 2410.03952.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> model = nf.models.resnet18_gray(base_width=8)
    >>> model(torch.rand(2, 1, 32, 32)).shape
    torch.Size([2, 10])
    """
    return Normalized(_resnet18(1, base_width, stem, n_classes), (0.5,), (0.2,))


def _resnet18(
    in_channels: int, base_width: int, stem: int, n_classes: int
) -> CifarResNet:
    base_width = validate.count("base_width", base_width)
    widths = tuple(base_width * factor for factor in (1, 2, 4, 8))
    return CifarResNet(
        (2, 2, 2, 2), widths, n_classes=n_classes, in_channels=in_channels, stem=stem
    )
