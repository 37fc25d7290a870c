"""The registry: every network that has a name, and the place of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neurofreq.models import _resnet, _small, _sources, _vgg, zoo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from neurofreq.models._front_ends import Normalized

BUILT_IN = "built in"
IN_PACKAGE = "weights in the package"
FETCHED = "fetched"
MISSING = "needs a download"

FACTORIES: dict[str, Callable[..., Normalized]] = {
    "resnet18": _resnet.resnet18,
    "resnet18_gray": _resnet.resnet18_gray,
    "vgg19_bn": _vgg.vgg19_bn,
    "small_cnn": _small.small_cnn,
    "resnet20": _resnet.resnet20,
    "marabou_large": _small.marabou_large,
    "cnn_a_mix4": _small.cnn_a_mix4,
    "cnn_a_wide": _small.cnn_a_wide,
}


@dataclass(frozen=True)
class ModelInfo:
    """A row of the registry.

    Parameters
    ----------
    name : str
        The spec that `load_model` takes.
    architecture : str
    in_channels, n_classes : int
    group : str
        ``base``, ``adv`` (adversarially trained), ``crp`` (trained against
        corruptions), ``blur`` or ``pca``.
    label : str
        The network's label in the figures of Li et al. 2023; empty if it is in none.
    source : str
        The authors of the weights, or the source of the architecture.
    accuracy : float or None
        Expected accuracy on clean test images, in percent, with the weights of
        `source`.
    availability : str
        ``built in``: the untrained architecture, for your own weights;
        ``weights in the package``; ``needs a download``: the error of `load_model`
        names the file; ``fetched``: the downloaded file is on this machine.

    Examples
    --------
    >>> import neurofreq as nf
    >>> rows = {row.name: row for row in nf.models.list_models()}
    >>> row = rows["zoo:gray-standard"]
    >>> row.in_channels, row.n_classes, row.group, row.availability
    (1, 10, 'base', 'weights in the package')
    """

    name: str
    architecture: str
    in_channels: int
    n_classes: int
    group: str
    label: str = ""
    source: str = ""
    accuracy: float | None = None
    availability: str = BUILT_IN


# torchvision's file names, so that `list_models` does not import torchvision.
TORCHVISION_FILES = {"torchvision:resnet50:IMAGENET1K_V1": "resnet50-0676ba61.pth"}

_HUB = "github.com/chenyaofo/pytorch-cifar-models"
_WONG = "github.com/locuslab/convex_adversarial"
_CROWN = "github.com/Verified-Intelligence/alpha-beta-CROWN"

# Name, architecture, channels, classes, group, label, source, accuracy.
_OWN = (
    ("resnet18", "ResNet-18, stem 3 or 7", 3, 10, "base", "", "own", None),
    ("resnet18_gray", "ResNet-18, stem 3 or 7", 1, 10, "base", "", "own", None),
    ("vgg19_bn", "VGG-19-BN, 64 pixels", 1, 200, "base", "", "own", None),
    ("small_cnn", "3 conv, 1 linear", 1, 8, "base", "", "own", None),
    ("resnet20", "ResNet-20, option A", 3, 10, "base", "",
     "github.com/akamaster/pytorch_resnet_cifar10", 91.73),
    ("marabou_large", "2 conv, 3 linear", 3, 10, "base", "", _CROWN, 74.2),
    ("cnn_a_mix4", "2 conv, 2 linear", 3, 10, "adv", "", _CROWN, 71.1),
    ("cnn_a_wide", "2 conv, 2 linear", 3, 10, "adv", "", _WONG, 61.6),
    ("resnet18,blur=1.5", "ResNet-18, blurred", 3, 10, "blur", "Blur", "own", None),
    ("resnet18,pca=512", "ResNet-18, projected", 3, 10, "pca", "PCA", "own", None),
    ("torchvision:resnet50,blur=3", "ResNet-50, blurred", 3, 1000, "blur",
     "Blur", "own", None),
)  # fmt: skip

# The networks of Figures 4 and 5 except Blur and PCA, then the networks of Figure 6.
_OTHERS = (
    ("robustbench:Standard", "WRN-28-10", 10, "base", "Base-WideRes", "", 94.78),
    ("cifar10_resnet56", "ResNet-56", 10, "base", "Base-Res", _HUB, 94.22),
    ("cifar10_vgg19_bn", "VGG-19-BN", 10, "base", "Base-VGG", _HUB, 93.52),
    ("cifar10_mobilenetv2_x1_4", "MobileNetV2 x1.4", 10, "base", "Base-MobNet",
     _HUB, 93.98),
    ("cifar10_shufflenetv2_x2_0", "ShuffleNetV2 x2.0", 10, "base", "Base-ShufNet",
     _HUB, 93.78),
    ("cifar10_repvgg_a2", "RepVGG-A2", 10, "base", "Base-RepVGG", _HUB, 95.05),
    ("robustbench:Rebuffi2021Fixing_70_16_cutmix_extra", "WRN-70-16", 10, "adv",
     "Rebuffi21", "", 92.23),
    ("robustbench:Gowal2020Uncovering_70_16_extra", "WRN-70-16", 10, "adv",
     "Gowal20", "", 91.10),
    ("robustbench:Wu2020Adversarial_extra", "WRN-28-10", 10, "adv", "Wu20",
     "RobustBench; probably this one", 88.25),
    ("robustbench:Zhang2020Geometry", "WRN-28-10", 10, "adv", "Zhang20", "", 89.36),
    ("robustbench:Carmon2019Unlabeled", "WRN-28-10", 10, "adv", "Carmon19", "", 89.69),
    ("robustbench:Sehwag2020Hydra", "WRN-28-10", 10, "adv", "Sehwag20", "", 88.98),
    ("robustbench:Cui2020Learnable_34_20", "WRN-34-20", 10, "adv", "Cui20",
     "RobustBench; or its 34_10", 88.70),
    ("robustbench:Hendrycks2020AugMix_ResNeXt:corruptions", "ResNeXt-29 32x4d", 10,
     "crp", "Hendrycks20", "", 95.83),
    ("robustbench:Kireev2021Effectiveness_RLATAugMixNoJSD:corruptions",
     "PreActResNet-18", 10, "crp", "Kireev21", "", 94.77),
    ("torchvision:resnet50:IMAGENET1K_V1", "ResNet-50", 1000, "base", "Base",
     "torchvision", 76.13),
    ("robustbench:imagenet/Engstrom2019Robustness:Linf", "ResNet-50", 1000, "adv",
     "Linf, 4/255", "", 62.56),
    ("imagenet_l2_3", "ResNet-50", 1000, "adv", "L2, 3",
     "github.com/MadryLab/robustness", None),
    ("imagenet_ant", "ResNet-50", 1000, "crp", "ANT",
     "github.com/bethgelab/game-of-noise", 76.1),
    ("robustbench:imagenet/Geirhos2018_SIN_IN:corruptions", "ResNet-50", 1000, "crp",
     "SIN", "RobustBench; one of three", 74.98),
    ("robustbench:imagenet/Hendrycks2020AugMix:corruptions", "ResNet-50", 1000, "crp",
     "AugMix", "", 77.34),
    ("robustbench:imagenet/Hendrycks2020Many:corruptions", "ResNet-50", 1000, "crp",
     "DeepAug", "", 76.86),
    ("imagenet_daam", "ResNet-50", 1000, "crp", "DAAM",
     "github.com/hendrycks/imagenet-r", None),
    ("imagenet_assemble", "Assemble-ResNet-50", 1000, "crp", "Assemble",
     "github.com/clovaai/assembled-cnn (TensorFlow)", None),
)  # fmt: skip


def list_models() -> list[ModelInfo]:
    """Return the registry.

    Returns
    -------
    list of ModelInfo
        The architectures of this package, its trained networks, and the networks of
        Li et al. 2023: all seventeen networks of Figures 4 and 5, with their labels,
        and the nine networks of Figure 6. Pass ``name`` to `load_model`.

    Notes
    -----
    The networks of the figures were identified by their labels and accuracies. If
    several networks fit, the source of the row has a remark.

    Examples
    --------
    >>> import neurofreq as nf
    >>> ready = "weights in the package"
    >>> found = [one for one in nf.models.list_models() if one.availability == ready]
    >>> "zoo:gray-mouse" in [one.name for one in found]
    True
    >>> model = nf.models.load_model(found[0].name)
    """
    rows = [ModelInfo(*row) for row in _OWN]
    rows += [
        ModelInfo(
            f"zoo:{card.name}", card.architecture, card.in_channels, card.n_classes,
            card.group, "", f"own, {card.date}", card.accuracies["clean"], IN_PACKAGE,
        )
        for card in zoo.zoo_cards()
    ]  # fmt: skip
    for name, architecture, n_classes, group, label, source, accuracy in _OTHERS:
        availability = FETCHED if _is_here(name) else MISSING
        rows.append(
            ModelInfo(
                name, architecture, 3, n_classes, group, label,
                source or "RobustBench", accuracy, availability,
            )
        )  # fmt: skip
    return rows


def _is_here(name: str) -> bool:
    """Return whether the file of a network to be downloaded is on this machine."""
    source, _, rest = name.partition(":")
    if source == "robustbench":
        return _sources.robustbench_paths(rest)[0].is_file()
    file = TORCHVISION_FILES.get(name) or _sources.PUBLISHED[name].file
    return _sources.hub_checkpoint(file).is_file()


def table(rows: Iterable[ModelInfo]) -> str:
    """Return rows of the registry as plain text in columns."""
    lines = [
        ("name", "label", "group", "architecture", "in", "classes", "clean %",
         "availability", "source"),
        *(
            (row.name, row.label, row.group, row.architecture, str(row.in_channels),
             str(row.n_classes), "" if row.accuracy is None else f"{row.accuracy:.2f}",
             row.availability, row.source)
            for row in rows
        ),
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
