"""Call a user's model; every measurement uses these functions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from neurofreq._neurofreq import ModelError
from neurofreq._shared import transfer
from neurofreq._shared.networks import batches, steadiness
from neurofreq._shared.networks.modes import evaluating as evaluating

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from neurofreq._shared.inputs.validate import Array

Model: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"

HALVES = (torch.bfloat16, torch.float16)

_COLUMNS = {"logits": "classes", "responses": "neurons"}
"""What a model may give for each image, and the name of the columns."""


class Classifier:
    """A model with its calling options (autocast and memory format).

    The model gets a copy of the images, which it may overwrite. Its logits are
    extracted with `logits_of` and copied at once, because engines reuse their output
    buffers. Half-precision logits become float32. `what` is the word for the output in
    messages.
    """

    def __init__(
        self,
        model: Model,
        *,
        autocast: torch.dtype | None = None,
        channels_last: bool = False,
        what: str = "logits",
    ) -> None:
        check_autocast(autocast)
        self.model = model
        self.what = what
        self._autocast = autocast
        self._order = torch.channels_last if channels_last else torch.contiguous_format
        self._dtype: torch.dtype | None = None
        self.room = batches.Shrinking()
        """How many images fit; every user of the model's memory shares it."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch; the model must be in evaluation mode.

        Without gradients, a batch that is too large for the device's memory is split.
        """
        n = len(images)
        if torch.is_grad_enabled() or n < 2:
            return self._asked(images)
        parts = self.room.over(n, n, lambda a, b: self._asked(images[a:b]))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _asked(self, images: torch.Tensor) -> torch.Tensor:
        shown = images.clone(memory_format=self._order)
        if self._dtype is not None:
            shown = shown.to(self._dtype)
        with autocast(images.device, self._autocast):
            logits = logits_of(self.model(shown), self.what)
        return logits.float() if logits.dtype in HALVES else logits.clone()

    def settle(self, images: torch.Tensor, *, made: bool = False) -> None:
        """Choose the floating-point type in which the model gets its images.

        Images keep their type if the model accepts it. If the model accepts only the
        type of its parameters, images are converted to that type. Unless that type is
        half precision, only images that neurofreq made (`made`) are converted, and
        TypeError is raised for others.
        """
        own = dtype_of(self.model)
        if not isinstance(self.model, torch.nn.Module) or images.dtype == own:
            return
        refusal = self._refusal(images[:1])
        if refusal is None:
            return
        self._dtype = own
        if self._refusal(images[:1]) is not None:  # the type was not the reason
            self._dtype = None
        elif not made and own not in HALVES:
            raise TypeError(
                f"images: got {_type_name(images)} for a model of {_type_name(own)}, "
                f"expected both alike ({refusal})"
            ) from refusal

    def warn_if_unsteady(
        self, images: torch.Tensor, *, alone: bool = False, as_logits: bool = False
    ) -> None:
        """Warn if the logits of an image depend on more than the image.

        The first image is passed twice in a batch with other images, and once alone. A
        model that refuses the batch is not checked. With `alone`, images are always
        passed one by one, so no batch is tried. With `as_logits`, probabilities also
        give a warning.
        """
        one, hint = images[:1], steadiness.hint(self.model)
        few = one if alone else steadiness.beside_others(one)
        with torch.no_grad():
            try:
                first, again = self(few), self(few)
            except Exception:  # the measurement itself will raise this error
                return
            try:
                single = first if alone else self(one)
            except Exception as error:
                _warn(steadiness.told_refusal(error, hint))
                return
        if not (_are_rows(first, len(few)) and _are_rows(single, 1)):
            return
        is_half = bool(self._autocast) or dtype_of(self.model) in HALVES
        told = steadiness.told(
            first, again, single, is_half=is_half, what=self.what, hint=hint
        )
        if told:
            _warn(told)
        if as_logits:
            warn_of_probabilities(
                first,
                "where probabilities saturate, attacks miss the smallest perturbations",
                is_half=is_half,
                stacklevel=5,
            )

    def _refusal(self, images: torch.Tensor) -> Exception | None:
        """Return the exception that the model raises for images, or None."""
        try:
            with torch.no_grad():
                self(images)
        except ModelError:
            raise
        except Exception as error:  # a model may refuse images in any way
            return error
        return None


def autocast(
    device: torch.device, dtype: torch.dtype | None
) -> AbstractContextManager[Any]:
    """Return autocast of this type; None leaves the caller's autocast as it is."""
    if dtype is None:
        return nullcontext()
    return torch.autocast(device.type, dtype)


