"""Spatial frequencies: spectra, hybrid images, Fourier sensitivity, visual angle."""

from neurofreq.frequency._accumulated import SpectrumAccumulator
from neurofreq.frequency._each import (
    ImageSpectra,
    SpectrumRelations,
    image_spectra,
)
from neurofreq.frequency._hybrid import (
    FREQUENCIES,
    hybrid_curve,
    hybrid_images,
    hybrid_pairs,
)
from neurofreq.frequency._hybrid_sums import HybridAccumulator
from neurofreq.frequency._reversal import HybridCurve
from neurofreq.frequency._sensitivity import FourierSensitivity, fourier_sensitivity
from neurofreq.frequency._spectra import (
    RadialProfile,
    power_spectrum,
    radial_profile,
)
from neurofreq.frequency._viewing import cycles_per_degree, pixels_per_degree

__all__ = [
    "FREQUENCIES",
    "FourierSensitivity",
    "HybridAccumulator",
    "HybridCurve",
    "ImageSpectra",
    "RadialProfile",
    "SpectrumAccumulator",
    "SpectrumRelations",
    "cycles_per_degree",
    "fourier_sensitivity",
    "hybrid_curve",
    "hybrid_images",
    "hybrid_pairs",
    "image_spectra",
    "pixels_per_degree",
    "power_spectrum",
    "radial_profile",
]

__dir__ = __all__.copy  # modules of the package are not listed
