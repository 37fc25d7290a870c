"""Spatial frequencies: power spectra, hybrid images, and Fourier sensitivity."""

from neurofreq.frequency._hybrid import (
    FREQUENCIES,
    hybrid_curve,
    hybrid_images,
    hybrid_pairs,
)
from neurofreq.frequency._reversal import HybridCurve
from neurofreq.frequency._sensitivity import FourierSensitivity, fourier_sensitivity
from neurofreq.frequency._spectra import (
    RadialProfile,
    SpectrumAccumulator,
    power_spectrum,
    radial_profile,
)

__all__ = [
    "FREQUENCIES",
    "FourierSensitivity",
    "HybridCurve",
    "RadialProfile",
    "SpectrumAccumulator",
    "fourier_sensitivity",
    "hybrid_curve",
    "hybrid_images",
    "hybrid_pairs",
    "power_spectrum",
    "radial_profile",
]

__dir__ = __all__.copy  # modules of the package are not listed
