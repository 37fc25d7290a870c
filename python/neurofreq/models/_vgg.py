"""VGG19 with batch norm for grayscale TinyImageNet, the network of the monkey data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks.untrained import untrained
from neurofreq.models._front_ends import Normalized

# Modules that both tasks share: up to and including the ReLU of conv3-1.
N_SHARED = 17


# For each block, which ends with max-pooling: its width in units of the first block's
# width, and its number of convolutions.
_BLOCKS = ((1, 2), (2, 2), (4, 4), (8, 4), (8, 4))


def _features(base_width: int) -> nn.Sequential:
    """Return the feature stack for three channels, with torch's initial weights."""
    modules: list[nn.Module] = []
    n_in = 3
    for factor, depth in _BLOCKS:
        for _ in range(depth):
            n_out = factor * base_width
            modules.append(nn.Conv2d(n_in, n_out, 3, padding=1))
            modules += [nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
            n_in = n_out
        modules.append(nn.MaxPool2d(2))
    return nn.Sequential(*modules)


class Vgg19(nn.Module):
    """Torchvision's VGG19-bn features with a read-out of 1x1 convolutions.

    Parameters
    ----------
    base_width : int
        Channels of the first convolutions. All other channels, and the 4096 channels
        of the read-out, are scaled by ``base_width / 64``.
    n_classes : int

    Notes
    -----
    The network takes gray images (N, 1, H, W), H, W >= 32, and copies them to three
    channels. Its submodules, for hooks: ``shared`` is the trunk, the first 17 modules
    of the feature stack, up to the ReLU of conv3-1 (four times `base_width` channels,
    a quarter of the image's side). ``private`` has the other features, with their
    torchvision numbers 17 to 52. ``readout`` is the classifier. Features are
    initialized as in torchvision.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> network = nf.models.Vgg19(base_width=4, n_classes=10).eval()
    >>> network(torch.rand(2, 1, 64, 64)).shape
    torch.Size([2, 10])
    >>> network.shared(torch.rand(2, 3, 64, 64)).shape
    torch.Size([2, 16, 16, 16])
    """

    def __init__(self, base_width: int = 64, n_classes: int = 200) -> None:
        super().__init__()
        base_width = validate.count("base_width", base_width)
        n_classes = validate.count("n_classes", n_classes)
        features = _features(base_width)
        for module in features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu"
                )
                module.bias = nn.Parameter(torch.zeros(module.out_channels))
        self.shared = features[:N_SHARED]
        self.private = features[N_SHARED:]
        width, n_in = 64 * base_width, 8 * base_width
        self.readout = nn.Sequential(
            nn.Conv2d(n_in, width, 1), nn.ReLU(), nn.Dropout(0.5),
            nn.Conv2d(width, width, 1), nn.ReLU(), nn.Dropout(0.5),
            nn.Conv2d(width, n_classes, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (N, n_classes), of images (N, 1, H, W), H, W >= 32."""
        return self.readout(self.private(self.shared(images.repeat(1, 3, 1, 1))))


@untrained
def vgg19_bn(*, base_width: int = 64, n_classes: int = 200) -> Normalized:
    """Return the VGG19-bn of the monkey experiments, for 64x64 gray images.

    Parameters
    ----------
    base_width : int
        Channels of the first convolutions, 64 in the paper. With 16, the network
        has a sixteenth of the weights.
    n_classes : int
        200 in TinyImageNet.

    Returns
    -------
    Normalized
        Takes (N, 1, H, W) in [0, 1] and normalizes with mean 0.4519 and std
        0.2221, the values of grayscale TinyImageNet. The gray image is copied to all
        three channels of the first convolution. The trunk that the neural task
        shares is the submodule ``network.shared``.

    Raises
    ------
    TypeError, ValueError
        If a number is not a positive integer.

    Notes
    -----
    The features are untrained, with torchvision's initialization. The initialization
    of the read-out is not published; here it is torch's default.

    References
    ----------
    Safarani et al. 2021, NeurIPS, arXiv 2107.14344; Li et al. 2023, Figures 2
    and 3.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> model = nf.models.vgg19_bn(base_width=4)
    >>> model(torch.rand(2, 1, 64, 64)).shape
    torch.Size([2, 200])
    """
    return Normalized(Vgg19(base_width, n_classes), (0.4519,), (0.2221,))
