"""Frequency analysis and neural regularization of vision models.

After Li et al., "Robust deep learning object recognition models rely on low
frequency information in natural images", PLOS Comput Biol 19(3): e1010932.
"""

from typing import TYPE_CHECKING, Any

from neurofreq import _console  # isort: skip  (Ctrl-C while torch loads)  # noqa: F401
from neurofreq import _runtime  # isort: skip  (loads and checks torch first)
from neurofreq import attacks, data, intervals, models, neural, training
from neurofreq._accuracy import CorruptionAccuracy
from neurofreq._neurofreq import InternalError, ModelError
from neurofreq._runtime import num_threads, set_num_threads
from neurofreq._similarity_loss import SimilarityLoss, similarity_loss
from neurofreq.corruptions import (
    CORRUPTION_GROUPS,
    CORRUPTIONS,
    EXTRA_CORRUPTIONS,
    Corruption,
    corrupt,
)
from neurofreq.hybrid import HybridCurve, hybrid_curve, hybrid_images, hybrid_pairs
from neurofreq.regularizer import SimilarityRegularizer
from neurofreq.robustness import corruption_accuracy
from neurofreq.sensitivity import FourierSensitivity, fourier_sensitivity
from neurofreq.similarity import reliability, response_similarity
from neurofreq.spectra import (
    RadialProfile,
    SpectrumAccumulator,
    power_spectrum,
    radial_profile,
)
from neurofreq.training import training_step

if TYPE_CHECKING:
    from neurofreq import figures, plot, report, studies

__version__ = _runtime.VERSION

__all__ = [
    "CORRUPTIONS",
    "CORRUPTION_GROUPS",
    "EXTRA_CORRUPTIONS",
    "Corruption",
    "CorruptionAccuracy",
    "FourierSensitivity",
    "HybridCurve",
    "InternalError",
    "ModelError",
    "RadialProfile",
    "SimilarityLoss",
    "SimilarityRegularizer",
    "SpectrumAccumulator",
    "__version__",
    "attacks",
    "corrupt",
    "corruption_accuracy",
    "data",
    "figures",
    "fourier_sensitivity",
    "hybrid_curve",
    "hybrid_images",
    "hybrid_pairs",
    "intervals",
    "models",
    "neural",
    "num_threads",
    "plot",
    "power_spectrum",
    "radial_profile",
    "reliability",
    "report",
    "response_similarity",
    "set_num_threads",
    "similarity_loss",
    "studies",
    "training",
    "training_step",
]


def __getattr__(name: str) -> Any:
    """Load figures, plots, reports and studies when they are first asked for."""
    if name in ("figures", "plot", "report", "studies"):
        import importlib

        return importlib.import_module(f"neurofreq.{name}")
    raise AttributeError(f"module 'neurofreq' has no attribute {name!r}")
