"""Spatial frequencies: spectra, hybrids, filters, noise in bands, visual angle."""

from neurofreq.frequency._accumulated import SpectrumAccumulator
from neurofreq.frequency._bands import NOISES, band_masking
from neurofreq.frequency._channel import HUMAN_CHANNEL, BandMasking, HumanChannel
from neurofreq.frequency._each import ImageSpectra, SpectrumRelations, image_spectra
from neurofreq.frequency._filtered import FilteredAccuracy
from neurofreq.frequency._filtered_accuracy import CUTOFFS, WIDTHS, filtered_accuracy
from neurofreq.frequency._filters import (
    KINDS,
    band_pass,
    high_pass,
    low_pass,
    orientation_pass,
)
from neurofreq.frequency._hybrid import (
    FREQUENCIES,
    hybrid_curve,
    hybrid_images,
    hybrid_pairs,
)
from neurofreq.frequency._hybrid_sums import HybridAccumulator
from neurofreq.frequency._layer import Filter
from neurofreq.frequency._phases import combine_spectra, phase_noise, whiten
from neurofreq.frequency._reversal import HybridCurve
from neurofreq.frequency._sensitivity import FourierSensitivity, fourier_sensitivity
from neurofreq.frequency._spectra import (
    RadialProfile,
    power_spectrum,
    radial_profile,
)
from neurofreq.frequency._viewing import cycles_per_degree, pixels_per_degree

__all__ = [
    "CUTOFFS",
    "FREQUENCIES",
    "HUMAN_CHANNEL",
    "KINDS",
    "NOISES",
    "WIDTHS",
    "BandMasking",
    "Filter",
    "FilteredAccuracy",
    "FourierSensitivity",
    "HumanChannel",
    "HybridAccumulator",
    "HybridCurve",
    "ImageSpectra",
    "RadialProfile",
    "SpectrumAccumulator",
    "SpectrumRelations",
    "band_masking",
    "band_pass",
    "combine_spectra",
    "cycles_per_degree",
    "filtered_accuracy",
    "fourier_sensitivity",
    "high_pass",
    "hybrid_curve",
    "hybrid_images",
    "hybrid_pairs",
    "image_spectra",
    "low_pass",
    "orientation_pass",
    "phase_noise",
    "pixels_per_degree",
    "power_spectrum",
    "radial_profile",
    "whiten",
]


__dir__ = __all__.copy  # modules of the package are not listed
