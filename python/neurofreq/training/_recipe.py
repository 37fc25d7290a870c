"""A recipe: all settings of a training run."""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from neurofreq._shared import runtime
from neurofreq._shared.inputs import validate
from neurofreq.training._augment import AUGMENTATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCHEDULES = ("triangle", "cosine", "cyclic", "plateau", "constant")
NORMS = ("linf", "l2")  # of the adversary
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Hold the settings of `fit` and `train`; `replace` changes some of them.

    Parameters
    ----------
    name : str
        Name in tables.
    network : str
        A spec of `nf.models.load_model`: the network that `train` builds.
    epochs : int
        Largest number of passes over the training images.
    batch_size : int
        Images per step. A last batch of a single image is dropped, because batch
        normalization cannot use it.
    lr, momentum, weight_decay : float
        Settings of SGD. The parameters of a regularizer have no weight decay.
    nesterov : bool
    decay_all : bool
        Whether biases and batch-norm parameters decay too.
    label_smoothing : float
        In [0, 1).
    schedule : {"triangle", "cosine", "cyclic", "plateau", "constant"}
        "triangle": linear rise to `lr` over the first tenth of all steps, then linear
        fall to zero. "cosine": from `lr` to zero along half a cosine period. "cyclic":
        phases of `phase_epochs` epochs at ``lr * factor**phase``; after `n_phases`
        phases, the rate starts again at `lr`. "plateau": when the validation score has
        not improved for `patience` epochs, the best weights so far are restored and the
        rate is multiplied by `factor`. After `n_phases` such falls, the next plateau
        ends training.
    phase_epochs, n_phases, patience : int
    factor : float
        In (0, 1).
    validation : float
        Fraction of the training images that are held out, in [0, 1). The state with
        the best validation score is kept. If no image is held out, the last state is
        kept.
    monitor : {"loss", "accuracy"}
        The validation score: cross-entropy or accuracy.
    augment : str
        One of ``nf.training.AUGMENTATIONS``.
    augmix : bool
        Mix every image with changed copies, see `nf.training.augmix`.
    consistency : float
        With `augmix`: show the image and two mixtures of it, and add `consistency`
        times the Jensen-Shannon divergence of the predictions to the loss. With 0,
        show a single mixture instead.
    noise : float
        Standard deviation of Gaussian noise on half of the images, in pixel units.
    adversary : {"none", "linf", "l2"}
        Perturb every batch within a ball of this norm, see `nf.training.Adversary`.
    epsilon : float
        Radius of the ball, in pixel units of [0, 1].
    attack_steps : int
        Gradient steps of the adversary; 1 is the fast gradient sign method.
    attack_step : float
        Length of a step in units of `epsilon`.
    alpha : float
        Weight of a similarity loss. The learning rate for this loss is effectively
        ``alpha * lr``; small networks diverge if this product is above about 0.5.
    layers : str or tuple of str
        Layers of a similarity loss, "auto" or names; or the single layer that
        co-training shares.
    n_pairs : int
        Pairs of stimuli per step.
    all_pairs, half : bool
        As in `nf.SimilarityRegularizer`.
    joint : bool
        Use one pass for images and stimuli, see `nf.SimilarityRegularizer.joint`.
    precision : {"float32", "bfloat16"}
        Type of the network's passes (autocast); losses are in float32. With
        "float32", your own autocast around `fit` stays active, and convolutions on a
        CUDA device use TF32 unless ``torch.backends.cudnn.allow_tf32`` is off.
    channels_last : bool
        Use the memory layout channels-last for images and weights, which is faster on
        many machines.

    Raises
    ------
    TypeError
        If a value has another type. (Numbers of NumPy and torch become Python numbers.)
    ValueError
        If a value is out of range, or a name is unknown.

    Examples
    --------
    >>> import neurofreq as nf
    >>> recipe = nf.training.Recipe(network="small_cnn", epochs=10, lr=0.05)
    >>> recipe.schedule, recipe.batch_size
    ('triangle', 64)
    >>> nf.training.MOUSE.replace(epochs=5).network
    'resnet18_gray'
    """

    name: str = "standard"
    network: str = "resnet18_gray"
    epochs: int = 40
    batch_size: int = 64
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    decay_all: bool = True
    label_smoothing: float = 0.0
    schedule: Literal["triangle", "cosine", "cyclic", "plateau", "constant"] = (
        "triangle"
    )
    phase_epochs: int = 4
    n_phases: int = 5
    patience: int = 5
    factor: float = 0.3
    validation: float = 0.0
    monitor: Literal["loss", "accuracy"] = "loss"
    augment: str = "none"
    augmix: bool = False
    consistency: float = 0.0
    noise: float = 0.0
    adversary: Literal["none", "linf", "l2"] = "none"
    epsilon: float = 8 / 255
    attack_steps: int = 1
    attack_step: float = 1.25
    alpha: float = 20.0
    layers: str | tuple[str, ...] = "auto"
    n_pairs: int = 16
    all_pairs: bool = False
    half: bool = True
    joint: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False

    def __post_init__(self) -> None:
        """Check every value."""
        for field in dataclasses.fields(self):
            value = _checked(field.name, getattr(self, field.name), type(field.default))
            object.__setattr__(self, field.name, value)
        for name, known in (
            ("schedule", SCHEDULES),
            ("monitor", ("loss", "accuracy")),
            ("augment", tuple(AUGMENTATIONS)),
            ("precision", PRECISIONS),
            ("adversary", ("none", *NORMS)),
        ):
            validate.one_of(name, getattr(self, name), known)
        for name in ("lr", "epsilon", "attack_step"):
            value = getattr(self, name)
            validate.within(name, value, 0.0 < value < math.inf, "above 0")
        validate.within("factor", self.factor, 0.0 < self.factor < 1.0, "in (0, 1)")
        for name in ("alpha", "weight_decay", "consistency", "noise"):
            value = getattr(self, name)
            validate.within(name, value, 0.0 <= value < math.inf, "0 or more")
        for name in ("momentum", "label_smoothing", "validation"):
            value = getattr(self, name)
            validate.within(name, value, 0.0 <= value < 1.0, "in [0, 1)")
        if self.schedule == "plateau" and self.validation == 0.0:
            raise ValueError(
                "validation: got 0, expected a fraction for the schedule 'plateau'"
            )

    def replace(self, **changes: Any) -> Recipe:
        """Return the recipe with other values; an unknown name raises an error."""
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
                raise ValueError(
                    f"recipe: got unknown setting {name!r}; did you mean {near!r}?"
                )
        return dataclasses.replace(self, **changes)

    def fast(self, *, epochs: int = 6) -> Recipe:
        """Return the recipe scaled down for a CPU.

        Parameters
        ----------
        epochs : int

        Returns
        -------
        Recipe
            The recipe with 16 base channels instead of 64 (a sixteenth of the
            arithmetic per image), batches of 128, the schedule "triangle" over `epochs`
            epochs, `all_pairs`, `channels_last`, and bfloat16 if this CPU computes in
            bfloat16.
        """
        return self.replace(
            name=f"{self.name}, fast",
            network=f"{self.network},base_width=16",
            epochs=epochs,
            batch_size=128,
            schedule="triangle",
            all_pairs=True,
            precision=runtime.fast_precision(),
            channels_last=True,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all settings, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Recipe:
        """Return the recipe from all or some settings of `as_dict`."""
        return cls().replace(**settings)


def _checked(name: str, value: Any, kind: type) -> Any:
    """Return a setting as a Python value of the default's type."""
    if name == "layers" and isinstance(value, (list, tuple)):  # JSON has no tuples
        return tuple(validate.text(name, one) for one in value)
    checks: dict[type, Callable[[str, Any], Any]] = {
        str: validate.text,
        bool: validate.flag,
        int: validate.count,
        float: validate.number,
    }
    return checks[kind](name, value)
