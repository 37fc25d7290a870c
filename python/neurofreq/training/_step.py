"""One optimizer step on cross-entropy and the loss of a regularizer."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from neurofreq._neurofreq import ModelError
from neurofreq.training._objective import Objective, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from neurofreq.training._objective import Later, Regularizer


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
    settings = Settings(
        alpha=alpha,
        joint=joint,
        autocast=autocast,
        label_smoothing=label_smoothing,
        consistency=consistency,
    )
    objective = Objective(model, regularizer, settings)
    objective.check(images, labels, views)
    drawn = objective.sent(images.device)
    batch = images, labels, views
    losses, later = take(objective, optimizer, batch, drawn, stacklevel=4)
    objective.keep(later)
    return losses


def take(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor, Sequence[Tensor]],
    drawn: Sequence[Tensor],
    *,
    stacklevel: int,
    watching: AbstractContextManager[Any] | None = None,
) -> tuple[dict[str, float], Later]:
    """Take one step; the regularizer's state is not stored yet.

    Parts that a graph could record run within the context `watching`.
    """
    with watching or nullcontext():
        optimizer.zero_grad(set_to_none=True)
        later = objective(*batch, drawn)
        later.total.backward()  # type: ignore[no-untyped-call]
        report = later.report(*later.sums())
    try:
        # The only wait for the device.
        losses = objective.finish(later, report.tolist(), stacklevel=stacklevel)
    except (ModelError, ValueError):
        optimizer.zero_grad(set_to_none=True)
        raise
    optimizer.step()
    # The caller's autocast would otherwise use its copies of the old weights.
    torch.clear_autocast_cache()
    return losses, later
