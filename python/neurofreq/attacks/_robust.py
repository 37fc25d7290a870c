"""Measure accuracy against budget, from the strongest of several attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.perturbations import NORMS
from neurofreq._shared.inputs.pixel import to_unit
from neurofreq._shared.networks import calling
from neurofreq.attacks import _result, _survey
from neurofreq.attacks._accuracy import RobustAccuracy
from neurofreq.attacks._boundary import NORMS as DECISION_NORMS
from neurofreq.attacks._boundary import Boundary
from neurofreq.attacks._brendel_bethge import BrendelBethge
from neurofreq.attacks._options import unit_images
from neurofreq.attacks._pgd import NORMS as BUDGET_NORMS
from neurofreq.attacks._pgd import PGD
from neurofreq.attacks._result import host
from neurofreq.attacks._run import Batch, Run, running
from neurofreq.data import ImageSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neurofreq._shared.inputs.validate import Array
    from neurofreq.attacks._call import Attack
    from neurofreq.attacks._result import AttackResult

    Rows = NDArray[np.int64]

DECISION = ("auto", "always", "never")
MOST_CLASSES = 9  # as in AutoAttack
WALKS = 3  # classes of the minimal attack in norms without PGD
REACH = 2.0  # how many times a found distance may exceed the least one
# PGD leaves out classes, except the first, that are farther by this factor.
LEAST_CLASSES, FARTHER = 3, 2.0
# Walks that ended like this had no gradient to follow.
BLIND = ("zero_gradient", "no_start", "not_finite", "unconfirmed")


def robust_accuracy(
    model: calling.Model,
    images: Array | ImageSet,
    labels: Any = None,
    *,
    epsilons: Any,
    norm: str = "linf",
    steps: int = 50,
    decision: Literal["auto", "always", "never"] = "auto",
    max_queries: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    first_index: int = 0,
    batch_size: int | None = None,
    deterministic: bool = False,
    channels_last: bool = False,
    autocast: torch.dtype | None = None,
    capture: bool | None = None,
    progress: bool = False,
) -> RobustAccuracy:
    """Measure accuracy against the size of the perturbation.

    Each image is attacked until a budget holds or the smallest one is broken:

    1. An image that is already misclassified counts as broken at every budget.
    2. The classes are ordered by their linearized distance, and the minimal attack
       (`BrendelBethge`) walks towards the nearest class. Its distance decides every
       larger budget at once.
    3. The largest budget below this distance is attacked with `PGD` towards one class
       after the other, nearest first, until the image breaks. If it breaks, the next
       smaller budget follows. If not, all smaller budgets hold too.
    4. Images whose gradient vanished are attacked with `Boundary`, which needs none.

    Parameters
    ----------
    model : callable
        As in the call of an attack (`Attack`). A logit of -inf means that the model
        excludes the class.
    images : ndarray, Tensor or ImageSet
        Images (N, C, H, W), float32 or float64 in [0, 1], or an `ImageSet`.
    labels : array_like of int, shape (N,)
        The true classes; not allowed with an `ImageSet`.
    epsilons : array_like of float, shape (K,)
        Budgets in pixel units of [0, 1], 0 or more, in any order.
    norm : {"linf", "l2", "l1", "l0"}
        The norm of the budgets. For "l1" and "l0", which `PGD` does not have, step 3
        walks towards the next two classes.
    steps : int
        Largest number of steps of PGD for each class and budget.
    decision : {"auto", "always", "never"}
        When `Boundary` attacks, which "linf" and "l2" have: images whose gradient
        vanished, all images with a budget that still holds, or no image. Use "always"
        for a model whose gradients do not vanish but mislead.
    max_queries : int
        Largest number of queries of `Boundary` for each image.
    level : float
        Coverage of the intervals.
    seed, first_index, batch_size, deterministic, channels_last, autocast, capture
        As in the call of an attack.
    progress : bool
        Show a progress bar.

    Returns
    -------
    RobustAccuracy

    Raises
    ------
    TypeError, ValueError
        As the call of an attack; budgets that are negative, not finite or missing.
    ModelError
        As the call of an attack; NaN or infinite logits of a clean image, except -inf.

    Notes
    -----
    Step 3 leaves out budgets that are less than half of the distance found in step 2.
    No attack broke an image there in docs/results/bench-robust-accuracy.md, which
    compares the result with AutoAttack's standard set. At most nine other classes are
    attacked, those with the largest logits.

    References
    ----------
    Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble
    of diverse parameter-free attacks", arXiv 2003.01690.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=8)
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> found = nf.attacks.robust_accuracy(
    ...     model, data.images, data.labels, epsilons=[0.0, 0.001, 0.5], norm="l2"
    ... )
    >>> found.value.shape, float(found.value[2])
    ((3,), 0.0)
    >>> bool((found.low <= found.value).all() and (found.value <= found.high).all())
    True
    """
    validate.model(model)
    pixels, known = _labelled(images, labels)
    norm = validate.norm("norm", norm, NORMS)
    budgets = validate.epsilons("epsilons", epsilons)
    decision = validate.one_of("decision", decision, DECISION)  # type: ignore[assignment]
    level = validate.number("level", level)
    validate.within("level", level, 0.0 < level < 1.0, "a number between 0 and 1")
    walk = BrendelBethge(norm, patience=2, decay=0.5)
    options = walk._options(
        seed=seed, first_index=first_index, batch_size=batch_size,
        deterministic=deterministic, channels_last=channels_last, autocast=autocast,
        capture=capture, progress=progress,
    )  # fmt: skip
    pgd = PGD(steps=steps)
    boundary = Boundary(max_queries=max_queries)
    batch = Batch.whole(pixels, known, None, options)
    with running(walk, model, batch, options) as run:
        size = 1 if options.deterministic else run.size
        search = _Search(run, batch, budgets, norm, size)
        if search.ask_clean(calling.device_of(model, pixels)):
            search.walk(walk)
            search.fill_in(walk, pgd)
            if norm in DECISION_NORMS and decision != "never":
                search.decide(boundary, is_always=decision == "always")
    return search.result(level)


def _labelled(images: Any, labels: Any) -> tuple[Array, NDArray[np.int64]]:
    """Return checked images and labels."""
    if isinstance(images, ImageSet):
        if labels is not None:
            raise ValueError("labels: got some with an ImageSet, expected None")
        images, labels = to_unit(np.asarray(images.images)), images.labels
    pixels = unit_images(images, "images")
    if labels is None:
        raise ValueError("labels: got None, expected one per image")
    return pixels, validate.labels(labels, count=len(pixels))


class _Search:
    """The smallest perturbation of each image so far, and what it cost."""

    def __init__(
        self, run: Run, batch: Batch, budgets: Any, norm: str, size: int
    ) -> None:
        self._run, self._batch, self._size = run, batch, size
        self._budgets, self._norm = budgets, norm
        n, pixels = len(batch.pixels), batch.pixels
        self._adversarial = _result.copied(pixels)
        self._distance = np.full(n, np.inf, host(pixels[:0]).dtype)
        self._broken_by = np.full(n, "", dtype="<U8")
        self._n_queries, self._n_gradients = np.zeros((2, n), np.int64)
        self._is_blind = np.zeros(n, dtype=bool)
        self._ascending = np.unique(budgets[budgets > 0.0])
        self._sizes = self._ascending.astype(self._distance.dtype)

    def ask_clean(self, device: Any) -> bool:
        """Ask about the clean images; return whether there is anything to attack."""
        pixels, labels, right = self._batch.pixels, self._batch.labels, []
        n_classes = 1
        with torch.no_grad():
            for start in range(0, len(pixels), self._size):
                part = calling.to_tensor(pixels[start : start + self._size], device)
                answers = _survey.logits(self._run.classifier, part)
                n_classes = answers.shape[1]
                right.append(answers.argmax(1).cpu().numpy())
        _survey.require_classes(labels, n_classes)
        is_wrong = np.concatenate(right) != labels
        self._n_queries += 1
        self._distance[is_wrong], self._broken_by[is_wrong] = 0.0, "clean"
        rows = np.flatnonzero(~is_wrong)
        self._classes = np.full((len(labels), min(MOST_CLASSES, n_classes - 1)), -1)
        self._linear = np.full(self._classes.shape, np.inf)
        if n_classes == 1 or not rows.size or not self._sizes.size:
            return False
        self._classes[rows], self._linear[rows] = _survey.nearest(
            self._run.classifier, pixels[rows], labels[rows], norm=self._norm,
            most=MOST_CLASSES, batch_size=self._size, device=device,
        )  # fmt: skip
        self._n_queries[rows] += 1
        self._n_gradients[rows] += self._classes.shape[1]
        return True

    def walk(self, attack: Attack, rank: int = 0, rows: Rows | None = None) -> None:
        """Run the minimal attack towards the class of a rank."""
        if rank >= self._classes.shape[1]:
            return
        rows = np.arange(len(self._distance)) if rows is None else rows
        is_open = self._largest_open()[rows] >= 0
        rows = rows[is_open & (self._classes[rows, rank] >= 0)]
        if rows.size:
            found = self._attack(attack, rows, self._classes[rows, rank], "minimal")
            self._is_blind[rows] |= np.isin(found.status, BLIND)

    def fill_in(self, walk: Attack, pgd: PGD) -> None:
        """Attack the budgets that are left near the distance found so far."""
        if self._norm not in BUDGET_NORMS:
            for rank in range(1, WALKS):
                rows = np.flatnonzero(self._is_near(self._largest_open()))
                self.walk(walk, rank, rows)
            return
        for place in range(len(self._ascending) - 1, -1, -1):
            largest = self._largest_open()
            rows = np.flatnonzero((largest == place) & self._is_near(largest))
            one = PGD(self._norm, float(self._ascending[place]), pgd.steps)
            for rank, classes in enumerate(self._classes.T):
                is_left = self._largest_open()[rows] == place
                left = rows[is_left & self._is_tried(rows, rank)]
                if left.size:
                    self._attack(one, left, classes[left], "targeted")

    def decide(self, boundary: Boundary, *, is_always: bool) -> None:
        """Attack without gradients."""
        is_open = self._largest_open() >= 0
        rows = np.flatnonzero(is_open & (is_always | self._is_blind))
        if rows.size:
            one = Boundary(self._norm, max_queries=boundary.max_queries)
            self._attack(one, rows, None, "decision")

    def result(self, level: float) -> RobustAccuracy:
        """Return the robust accuracy of all images."""
        distance: Any = self._distance
        if isinstance(self._batch.pixels, torch.Tensor):
            distance = torch.from_numpy(distance).to(self._batch.pixels.device)
        return RobustAccuracy(
            norm=self._norm,
            epsilons=self._budgets,
            distance=distance,
            adversarial=self._adversarial,
            broken_by=self._broken_by,
            n_queries=self._n_queries,
            n_gradients=self._n_gradients,
            level=level,
        )

    def _largest_open(self) -> NDArray[np.int64]:
        """Return the place of the largest budget that holds for each image, or -1."""
        return np.searchsorted(self._sizes, self._distance, side="left") - 1

    def _is_near(self, largest: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether the least distance may be within the largest open budget."""
        reached = REACH * self._sizes[np.maximum(largest, 0)]
        return (largest >= 0) & ((self._distance <= reached) | np.isinf(self._distance))

    def _is_tried(self, rows: Rows, rank: int) -> NDArray[np.bool_]:
        """Return whether PGD attacks the class of a rank."""
        limit = FARTHER * self._linear[rows, 0]
        is_close = (rank < LEAST_CLASSES) | (self._linear[rows, rank] <= limit)
        return (self._classes[rows, rank] >= 0) & is_close

    def _attack(
        self, attack: Attack, rows: Rows, targets: Any, name: str
    ) -> AttackResult:
        """Attack some images and keep what is nearer than before."""
        part = self._batch.part(rows, targets)
        found = self._run(attack, part)
        distance = host(found.distance)
        is_nearer = host(found.success) & (distance < self._distance[rows])
        nearer = rows[is_nearer]
        self._distance[nearer] = distance[is_nearer]
        self._adversarial[nearer] = found.adversarial[is_nearer]
        self._broken_by[nearer] = name
        self._n_queries[rows] += host(found.n_queries)
        self._n_gradients[rows] += host(found.n_gradients)
        return found
