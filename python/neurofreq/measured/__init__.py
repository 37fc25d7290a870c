"""The measurements of a model: raw values per image, and quantities from them.

`Measured` holds the finished measurements of one model. Each measurement is a record
(`Clean`, `Hybrid`, `Attack`, `Corrupted`) of raw values per image, whose methods return
quantities and curves. A `Quantity` is a number with its bootstrap interval over images.
"""

from neurofreq.measured.kinds import Attack, Clean, Corrupted, Hybrid
from neurofreq.measured.quantities import Quantity
from neurofreq.measured.record import Measured, NotMeasuredError

__all__ = [
    "Attack",
    "Clean",
    "Corrupted",
    "Hybrid",
    "Measured",
    "NotMeasuredError",
    "Quantity",
]

__dir__ = __all__.copy  # hide the modules of the package
