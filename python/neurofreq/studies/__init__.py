"""Studies of several models: what was measured of each."""

from neurofreq.studies._measured import Measured

__all__ = ["Measured"]
