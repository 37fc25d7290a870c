"""The Boundary attack, which uses the model's decisions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from neurofreq._shared.inputs import validate
from neurofreq.attacks._call import Attack

NORMS = ("l2", "linf")
PROPOSALS = ("estimate", "published")


@dataclass(frozen=True)
class Boundary(Attack):
    """Small adversarial perturbations from labels alone, within a query budget.

    The attack only uses on which side of the decision boundary a point is. The model
    needs no gradient, and a `criterion` may return booleans. Starting points are noise,
    `candidates` or `starting_points`; targeted attacks need one of the latter two.

    Parameters
    ----------
    norm : {"l2", "linf"}
        The norm to minimize.
    max_queries : int
        Largest number of queries per image, including those for starting points: if
        they do not fit, fewer starting points are tried. One query confirms the result;
        a few more are needed only if the model's rounding moved the result back.
    proposal : {"estimate", "published"}
        "estimate": estimate the normal of the boundary from random probes and follow
        it. "published": the random walk of 2018.
    probes : int
        Probes in the first round ("estimate"); the number grows with the square root of
        the number of rounds.
    reach : float
        Length of a probe as a fraction of the perturbation ("estimate").
    tolerance : float
        A bisection ends at this width, as a fraction of the perturbation ("estimate").
    spherical_step : float
        First random step as a fraction of the distance ("published").
    source_step : float
        First step towards the image as a fraction of the distance ("published"); it
        grows to at most 0.9.
    step_adaptation : float
        Factor by which steps grow and shrink ("published").
    n_starts : int
        Starting points per image, unless they are given; the nearest one is used.
    binary_search_steps : int
        Bisections between the clean image and the starting point.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Differences from the papers:

    - Steps, random draws and budgets are per image: a result does not depend on the
      batch. With "published", a walk ends when it has converged; "estimate" uses its
      whole budget.
    - In the maximum norm, "published" clips to cubes: of the current size after the
      random step, and of a smaller size after the step towards the image. foolbox has
      no such variant.
    - "estimate" uses probes and bisections that are as coarse as the perturbation's
      length allows, in many rounds of few probes. Probes of HopSkipJump are about 100
      times shorter, and its first round has 100 probes.

    References
    ----------
    Brendel, Rauber and Bethge 2018, arXiv 1712.04248 ("published"). Chen, Jordan
    and Wainwright 2019, "HopSkipJumpAttack", arXiv 1904.02144 ("estimate").

    Examples
    --------
    The model may be any function that returns scores; it needs no gradient:

    >>> import torch
    >>> import neurofreq as nf
    >>> def model(x):
    ...     bright = x.mean((1, 2, 3)) - 0.5
    ...     return torch.stack([-bright, bright], 1)
    >>> images = torch.full((2, 1, 8, 8), 0.4)
    >>> attack = nf.attacks.Boundary(max_queries=300)
    >>> result = attack(model, images, [0, 0])
    >>> result.success.tolist(), int(result.n_queries.max()) <= 300
    ([True, True], True)
    """

    _method: ClassVar[str] = "boundary"
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
        self._name_norm(NORMS)
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
        """The largest number of queries per image."""
        return self.max_queries
