"""Adversarial attacks: find the smallest change of an image that changes its class.

Every attack is a frozen dataclass of settings. Call it like a function on a model,
images and labels (`Attack`); it returns an `AttackResult`.
"""

from neurofreq.attacks._accuracy import RobustAccuracy
from neurofreq.attacks._boundary import Boundary
from neurofreq.attacks._brendel_bethge import BrendelBethge
from neurofreq.attacks._call import Attack
from neurofreq.attacks._curve import success_curve
from neurofreq.attacks._evaluate import evaluate
from neurofreq.attacks._foolbox import FoolboxAttack, as_foolbox
from neurofreq.attacks._minimal import minimal_perturbation
from neurofreq.attacks._pgd import PGD
from neurofreq.attacks._result import AttackResult
from neurofreq.attacks._robust import robust_accuracy
from neurofreq.attacks._size import perturbation_size
from neurofreq.attacks._targets import shuffled_targets
from neurofreq.attacks._wrapped import Wrapped

__all__ = [
    "PGD",
    "Attack",
    "AttackResult",
    "Boundary",
    "BrendelBethge",
    "FoolboxAttack",
    "RobustAccuracy",
    "Wrapped",
    "as_foolbox",
    "evaluate",
    "minimal_perturbation",
    "perturbation_size",
    "robust_accuracy",
    "shuffled_targets",
    "success_curve",
]

__dir__ = __all__.copy  # modules of the package are not listed
