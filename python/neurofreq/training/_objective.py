"""The loss of a training step, computed without a wait for the device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from neurofreq._neurofreq import ModelError
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling
from neurofreq._shared.transfer import send
from neurofreq.regularize.attached import Attached, Deferred

if TYPE_CHECKING:
    from collections.abc import Sequence


_NEAR = 0.1  # above the rounding of sums in half precision


class Regularizer(Protocol):
    """A loss that a step adds to cross-entropy, such as `nf.SimilarityRegularizer`."""

    term: str
    """Name of the loss in histories."""

    def loss(self) -> Tensor:
        """Return the loss of one draw."""

    def joint(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of images and the loss of one draw, from one pass."""

    def total(self, classification: Tensor, loss: Tensor, alpha: float) -> Tensor:
        """Return the loss that is minimized."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The arguments of `training_step` that are the same for many steps."""

    alpha: float = 20.0
    joint: bool = False
    autocast: torch.dtype | None = None
    label_smoothing: float = 0.0
    consistency: float = 12.0

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("alpha", "consistency", "label_smoothing"):
            value = validate.number(name, getattr(self, name))
            object.__setattr__(self, name, value)
        object.__setattr__(self, "joint", validate.flag("joint", self.joint))
        for name in ("alpha", "consistency"):
            value = getattr(self, name)
            validate.within(name, value, 0.0 <= value < math.inf, "0 or more")
        is_share = 0.0 <= self.label_smoothing <= 1.0
        validate.within("label_smoothing", self.label_smoothing, is_share, "0 to 1")


class Later(NamedTuple):
    """The losses of a step on the device, which the host has not read."""

    total: Tensor
    terms: dict[str, Tensor]
    """All losses by name, with "loss" first; 0-dimensional and without a graph."""
    span: Tensor
    """The smallest and the largest label."""
    logits: Tensor
    """Of the images, without a graph."""
    is_half: bool
    """Whether the logits were computed in half precision."""
    draw: Deferred | None

    def sums(self) -> tuple[Tensor, Tensor]:
        """Return the smallest and largest sum of an image's logits."""
        low, high = self.logits.sum(1).aminmax()
        return low, high

    def report(self, *more: Tensor) -> Tensor:
        """Return all values that the host reads, in a single float64 tensor."""
        values = [*self.terms.values(), *([self.draw.flag] if self.draw else []), *more]
        if len({value.dtype for value in values}) > 1:
            values = [value.double() for value in values]
        return torch.cat([torch.stack(values).double(), self.span.double()])


class Objective:
    """Computes the loss of a model on batches, and checks the loss later."""

    def __init__(self, model: nn.Module, regularizer: Any, settings: Settings) -> None:
        validate.model(model)
        self.model = model
        self.regularizer: Regularizer | None = regularizer
        self.settings = settings
        self.attached = _attached(regularizer)

    def check(self, images: Any, labels: Any, views: Sequence[Tensor]) -> None:
        """Require images and labels that fit, before any work; reads no value."""
        _check_tensors(images, labels)
        _check_views(images, views)
        if labels.shape != (len(images),):
            raise ValueError(
                f"labels: got shape {tuple(labels.shape)}, expected ({len(images)},)"
            )
        if len(images) == 0:
            raise ValueError("images: got an empty batch, expected at least one image")
        if labels.dtype != torch.int64:
            raise TypeError(f"labels: got dtype {labels.dtype}, expected torch.int64")

    def sent(self, device: torch.device) -> list[Tensor]:
        """Return the draw of the regularizer on a device."""
        return [] if self.attached is None else send(self.attached.drawn(), device)

    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        views: Sequence[Tensor],
        drawn: Sequence[Tensor],
    ) -> Later:
        """Return the losses of a batch; `drawn` is the result of `sent`."""
        settings = self.settings
        # A copy, because the network may change its input in place.
        shown = torch.cat([images, *views]) if views else images.clone()
        logits, added, draw = self._passes(shown, drawn)
        span = torch.stack(labels.aminmax())
        # A label outside of the classes would stop the device; `finish` finds it.
        labels = labels.clamp(0, logits.shape[1] - 1)
        wide = logits if logits.dtype == torch.float64 else logits.float()
        first, *others = torch.split(wide, len(images))
        total = cross_entropy(first, labels, label_smoothing=settings.label_smoothing)
        terms = {"loss": total, "cross_entropy": total}
        if others:
            terms["divergence"] = divergence(torch.stack([first, *others]))
            total = total + settings.consistency * terms["divergence"]
        if self.regularizer is not None and added is not None:
            terms[self.regularizer.term] = added
            total = self.regularizer.total(total, added, settings.alpha)
        terms = {k: v.detach() for k, v in (terms | {"loss": total}).items()}
        is_half = settings.autocast is not None or logits.dtype in calling.HALVES
        return Later(total, terms, span, first.detach(), is_half, draw)

    def finish(
        self, later: Later, values: Sequence[float], *, stacklevel: int
    ) -> dict[str, float]:
        """Return the losses by name, or raise.

        `values` are those of `report`, with the result of `sums`.
        """
        losses = dict(zip(later.terms, values, strict=False))
        *_, low, high, first, last = values
        n_classes = later.logits.shape[1]
        check_span((int(first), int(last)), n_classes)
        flag = values[len(losses)] if later.draw else 0.0
        if self.attached is not None and later.draw and not math.isfinite(flag):
            self.attached.explain(later.draw)
        check_losses(losses)
        # If the model returns probabilities, the cross-entropy is in [most - 1, most],
        # and each row has the sum 1. Only then all logits are read.
        most = math.log(math.e + n_classes - 1)
        is_near = abs(low - 1.0) < _NEAR and abs(high - 1.0) < _NEAR
        if is_near and 0.0 <= most - losses["cross_entropy"] <= 1.0:
            calling.warn_of_probabilities(
                later.logits,
                "the softmax of probabilities is nearly even, and the model hardly "
                "learns",
                is_half=later.is_half,
                stacklevel=stacklevel + 1,
            )
        return losses

    def keep(self, later: Later) -> None:
        """Store the regularizer's state after a step."""
        if self.attached is not None and later.draw:
            self.attached.keep(later.draw)

    def _passes(
        self, shown: Tensor, drawn: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor | None, Deferred | None]:
        """Return logits, the regularizer's loss, and what it computed besides."""
        regularizer, attached = self.regularizer, self.attached
        is_joint = self.settings.joint and regularizer is not None
        draw: Deferred | None = None
        logits: Any
        added: Tensor | None
        with calling.autocast(shown.device, self.settings.autocast):
            if is_joint and attached is not None:
                draw = attached.deferred(drawn, shown)
                logits, added = draw.logits, draw.loss
            elif is_joint and regularizer is not None:
                logits, added = regularizer.joint(shown)
            else:
                logits, added = calling.logits_of(self.model(shown)), None
            check_shape(logits, len(shown))
            _check_graph(logits)
            if attached is not None and not is_joint:
                draw = attached.deferred(drawn)
                added = draw.loss
            elif regularizer is not None and not is_joint:
                added = regularizer.loss()
        return logits, added, draw