def device_of(model: Any, images: Array | None = None) -> torch.device:
    """Return the device of the model's first tensor, else that of the images."""
    if isinstance(model, torch.nn.Module):
        for tensors in (model.parameters(), model.buffers()):
            for tensor in tensors:
                return tensor.device
    return images.device if isinstance(images, torch.Tensor) else torch.device("cpu")


def dtype_of(model: Any) -> torch.dtype:
    """Return the type of the model's first floating-point parameter, else float32."""
    if isinstance(model, torch.nn.Module):
        for tensor in model.parameters():
            if tensor.is_floating_point():
                return tensor.dtype
    return torch.float32


def to_tensor(batch: Array, device: torch.device | str) -> torch.Tensor:
    """Return a copy of a batch as a tensor on `device`, outside any autograd graph."""
    device = torch.device(device)
    if isinstance(batch, np.ndarray):  # torch refuses negative strides
        return transfer.send([torch.from_numpy(np.array(batch))], device)[0]
    if batch.device.type == "cpu" and device.type == "cuda":
        return transfer.send([batch.detach()], device)[0]
    return batch.detach().to(device, copy=True)


def as_tensor(batch: Any) -> torch.Tensor:
    """Return an array as a tensor, without a copy where torch can share the memory.

    Torch cannot share arrays with negative strides, misaligned fields, and read-only
    arrays such as memory maps.
    """
    if isinstance(batch, np.ndarray):  # torch.as_tensor follows the default device
        flags, is_forward = batch.flags, min(batch.strides, default=0) >= 0
        if not (flags.aligned and flags.writeable and is_forward):
            batch = np.array(batch, order="C")
        return torch.from_numpy(batch)
    return batch if isinstance(batch, torch.Tensor) else torch.as_tensor(batch)


def logits_of(output: Any, what: str = "logits") -> torch.Tensor:
    """Return the logits in a model's output as a plain tensor.

    The output may be a tensor, an object with an attribute ``logits`` (transformers),
    or a mapping with a key "logits". Raises ModelError for anything else, and for a
    tensor that does not hold its values in its own memory; `what` names the output.
    """
    if not isinstance(output, torch.Tensor):
        inner = getattr(output, "logits", None)
        if inner is None and isinstance(output, Mapping):
            inner = output.get("logits")
        if not isinstance(inner, torch.Tensor):
            raise ModelError(
                f"model: got {type(output).__name__}, expected a tensor of {what} (or "
                "an object with .logits): wrap the model in a function that returns "
                "one, such as lambda images: model(images)[0]"
            )
        output = inner
    is_dense = (
        output.layout == torch.strided
        and output.device.type != "meta"
        and not (output.is_nested or output.is_quantized or output.is_complex())
    )
    if not is_dense:
        raise ModelError(
            f"model: got {what} of layout {output.layout} and dtype "
            f"{_type_name(output)} on {output.device}, expected a dense tensor of "
            "real numbers with values"
        )
    if hasattr(output, "has_names") and output.has_names():  # older torch only
        output = output.rename(None)
    if type(output) is torch.Tensor:
        return output
    name = type(output).__name__
    output = output.as_subclass(torch.Tensor)
    if output.numel() and output.data_ptr() == 0:  # wraps another tensor
        raise ModelError(
            f"model: got {what} of class {name} without memory of its own, expected "
            "a plain tensor (for a DTensor, return full_tensor())"
        )
    return output


def check_logits(
    logits: torch.Tensor, n_images: int, what: str = "logits"
) -> torch.Tensor:
    """Require finite logits (n_images, n_classes), or raise ModelError."""
    check_shape(logits, n_images, what)
    require_finite(int(count_bad(logits)), n_images, what)
    return logits


def check_shape(logits: torch.Tensor, n_images: int, what: str = "logits") -> None:
    """Require floats (n_images, n_classes), or raise ModelError; no value is read."""
    if logits.ndim != 2 or logits.shape[0] != n_images or logits.shape[1] == 0:
        raise ModelError(
            f"model: got {what} of shape {tuple(logits.shape)} for {n_images} images, "
            f"expected ({n_images}, n_{_COLUMNS[what]})"
        )
    if not logits.is_floating_point():
        raise ModelError(
            f"model: got {what} of dtype {_type_name(logits)}, expected floats"
        )


