"""The Boundary attack, which uses the model's decisions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from neurofreq._shared.inputs import validate
from neurofreq.attacks._call import Attack

NORMS = ("l2", "linf")
PROPOSALS = ("auto", "bands", "signs", "estimate", "published")
# The proposal that knows only this norm; "auto" chooses it.
_OF_NORM = {"l2": "bands", "linf": "signs"}


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
        a few more are needed only if the model's rounding moved the result back. Before
        the attack, a few calls with the first image, a black image and the inverted
        first image check the model. These calls are not counted.
    proposal : {"auto", "bands", "signs", "estimate", "published"}
        "estimate": estimate the normal of the boundary from random probes and follow
        it. "bands" (L2 only): as "estimate", but the attack learns in which frequency
        bands probes pay. "signs" (Linf only): reverse the signs of smaller and smaller
        blocks of the perturbation. "published": the random walk of 2018. "auto":
        "bands" in L2, "signs" in Linf.
    probes : int
        Probes in the first round ("bands", "estimate"); the number grows with the
        square root of the number of rounds.
    reach : float
        Length of a probe as a fraction of the perturbation ("bands", "estimate").
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
    - "bands" has four further differences. Probes are Gaussian noise, half of whose
      power is white; the share of each band in the other half is learned for each
      image. Bands are differences of block means (blocks of 1, 2, 4, ... pixels), in
      gray (the mean over channels) and in color. The
      estimate weights each band by its signal-to-noise ratio. Probes are orthogonal to
      the perturbation. The next boundary point is sought on a half circle as in CGBA,
      from an angle near the last one. CGBA and GeoDA restrict probes to low
      frequencies of the DCT.
    - "signs" uses square blocks in random order, first of all channels and then of
      each, where RayS uses runs of the flattened image. A reversal must reduce the
      radius by 0.5 %, and the radius is bisected to 2 % instead of 0.001. The first
      signs are all 1, or all -1, or those of the starting point: the first of these
      that is adversarial.
    - "bands" and "signs" prefer some frequencies, so their perturbations do not measure
      the frequencies that a model uses: ``result.shaped`` is True, and studies refuse
      such an attack. ``result.probe_spectrum`` has the learned shares of the bands.

    References
    ----------
    Brendel, Rauber and Bethge 2018, arXiv 1712.04248 ("published"). Chen, Jordan
    and Wainwright 2019, "HopSkipJumpAttack", arXiv 1904.02144 ("estimate", "bands").
    Reza, Rahmati, Wu and Dai 2023, "CGBA", ICCV, arXiv 2308.03163 ("bands"). Chen and
    Gu 2020, "RayS", KDD, arXiv 2006.12792 ("signs").

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
    proposal: str = "auto"
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
        own = _OF_NORM[self.norm]
        if self.proposal not in ("auto", own, "estimate", "published"):
            raise ValueError(
                f"proposal: got {self.proposal!r} with norm {self.norm!r}, "
                f"expected 'auto', {own!r}, 'estimate' or 'published'"
            )
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

    @property
    def shaped(self) -> bool:
        """Whether the attack prefers some frequencies."""
        return self._chosen in ("bands", "signs")

    @property
    def _chosen(self) -> str:
        """The proposal in use."""
        return _OF_NORM[self.norm] if self.proposal == "auto" else self.proposal

    def _settings(self, *, is_surveyed: bool) -> dict[str, Any]:
        settings = super()._settings(is_surveyed=is_surveyed)
        return settings | {"proposal": self._chosen}
