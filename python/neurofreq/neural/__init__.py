"""Responses to images, and the similarity targets made from them.

A target records its source (see `SOURCES`). Only the sources "recording" and "predicted
from recordings" are based on measured neurons.
"""

from neurofreq.neural._agreement import (
    noise_ceiling,
    similarity_correlation,
    split_half,
)
from neurofreq.neural._from_models import neural_similarity
from neurofreq.neural._image_order import ImageOrder, image_order
from neurofreq.neural._predictive import PredictiveModel
from neurofreq.neural._predictor import Predictor
from neurofreq.neural._responses import Responses
from neurofreq.neural._similarity import reliability, response_similarity
from neurofreq.neural._simulated import simulate_v1
from neurofreq.neural._stand_ins import (
    pixel_similarity,
    teacher_similarity,
    threshold_similarity,
    v1_similarity,
)
from neurofreq.neural.published import load_predictor
from neurofreq.neural.target import SOURCES, Target, mean_target

__all__ = [
    "SOURCES",
    "ImageOrder",
    "PredictiveModel",
    "Predictor",
    "Responses",
    "Target",
    "image_order",
    "load_predictor",
    "mean_target",
    "neural_similarity",
    "noise_ceiling",
    "pixel_similarity",
    "reliability",
    "response_similarity",
    "similarity_correlation",
    "simulate_v1",
    "split_half",
    "teacher_similarity",
    "threshold_similarity",
    "v1_similarity",
]

__dir__ = __all__.copy  # hide the modules of the package