def count_bad(logits: torch.Tensor) -> torch.Tensor:
    """Return how many rows have NaN or infinity, as a tensor on the device."""
    return logits.detach().isfinite().all(dim=1).logical_not().sum()


def require_finite(n_bad: int, n_images: int, what: str = "logits") -> None:
    """Raise ModelError if some rows have NaN or infinity."""
    if n_bad:
        raise ModelError(
            f"model: got NaN or infinite {what} for {n_bad} of {n_images} images, "
            "expected finite ones"
        )


def warn_of_probabilities(
    logits: torch.Tensor, effect: str, *, is_half: bool, stacklevel: int
) -> None:
    """Warn if all rows are probabilities; the warning names their `effect`."""
    limit = steadiness.HALF_JITTER if is_half else steadiness.JITTER
    is_one = bool(((logits.double().sum(1) - 1.0).abs() < limit).all())
    is_soft = bool(((logits > 0.0) & (logits < 1.0)).any())  # one-hot rows are allowed
    if logits.shape[1] > 1 and is_one and is_soft and bool((logits >= 0.0).all()):
        warnings.warn(
            "model: got probabilities (rows from 0 up with sum 1), expected logits: "
            f"{effect}; leave out the softmax, or return its logarithm",
            stacklevel=stacklevel,
        )


def tried(
    model: Model,
    images: Array,
    *,
    device: torch.device | str | None = None,
    made: bool = False,
    alone: bool = False,
    as_logits: bool = False,
    autocast: torch.dtype | None = None,
    channels_last: bool = False,
    what: str = "logits",
) -> Classifier:
    """Return a `Classifier`, after one call that checks the model and gives warnings.

    The arguments and exceptions are those of `Classifier`, `Classifier.settle`,
    `Classifier.warn_if_unsteady` and `predict`.
    """
    ask = Classifier(model, autocast=autocast, channels_last=channels_last, what=what)
    few = to_tensor(images[:1], device_of(model, images) if device is None else device)
    with evaluating(model):
        ask.settle(few, made=made)
        ask.warn_if_unsteady(few, alone=alone, as_logits=as_logits)
    return ask


def predict(
    model: Model,
    images: Array,
    *,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    """Return the logits of all images, (N, n_classes), on the model's output device.

    The images must be checked already. The model runs in evaluation mode without
    gradients, and its modes are restored. Its exceptions pass through. ModelError is
    raised for logits of a wrong shape or dtype, for NaN or infinity, and if the number
    of classes changes between batches. For a `Classifier`, `settle` is not called.
    """
    batch_size = batches.check(batch_size)
    ask = model if isinstance(model, Classifier) else Classifier(model)
    device = device_of(ask.model, images) if device is None else torch.device(device)
    parts: list[torch.Tensor] = []
    with evaluating(ask.model), torch.no_grad():
        one = to_tensor(images[:1], device)
        if ask is not model:
            ask.settle(one)
        size = batches.chosen(batch_size, ask, one)
        for start in range(0, len(images), size):
            batch = to_tensor(images[start : start + size], device)
            parts.append(ask(batch))
            check_shape(parts[-1], len(batch), ask.what)
            if not transfer.is_queued(parts[-1].device):
                require_finite(int(count_bad(parts[-1])), len(batch), ask.what)
            if parts[-1].shape[1] != parts[0].shape[1]:
                raise ModelError(
                    f"model: got {parts[-1].shape[1]} {_COLUMNS[ask.what]}, "
                    f"expected {parts[0].shape[1]} as in the batch before"
                )
    logits = torch.cat(parts)
    if transfer.is_queued(logits.device):
        require_finite(int(count_bad(logits)), len(logits), ask.what)
    return logits


def check_autocast(dtype: Any) -> None:
    """Require a type that autocast supports, or None."""
    if dtype is not None and dtype not in HALVES:
        raise TypeError(
            f"autocast: got {dtype!r}, expected torch.bfloat16 or torch.float16"
        )


def _type_name(value: Any) -> str:
    """Return the name of a dtype, or of an array's dtype, such as "float32"."""
    return str(getattr(value, "dtype", value)).removeprefix("torch.")


def _warn(message: str) -> None:
    """Warn from the line that called neurofreq."""
    warnings.warn(message, stacklevel=5)


def _are_rows(logits: torch.Tensor, n_images: int) -> bool:
    """Return whether there is one row per image; `check_logits` raises if not."""
    return logits.ndim == 2 and len(logits) == n_images and logits.shape[1] > 0
