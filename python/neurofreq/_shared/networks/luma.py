"""Decide whether a model is given color images or their luma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

from neurofreq._shared.inputs import pixel, validate
from neurofreq._shared.networks import calling

if TYPE_CHECKING:
    from numpy.typing import NDArray


def wanted(gray: Any) -> bool | Literal["auto"]:
    """Return the checked argument `gray`: True, False or "auto"."""
    if isinstance(gray, str):
        if gray != "auto":
            raise ValueError(f"gray: got {gray!r}, expected True, False or 'auto'")
        return "auto"
    return validate.flag("gray", gray)


def is_shown(
    name: str,
    model: calling.Model,
    images: NDArray[Any],
    n_channels: int,
    gray: bool | Literal["auto"],
    *,
    device: torch.device | str | None = None,
    argument: str = "model",
) -> bool:
    """Return whether a model is given the luma of images.

    The model is called with a few images (floats in [0, 1]), because its attributes do
    not reliably give the number of channels. "auto" uses luma if the model refuses
    color and accepts luma. If the model refuses its images, raises ValueError if its
    first convolution has a different number of channels, and otherwise the model's own
    exception.
    """
    is_color = n_channels == 3
    if is_color and gray is True:
        is_gray, refusal = True, _refusal(model, pixel.luma(images), device)
    else:
        is_gray, refusal = False, _refusal(model, images, device)
    if refusal is None:
        return is_gray
    may_be_gray = is_color and gray == "auto"
    if may_be_gray and _refusal(model, pixel.luma(images), device) is None:
        return True
    given = 1 if is_gray else n_channels
    wanted = _channels(model)
    if wanted in (None, given):
        raise refusal
    raise ValueError(
        f"{argument}: got {name!r} for images of {wanted} channels, expected {given} "
        f"({str(refusal).strip()})"
    ) from refusal


def _refusal(
    model: calling.Model, images: NDArray[Any], device: Any
) -> Exception | None:
    """Return the exception that the model raises for images, or None."""
    place = calling.device_of(model) if device is None else device
    batch = calling.to_tensor(images, place)
    ask = calling.Classifier(model)
    try:
        with calling.evaluating(model), torch.no_grad():
            ask.settle(batch, made=True)
            # Ignore NaN here: the measurement reports it, with the number of images.
            calling.check_logits(ask(batch).nan_to_num(), len(batch))
    except Exception as error:  # a model may refuse a shape in any way
        return error
    return None


def _channels(model: calling.Model) -> int | None:
    """Return the input channels of a model's first convolution, or None."""
    if isinstance(model, torch.nn.Module):
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                return module.in_channels
    return None
