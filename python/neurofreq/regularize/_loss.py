"""The loss that pulls the similarities of features towards a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate
from neurofreq.regularize._wide import Wide

_BACKWARD_ALONE = (
    "features: got tensors inside a transform of torch.func or in forward-mode "
    "differentiation, expected plain ones; torch.autograd gives gradients of any "
    "order, such as torch.autograd.grad(..., create_graph=True)"
)
_ROUNDING = 1e-6  # how far a similarity may exceed 1 by rounding


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
    layers = _layers(features)
    if means is None:
        means = [layer.new_zeros(layer.shape[1]) for layer in layers]
    if logits is None:
        logits = layers[0].new_zeros(len(layers))
    _check_mixture(layers, means, logits)
    return _evaluate(layers, means, logits, *_known(layers, target, pairs), half)


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
        layers = _layers(features)
        return self.forward_unchecked(layers, *_known(layers, target, pairs))

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
        index : int64 Tensor, shape (2, P), or None
            The pairs: a row of first images and a row of second images.
        """
        layers = _layers(features)
        if len(layers) != len(self.logits):
            raise ValueError(
                f"features: got {len(layers)} layers, expected {len(self.logits)}"
            )
        means = [self._mean(number, layer) for number, layer in enumerate(layers)]
        _check_mixture(layers, means, self.logits)
        loss = _evaluate(layers, means, self.logits, target, index, self._half)
        if not torch.isfinite(loss.detach()):
            for number, layer in enumerate(layers):
                if not torch.isfinite(layer.detach()).all():
                    raise _neurofreq.ModelError(
                        f"features: got NaN or infinite values in layer {number}, "
                        "expected finite ones"
                    )
            raise _neurofreq.ModelError(
                "features: got values whose products overflow, expected smaller ones"
            )
        if self.training:
            for number, mean in enumerate(means):
                setattr(self, f"mean_{number}", mean)
        return loss

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


class _Loss(torch.autograd.Function):
    """The loss with its gradient in closed form, which stores no copy of features."""

    @staticmethod
    def forward(
        ctx: Any,
        target: Tensor,
        index: Tensor | None,
        half: bool,
        means: list[Tensor],
        logits: Tensor,
        *layers: Tensor,
    ) -> Tensor:
        """Return the loss."""
        loss, slope, pulls = _neurofreq.similarity_loss(
            list(layers), means, logits, target, index, half
        )
        ctx.half = half
        ctx.save_for_backward(target, index, logits, slope, *pulls, *means, *layers)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the logits and of every layer."""
        target, index, logits, slope, *rest = ctx.saved_tensors
        n = len(rest) // 3
        pulls, means, layers = rest[:n], rest[n : 2 * n], rest[2 * n :]
        *_, of_logits = ctx.needs_input_grad[:5]
        with torch.autocast(layers[0].device.type, enabled=False):
            if torch.is_grad_enabled():  # a second derivative is needed
                _, slope, pulls = _neurofreq.similarity_loss(
                    layers, means, logits, target, index, ctx.half
                )
            found = [
                _neurofreq.similarity_pulled(gradient * pull, layer, mean)
                if is_needed
                else None
                for pull, mean, layer, is_needed in zip(
                    pulls, means, layers, ctx.needs_input_grad[5:], strict=True
                )
            ]
        return None, None, None, None, gradient * slope if of_logits else None, *found

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """Refuse forward-mode differentiation."""
        raise RuntimeError(_BACKWARD_ALONE)


def _layers(features: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """Return checked features as a list, with half precision converted to float32."""
    if torch._C._are_functorch_transforms_active():
        raise RuntimeError(_BACKWARD_ALONE)
    if not isinstance(features, (Tensor, Sequence)):
        raise TypeError(
            f"features: got {validate.shown(features)}, expected a Tensor per layer"
        )
    layers = [features] if isinstance(features, Tensor) else list(features)
    if not layers:
        raise ValueError("features: got no layer, expected at least one")
    for layer in layers:
        validate.instance("features", layer, Tensor)
        validate.tensor(layer, "features")
        if not layer.is_floating_point():
            raise TypeError(
                f"features: got dtype {layer.dtype}, expected floating point"
            )
        if layer.ndim < 2 or layer.numel() == 0:
            raise ValueError(
                f"features: got shape {tuple(layer.shape)}, expected (N, C, ...)"
            )
        if len(layer) != len(layers[0]):
            raise ValueError(
                f"features: got layers of {len(layers[0])} and {len(layer)} images, "
                "expected the same number of images"
            )
    if len(layers[0]) < 2:
        raise ValueError("features: got 1 image, expected at least two")
    wide = torch.float64 if layers[0].dtype == torch.float64 else torch.float32
    return [layer.to(wide) for layer in layers]


def _evaluate(
    layers: list[Tensor],
    means: Sequence[Tensor],
    logits: Tensor,
    target: Tensor,
    index: Tensor | None,
    half: bool,
) -> Tensor:
    """Return the loss of checked inputs; `index` is (2, P)."""
    # Autocast would run the Gram product in half precision.
    with torch.autocast(layers[0].device.type, enabled=False):
        near = [m.detach().to(layer) for m, layer in zip(means, layers, strict=True)]
        known = target.to(layers[0]), index, half, near, logits.to(layers[0])
        return _Loss.apply(*known, *layers)


def _known(
    layers: list[Tensor], target: Tensor, pairs: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return target and pairs (2, P), checked and on the features' device."""
    n, device = len(layers[0]), layers[0].device
    index = None if pairs is None else _pairs(pairs, n).to(device)
    shape = (n, n) if index is None else (index.shape[1],)
    return _target(target, shape).to(device), index


