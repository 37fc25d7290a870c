"""Studies: many models measured alike, stored as each measurement completes.

A study is a table of items (model, measurement, settings). Each is kept under a
name made of all that decides its numbers, so that a killed study goes on where
it was and a changed one measures what changed. Processes work side by side on a
folder they share; each claims what it measures, and a claim dies with its
process.
"""

from neurofreq.measured.record import Measured
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

__dir__ = __all__.copy  # modules of the package are not listed
