"""Images with labels: data sets in their official layouts, clean and corrupted.

Nothing is downloaded: you pass the folder of a data set.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from neurofreq._shared.inputs.pixel import LUMA
from neurofreq.data._cifar10 import CIFAR10_CLASSES, open_cifar10
from neurofreq.data._files import ImageFiles
from neurofreq.data._sets import ImageSet
from neurofreq.data._spec import as_image_set, load_data, open_data
from neurofreq.data.folders import open_folder, open_imagenet, open_tinyimagenet

if TYPE_CHECKING:
    from neurofreq.corruptions import CorruptedFolder, write_corrupted

__all__ = [
    "CIFAR10_CLASSES",
    "LUMA",
    "CorruptedFolder",
    "ImageFiles",
    "ImageSet",
    "as_image_set",
    "load_data",
    "open_cifar10",
    "open_data",
    "open_folder",
    "open_imagenet",
    "open_tinyimagenet",
    "write_corrupted",
]

__dir__ = __all__.copy  # modules of the package are not listed


def __getattr__(name: str) -> Any:
    """Load names from `neurofreq.corruptions` on first access.

    `neurofreq.corruptions` imports this package, so an import at the top of this module
    would be circular.
    """
    if name in ("CorruptedFolder", "write_corrupted"):
        return getattr(import_module("neurofreq.corruptions"), name)
    raise AttributeError(f"module 'neurofreq.data' has no attribute {name!r}")
