"""Training with a similarity regularizer: one step, and a small seeded loop."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from neurofreq import _neurofreq, _validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from neurofreq.regularizer import SimilarityRegularizer

    Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
    Row: TypeAlias = dict[str, float]


def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    regularizer: SimilarityRegularizer | None = None,
    alpha: float = 20.0,
) -> dict[str, float]:
    """Take one optimizer step on cross-entropy plus alpha times similarity loss.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits, shape (N, n_classes). Its mode is yours to set.
    optimizer : Optimizer
        Over ``model.parameters()`` and, to train the layer weights,
        ``regularizer.parameters()``.
    images : Tensor, shape (N, C, H, W)
        On the model's device.
    labels : int64 Tensor, shape (N,)
        Classes from 0 up.
    regularizer : SimilarityRegularizer, optional
        Without it the step is plain cross-entropy.
    alpha : float
        Weight of the similarity loss; 20 in the paper, for ``half=True``.

    Returns
    -------
    dict of float
        "loss", "cross_entropy" and, with a regularizer, "similarity" (before
        multiplication by `alpha`), all before the step.

    Raises
    ------
    ModelError
        If the model returns no logits, or the loss is NaN or infinite; no step
        is taken then.
    ValueError
        If labels do not fit images or logits, or `alpha` is negative.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072: L = L_CE + alpha L_similarity.
    """
    if not alpha >= 0.0:
        raise ValueError(f"alpha: got {alpha}, expected 0 or more")
    optimizer.zero_grad(set_to_none=True)
    logits = model(images)
    _check_logits(logits, labels, len(images))
    classification = cross_entropy(logits, labels)
    losses = {"cross_entropy": classification}
    total = classification
    if regularizer is not None:
        losses["similarity"] = regularizer.loss()
        total = total + alpha * losses["similarity"]
    values = {"loss": total.item()}
    values |= {name: loss.item() for name, loss in losses.items()}
    if not torch.isfinite(total.detach()):
        raise _neurofreq.ModelError(
            "loss: got "
            + ", ".join(f"{name} {value:.6g}" for name, value in values.items())
            + ", expected finite values; no step was taken"
        )
    total.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return values


def fit(
    model: nn.Module,
    images: Tensor | NDArray[Any],
    labels: Any,
    *,
    epochs: int,
    batch_size: int = 64,
    lr: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    regularizer: SimilarityRegularizer | None = None,
    alpha: float = 20.0,
    augment: Augment | None = None,
    seed: int = 0,
    progress: bool = False,
    callback: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Train a classifier with SGD, optionally towards a similarity target.

    The learning rate rises linearly over the first tenth of all steps to `lr`
    and falls linearly to zero over the rest.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits. Trained in place, on its own device; its training
        flags are restored at the end.
    images : Tensor or ndarray, shape (N, C, H, W)
        float32 or float64 in [0, 1].
    labels : array_like of int, shape (N,)
        Classes from 0 up.
    epochs, batch_size : int
        Passes over the images, and images per step (a last partial batch of one
        image is dropped: batch normalisation cannot use it).
    lr, momentum, weight_decay : float
        Of SGD. The layer weights of the regularizer have no weight decay.
    regularizer : SimilarityRegularizer, optional
        Built on the same `model`.
    alpha : float
        Weight of the similarity loss. It multiplies the learning rate of that
        loss: small networks diverge where ``alpha * lr`` is above about 0.5.
    augment : callable, optional
        ``augment(images, generator) -> images``, for example `shift_and_flip`.
    seed : int
        Of the order of images, the augmentation and dropout. The model's
        initial weights are yours; global random states are left as found.
    progress : bool
        Show a progress bar.
    callback : callable, optional
        Called with each epoch's row; raise in it to stop.

    Returns
    -------
    list of dict
        One row per epoch: "epoch" (from 1), "lr" (at its end), and the mean
        losses of `training_step`.

    Raises
    ------
    ModelError
        If a loss is NaN or infinite.
    ValueError
        Mismatched shapes, labels out of range, or counts below 1.

    Notes
    -----
    Differences from the paper: it repeats cycles of five phases of four epochs
    with lr 0.1 x 0.3^phase, 40 epochs in all; one warm-up and decay reaches the
    same in the few epochs that a processor allows.
    """
    if min(epochs, batch_size) < 1:
        raise ValueError(
            f"epochs, batch_size: got {epochs} and {batch_size}, expected at least 1"
        )
    if regularizer is not None and regularizer.model is not model:
        raise ValueError("regularizer: got that of another model, expected this one's")
    data = torch.as_tensor(_validate.images(images, unit_range=True))
    classes = torch.from_numpy(_validate.labels(labels, count=len(data)))
    device = next(model.parameters()).device
    parameters = [{"params": list(model.parameters()), "weight_decay": weight_decay}]
    if regularizer is not None:
        parameters.append({"params": list(regularizer.parameters())})
    optimizer = torch.optim.SGD(parameters, lr=lr, momentum=momentum)
    n_steps = epochs * len(_batches(torch.arange(len(data)), batch_size))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _triangle(step, n_steps)
    )
    draws = torch.Generator().manual_seed(_validate.seed(seed) % 2**63)
    history: list[Row] = []
    with _training(model, device, seed), _bar(epochs, progress) as bar:
        for epoch in range(1, epochs + 1):
            rows = []
            for index in _batches(
                torch.randperm(len(data), generator=draws), batch_size
            ):
                batch, truth = data[index], classes[index].to(device)
                if augment is not None:
                    batch = augment(batch, draws)
                batch = batch.to(device)
                rows.append(
                    training_step(model, optimizer, batch, truth, regularizer, alpha)
                )
                schedule.step()
            mean = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
            rate = float(schedule.get_last_lr()[0])
            history.append({"epoch": epoch, "lr": rate, **mean})
            if callback is not None:
                callback(history[-1])
            bar.update()
    return history


