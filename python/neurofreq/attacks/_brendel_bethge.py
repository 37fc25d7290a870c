"""The Brendel-Bethge attack, which follows the decision boundary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.perturbations import NORMS
from neurofreq.attacks._call import Attack

RADII = ("adaptive", "published")
OVERSHOOT_RULES = ("foolbox", "authors")
# The likeliest classes that a survey looks at: all others of CIFAR-10. In l1 and l0 a
# survey does not lead to smaller perturbations.
SURVEYED, SURVEYED_NORMS = 9, ("linf", "l2")
# Patience and decay. A survey starts near, where a faster schedule is enough.
AFTER_SURVEY, AFTER_CLIMB = (2, 0.5), (3, 0.7)


@dataclass(frozen=True)
class BrendelBethge(Attack):
    """Smallest adversarial perturbations by following the decision boundary.

    From an adversarial starting point, the attack walks along the boundary towards the
    clean image. Without a target, it starts at the class whose boundary is nearest, as
    the gradients at the clean image predict. Each step solves exactly for the point
    nearest to the clean image on the linearized boundary, within [0, 1] and a trust
    radius. By default, the walk of an image ends when it has converged; `published`
    gives foolbox's schedule.

    Parameters
    ----------
    norm : {"linf", "l2", "l1", "l0"}
        The norm to minimize.
    steps : int
        Largest number of steps along the boundary; each step takes one forward and one
        backward pass.
    radius : {"adaptive", "published"}
        The rule for the trust radius. "adaptive": the radius is a share of the
        Euclidean length of the current perturbation, or of the smallest perturbation so
        far if that is shorter. The share shrinks by `decay` after `patience` steps
        without improvement, and the walk ends when the share falls below `last_radius`.
        If a walk returns from outside at a much nearer point, it keeps the radius
        instead of the share. "published": the radius starts at ``first_radius * C * H *
        W`` and shrinks by `decay` `n_decays` times, evenly spread over `steps`.
    first_radius : float
        The first share ("adaptive"), or the first radius per pixel ("published").
    last_radius : float
        The last share ("adaptive"), at most the first.
    decay : float, optional
        Factor by which the radius shrinks, in (0, 1). By default 0.5 for a walk that
        starts from a survey, and 0.7 otherwise.
    patience : int, optional
        Steps without improvement before the radius shrinks ("adaptive"). By default 2
        for a walk that starts from a survey, and 3 otherwise.
    tolerance : float
        Smallest relative improvement that counts ("adaptive"), in [0, 1).
    n_decays : int
        Number of decays ("published").
    momentum : float
        Weight of earlier gradients in the boundary's normal, in [0, 1).
    normalise : bool
        Scale gradients to unit length before they are averaged.
    overshoot : float
        How far a step aims past the boundary, in [1, 2).
    overshoot_rule : {"foolbox", "authors"}
        The target of a step for a logit difference d (negative if adversarial).
        "foolbox": a change of ``-overshoot * d`` from outside and of
        ``-(2 - overshoot) * d`` from inside. "authors": a logit difference
        of ``-max((overshoot - 1) * |d|, 0.001)``, which is always inside.
    n_starts : int
        Starting points per image (unless they are given). All are moved to the
        boundary, and the walk begins at the nearest one.
    scatter : bool
        Search for the first starting point from noise around the image, like the
        others, so that another seed gives another starting point. By default this
        search begins at the image itself.
    survey : int, optional
        Attacks without a target look at this many other classes, those with the largest
        logits, and start at the nearest one by linearized distance: the logit
        difference over the dual norm of its gradient. This takes a forward pass, and a
        backward pass for each class. With several `n_starts`, the next starting points
        are at the next classes. 0: no survey. By default 9 for "linf" and "l2", and 0
        for "l1" and "l0". `starting_points`, `candidates`, `scatter` and your own
        criterion take its place.
    descent : int
        Steps of a descent before the first walk, for a long budget. It moves by several
        lengths of the perturbation, then by less and less, and so finds nearer parts of
        the boundary than a walk does. In "l2" it follows a weighted sum of the
        perturbation's length and the logit difference; in the other norms it follows
        the difference within a ball that adapts. Use 100 steps or more.
    restarts : int
        Further walks after the first, each with the first radius again. A walk begins
        at the boundary point of the next starting point, or at the best point when all
        starting points are used.
    binary_search_steps : int
        Bisections between the clean image and the starting point.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Differences from the paper, and from foolbox, whose attack the paper used:

    - The default radius is scale-free and adapts to each image, and an image is dropped
      when it has converged: about 100 steps reach the distances of 1000
      (docs/results/bench-attack.md). `published` is the fixed schedule.
    - The radius does not depend on the number of images in a batch. foolbox multiplies
      the radius by this number; `published` takes the number as an argument.
    - Gradients are averaged at unit length, so that a steep region does not
      outweigh the rest (`published`: without scaling).
    - Each step is solved exactly. If the boundary is out of reach, the step goes
      towards it, inwards or outwards. foolbox then steps along the gradient, whichever
      side the boundary is on.
    - Bisection halves the distance to the starting point `binary_search_steps` times
      (10 in `published`). foolbox halves the whole range of pixels 10 times.
    - Without `starting_points` or `candidates`, starting points come from the image's
      own gradients. The paper drew test images of the target class.
    - `v0_1` gives the defaults of version 0.1: no survey, decay 0.7, patience 3.
    - Images that are finished or have failed are no longer sent to the model. A failed
      image does not stop the others.

    References
    ----------
    Brendel et al. 2019, "Accurate, reliable and fast robustness evaluation",
    arXiv 1907.01003. Moosavi-Dezfooli et al. 2016, "DeepFool", arXiv 1511.04599
    (survey). Matyasko and Chau 2021, "PDPGD: Primal-dual proximal gradient descent
    adversarial attack", arXiv 2106.01538, and Pintor et al. 2021, "Fast minimum-norm
    adversarial attacks through adaptive norm constraints", arXiv 2102.12827 (descent).
    Li et al. 2023, Figs 2b, 2f, 4c and 6a.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=2).images
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> labels = model(torch.from_numpy(images)).argmax(1)
    >>> result = nf.attacks.BrendelBethge("linf", steps=10)(model, images, labels)
    >>> result.success.tolist(), bool(result.distance.max() < 4 / 255)
    ([True, True], True)
    """

    _method: ClassVar[str] = "brendel_bethge"

    norm: str = "linf"
    steps: int = 1000
    radius: str = "adaptive"
    first_radius: float = 3.0
    last_radius: float = 0.01
    decay: float | None = None
    patience: int | None = None
    tolerance: float = 1e-3
    n_decays: int = 20
    momentum: float = 0.75
    normalise: bool = True
    overshoot: float = 1.1
    overshoot_rule: str = "foolbox"
    n_starts: int = 1
    scatter: bool = False
    survey: int | None = None
    descent: int = 0
    restarts: int = 0
    binary_search_steps: int = 6

    def __post_init__(self) -> None:
        """Check every parameter."""
        self._name_norm(NORMS)
        validate.one_of("radius", self.radius, RADII)
        validate.one_of("overshoot_rule", self.overshoot_rule, OVERSHOOT_RULES)
        radii = ("first_radius", "last_radius")
        self._plain(
            flags=("normalise", "scatter"),
            counts=("steps", "n_decays", "n_starts", "binary_search_steps"),
            counts_from_0=("restarts", "descent"),
            numbers=(*radii, "tolerance", "momentum", "overshoot"),
        )
        if self.patience is not None:
            self._plain(counts=("patience",))
        if self.decay is not None:
            self._plain(numbers=("decay",))
        if self.survey is not None:
            self._plain(counts_from_0=("survey",))
        for name in radii:
            value = getattr(self, name)
            validate.within(name, value, 0 < value < float("inf"), "a positive number")
        if self.radius == "adaptive":  # else a walk would end before its first step
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
            if value is None:
                continue
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
            The radius is multiplied by this number, as foolbox multiplies by the number
            of images in a batch; 20 in the paper.

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
            survey=0,
            binary_search_steps=10,
        )

    @classmethod
    def v0_1(cls, norm: str = "linf") -> BrendelBethge:
        """Return the settings that were the default in version 0.1.

        They give the same perturbations as 0.1, apart from the confirmation.

        Parameters
        ----------
        norm : {"linf", "l2", "l1", "l0"}

        Returns
        -------
        BrendelBethge
        """
        return cls(norm=norm, survey=0, decay=0.7, patience=3)

    @property
    def planned(self) -> int:
        """The largest number of queries per image: steps plus one, per walk."""
        descent = self.descent + 1 if self.descent else 0
        return descent + (self.steps + 1) * (1 + self.restarts)

    @property
    def _n_surveyed(self) -> int:
        if self.survey is not None:
            return self.survey
        return SURVEYED if self.norm in SURVEYED_NORMS else 0

    def _settings(self, *, is_surveyed: bool) -> dict[str, Any]:
        settings = super()._settings(is_surveyed=is_surveyed)
        patience, decay = AFTER_SURVEY if is_surveyed else AFTER_CLIMB
        if self.patience is None:
            settings["patience"] = patience
        if self.decay is None:
            settings["decay"] = decay
        return settings

    def _scattered(self) -> BrendelBethge:
        return replace(self, scatter=True)
