"""Compute bootstrap intervals over images."""

from neurofreq.intervals._bootstrap import (
    Estimate,
    percentile_interval,
    resampled_means,
)
from neurofreq.intervals._poisson import PoissonBootstrap

__all__ = ["Estimate", "PoissonBootstrap", "percentile_interval", "resampled_means"]

__dir__ = __all__.copy  # modules of the package are not listed
