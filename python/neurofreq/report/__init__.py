"""A frequency report on one or more models: numbers, intervals and pictures.

`run` makes the missing measurements, stores each measurement when it completes, and
writes tables, settings, pictures and one page into a folder.
"""

from neurofreq.report._run import Report, run

__all__ = ["Report", "run"]

__dir__ = __all__.copy  # hide the modules of the package
