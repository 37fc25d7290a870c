"""Train a network: one step in your own loop, or a whole recipe that can resume.

`training_step` is one optimizer step. `fit` runs a `Recipe` on your model and data.
`train` also builds the model of the recipe. The recipes have the published settings.
"""

from neurofreq.regularize import CoTraining
from neurofreq.training._adversary import Adversary
from neurofreq.training._augment import (
    AUGMENTATIONS,
    shift_and_flip,
)
from neurofreq.training._augmix import augmix
from neurofreq.training._captured import CapturedStep
from neurofreq.training._loop import fit
from neurofreq.training._recipe import Recipe
from neurofreq.training._recipes import (
    ADVERSARIAL,
    ADVERSARIAL_L2,
    ADVERSARIAL_PGD,
    AUGMIX,
    BLUR,
    MONKEY,
    MOUSE,
    NOISE,
    PCA,
    RECIPES,
    STANDARD,
)
from neurofreq.training._step import training_step
from neurofreq.training._train import Trained, train

__all__ = [
    "ADVERSARIAL",
    "ADVERSARIAL_L2",
    "ADVERSARIAL_PGD",
    "AUGMENTATIONS",
    "AUGMIX",
    "BLUR",
    "MONKEY",
    "MOUSE",
    "NOISE",
    "PCA",
    "RECIPES",
    "STANDARD",
    "Adversary",
    "CapturedStep",
    "CoTraining",
    "Recipe",
    "Trained",
    "augmix",
    "fit",
    "shift_and_flip",
    "train",
    "training_step",
]

__dir__ = __all__.copy  # hide the modules of the package
