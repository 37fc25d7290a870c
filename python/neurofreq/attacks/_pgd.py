"""Projected gradient descent within a budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from neurofreq._shared.inputs import validate
from neurofreq.attacks._call import Attack
from neurofreq.attacks._result import AttackResult, continued, host

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neurofreq.attacks._run import Batch, Run

NORMS = ("linf", "l2")
STEP_RULES = ("adaptive", "constant")


@dataclass(frozen=True)
class PGD(Attack):
    """Adversarial perturbations within a budget, by projected gradient descent.

    Gradient steps decrease the logit difference (negative if adversarial). Each step is
    projected back into the ball of radius `epsilon` around the clean image and into [0,
    1]. The first run starts at the clean image. Further runs, for images without
    success so far, start at random points of the ball. An image for which the budget is
    too small ends as "completed", without success.

    Parameters
    ----------
    norm : {"linf", "l2"}
        The norm of the ball.
    epsilon : float or sequence of float
        The budget, in pixel units of [0, 1]. For several budgets, the smallest one with
        success is searched for each image: first the largest budget, then bisection.
    steps : int
        Steps of a run; each step takes one forward and one backward pass.
    step_size : float, optional
        The (first) step, relative to the budget. By default 2 for "adaptive"
        and ``2.5 / steps`` for "constant".
    step_rule : {"adaptive", "constant"}
        "adaptive": with momentum; if a run makes no progress, the step is halved and
        the run continues from its best point. "constant": neither.
    restarts : int
        Further runs after the first, at each budget.
    early_stop : bool
        End the runs at a budget at the first adversarial point. Otherwise all
        steps are taken, and the nearest adversarial point is kept.

    Raises
    ------
    TypeError
        If a count is not an integer.
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Every point, and so the result, stays within the budget and [0, 1] exactly, in the
    precision of the images. If the last query does not confirm a point, the point is
    moved outwards, within the budget only; if that fails too, the image ends as
    "unconfirmed".

    The attack needs no adversarial starting point, so `starting_points` and
    `candidates` are refused.

    Differences from the paper (Croce and Hein, for the adaptive step):

    - The objective is the logit difference for targeted attacks too.
    - After a return to the best point, the momentum starts at zero.
    - The first run starts at the clean image and not at a random point,
      so without `restarts` nothing depends on `seed`.

    References
    ----------
    Madry et al. 2018, "Towards deep learning models resistant to adversarial
    attacks", arXiv 1706.06083. Croce and Hein 2020, "Reliable evaluation of
    adversarial robustness with an ensemble of diverse parameter-free attacks",
    arXiv 2003.01690, section 3.

    Examples
    --------
    The labels here are the network's own answers to the clean images:

    >>> import torch
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=4).images
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> labels = model(torch.from_numpy(images)).argmax(1)
    >>> attack = nf.attacks.PGD(epsilon=8 / 255, steps=10)
    >>> attack(model, images, labels).success.tolist()
    [True, True, True, True]
    """

    _method: ClassVar[str] = "pgd"
    needs_start: ClassVar[bool] = False

    norm: str = "linf"
    epsilon: float | tuple[float, ...] = 8 / 255
    steps: int = 40
    step_size: float | None = None
    step_rule: str = "adaptive"
    restarts: int = 0
    early_stop: bool = True

    def __post_init__(self) -> None:
        """Check every parameter."""
        self._name_norm(NORMS)
        validate.one_of("step_rule", self.step_rule, STEP_RULES)
        self._plain(
            counts=("steps",), counts_from_0=("restarts",), flags=("early_stop",)
        )
        budgets = checked_budgets("epsilon", self.epsilon)
        is_one = getattr(self.epsilon, "ndim", np.ndim(self.epsilon)) == 0
        object.__setattr__(self, "epsilon", budgets[0] if is_one else budgets)
        if self.step_size is not None:
            self._plain(numbers=("step_size",))
            size = self.step_size
            validate.within("step_size", size, 0 < size < np.inf, "a positive number")

    @property
    def budgets(self) -> tuple[float, ...]:
        """The budgets, ascending and distinct."""
        return tuple(np.unique(np.asarray(self.epsilon, dtype=np.float64)).tolist())

    @property
    def below(self) -> list[float] | None:
        """Upper limits of the perturbations, one per image, or None."""
        return None

    @property
    def planned(self) -> int:
        """The largest number of queries per image: steps plus one, for every run."""
        n_tried = 1 + (len(self.budgets) - 1).bit_length()
        return n_tried * (1 + self.restarts) * (self.steps + 1)

    def _settings(self, *, is_surveyed: bool) -> dict[str, Any]:
        settings = super()._settings(is_surveyed=is_surveyed)
        return settings | {"budgets": self.budgets, "below": self.below}

    def _at_budgets(
        self, run: Run, batch: Batch, epsilons: NDArray[np.float64]
    ) -> AttackResult:
        """Attack at each budget from the smallest up, without images of success."""
        every = np.arange(len(batch.pixels))
        budgets = np.unique(epsilons[epsilons > 0.0]).tolist()
        if not budgets:  # only the clean images are asked about
            unmoved = Below(self.norm, self.epsilon, limits=(0.0,) * len(every))
            return run(unmoved, batch)
        whole: AttackResult | None = None
        left = every
        for epsilon in budgets:
            one = replace(self, epsilon=epsilon)
            found = run(one, batch if whole is None else batch.part(left))
            whole = found if whole is None else continued(whole, found, left)
            left = every[~host(whole.success)]
            if not left.size:
                break
        assert whole is not None
        return whole


@dataclass(frozen=True)
class Below(PGD):
    """PGD for perturbations below a limit for each image."""

    limits: tuple[float, ...] = ()

    @property
    def below(self) -> list[float] | None:
        """Upper limits of the perturbations, one per image."""
        return list(self.limits)


def checked_budgets(name: str, value: Any) -> tuple[float, ...]:
    """Return one budget or several as floats, in the given order."""
    array = validate.host(value, name)
    if array.size == 0:
        raise ValueError(f"{name}: got no budgets, expected at least one")
    if array.dtype.kind not in "fiu":
        got = validate.shown(value)
        raise TypeError(f"{name}: got {got}, expected positive numbers")
    budgets = tuple(float(budget) for budget in array.ravel())
    for budget in budgets:
        validate.within(name, budget, 0 < budget < np.inf, "positive numbers")
    return budgets
