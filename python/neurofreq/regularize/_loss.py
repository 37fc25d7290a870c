"""The loss that pulls the similarities of features towards a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate
from neurofreq.regularize._evaluate import (
    check_mixture,
    evaluate,
    known,
    layers_of,
)
from neurofreq.regularize._wide import Wide

OVERFLOW = "got values whose products overflow, expected smaller ones"


def similarity_loss(
    features: Tensor | Sequence[Tensor],
    target: Tensor,
    *,
    pairs: Tensor | None = None,
    means: Sequence[Tensor] | None = None,
    logits: Tensor | None = None,
    half: bool = True,
) -> Tensor:
    """Compute the distance between similarities of features and a target.

    For each layer, the mean per channel is subtracted, features are flattened, and
    the cosine of each pair of images is computed. The mixture is the mean of these
    similarities over layers, with weights ``softmax(logits)``. The loss is the mean
    over pairs of ``(arctanh(mixture) - arctanh(target))^2``.

    Parameters
    ----------
    features : Tensor or sequence of L Tensors, each of shape (N, C, ...)
        Floating point, on the same device. Half precision is converted to float32.
        Layers may differ in all axes except the first.
    target : Tensor, shape (P,) with `pairs`, (N, N) without
        Similarities in [-1, 1].
    pairs : int64 Tensor, shape (P, 2), optional
        Indices of the two images of each pair, from 0 to N - 1. By default all
        N (N - 1) / 2 pairs of different images, at the same forward cost.
    means : sequence of L Tensors, shape (C,) each, optional
        Means that are subtracted from each channel; they get no gradient. Zero by
        default.
    logits : Tensor, shape (L,), optional
        Layer weights before the softmax. Equal weights by default.
    half : bool
        Whether arctanh has its factor 1/2. The authors' code has no such factor
        (False), which makes the loss exactly 4 times larger.

    Returns
    -------
    Tensor, 0-dimensional
        Differentiable in `features` and `logits`, on their device.

    Raises
    ------
    TypeError
        If an argument is not a tensor, or not of floating point.
    RuntimeError
        If a tensor comes from a transform of ``torch.func``, or has a forward-mode
        tangent.
    ValueError
        Fewer than two images, shapes that do not match, pair indices out of
        range, or a target that is not in [-1, 1], not finite or, without pairs, not
        symmetric.

    Notes
    -----
    ``arctanh(x) = (ln(1 + x + e) - ln(1 - x + e)) / 2`` with e = 1e-5, as in
    the authors' code. Values are not clamped, and the loss and its gradient are
    finite at x = 1 and -1. With ``create_graph=True``, gradients can be
    differentiated again. Features equal to the mean (length 0) have no
    direction: their similarities are 0, and they get no gradient.

    Differences from the paper: the option `half`, and all pairs of a batch as default.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072, L_similarity.

    Examples
    --------
    The two features are orthogonal, so their similarity is 0:

    >>> import torch
    >>> import neurofreq as nf
    >>> features = torch.eye(2)
    >>> target = torch.tensor([[1.0, 0.5], [0.5, 1.0]])
    >>> round(nf.similarity_loss(features, target).item(), 2)  # arctanh(0.5) ** 2
    0.3
    """
    half = validate.flag("half", half)
    layers = layers_of(features)
    if means is None:
        means = [layer.new_zeros(layer.shape[1]) for layer in layers]
    if logits is None:
        logits = layers[0].new_zeros(len(layers))
    check_mixture(layers, means, logits)
    return evaluate(layers, means, logits, *known(layers, target, pairs), half)


class SimilarityLoss(Wide):
    """The similarity loss with its state: running means and layer weights.

    Parameters
    ----------
    n_layers : int
        Number of layers L whose features are passed to each call.
    half : bool
        As in `similarity_loss`.
    beta : float
        Persistence of the running means, in [0, 1).

    Attributes
    ----------
    logits : Parameter, shape (L,)
        Trainable layer weights before the softmax, initially 0 (equal weights).
    mean_0, mean_1, ... : buffers, shape (C,) each
        Per channel, ``m <- beta m + (1 - beta) mean(features)`` over images and
        positions, starting at 0. Updated before use, only in training mode, and
        without gradient. Empty before the first call.

    Raises
    ------
    ValueError
        If `n_layers` is less than 1 or `beta` is not in [0, 1).

    References
    ----------
    Li et al. 2019, arXiv 1911.05072; beta = 0.9 as in the code of Attias et
    al. 2024, arXiv 2410.03952.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> criterion = nf.SimilarityLoss(2)
    >>> features = [torch.rand(4, 3, 8, 8), torch.rand(4, 6, 4, 4)]
    >>> criterion(features, torch.eye(4)).backward()
    >>> criterion.logits.grad.shape
    torch.Size([2])
    >>> criterion.layer_weights.tolist()
    [0.5, 0.5]
    """

    logits: nn.Parameter

    def __init__(self, n_layers: int, *, half: bool = True, beta: float = 0.9) -> None:
        super().__init__()
        n_layers = validate.count("n_layers", n_layers)
        half, beta = validate.flag("half", half), validate.number("beta", beta)
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"beta: got {beta}, expected 0 <= beta < 1")
        self._half = half  # `half` is a method of every module
        self._beta = beta
        self.logits = nn.Parameter(torch.zeros(n_layers, device="cpu"))
        for layer in range(n_layers):
            self.register_buffer(f"mean_{layer}", torch.zeros(0, device="cpu"))

    @property
    def layer_weights(self) -> Tensor:
        """Weights of the layers, shape (L,): positive, with sum 1."""
        return self.logits.detach().softmax(0)

    def forward(
        self,
        features: Tensor | Sequence[Tensor],
        target: Tensor,
        pairs: Tensor | None = None,
    ) -> Tensor:
        """Compute the loss and, in training mode, update the running means.

        Parameters
        ----------
        features, target, pairs
            As in `similarity_loss`.

        Returns
        -------
        Tensor, 0-dimensional

        Raises
        ------
        ModelError
            If features are NaN or infinite, or too large for their dot products.
            The running means then do not change.
        """
        layers = layers_of(features)
        return self.forward_unchecked(layers, *known(layers, target, pairs))

    def forward_unchecked(
        self, features: Sequence[Tensor], target: Tensor, index: Tensor | None
    ) -> Tensor:
        """Compute as `forward`, for a target and pairs that are known to be valid.

        The values of target and pairs are not checked, so the host waits for the device
        only once, at the end. Returns and raises as `forward`.

        Parameters
        ----------
        features : sequence of L Tensors
            As in `forward`.
        target : Tensor, shape (P,) or (N, N)
            On the features' device.
        index : int64 Tensor, shape (P,), or None
            The pairs: ``N * first + second``.
        """
        layers = layers_of(features)
        loss, means = self.deferred(layers, target, index)
        if not torch.isfinite(loss.detach()):
            for number, layer in enumerate(layers):
                if not torch.isfinite(layer.detach()).all():
                    raise _neurofreq.ModelError(
                        f"features: got NaN or infinite values in layer {number}, "
                        "expected finite ones"
                    )
            raise _neurofreq.ModelError(f"features: {OVERFLOW}")
        self.keep(means)
        return loss

    def deferred(
        self, features: Sequence[Tensor], target: Tensor, index: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Compute as `forward_unchecked`, without a wait for the device.

        Returns the loss, which may be NaN, and the new running means, which are not
        stored yet; no means in evaluation mode.
        """
        layers = layers_of(features)
        if len(layers) != len(self.logits):
            raise ValueError(
                f"features: got {len(layers)} layers, expected {len(self.logits)}"
            )
        means = [self._mean(number, layer) for number, layer in enumerate(layers)]
        check_mixture(layers, means, self.logits)
        loss = evaluate(layers, means, self.logits, target, index, self._half)
        return loss, means if self.training else []

    def keep(self, means: Sequence[Tensor]) -> None:
        """Store new running means."""
        for number, mean in enumerate(means):
            setattr(self, f"mean_{number}", mean)

    def keep_unless(self, bad: Tensor, means: Sequence[Tensor]) -> None:
        """Store new running means on the device, in place, unless `bad` is True."""
        for number, mean in enumerate(means):
            old = getattr(self, f"mean_{number}")
            if old.shape == mean.shape:
                torch.where(bad, old, mean, out=old)
            else:  # the first step
                setattr(self, f"mean_{number}", mean)

    def extra_repr(self) -> str:
        """Describe the settings in one line."""
        return f"n_layers={len(self.logits)}, half={self._half}, beta={self._beta}"

    def _mean(self, index: int, features: Tensor) -> Tensor:
        """Return the running mean to subtract, without storing it."""
        mean: Tensor = getattr(self, f"mean_{index}")
        if mean.numel() == 0:
            mean = features.new_zeros(features.shape[1])
        if not self.training or mean.shape[0] != features.shape[1]:
            return mean
        return _neurofreq.running_mean(mean.to(features), features, self._beta)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        """Accept running means of any number of channels."""
        for name, buffer in self.named_buffers(recurse=False):
            saved = state_dict.get(prefix + name)
            if isinstance(saved, Tensor) and saved.ndim == 1:
                setattr(self, name, buffer.new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
