"""Frequency analysis and neural regularization of vision models.

After Li et al., "Robust deep learning object recognition models rely on low
frequency information in natural images", PLOS Comput Biol 19(3): e1010932.
"""

from neurofreq import _runtime  # isort: skip  (loads and checks torch first)
from neurofreq import attacks, intervals
from neurofreq._neurofreq import InternalError, ModelError
from neurofreq._runtime import num_threads, set_num_threads
from neurofreq.hybrid import HybridCurve, hybrid_curve, hybrid_images, hybrid_pairs
from neurofreq.spectra import (
    RadialProfile,
    SpectrumAccumulator,
    power_spectrum,
    radial_profile,
)

__version__ = _runtime.VERSION

__all__ = [
    "HybridCurve",
    "InternalError",
    "ModelError",
    "RadialProfile",
    "SpectrumAccumulator",
    "__version__",
    "attacks",
    "hybrid_curve",
    "hybrid_images",
    "hybrid_pairs",
    "intervals",
    "num_threads",
    "power_spectrum",
    "radial_profile",
    "set_num_threads",
]
