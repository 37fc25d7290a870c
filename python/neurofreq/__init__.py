"""Frequency analysis and neural regularization of vision models.

After Li et al., "Robust deep learning object recognition models rely on low
frequency information in natural images", PLOS Comput Biol 19(3): e1010932.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofreq._shared import console  # isort: skip  (Ctrl-C while torch loads)  # noqa: F401

# The command shows its version, its help and completions without loading torch.
_ASKED = getattr(sys, "argv", [""])
_IS_COMMAND = Path(_ASKED[0]).stem == "neurofreq" if _ASKED else False
_IS_BRIEF = _IS_COMMAND and (
    _ASKED[1:] in (["--version"], ["--help"], ["-h"])
    or "_NEUROFREQ_COMPLETE" in os.environ
)

if TYPE_CHECKING or not _IS_BRIEF:
    from neurofreq._shared import runtime  # isort: skip  (loads and checks torch first)
    from neurofreq import (
        attacks,
        corruptions,
        data,
        frequency,
        intervals,
        models,
        neural,
        regularize,
        training,
    )
    from neurofreq._neurofreq import InternalError, ModelError
    from neurofreq._shared.runtime import num_threads, set_num_threads
    from neurofreq.corruptions import (
        CORRUPTION_GROUPS,
        CORRUPTIONS,
        EXTRA_CORRUPTIONS,
        Corruption,
        CorruptionAccuracy,
        corrupt,
        corruption_accuracy,
    )
    from neurofreq.frequency import (
        BandMasking,
        FilteredAccuracy,
        FourierSensitivity,
        HybridCurve,
        RadialProfile,
        SpectrumAccumulator,
        band_masking,
        filtered_accuracy,
        fourier_sensitivity,
        hybrid_curve,
        hybrid_images,
        hybrid_pairs,
        power_spectrum,
        radial_profile,
    )
    from neurofreq.neural import reliability, response_similarity
    from neurofreq.regularize import (
        SimilarityLoss,
        SimilarityRegularizer,
        similarity_loss,
    )
    from neurofreq.training import training_step

    __version__ = runtime.VERSION

if TYPE_CHECKING:
    from neurofreq import demo, figures, measured, plot, report, studies

__all__ = [
    "CORRUPTIONS",
    "CORRUPTION_GROUPS",
    "EXTRA_CORRUPTIONS",
    "BandMasking",
    "Corruption",
    "CorruptionAccuracy",
    "FilteredAccuracy",
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
    "band_masking",
    "corrupt",
    "corruption_accuracy",
    "corruptions",
    "data",
    "demo",
    "figures",
    "filtered_accuracy",
    "fourier_sensitivity",
    "frequency",
    "hybrid_curve",
    "hybrid_images",
    "hybrid_pairs",
    "intervals",
    "measured",
    "models",
    "neural",
    "num_threads",
    "plot",
    "power_spectrum",
    "radial_profile",
    "regularize",
    "reliability",
    "report",
    "response_similarity",
    "set_num_threads",
    "similarity_loss",
    "studies",
    "training",
    "training_step",
]

# Loaded when first asked for: they take long to import.
_LAZY = ("demo", "figures", "measured", "plot", "report", "studies")


def __getattr__(name: str) -> Any:
    """Load the packages of `_LAZY` when they are first asked for."""
    if name in _LAZY:
        return import_module(f"neurofreq.{name}")
    raise AttributeError(f"module 'neurofreq' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, those that are not loaded yet among them."""
    return __all__
