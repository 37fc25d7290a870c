"""A frequency report on one or more models: numbers, intervals, pictures.

`run` measures what is missing, keeps each measurement as it completes, and
writes tables, settings, pictures and one page into a folder.
"""

from neurofreq.report._run import Report, run

__all__ = ["Report", "run"]

__dir__ = __all__.copy  # modules of the package are not listed
