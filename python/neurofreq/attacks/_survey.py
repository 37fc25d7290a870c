"""Order the other classes of each image by their linearized distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._neurofreq import ModelError
from neurofreq._shared.networks import calling

if TYPE_CHECKING:
    from neurofreq._shared.inputs.validate import Array

# The norm of the gradient that goes with each norm of the perturbation. A perturbation
# of l0 size 1 changes the logit difference by its largest gradient at most, as in l1.
_DUAL = {"linf": 1.0, "l2": 2.0, "l1": torch.inf, "l0": torch.inf}


def logits(ask: calling.Classifier, images: torch.Tensor) -> torch.Tensor:
    """Return the logits of a batch; a class that the model excludes has -inf.

    Raises ModelError for other values that are not finite.
    """
    found = ask(images)
    is_out = found.detach() == -torch.inf if found.is_floating_point() else None
    calling.check_logits(
        found if is_out is None else found.masked_fill(is_out, 0.0), len(images)
    )
    if is_out is not None and bool(is_out.all(dim=1).any()):
        raise ModelError("model: got -inf as every logit, expected a finite one")
    return found


def require_classes(classes: Any, n_classes: int, name: str = "labels") -> None:
    """Require classes that the model has."""
    if len(classes) and classes.max() >= n_classes:
        raise ValueError(
            f"{name}: got {classes.max()}, expected 0 to {n_classes - 1} (the model "
            f"has {n_classes} classes)"
        )


def likeliest(answers: torch.Tensor, labels: torch.Tensor, most: int) -> torch.Tensor:
    """Return the classes of the largest logits except the label, (N, at most `most`).

    -1 stands for a class that the model excludes.
    """
    own = torch.zeros_like(answers, dtype=torch.bool).scatter(1, labels[:, None], True)
    others = answers.masked_fill(own, -torch.inf)
    found = others.topk(min(most, answers.shape[1] - 1), dim=1)
    return found.indices.masked_fill(found.values == -torch.inf, -1)


def nearest(
    ask: calling.Classifier,
    pixels: Array,
    labels: Any,
    *,
    norm: str,
    most: int,
    batch_size: int,
    device: torch.device | str,
) -> tuple[Any, Any]:
    """Return the likeliest other classes, nearest first, and their distances, (N, K).

    The distance is linearized at the image: the logit difference over the dual norm of
    its gradient. It is infinite where the gradient vanishes, and for -1, which stands
    for a class that the model excludes. One forward pass and K backward passes.
    """
    parts: list[tuple[Any, Any]] = []
    for start in range(0, len(pixels), batch_size):
        images = calling.to_tensor(pixels[start : start + batch_size], device)
        images.requires_grad_(True)
        own = torch.as_tensor(labels[start : start + batch_size], device=images.device)
        with torch.enable_grad():
            answers = logits(ask, images)
            classes = likeliest(answers.detach(), own, most)
            far = [_distance(answers, images, own, k, norm) for k in classes.T]
        distance = torch.stack(far, dim=1)
        order = distance.argsort(dim=1, stable=True)
        both = classes.gather(1, order), distance.gather(1, order)
        parts.append((both[0].cpu().numpy(), both[1].double().cpu().numpy()))
    found, distances = zip(*parts, strict=True)
    return np.concatenate(found), np.concatenate(distances)


def _distance(
    answers: torch.Tensor, images: torch.Tensor, own: Any, other: Any, norm: str
) -> torch.Tensor:
    """Return the linearized distance of each image to one class."""
    if not answers.requires_grad:
        return torch.full_like(answers[:, 0], torch.inf)
    pair = torch.stack([own, other.clamp(min=0)], dim=1)
    mine, theirs = answers.gather(1, pair).unbind(1)
    difference = torch.where(other < 0, 0.0, mine - theirs)
    (gradient,) = torch.autograd.grad(
        difference.sum(), images, retain_graph=True, allow_unused=True
    )
    if gradient is None:
        return torch.full_like(difference.detach(), torch.inf)
    steepness = torch.linalg.vector_norm(gradient.flatten(1), _DUAL[norm], dim=1)
    distance = difference.detach().clamp(min=0.0) / steepness
    return torch.where((other < 0) | ~distance.isfinite(), torch.inf, distance)
