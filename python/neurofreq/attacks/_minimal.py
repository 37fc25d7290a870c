"""Find the smallest perturbation over several runs, and over PGD budgets."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.perturbations import NORMS
from neurofreq.attacks._brendel_bethge import BrendelBethge
from neurofreq.attacks._call import Attack
from neurofreq.attacks._pgd import NORMS as BUDGET_NORMS
from neurofreq.attacks._pgd import Below, checked_budgets
from neurofreq.attacks._result import AttackResult, host

if TYPE_CHECKING:
    from collections.abc import Callable

    from neurofreq._shared.inputs.validate import Array
    from neurofreq._shared.networks import calling


def minimal_perturbation(
    model: calling.Model,
    images: Array,
    labels: Any,
    *,
    targets: Any = None,
    norm: str = "linf",
    repeats: int = 4,
    candidates: Array | None = None,
    budgets: Any = None,
    attack: Attack | None = None,
    criterion: Callable[..., torch.Tensor] | None = None,
    margin: float = 0.0,
    min_probability: float = 0.0,
    seed: int = 0,
    first_index: int = 0,
    batch_size: int | None = None,
    deterministic: bool = False,
    channels_last: bool = False,
    autocast: torch.dtype | None = None,
    capture: bool | None = None,
    progress: bool = False,
) -> AttackResult:
    """Attack every image several times and keep its smallest perturbation.

    Parameters
    ----------
    model, images, labels, targets
        As in the call of an attack (`Attack`).
    norm : {"linf", "l2", "l1", "l0"}
        The norm to minimize.
    repeats : int
        Runs of the attack, each with its own random streams; the first run uses
        `seed` itself. If the first run searches for starting points from the image,
        further runs search from noise around the image.
    candidates : ndarray or Tensor, shape (M, C, H, W), optional
        A pool of starting images, as in the call of an attack.
    budgets : sequence of float, optional
        Also run `PGD` at these budgets, in pixel units of [0, 1]; "linf" and
        "l2" only. An image is attacked only at budgets below its smallest
        perturbation so far: first at the largest of these, and if that succeeds, at
        others by bisection.
    attack : Attack, optional
        The attack, with the same norm; by default ``BrendelBethge(norm)``.
    criterion, margin, min_probability
        As in the call of an attack: what counts as adversarial, in every run.
    seed : int
        Selects the random streams.
    first_index, batch_size, deterministic, channels_last, autocast, capture, progress
        As in the call of an attack.

    Returns
    -------
    AttackResult
        The nearest adversarial image of all runs, with the status of the run
        that found it (of the first run if none did). Queries and gradients
        are sums over all runs; there are no trajectories.

    Raises
    ------
    TypeError
        Wrong types or dtypes.
    ValueError
        Wrong shapes or values, as an attack; an `attack` with another norm;
        `budgets` with a norm that PGD does not have.
    ModelError
        As an attack.

    Notes
    -----
    Differences from the paper: the paper ran PGD at all its budgets, and the other
    attack started from the result at the largest budget. Here the other attack comes
    first, so that most budgets are skipped.

    References
    ----------
    Li et al. 2023, Figs 2b, 2f and 4c: the smallest of 4 runs. For the additional
    baselines of Fig 4, PGD is included and the probability is at least 0.1.

    Examples
    --------
    As for the paper's additional baselines, but with fewer budgets, runs and steps:

    >>> import numpy as np
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=2)
    >>> result = nf.attacks.minimal_perturbation(
    ...     nf.models.load_model("zoo:gray-standard"), data.images, data.labels,
    ...     targets=nf.attacks.shuffled_targets(data.labels, seed=0),
    ...     budgets=np.linspace(0, 0.5, 6)[1:], min_probability=0.1, repeats=2,
    ...     attack=nf.attacks.BrendelBethge(steps=5),
    ... )
    >>> result.success.tolist()
    [True, True]
    """
    norm = validate.norm("norm", norm, NORMS)
    attack = BrendelBethge(norm=norm) if attack is None else attack
    if not isinstance(attack, Attack):
        raise TypeError(f"attack: got {validate.shown(attack)}, expected an Attack")
    repeats = validate.count("repeats", repeats)
    if attack.norm != norm:
        raise ValueError(f"attack: got norm {attack.norm!r}, expected {norm!r}")
    if budgets is not None:
        if norm not in BUDGET_NORMS:
            raise ValueError(f"budgets: got some for norm {norm!r}, expected none")
        sweep = Below(norm=norm, epsilon=checked_budgets("budgets", budgets))
    arguments: dict[str, Any] = {
        "targets": targets,
        "criterion": criterion,
        "margin": margin,
        "min_probability": min_probability,
        "first_index": first_index,
        "batch_size": batch_size,
        "deterministic": deterministic,
        "channels_last": channels_last,
        "autocast": autocast,
        "capture": capture,
        "progress": progress,
    }
    best = attack(model, images, labels, candidates=candidates, seed=seed, **arguments)
    attack = attack._scattered()
    for repeat in range(1, repeats):
        streams = _derived(seed, repeat)
        found = attack(
            model, images, labels, candidates=candidates, seed=streams, **arguments
        )
        best = _nearer(best, found)
    if budgets is not None:
        limits = np.asarray(host(best.distance), dtype=np.float64)
        sweep = dataclasses.replace(sweep, limits=tuple(limits.tolist()))
        found = sweep(model, images, labels, seed=_derived(seed, 0), **arguments)
        best = _nearer(best, found)
    return best


def _derived(seed: int, number: int) -> int:
    """Return the seed of a run; runs of other seeds get other seeds."""
    sequence = np.random.SeedSequence([validate.seed(seed), number])
    return int(sequence.generate_state(1, np.uint64)[0])


def _nearer(first: AttackResult, second: AttackResult) -> AttackResult:
    """Return the nearer of two results for each image, the first if equal."""
    is_second = second.distance < first.distance

    def chosen(name: str) -> Any:
        one, other = getattr(first, name), getattr(second, name)
        mask = is_second.reshape(-1, *(1,) * (one.ndim - 1))
        where: Any = torch.where if isinstance(one, torch.Tensor) else np.where
        return where(mask, other, one)

    return AttackResult(
        adversarial=chosen("adversarial"),
        distance=chosen("distance"),
        success=chosen("success"),
        n_queries=first.n_queries + second.n_queries,
        status=np.where(host(is_second), second.status, first.status),
        n_gradients=first.n_gradients + second.n_gradients,
        shaped=first.shaped or second.shaped,
        norm=first.norm,
    )