def _check_mixture(
    layers: list[Tensor], means: Sequence[Tensor], logits: Tensor
) -> None:
    if len(means) != len(layers):
        raise ValueError(
            f"means: got {len(means)}, expected {len(layers)}, one per layer"
        )
    for name, value in [*(("means", mean) for mean in means), ("logits", logits)]:
        validate.instance(name, value, Tensor)
    for index, (layer, mean) in enumerate(zip(layers, means, strict=True)):
        if mean.shape != layer.shape[1:2]:
            raise ValueError(
                f"means: got shape {tuple(mean.shape)} for layer {index}, "
                f"expected ({layer.shape[1]},), one per channel"
            )
    if logits.shape != (len(layers),):
        raise ValueError(
            f"logits: got shape {tuple(logits.shape)}, expected ({len(layers)},)"
        )


def _pairs(pairs: Tensor, n_images: int) -> Tensor:
    """Return pairs as (2, P), contiguous."""
    if not isinstance(pairs, Tensor) or pairs.dtype != torch.int64:
        kind = getattr(pairs, "dtype", type(pairs).__name__)
        raise TypeError(f"pairs: got {kind}, expected an int64 Tensor")
    if pairs.ndim != 2 or pairs.shape[1] != 2 or len(pairs) == 0:
        raise ValueError(f"pairs: got shape {tuple(pairs.shape)}, expected (P, 2)")
    low, high = torch.stack(pairs.aminmax()).tolist()
    if low < 0 or high >= n_images:
        raise ValueError(
            f"pairs: got indices from {low} to {high}, expected 0 to {n_images - 1}"
        )
    return pairs.T.contiguous()


def _target(target: Tensor, shape: tuple[int, ...]) -> Tensor:
    validate.instance("target", target, Tensor)
    validate.tensor(target, "target")
    if target.dtype == torch.bool or target.is_complex():
        raise TypeError(f"target: got dtype {target.dtype}, expected floating point")
    if tuple(target.shape) != shape:
        raise ValueError(f"target: got shape {tuple(target.shape)}, expected {shape}")
    target = target.detach()
    uneven = target - target.T if target.ndim == 2 else target.new_zeros(1)
    values = torch.stack([*target.aminmax(), uneven.abs().max()])
    low, high, gap = values.tolist()  # wait for the device only once
    if not (low >= -1.0 - _ROUNDING and high <= 1.0 + _ROUNDING):
        raise ValueError(
            f"target: got values in [{low:.6g}, {high:.6g}], expected [-1, 1]"
        )
    if gap > _ROUNDING:
        raise ValueError("target: got a matrix that is not symmetric")
    return target
