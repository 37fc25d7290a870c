"""Whether a model is shown colours or their luma: the one rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from neurofreq import _model
from neurofreq._neurofreq import ModelError
from neurofreq.data import _pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray


def is_shown(
    name: str,
    model: _model.Model,
    few: Callable[[], NDArray[Any]],
    n_channels: int,
    gray: bool | Literal["auto"],
    *,
    device: torch.device | str | None = None,
    argument: str = "model",
) -> bool:
    """Return whether a model is shown the luma of images.

    A model that has ``in_channels`` itself, as ours do, is believed: one channel
    would spread over the three of its normalisation. What the first layer inside it
    says decides nothing alone: the model is tried on a few images.

    Parameters
    ----------
    name : str
        Of the model, for errors.
    model : callable
    few : callable
        Returns a few images to try, (n, C, H, W), floats in [0, 1].
    n_channels : int
        Of the images; only three can be turned gray.
    gray : bool or "auto"
        "auto" shows luma where the model says one channel, or its first layer does
        and the model refuses the colours.
    device : torch.device or str, optional
        As of `_model.predict`.
    argument : str
        What the caller calls the model.

    Raises
    ------
    ValueError
        If the model says other channels than it is to be shown, or its first layer
        does and the model refuses them.
    ModelError
        As `_model.predict`.
    """
    wanted = _model.input_channels(model)
    is_said = wanted is not None and wanted == getattr(model, "in_channels", None)
    is_gray = n_channels == 3 and bool(gray)
    if is_gray and gray == "auto":
        is_gray = wanted == 1 and (
            is_said or _refusal(model, few(), device) is not None
        )
    given = 1 if is_gray else n_channels
    if wanted in (None, given):
        return is_gray
    problem = (
        f"{argument}: got {name!r} for images of {wanted} channels, expected {given}"
    )
    if is_said:
        raise ValueError(problem)
    refusal = _refusal(model, _pixels.luma(few()) if is_gray else few(), device)
    if refusal is not None:
        raise ValueError(f"{problem} ({str(refusal).strip()})") from refusal
    return is_gray


def _refusal(model: _model.Model, images: NDArray[Any], device: Any) -> Any:
    """Return what the model raises for images, None where it takes them."""
    try:
        _model.predict(model, images, batch_size=len(images), device=device)
    except ModelError:
        raise
    except Exception as error:  # a model may refuse a shape in any way
        return error
    return None
