"""Training towards neural data: two regularizers, and the loss of one of them.

`SimilarityRegularizer` compares similarities of layers with a target. `CoTraining`
predicts responses from a layer. Both attach to your own model.
"""

from neurofreq.regularize._loss import SimilarityLoss, similarity_loss
from neurofreq.regularize._similarity import SimilarityRegularizer
from neurofreq.regularize.cotraining import CoTraining

__all__ = [
    "CoTraining",
    "SimilarityLoss",
    "SimilarityRegularizer",
    "similarity_loss",
]

__dir__ = __all__.copy  # hide the modules of the package
