"""Images with labels: data sets in their official layouts, clean and corrupted.

Nothing is downloaded: a data set is a folder that you give.
"""

from neurofreq.data._cifar10 import CIFAR10_CLASSES, open_cifar10
from neurofreq.data._corrupted import CorruptedFolder
from neurofreq.data._files import ImageFiles
from neurofreq.data._folders import open_folder, open_imagenet, open_tinyimagenet
from neurofreq.data._pixels import LUMA
from neurofreq.data._sets import ImageSet
from neurofreq.data._spec import load_data, open_data
from neurofreq.data._write import write_corrupted

__all__ = [
    "CIFAR10_CLASSES",
    "LUMA",
    "CorruptedFolder",
    "ImageFiles",
    "ImageSet",
    "load_data",
    "open_cifar10",
    "open_data",
    "open_folder",
    "open_imagenet",
    "open_tinyimagenet",
    "write_corrupted",
]