def shift_and_flip(
    images: Tensor, generator: torch.Generator, *, padding: int = 4
) -> Tensor:
    """Shift each image by up to `padding` pixels and mirror half of them.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        On the host; `padding` must be less than H and W.
    generator : torch.Generator
        Source of the draws.
    padding : int
        Border mirrored around each image before a random crop of its size.

    Returns
    -------
    Tensor, shape (N, C, H, W)
    """
    n, _, height, width = images.shape
    padded = nn.functional.pad(images, (padding,) * 4, mode="reflect")
    shift = torch.randint(2 * padding + 1, (2, n, 1), generator=generator)
    rows, columns = shift[0] + torch.arange(height), shift[1] + torch.arange(width)
    is_flipped = torch.rand(n, 1, generator=generator) < 0.5
    columns = torch.where(is_flipped, columns.flip(1), columns)
    image = torch.arange(n)[:, None, None]
    # Indices around a slice put the channels last.
    crops = padded[image, :, rows[:, :, None], columns[:, None, :]]
    return crops.permute(0, 3, 1, 2).contiguous()


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Split indices; a last batch of one image is dropped unless it is the only."""
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and batch_size > 1 and len(batches[-1]) == 1:
        batches.pop()
    return batches


def _triangle(step: int, n_steps: int) -> float:
    """Learning rate at a step, as a fraction of its peak."""
    rise = max(1, n_steps // 10)
    return min((step + 1) / rise, (n_steps - step) / max(1, n_steps - rise))


@contextmanager
def _training(model: nn.Module, device: torch.device, seed: int) -> Iterator[None]:
    """Training mode and seeded global draws (dropout), both undone at the end."""
    modes = [(module, module.training) for module in model.modules()]
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed % 2**63)
        model.train()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


def _bar(total: int, is_shown: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, desc="training", unit="epoch", disable=not is_shown)


def _check_logits(logits: Any, labels: Tensor, n_images: int) -> None:
    shape = tuple(getattr(logits, "shape", ()))
    if len(shape) != 2 or shape[0] != n_images:
        got = shape or type(logits).__name__
        raise _neurofreq.ModelError(
            f"model: returned {got}, expected logits of shape ({n_images}, n_classes)"
        )
    if labels.shape != (n_images,):
        raise ValueError(
            f"labels: got shape {tuple(labels.shape)}, expected ({n_images},)"
        )
    low, high = (int(label) for label in labels.aminmax())
    if low < 0 or high >= shape[1]:
        raise ValueError(
            f"labels: got {low} to {high}, expected 0 to {shape[1] - 1}, "
            "the classes of the model"
        )