def check_losses(losses: dict[str, float]) -> None:
    """Raise ModelError unless the loss is finite."""
    if not math.isfinite(losses["loss"]):
        raise ModelError(
            "loss: got "
            + ", ".join(f"{name} {value:.6g}" for name, value in losses.items())
            + ", expected finite values; no step was taken"
        )


def _attached(regularizer: Any) -> Attached | None:
    """Return the regularizer if its loss is computed by our own methods."""
    if not isinstance(regularizer, Attached):
        return None
    own = {"loss", "joint", "deferred", "drawn"}
    classes = [one for one in type(regularizer).__mro__ if own & set(vars(one))]
    is_ours = all(one.__module__.startswith("neurofreq.") for one in classes)
    return regularizer if is_ours and not own & set(vars(regularizer)) else None


def divergence(logits: Tensor) -> Tensor:
    """Return the mean Jensen-Shannon divergence of V predictions of each image.

    Logits are (V, N, n_classes). The result is in nats, 0 (equal predictions) to log V.
    """
    log_p = logits.log_softmax(dim=2)
    mean = log_p.exp().mean(dim=0)
    log_mean = log_p.logsumexp(dim=0) - math.log(len(logits))
    cross = -(mean * log_mean).sum(dim=1)
    own = -(log_p.exp() * log_p).sum(dim=2).mean(dim=0)
    return (cross - own).mean()


def _check_graph(logits: Tensor) -> None:
    if not logits.requires_grad:
        raise ModelError(
            "model: returned logits without a graph, expected one to train by: the "
            "pass ran without gradients (torch.no_grad, inference_mode, detach), or "
            "all parameters are frozen (requires_grad=False)"
        )


def _check_tensors(images: Any, labels: Any) -> None:
    """Require real tensors with values; tensors inside ``torch.func`` have none."""
    for name, tensor in (("images", images), ("labels", labels)):
        if not isinstance(tensor, Tensor):
            kind = validate.shown(tensor)
            raise TypeError(f"{name}: got {kind}, expected a Tensor")
        validate.tensor(tensor, name)
        if tensor.is_complex():
            raise TypeError(f"{name}: got dtype {tensor.dtype}, expected real numbers")


def _check_views(images: Tensor, views: Sequence[Tensor]) -> None:
    for view in views:
        if view.shape != images.shape:
            raise ValueError(
                f"views: got shape {tuple(view.shape)}, expected "
                f"{tuple(images.shape)}, the shape of images"
            )


def check_logits(logits: Any, span: tuple[int, int], n_shown: int) -> None:
    """Require logits for each image, and a class for the smallest and largest label."""
    check_shape(logits, n_shown)
    check_span(span, logits.shape[1])


def check_shape(logits: Any, n_shown: int) -> None:
    """Require logits of at least one class for each image."""
    shape = tuple(getattr(logits, "shape", ()))
    if len(shape) != 2 or shape[0] != n_shown or not shape[1]:
        got = shape or type(logits).__name__
        raise ModelError(
            f"model: returned {got}, expected logits of shape ({n_shown}, n_classes)"
        )
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        got = getattr(logits, "dtype", type(logits).__name__)
        raise ModelError(f"model: returned {got}, expected logits, a tensor of floats")


def check_span(span: tuple[int, int], n_classes: int) -> None:
    """Require a class for the smallest and largest label."""
    low, high = span
    if low < 0 or high >= n_classes:
        raise ValueError(
            f"labels: got {low} to {high}, expected 0 to {n_classes - 1}, "
            "the classes of the model"
        )
