"""Minimal perturbations by following the decision boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate
from neurofreq.attacks._call import Attack

if TYPE_CHECKING:
    from neurofreq.attacks._call import Callables, Task

NORMS = ("linf", "l2", "l1", "l0")
RADII = ("adaptive", "published")
OVERSHOOT_RULES = ("foolbox", "authors")


@dataclass(frozen=True)
class BrendelBethge(Attack):
    """Smallest adversarial perturbations by following the decision boundary.

    From an adversarial start, walk along the boundary towards the clean image:
    each step solves, exactly, for the nearest point to the clean image on the
    linearised boundary, within [0, 1] and a trust radius. The default ends each
    image's walk when it has converged; `published` gives foolbox's schedule.

    Parameters
    ----------
    norm : {"linf", "l2", "l1", "l0"}
        The norm that is made small.
    steps : int
        The most steps along the boundary, each one forward and one backward
        pass.
    radius : {"adaptive", "published"}
        The rule of the trust radius. "adaptive": a share of the Euclidean
        length of the present perturbation, or of the nearest found so far where
        that is shorter; the share shrinks by `decay` after `patience` steps
        without a gain, and the walk ends when it falls below `last_radius`. A
        walk that finds its way back from outside at a much nearer point keeps
        the radius, not the share. "published": ``first_radius * C * H * W``,
        which shrinks by `decay` `n_decays` times, evenly spread over `steps`.
    first_radius : float
        The first share ("adaptive"), or the first radius per pixel.
    last_radius : float
        The last share ("adaptive"), at most the first.
    decay : float
        The factor by which the radius shrinks, in (0, 1).
    patience : int
        Steps without a gain before the radius shrinks ("adaptive").
    tolerance : float
        The least relative gain that counts ("adaptive"), in [0, 1).
    n_decays : int
        The number of decays ("published").
    momentum : float
        Weight of earlier gradients in the boundary's normal, in [0, 1).
    normalise : bool
        Bring gradients to unit length before they are averaged.
    overshoot : float
        How far a step aims past the boundary, in [1, 2).
    overshoot_rule : {"foolbox", "authors"}
        Where a step aims for a logit difference d (negative if adversarial):
        "foolbox", a change of ``-overshoot * d`` from outside and
        ``-(2 - overshoot) * d`` from inside; "authors", to
        ``-max((overshoot - 1) * |d|, 0.001)``, always inside.
    n_starts : int
        Starts per image (unless they are given); all are pulled to the
        boundary, and the walk sets out from the nearest.
    scatter : bool
        Let the first start, too, climb from noise around the image, so that
        another seed gives another start. By default it climbs from the image
        itself.
    restarts : int
        Further walks after the first has ended, each with the first radius
        again, from the boundary point of the next start, or from the best
        point where the starts are used up.
    binary_search_steps : int
        Bisections between clean image and start.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Differences from the paper, and from foolbox, whose attack it used:

    - The default radius is scale-free and adapts to each image, and an image
      that has converged leaves: some 100 steps reach the distances of 1000
      (docs/results/bench-attack.md). `published` is the fixed schedule.
    - A radius does not depend on the number of images in a batch. Foolbox
      multiplies by it; `published` takes that number as an argument.
    - Gradients are averaged at unit length, so that a steep region does not
      outweigh the rest (`published`: as they are).
    - The step is solved exactly; where the boundary is out of reach, it goes
      towards it in the sense wanted. Foolbox goes along the gradient there,
      whichever side the boundary is on.
    - Bisection halves the size of the start, `binary_search_steps` times (10 in
      `published`), where foolbox halves the whole range of pixels 10 times.
    - Without `starting_points` or `candidates`, starts come from the image's
      own gradient. The paper drew test images of the target class.
    - Images that are finished or have failed are no longer sent to the model,
      and one that fails does not end the others.

    References
    ----------
    Brendel et al. 2019, "Accurate, reliable and fast robustness evaluation",
    arXiv 1907.01003. Li et al. 2023, Figs 2b, 2f, 4c and 6a.
    """

    norm: str = "linf"
    steps: int = 1000
    radius: str = "adaptive"
    first_radius: float = 3.0
    last_radius: float = 0.01
    decay: float = 0.7
    patience: int = 3
    tolerance: float = 1e-3
    n_decays: int = 20
    momentum: float = 0.75
    normalise: bool = True
    overshoot: float = 1.1
    overshoot_rule: str = "foolbox"
    n_starts: int = 1
    scatter: bool = False
    restarts: int = 0
    binary_search_steps: int = 6

    def __post_init__(self) -> None:
        """Check every parameter."""
        validate.one_of("norm", self.norm, NORMS)
        validate.one_of("radius", self.radius, RADII)
        validate.one_of("overshoot_rule", self.overshoot_rule, OVERSHOOT_RULES)
        radii = ("first_radius", "last_radius")
        self._plain(
            flags=("normalise", "scatter"),
            counts=(
                *("steps", "patience", "n_decays", "n_starts", "restarts"),
                "binary_search_steps",
            ),
            numbers=(*radii, "decay", "tolerance", "momentum", "overshoot"),
        )
        for name in radii:
            value = getattr(self, name)
            validate.within(name, value, 0 < value < float("inf"), "a positive number")
        if self.radius == "adaptive":  # a walk must not end before its first step
            holds = self.last_radius <= self.first_radius
            limit = f"at most first_radius, {self.first_radius}"
            validate.within("last_radius", self.last_radius, holds, limit)
        for name, low, high, interval in (
            ("decay", 0.0, 1.0, "(0, 1)"),
            ("momentum", -0.0, 1.0, "[0, 1)"),
            ("tolerance", -0.0, 1.0, "[0, 1)"),
            ("overshoot", 1.0, 2.0, "[1, 2)"),
        ):
            value = getattr(self, name)
            is_closed = interval.startswith("[")
            holds = (low <= value if is_closed else low < value) and value < high
            validate.within(name, value, holds, interval)

    @classmethod
    def published(cls, norm: str = "linf", *, batch: int = 20) -> BrendelBethge:
        """Return foolbox's schedule: 1000 steps, radius from 0.001 per pixel.

        Parameters
        ----------
        norm : {"linf", "l2", "l1", "l0"}
        batch : int
            The number of images that the radius is multiplied by, as foolbox
            does with its batch; 20 in the paper.

        Returns
        -------
        BrendelBethge
        """
        batch = validate.count("batch", batch)
        return cls(
            norm=norm,
            steps=1000,
            radius="published",
            first_radius=1e-3 * batch,
            decay=0.5,
            n_decays=20,
            momentum=0.8,
            normalise=False,
            binary_search_steps=10,
        )

    @property
    def planned(self) -> int:
        """The most answers of an image: one more than steps, per walk."""
        return (self.steps + 1) * (1 + self.restarts)

    def _run(self, callables: Callables, task: Task) -> tuple[Any, ...]:
        return _neurofreq.brendel_bethge(callables, self, task)
