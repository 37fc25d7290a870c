"""Training: one step in your own loop, or whole recipes that resume.

`training_step` is one optimizer step; `fit` runs a `Recipe` on your model and data;
`train` builds the model of a recipe too. The recipes hold the published settings.
"""

from neurofreq.regularize.cotraining import CoTraining as CoTraining
from neurofreq.training._adversary import Adversary as Adversary
from neurofreq.training._augment import (
    AUGMENTATIONS as AUGMENTATIONS,
)
from neurofreq.training._augment import shift_and_flip as shift_and_flip
from neurofreq.training._augmix import augmix as augmix
from neurofreq.training._loop import fit as fit
from neurofreq.training._recipe import Recipe as Recipe
from neurofreq.training._recipes import ADVERSARIAL as ADVERSARIAL
from neurofreq.training._recipes import ADVERSARIAL_L2 as ADVERSARIAL_L2
from neurofreq.training._recipes import ADVERSARIAL_PGD as ADVERSARIAL_PGD
from neurofreq.training._recipes import AUGMIX as AUGMIX
from neurofreq.training._recipes import BLUR as BLUR
from neurofreq.training._recipes import MONKEY as MONKEY
from neurofreq.training._recipes import MOUSE as MOUSE
from neurofreq.training._recipes import NOISE as NOISE
from neurofreq.training._recipes import PCA as PCA
from neurofreq.training._recipes import RECIPES as RECIPES
from neurofreq.training._recipes import STANDARD as STANDARD
from neurofreq.training._step import training_step as training_step
from neurofreq.training._train import Trained as Trained
from neurofreq.training._train import train as train
