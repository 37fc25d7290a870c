"""Networks and their sources: a registry, your own module, or a file.

Every network takes images in [0, 1] and normalizes them itself, so that attacks and
hybrids act on pixels. Nothing is downloaded.
"""

from neurofreq.models._folding import fold_batch_norm
from neurofreq.models._front_ends import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    PCA,
    Blur,
    Normalized,
)
from neurofreq.models._publish import write_zoo_model
from neurofreq.models._resnet import (
    CifarResNet,
    SubsampledIdentity,
    resnet18,
    resnet18_gray,
    resnet20,
)
from neurofreq.models._small import cnn_a_mix4, cnn_a_wide, marabou_large, small_cnn
from neurofreq.models._vgg import Vgg19, vgg19_bn
from neurofreq.models.loading import load_model
from neurofreq.models.registry import ModelInfo, list_models
from neurofreq.models.spec import ModelSpec, parse_spec
from neurofreq.models.zoo import ZooCard, zoo_cards

__all__ = [
    "CIFAR10_MEAN",
    "CIFAR10_STD",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "PCA",
    "Blur",
    "CifarResNet",
    "ModelInfo",
    "ModelSpec",
    "Normalized",
    "SubsampledIdentity",
    "Vgg19",
    "ZooCard",
    "cnn_a_mix4",
    "cnn_a_wide",
    "fold_batch_norm",
    "list_models",
    "load_model",
    "marabou_large",
    "parse_spec",
    "resnet18",
    "resnet18_gray",
    "resnet20",
    "small_cnn",
    "vgg19_bn",
    "write_zoo_model",
    "zoo_cards",
]

__dir__ = __all__.copy  # hide the modules of the package
