"""Training: one step in your own loop, or whole recipes that resume.

`training_step` is one optimizer step; `fit` runs a `Recipe` on your model and data;
`train` builds the model of a recipe too. The recipes hold the published settings.
"""

from neurofreq.training._augment import (
    AUGMENTATIONS as AUGMENTATIONS,
)
from neurofreq.training._augment import shift_and_flip as shift_and_flip
from neurofreq.training._cotraining import CoTraining as CoTraining
from neurofreq.training._loop import fit as fit
from neurofreq.training._recipe import MONKEY as MONKEY
from neurofreq.training._recipe import MOUSE as MOUSE
from neurofreq.training._recipe import RECIPES as RECIPES
from neurofreq.training._recipe import Recipe as Recipe
from neurofreq.training._step import training_step as training_step
from neurofreq.training._train import Trained as Trained
from neurofreq.training._train import train as train
