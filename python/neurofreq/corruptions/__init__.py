"""Common corruptions: corrupt images, write corrupted data sets, and measure accuracy.

`corrupt` and `Corruption` change images. `write_corrupted` writes a corrupted data set
as a `CorruptedFolder`. `corruption_accuracy` measures models on clean images that it
corrupts, or on a `CorruptedFolder`. `CellAccumulator` adds up answers batch by batch.
"""

from neurofreq.corruptions._accumulated import CellAccumulator
from neurofreq.corruptions._corrupt import (
    CORRUPTION_GROUPS,
    CORRUPTIONS,
    EXTRA_CORRUPTIONS,
    LEAST_SIDE,
    PARAMETERS,
    Corruption,
    corrupt,
)
from neurofreq.corruptions._measure import corruption_accuracy
from neurofreq.corruptions._write import write_corrupted
from neurofreq.corruptions.folder import CorruptedFolder
from neurofreq.corruptions.result import CorruptionAccuracy

__all__ = [
    "CORRUPTIONS",
    "CORRUPTION_GROUPS",
    "EXTRA_CORRUPTIONS",
    "LEAST_SIDE",
    "PARAMETERS",
    "CellAccumulator",
    "CorruptedFolder",
    "Corruption",
    "CorruptionAccuracy",
    "corrupt",
    "corruption_accuracy",
    "write_corrupted",
]

__dir__ = __all__.copy  # modules of the package are not listed
