"""Decision-based attacks: labels are all they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate
from neurofreq.attacks._call import Attack

if TYPE_CHECKING:
    from neurofreq.attacks._call import Callables, Task

NORMS = ("l2", "linf")
PROPOSALS = ("estimate", "published")


@dataclass(frozen=True)
class Boundary(Attack):
    """Small adversarial perturbations from labels alone, within a query budget.

    Nothing but which side of the decision boundary a point is on is used, so
    the model needs no gradient and a `criterion` may return booleans. Starts are
    noise, `candidates` or `starting_points`; targeted attacks need one of the
    latter two.

    Parameters
    ----------
    norm : {"l2", "linf"}
        The norm that is made small.
    max_queries : int
        The most queries of an image, those for its starts included: fewer
        starts are sought where they would not fit. Confirming the result takes
        one of them, and a few more only where the model's rounding moved it
        back.
    proposal : {"estimate", "published"}
        "estimate": the boundary's normal is estimated from random probes, and
        followed. "published": the random walk of 2018.
    probes : int
        Probes of the first round ("estimate"); they grow with the square root
        of the rounds.
    reach : float
        The length of a probe as a share of the perturbation ("estimate").
    tolerance : float
        The width at which a bisection ends, as a share of the perturbation
        ("estimate").
    spherical_step : float
        The first random step as a share of the distance ("published").
    source_step : float
        The first step towards the image as a share of the distance
        ("published"); it grows to at most 0.9.
    step_adaptation : float
        The factor by which steps grow and shrink ("published").
    n_starts : int
        Starts per image, unless they are given; the nearest is used.
    binary_search_steps : int
        Bisections between clean image and start.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Differences from the papers:

    - Steps, draws and budgets are per image: a result does not depend on the
      batch. A walk of "published" that has converged ends; "estimate" spends
      its budget.
    - "published" in the maximum norm clips to cubes, of the present size after
      the random step and of a smaller one after the step towards the image;
      foolbox offers no such form.
    - "estimate" probes and bisects as coarsely as the length of the perturbation
      allows, in many rounds of few probes; HopSkipJump's probes are some
      hundred times shorter, its first round has 100.

    References
    ----------
    Brendel, Rauber and Bethge 2018, arXiv 1712.04248 ("published"). Chen, Jordan
    and Wainwright 2019, "HopSkipJumpAttack", arXiv 1904.02144 ("estimate").
    """

    needs_gradient: ClassVar[bool] = False

    norm: str = "l2"
    max_queries: int = 10000
    proposal: str = "estimate"
    probes: int = 20
    reach: float = 0.2
    tolerance: float = 0.001
    spherical_step: float = 0.01
    source_step: float = 0.01
    step_adaptation: float = 1.5
    n_starts: int = 1
    binary_search_steps: int = 10

    def __post_init__(self) -> None:
        """Check every parameter."""
        validate.one_of("norm", self.norm, NORMS)
        validate.one_of("proposal", self.proposal, PROPOSALS)
        shares = ("reach", "tolerance", "spherical_step", "source_step")
        self._plain(
            counts=("max_queries", "probes", "n_starts", "binary_search_steps"),
            numbers=(*shares, "step_adaptation"),
        )
        for name in shares:
            value = getattr(self, name)
            validate.within(name, value, 0 < value < 1, "(0, 1)")
        validate.within(
            "step_adaptation",
            self.step_adaptation,
            1 < self.step_adaptation < float("inf"),
            "more than 1",
        )

    @property
    def planned(self) -> int:
        """The most queries of an image."""
        return self.max_queries

    def _run(self, callables: Callables, task: Task) -> tuple[Any, ...]:
        return _neurofreq.boundary(callables, self, task)
