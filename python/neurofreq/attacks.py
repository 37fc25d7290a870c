"""Minimal adversarial perturbations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from neurofreq import _model, _neurofreq, _validate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from neurofreq._validate import Array

NORMS = ("linf",)
OVERSHOOT_RULES = ("foolbox", "authors")
TOLERANCE = 1e-6  # rounding of a resize or a normalisation undone, not a fault


class AttackResult(NamedTuple):
    """What an attack found, one entry per image.

    Attributes
    ----------
    adversarial : ndarray or Tensor, shape (N, C, H, W)
        The nearest adversarial image found, in [0, 1]; every one was confirmed
        by a last query. The clean image where there is none.
    distance : ndarray or Tensor of float, shape (N,)
        The norm of ``adversarial - images`` in pixel units of [0, 1]; infinite
        where there is none.
    success : ndarray or Tensor of bool, shape (N,)
        Whether `adversarial` is adversarial.
    n_queries : ndarray or Tensor of int64, shape (N,)
        How often the image, or a point on its way, was sent to the model.
    status : ndarray of str, shape (N,)
        How the search ended. A search that ended early may still have
        succeeded: see `success`.

        - ``"completed"``: all steps were taken.
        - ``"already_adversarial"``: the clean image is; distance 0.
        - ``"no_start"``: no adversarial starting point was found.
        - ``"bad_start"``: the given starting point is not adversarial.
        - ``"not_finite"``: the model returned NaN or infinity.
        - ``"zero_gradient"``: the gradient vanished.
        - ``"unconfirmed"``: the last query did not confirm any point.
    """

    adversarial: Any
    distance: Any
    success: Any
    n_queries: Any
    status: NDArray[np.str_]


@dataclass(frozen=True)
class BrendelBethge:
    """Smallest adversarial perturbations by following the decision boundary.

    From an adversarial start, walk along the boundary towards the clean image:
    each step solves, exactly, for the nearest point to the clean image on the
    linearised boundary, within [0, 1] and a trust radius.

    Parameters
    ----------
    norm : {"linf"}
        The norm that is made small.
    steps : int
        Steps along the boundary, each one forward and one backward pass.
    lr : float
        The trust radius of the first step, per pixel: it is ``lr * C * H * W``.
    lr_decay : float
        The factor by which the radius shrinks at each decay, in (0, 1].
    lr_num_decay : int
        The number of decays, evenly spread over the steps.
    momentum : float
        Weight of earlier gradients in the boundary's normal, in [0, 1).
    overshoot : float
        How far a step aims past the boundary, in [1, 2).
    overshoot_rule : {"foolbox", "authors"}
        Where a step aims for a logit difference d (negative if adversarial):
        "foolbox", a change of ``-overshoot * d`` from outside and
        ``-(2 - overshoot) * d`` from inside; "authors", to
        ``-max((overshoot - 1) * |d|, 0.001)``, always inside.
    binary_search_steps : int
        Bisections between clean image and start.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Differences from the paper, and from foolbox, whose attack it used:

    - The trust radius depends on the size of an image and not on the number of
      images in a batch. Foolbox multiplies by that number too; `lr` is its
      0.001 times the 20 images of the paper's batches. With given starts a
      radius of 0.001 per pixel is too short to leave their surroundings.
    - The step is solved exactly; where the boundary is out of reach, it goes
      towards it in the sense wanted. Foolbox goes along the gradient there,
      whichever side the boundary is on.
    - Bisection starts from the size of the start and not from the whole range
      of pixels: the same map, finer.
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
    lr: float = 0.02
    lr_decay: float = 0.5
    lr_num_decay: int = 20
    momentum: float = 0.8
    radius: str = "published"
    shrink: float = 0.5
    tol: float = 1e-3
    normalise: bool = False
    n_starts: int = 1
    overshoot: float = 1.1
    overshoot_rule: str = "foolbox"
    binary_search_steps: int = 10

    def __post_init__(self) -> None:
        """Check every parameter."""
        _validate.one_of("norm", self.norm, NORMS)
        _validate.one_of("overshoot_rule", self.overshoot_rule, OVERSHOOT_RULES)
        for name in ("steps", "lr_num_decay", "binary_search_steps"):
            _validate.count(name, getattr(self, name))
        _validate.within("lr", self.lr, self.lr > 0.0, "a positive number")
        _validate.within(
            "lr_decay", self.lr_decay, 0.0 < self.lr_decay <= 1.0, "(0, 1]"
        )
        _validate.within(
            "momentum", self.momentum, 0.0 <= self.momentum < 1.0, "[0, 1)"
        )
        _validate.within(
            "overshoot", self.overshoot, 1.0 <= self.overshoot < 2.0, "[1, 2)"
        )

    def __call__(
        self,
        model: _model.Model,
        images: Array,
        labels: Any,
        *,
        targets: Any = None,
        starting_points: Array | None = None,
        candidates: Array | None = None,
        seed: int = 0,
        first_index: int = 0,
        batch_size: int = 128,
        progress: bool = False,
    ) -> AttackResult:
        """Attack every image.

        Parameters
        ----------
        model : callable
            Maps a batch (n, C, H, W) to logits (n, n_classes), differentiably.
            An ``nn.Module`` is run in evaluation mode, where its parameters
            are, and left as found: parameters, gradients, flags and modes.
            Normalisation belongs inside.
        images : ndarray or Tensor, shape (N, C, H, W)
            float32 or float64 in [0, 1], the dtype the model takes. Values
            out of range by at most 1e-6 are clipped.
        labels : array_like of int, shape (N,)
            The true classes.
        targets : array_like of int, shape (N,), optional
            The classes to reach, none equal to its label. By default any
            class but the label will do.
        starting_points : ndarray or Tensor, shape (N, C, H, W), optional
            An adversarial image for each image.
        candidates : ndarray or Tensor, shape (M, C, H, W), optional
            A pool of images: each image starts from one, drawn at random, that
            the model takes for the target (or for another class than the
            label). By default a start is sought along the image's own gradient
            and then in noise.
        seed : int
            Selects the random streams, one per image.
        first_index : int
            Position of the first image in the data set. An image's stream
            belongs to its position, so parts of a data set attacked one by
            one give the results of the whole.
        batch_size : int
            Images per pass through the model.
        progress : bool
            Show a progress bar.

        Returns
        -------
        AttackResult
            NumPy arrays for a NumPy array, tensors on the device of `images`
            for a tensor.

        Raises
        ------
        TypeError
            Wrong types or dtypes.
        ValueError
            Wrong shapes or values, labels that the model does not have, a
            target equal to its label.
        ModelError
            If the model returns something other than logits. What the model
            raises passes through unchanged.
        """
        from tqdm.auto import tqdm

        pixels = _unit_images(images, "images")
        count = len(pixels)
        labels, targets = _classes(labels, targets, count)
        _model.check_batch_size(batch_size)
        if starting_points is not None and candidates is not None:
            raise ValueError("candidates: got them with starting_points, expected one")
        device = _model.device_of(model)
        task = _Task(
            images=_model.to_tensor(pixels, device),
            labels=labels.tolist(),
            targets=None if targets is None else targets.tolist(),
            source="given" if starting_points is not None else "pool" if candidates is not None else "climb",
            points=_like(pixels, starting_points, "starting_points", device) if starting_points is not None else _like(pixels, candidates, "candidates", device),
            is_custom=False, margin=0.0, probability=0.0, norm=self.norm, n_starts=self.n_starts, n_bisections=self.binary_search_steps, is_deterministic=False,
            seed=_validate.seed(seed),
            first_index=_validate.seed(first_index, "first_index"),
            batch_size=batch_size,
        )
        total = -(-count // batch_size) * self.steps
        with (
            _model.evaluating(model),
            torch.inference_mode(False),
            torch.enable_grad(),
            tqdm(total=total, unit="step", disable=not progress) as bar,
        ):
            found = _neurofreq.brendel_bethge(_Callables(model, None, bar.update), self, task)
        return _result(images, *found)


def shuffled_targets(labels: Any, *, seed: int) -> NDArray[np.int64]:
    """Draw target labels, none equal to the truth, histogram unchanged.

    Parameters
    ----------
    labels : array_like of int, shape (N,)
        The class of every image.
    seed : int
        The same seed gives the same targets.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    TypeError
        If `labels` are not integers.
    ValueError
        If `labels` is empty or one class holds more than half of it.

    References
    ----------
    Li et al. 2023, Fig 2b: one fixed element-wise shuffle of the whole test set.
    """
    checked = _validate.labels(labels)
    return _neurofreq.shuffled_targets(checked, _validate.seed(seed))


def success_curve(distance: ArrayLike | torch.Tensor, epsilons: Any) -> Any:
    """Return the fraction of images whose perturbation fits each budget.

    Parameters
    ----------
    distance : array_like or Tensor of float, shape (N,)
        Minimal distances; infinite where no adversarial was found.
    epsilons : array_like of float, shape (K,)
        Budgets, in the unit of `distance`; compared in its dtype.

    Returns
    -------
    ndarray or Tensor of float, shape (K,)
        The fraction with ``distance <= epsilon``: a tensor for a tensor.

    Raises
    ------
    ValueError
        If `distance` is empty, or either holds NaN or has another rank.

    References
    ----------
    Li et al. 2023, Figs 2b and 2f.
    """
    if isinstance(distance, torch.Tensor):
        fraction = success_curve(_host(distance), _host(epsilons))
        return torch.from_numpy(fraction).to(distance.device)
    sizes = np.asarray(distance)
    if not np.issubdtype(sizes.dtype, np.floating):
        sizes = sizes.astype(np.float64)
    budgets = np.asarray(_host(epsilons), dtype=sizes.dtype)
    for name, values in (("distance", sizes), ("epsilons", budgets)):
        if values.ndim != 1:
            raise ValueError(f"{name}: got shape {values.shape}, expected one axis")
        if np.isnan(values).any():
            raise ValueError(f"{name}: got NaN, expected numbers")
    if sizes.size == 0:
        raise ValueError("distance: got no values, expected at least one")
    return np.searchsorted(np.sort(sizes), budgets, side="right") / sizes.size


@dataclass(frozen=True)
class _Task:
    """The checked arguments of one call."""

    images: torch.Tensor
    labels: list[int]
    targets: list[int] | None
    source: str
    points: torch.Tensor | None
    is_custom: bool
    margin: float
    probability: float
    norm: str
    n_starts: int
    n_bisections: int
    seed: int
    first_index: int
    batch_size: int
    is_deterministic: bool


@dataclass(frozen=True)
class _Callables:
    """What Rust calls."""

    model: Any
    criterion: Any
    advance: Any


def _unit_images(value: Array, name: str) -> Array:
    """Check images and clip what is out of [0, 1] by rounding."""
    checked = _validate.images(value, name)
    clipped = checked.clip(0.0, 1.0)
    excess = float(abs(checked - clipped).max())
    if excess > TOLERANCE:
        raise ValueError(
            f"{name}: got values out of [0, 1] by {excess:.3g}, "
            f"expected at most {TOLERANCE:g}"
        )
    return clipped


def _like(
    images: Array, value: Array | None, name: str, device: torch.device
) -> torch.Tensor | None:
    """Check images that must be of the kind of `images`; candidates may be more."""
    if value is None:
        return None
    checked = _unit_images(value, name)
    first = images if name == "starting_points" else images[:1]
    _validate.same(first, checked[: len(first)], ("images", name))
    if name == "starting_points" and len(checked) != len(images):
        raise ValueError(f"{name}: got {len(checked)}, expected {len(images)}")
    return _model.to_tensor(checked, device)


def _classes(
    labels: Any, targets: Any, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Check labels and targets against each other."""
    labels = _validate.labels(labels, count=count)
    if targets is None:
        return labels, None
    targets = _validate.labels(targets, "targets", count=count)
    same = np.flatnonzero(targets == labels)
    if same.size:
        at = int(same[0])
        raise ValueError(
            f"targets: got {targets[at]} for image {at}, its own label, "
            "expected another class"
        )
    return labels, targets


def _result(
    images: Array,
    adversarial: torch.Tensor,
    distance: list[float],
    success: list[bool],
    n_queries: list[int],
    n_gradients: list[int],
    status: list[str],
    trajectory: Any,
) -> AttackResult:
    """Return findings in the kind of the images."""

    def own(part: torch.Tensor) -> Any:
        if isinstance(images, torch.Tensor):
            return part.to(images.device)
        return _host(part)

    return AttackResult(
        adversarial=own(adversarial),
        distance=own(torch.tensor(distance, dtype=adversarial.dtype)),
        success=own(torch.tensor(success)),
        n_queries=own(torch.tensor(n_queries)),
        status=np.array(status, dtype=np.str_),
    )


def _host(values: Any) -> Any:
    """Move a tensor to a NumPy array and leave the rest."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
