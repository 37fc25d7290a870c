"""Make the folds of a `PredictiveModel`, and train a network on one of them."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from neurofreq._neurofreq import ModelError
from neurofreq._shared import runtime
from neurofreq._shared.networks import calling
from neurofreq.neural.network import Core, GaborEnergy, Network, PointReadout

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor


BATCH = 256
"""Images per pass without gradients."""


@dataclass(frozen=True)
class Settings:
    """The settings that decide a fit, besides the data; see `PredictiveModel`."""

    front: Literal["gabor", "learned"]
    n_channels: int
    n_layers: int
    kernels: tuple[int, int]
    n_scales: int
    loss: Literal["poisson", "gaussian"]
    sparsity: float
    smoothness: float
    weight_decay: float
    lr: float
    batch_size: int
    max_epochs: int
    patience: int


class Fold(NamedTuple):
    """Masks (N,) of the images for training, early stopping and testing."""

    train: NDArray[np.bool_]
    stop: NDArray[np.bool_]
    test: NDArray[np.bool_]


def network(settings: Settings, mean: Tensor) -> Network:
    """Return an untrained network for neurons of these mean responses.

    The mean (K,) is NaN for a neuron without any response.
    """
    gabor = settings.front == "gabor"
    n_inputs = GaborEnergy.n_channels if gabor else 1
    positive = settings.loss == "poisson"
    with torch.device("cpu"):  # torch's default device may be a GPU
        front = GaborEnergy() if gabor else nn.Identity()
        core = Core(n_inputs, settings.n_channels, settings.n_layers, settings.kernels)
        readout = PointReadout(mean, core.n_channels, settings.n_scales, positive)
        return Network(front, core, readout)


def train(
    settings: Settings, images: Tensor, responses: Tensor, fold: Fold, seed: int
) -> tuple[Network, int, float]:
    """Train on a fold; return the network at its best epoch, the epoch and the loss.

    Epochs count from 1; 0 is the untrained network. The loss is on the stopping images.
    Images are (N, 1, H, W), standardized. Responses are (N, K) with scale 1. NaN is
    ignored, and a neuron without a response in the training part learns nothing. The
    seed determines initial weights, the order of images and the drawn positions. The
    random state of torch does not change.
    Raises ModelError if a loss is NaN or infinite.
    """
    with torch.device("cpu"):  # the optimizer makes tensors too
        return _train(settings, images, responses, fold, seed)


def _train(
    settings: Settings, images: Tensor, responses: Tensor, fold: Fold, seed: int
) -> tuple[Network, int, float]:
    draw = torch.Generator("cpu").manual_seed(seed)
    with runtime.seeded(seed):
        mean = responses[fold.train].nanmean(0)
        net = network(settings, mean).to(images.device)
    responses = responses.where(~mean.isnan(), torch.nan)
    optimizer = _optimizer(net, settings)
    with torch.no_grad():
        inputs = torch.cat([net.front(part) for part in torch.split(images, BATCH)])
    best, best_loss, best_epoch = copy.deepcopy(net.state_dict()), np.inf, 0
    observed = (~responses.isnan()).any(1).cpu().numpy()
    index = torch.from_numpy(np.flatnonzero(fold.train & observed))
    for epoch in range(settings.max_epochs + 1):
        if epoch:
            _epoch(net, optimizer, settings, inputs, responses, index, draw, epoch)
        with calling.evaluating(net), torch.no_grad():
            predicted = net.learned(inputs[fold.stop])
        loss = float(misfit(predicted, responses[fold.stop], settings.loss))
        _check_finite(loss, epoch)
        if loss < best_loss:
            best, best_loss, best_epoch = copy.deepcopy(net.state_dict()), loss, epoch
        elif epoch - best_epoch >= settings.patience:
            break
    net.load_state_dict(best)
    return net.eval(), best_epoch, best_loss


def predict(net: Network, images: Tensor) -> Tensor:
    """Return the responses to all images, (N, K), in evaluation mode."""
    with calling.evaluating(net), torch.no_grad():
        return torch.cat([net(part) for part in torch.split(images, BATCH)])


def misfit(predicted: Tensor, observed: Tensor, loss: str) -> Tensor:
    """Return the mean negative log likelihood of the observed responses, (N, K).

    The likelihood is "poisson" or "gaussian", up to constants. NaN in `observed` is
    ignored.
    """
    seen = ~observed.isnan()
    truth = observed.nan_to_num()
    if loss == "poisson":
        each = predicted - truth * (predicted + 1e-6).log()
    else:
        each = 0.5 * (predicted - truth).square()
    return each.where(seen, 0.0).sum() / seen.sum()


def folds(
    groups: ArrayLike | None, n_images: int, n_folds: int, seed: int
) -> list[Fold]:
    """Assign groups to folds at random, with nearly equal numbers of groups."""
    labels = np.arange(n_images) if groups is None else np.asarray(groups)
    if labels.shape != (n_images,):
        raise ValueError(f"groups: got shape {labels.shape}, expected ({n_images},)")
    names, codes = np.unique(labels, return_inverse=True)
    if len(names) < n_folds:
        raise ValueError(
            f"groups: got {len(names)}, expected at least {n_folds}, one per fold"
        )
    part = np.random.default_rng(seed).permutation(len(names)) % n_folds
    at = part[codes]
    found = []
    for number in range(n_folds):
        test, stop = at == number, at == (number + 1) % n_folds
        found.append(Fold(~(test | stop), stop, test))
    return found


def check_folds(folds: list[Fold], seen: NDArray[np.bool_]) -> None:
    """Require responses for training and for early stopping; `seen` is (N, K)."""
    for number, fold in enumerate(folds):
        known = seen[fold.train].any(0)
        if not seen[fold.stop][:, known].any():
            raise ValueError(
                f"responses: fold {number} has no response to its early-stopping "
                "images from neurons with training responses, expected at least one; "
                "more images, fewer folds or other groups may help"
            )


def _check_finite(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise ModelError(
            f"loss: got {loss} in epoch {epoch} of a fold, expected a finite value; "
            "a smaller lr may help"
        )


def _optimizer(net: Network, settings: Settings) -> torch.optim.Optimizer:
    groups = [
        {"params": net.core.parameters(), "weight_decay": settings.weight_decay},
        {"params": net.readout.parameters(), "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr)


def _epoch(
    net: Network,
    optimizer: torch.optim.Optimizer,
    settings: Settings,
    inputs: Tensor,
    responses: Tensor,
    index: Tensor,
    draw: torch.Generator,
    epoch: int,
) -> None:
    """Take one step per batch; a last batch of a single image is left out."""
    net.train()
    order = index[torch.randperm(len(index), generator=draw)]
    for batch in torch.split(order, settings.batch_size):
        if len(batch) < 2:
            continue
        predicted = net.learned(inputs[batch], draw)
        loss = misfit(predicted, responses[batch], settings.loss)
        weights = net.readout.weights.abs().sum(1).mean()
        penalty = settings.sparsity * weights
        penalty = penalty + settings.smoothness * net.core.roughness()
        total = loss + penalty
        _check_finite(total.item(), epoch)
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
