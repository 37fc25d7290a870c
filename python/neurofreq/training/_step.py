"""One optimizer step on cross-entropy and the loss of a regularizer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from neurofreq._neurofreq import ModelError
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    regularizer: Regularizer | None = None,
    alpha: float = 20.0,
    *,
    joint: bool = False,
    autocast: torch.dtype | None = None,
    label_smoothing: float = 0.0,
    views: Sequence[Tensor] = (),
    consistency: float = 12.0,
) -> dict[str, float]:
    """Take one optimizer step on cross-entropy plus alpha times similarity loss.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits, shape (N, n_classes), or to an object with an
        attribute ``logits`` or a mapping with the key "logits". Set the model's
        training mode yourself. The model gets a copy of the images.
    optimizer : Optimizer
        Over ``model.parameters()`` and, to train the layer weights,
        ``regularizer.parameters()``.
    images : Tensor, shape (N, C, H, W)
        On the model's device.
    labels : int64 Tensor, shape (N,)
        Classes from 0 up.
    regularizer : SimilarityRegularizer or CoTraining, optional
        Without a regularizer, the loss is cross-entropy.
    alpha : float
        Weight of the similarity loss; 20 in the paper, for ``half=True``.
    joint : bool
        Use one pass for images and stimuli together, see
        `nf.SimilarityRegularizer.joint`. The paper uses two passes.
    autocast : torch.dtype, optional
        Run the model's passes in this type; losses stay in float32. By default,
        your own autocast applies, if there is one.
    label_smoothing : float
        Label smoothing of the cross-entropy, in [0, 1).
    views : sequence of Tensor, each of shape (N, C, H, W)
        Other views of the same images, which should get the same prediction. The
        Jensen-Shannon divergence of the predictions, mean over images, is added to the
        loss. Views pass through the model together with the images.
    consistency : float
        Weight of the divergence; 12 in AugMix.

    Returns
    -------
    dict of float
        "loss" and "cross_entropy"; with a regularizer its own loss ("similarity",
        before multiplication by `alpha`); with views "divergence" (before
        multiplication by `consistency`). All values are computed before the step.

    Raises
    ------
    ModelError
        If the model returns no logits or logits without a graph, or the loss is
        NaN or infinite. Then no step is taken.
    TypeError
        If images or labels are not tensors, or labels are not int64.
    ValueError
        If there is no image, labels do not fit images or logits, `alpha` or
        `consistency` is negative, `label_smoothing` is outside [0, 1], or the shape
        of a view is not the shape of the images.

    Warns
    -----
    UserWarning
        If the model returns probabilities instead of logits.

    Notes
    -----
    To measure a model while another thread trains it, measure a copy
    (``copy.deepcopy``). Measurements set the model to evaluation mode, in which batch
    norm does not update its running averages.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072: L = L_CE + alpha L_similarity. Hendrycks et
    al. 2020, arXiv 1912.02781, equation 1: the divergence.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", split="train", n=32)
    >>> model = nf.models.small_cnn()
    >>> target = nf.neural.v1_similarity(data.images)
    >>> regularizer = nf.SimilarityRegularizer(
    ...     model, ["network.stage3"], target, data.images
    ... )
    >>> parameters = [*model.parameters(), *regularizer.parameters()]
    >>> optimizer = torch.optim.SGD(parameters, lr=0.01)
    >>> images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    >>> losses = nf.training_step(model, optimizer, images, labels, regularizer)
    >>> list(losses)
    ['loss', 'cross_entropy', 'similarity']
    """
    alpha = validate.number("alpha", alpha)
    consistency = validate.number("consistency", consistency)
    label_smoothing = validate.number("label_smoothing", label_smoothing)
    joint = validate.flag("joint", joint)
    for name, value in (("alpha", alpha), ("consistency", consistency)):
        validate.within(name, value, 0.0 <= value < math.inf, "0 or more")
    is_share = 0.0 <= label_smoothing <= 1.0
    validate.within("label_smoothing", label_smoothing, is_share, "0 to 1")
    validate.model(model)
    _check_tensors(images, labels)
    _check_views(images, views)
    span = _span(labels, len(images))
    optimizer.zero_grad(set_to_none=True)
    # A copy, because the network may change its input in place.
    shown = torch.cat([images, *views]) if views else images.clone()
    added = None
    with calling.autocast(images.device, autocast):
        if regularizer is not None and joint:
            logits, added = regularizer.joint(shown)
        else:
            logits = calling.logits_of(model(shown))
        check_logits(logits, span, len(shown))
        _check_graph(logits)
        if regularizer is not None and not joint:
            added = regularizer.loss()
    wide = logits if logits.dtype == torch.float64 else logits.float()
    first, *others = torch.split(wide, len(images))
    total = cross_entropy(first, labels, label_smoothing=label_smoothing)
    # If the model returns probabilities, the cross-entropy is in [most - 1, most].
    most = math.log(math.e + first.shape[1] - 1)
    terms = {"cross_entropy": total}
    if others:
        terms["divergence"] = divergence(torch.stack([first, *others]))
        total = total + consistency * terms["divergence"]
    if regularizer is not None and added is not None:
        terms[regularizer.term] = added
        total = regularizer.total(total, added, alpha)
    total.backward()  # type: ignore[no-untyped-call]
    values = _fetched({"loss": total} | terms)
    if not math.isfinite(values["loss"]):
        optimizer.zero_grad(set_to_none=True)
        raise ModelError(
            "loss: got "
            + ", ".join(f"{name} {value:.6g}" for name, value in values.items())
            + ", expected finite values; no step was taken"
        )
    # The check of all logits synchronizes the device, so it runs only in this range.
    if 0.0 <= most - values["cross_entropy"] <= 1.0:
        calling.warn_of_probabilities(
            first.detach(),
            "the softmax of probabilities is nearly even, and the model hardly learns",
            is_half=autocast is not None or logits.dtype in calling.HALVES,
            stacklevel=3,
        )
    optimizer.step()
    # The caller's autocast would otherwise use its copies of the old weights.
    torch.clear_autocast_cache()
    return values


def _fetched(terms: dict[str, Tensor]) -> dict[str, float]:
    """Return the values in a single transfer, to synchronize the device only once."""
    together = torch.stack([term.detach().double() for term in terms.values()])
    return dict(zip(terms, together.tolist(), strict=True))


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


def _span(labels: Tensor, n_images: int) -> tuple[int, int]:
    """Return the smallest and largest label.

    Call it before other work is queued, because reading the labels synchronizes the
    device.
    """
    if labels.shape != (n_images,):
        raise ValueError(
            f"labels: got shape {tuple(labels.shape)}, expected ({n_images},)"
        )
    if n_images == 0:
        raise ValueError("images: got an empty batch, expected at least one image")
    if labels.dtype != torch.int64:
        raise TypeError(f"labels: got dtype {labels.dtype}, expected torch.int64")
    low, high = torch.stack(labels.aminmax()).tolist()
    return int(low), int(high)


def check_logits(logits: Any, span: tuple[int, int], n_shown: int) -> None:
    """Require logits for each image, and a class for the smallest and largest label."""
    shape = tuple(getattr(logits, "shape", ()))
    if len(shape) != 2 or shape[0] != n_shown:
        got = shape or type(logits).__name__
        raise ModelError(
            f"model: returned {got}, expected logits of shape ({n_shown}, n_classes)"
        )
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        got = getattr(logits, "dtype", type(logits).__name__)
        raise ModelError(f"model: returned {got}, expected logits, a tensor of floats")
    low, high = span
    if low < 0 or high >= shape[1]:
        raise ValueError(
            f"labels: got {low} to {high}, expected 0 to {shape[1] - 1}, "
            "the classes of the model"
        )
