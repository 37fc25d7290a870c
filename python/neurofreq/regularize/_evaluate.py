"""Evaluate the similarity loss of checked inputs, with its gradient in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate

_BACKWARD_ALONE = (
    "features: got tensors inside a transform of torch.func or in forward-mode "
    "differentiation, expected plain ones; torch.autograd gives gradients of any "
    "order, such as torch.autograd.grad(..., create_graph=True)"
)
_ROUNDING = 1e-6  # how far a similarity may exceed 1 by rounding


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
        ctx.save_for_backward(target, index, logits, slope, pulls, *means, *layers)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the logits and of every layer."""
        target, index, logits, slope, pulls, *rest = ctx.saved_tensors
        n = len(rest) // 2
        means, layers = rest[:n], rest[n:]
        *_, of_logits = ctx.needs_input_grad[:5]
        with torch.autocast(layers[0].device.type, enabled=False):
            if torch.is_grad_enabled():  # a second derivative is needed
                _, slope, pulls = _neurofreq.similarity_loss(
                    layers, means, logits, target, index, ctx.half
                )
            found = [
                _neurofreq.similarity_pulled(pull, layer, mean) if is_needed else None
                for pull, mean, layer, is_needed in zip(
                    (gradient * pulls).unbind(),
                    means,
                    layers,
                    ctx.needs_input_grad[5:],
                    strict=True,
                )
            ]
        return None, None, None, None, gradient * slope if of_logits else None, *found

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """Refuse forward-mode differentiation."""
        raise RuntimeError(_BACKWARD_ALONE)


def layers_of(features: Tensor | Sequence[Tensor]) -> list[Tensor]:
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


def evaluate(
    layers: list[Tensor],
    means: Sequence[Tensor],
    logits: Tensor,
    target: Tensor,
    index: Tensor | None,
    half: bool,
) -> Tensor:
    """Return the loss of checked inputs; `index` is (P,), N * first + second."""
    # Autocast would run the Gram product in half precision.
    with torch.autocast(layers[0].device.type, enabled=False):
        near = [m.detach().to(layer) for m, layer in zip(means, layers, strict=True)]
        known = target.to(layers[0]), index, half, near, logits.to(layers[0])
        return _Loss.apply(*known, *layers)


def known(
    layers: list[Tensor], target: Tensor, pairs: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return target and pairs (P,), checked and on the features' device."""
    n, device = len(layers[0]), layers[0].device
    index = None if pairs is None else _pairs(pairs, n).to(device)
    shape = (n, n) if index is None else (len(index),)
    return _target(target, shape).to(device), index


def check_mixture(
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
    """Return pairs as (P,), N * first + second."""
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
    first, second = pairs.T
    return n_images * first + second


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
