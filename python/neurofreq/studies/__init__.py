"""Measure many models in the same way, and store each measurement when it completes.

A study is a table of items (model, measurement, settings). The file name of an item is
made from everything that decides its numbers. An interrupted study therefore continues
where it stopped, and a changed study measures only the items that changed. Several
processes can work on the same folder: each process claims an item before it measures
the item, and a claim ends with its process.
"""

from neurofreq.measured import Measured
from neurofreq.studies.result import Failure, StudyResult, export, load, status
from neurofreq.studies.runner import run
from neurofreq.studies.specification import ModelEntry, Study, read

__all__ = [
    "Failure",
    "Measured",
    "ModelEntry",
    "Study",
    "StudyResult",
    "export",
    "load",
    "read",
    "run",
    "status",
]

__dir__ = __all__.copy  # hide the modules of the package
