"""A user's model as every measurement calls it: the one guarded call."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from neurofreq._neurofreq import ModelError
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import steadiness
from neurofreq._shared.networks.modes import evaluating as evaluating

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from neurofreq._shared.inputs.validate import Array

Model: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"

HALVES = (torch.bfloat16, torch.float16)


class Classifier:
    """A model with the way it is called: every measurement asks it here.

    The model is given images of its own, which it may write into. Its answer is
    taken out of what it returns (`logits_of`) and copied at once, because engines
    reuse their output buffers. Half-precision logits become float32.

    Parameters
    ----------
    model : callable
        Maps a batch (n, C, H, W) to logits (n, n_classes).
    autocast : torch.dtype, optional
        Run the model under autocast in this type.
    channels_last : bool
        Give the model its images in this memory format.
    """

    def __init__(
        self,
        model: Model,
        *,
        autocast: torch.dtype | None = None,
        channels_last: bool = False,
    ) -> None:
        check_autocast(autocast)
        self.model = model
        self._autocast = autocast
        self._order = torch.channels_last if channels_last else torch.contiguous_format
        self._dtype: torch.dtype | None = None

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch where the model is in evaluation mode."""
        shown = images.clone(memory_format=self._order)
        if self._dtype is not None:
            shown = shown.to(self._dtype)
        with autocast(images.device, self._autocast):
            logits = logits_of(self.model(shown))
        return logits.float() if logits.dtype in HALVES else logits.clone()

    def settle(self, images: torch.Tensor, *, made: bool = False) -> None:
        """Find out in which floating-point type the model takes such images.

        They are given as they are where the model takes that. A model in half
        precision that refuses them gets them in the type of its parameters.

        Parameters
        ----------
        images : Tensor
            Some of those to come; the first is tried.
        made : bool
            Whether neurofreq made the images: then they follow the type of the
            model's parameters, whatever it is.

        Raises
        ------
        TypeError
            If the model refuses the type of the user's images and takes its own.
        """
        own = dtype_of(self.model)
        if not isinstance(self.model, torch.nn.Module) or images.dtype == own:
            return
        refusal = self._refusal(images[:1])
        if refusal is None:
            return
        self._dtype = own
        if self._refusal(images[:1]) is not None:  # it was not the type
            self._dtype = None
        elif not made and own not in HALVES:
            raise TypeError(
                f"images: got {_type_name(images)} for a model of {_type_name(own)}, "
                f"expected both alike ({refusal})"
            ) from refusal

    def warn_if_unsteady(
        self, images: torch.Tensor, *, alone: bool = False, as_logits: bool = False
    ) -> None:
        """Warn where an image's answer depends on more than the image.

        The first image is shown beside others, again so, and alone. Models for
        batches of one size refuse that and are not checked.

        Parameters
        ----------
        images : Tensor
            Some of those to come; the first is shown.
        alone : bool
            Whether images will come one by one: then none is shown beside others.
        as_logits : bool
            Whether probabilities in place of logits are told too.
        """
        one, hint = images[:1], steadiness.hint(self.model)
        few = one if alone else steadiness.beside_others(one)
        with torch.no_grad():
            try:
                first, again = self(few), self(few)
            except Exception:  # the measurement itself meets what is wrong here
                return
            try:
                single = first if alone else self(one)
            except Exception as error:
                _warn(steadiness.told_refusal(error, hint))
                return
        if not (_are_rows(first, len(few)) and _are_rows(single, 1)):
            return
        is_half = bool(self._autocast) or dtype_of(self.model) in HALVES
        if told := steadiness.told(first, again, single, is_half=is_half, hint=hint):
            _warn(told)
        if as_logits:
            warn_of_probabilities(
                first,
                "where probabilities saturate, attacks find larger perturbations than "
                "the smallest",
                is_half=is_half,
                stacklevel=5,
            )

    def _refusal(self, images: torch.Tensor) -> Exception | None:
        """Return what the model raises for images, None where it takes them."""
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
    """Return autocast of this type; for None, the caller's own state as it is."""
    if dtype is None:
        return nullcontext()
    return torch.autocast(device.type, dtype)


def device_of(model: Any, images: Array | None = None) -> torch.device:
    """Return where the model's first parameter or buffer is, else the images."""
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
    if isinstance(batch, np.ndarray):  # torch refuses negative strides
        return torch.from_numpy(np.array(batch)).to(device)
    return batch.detach().to(device, copy=True)


def as_tensor(batch: Any) -> torch.Tensor:
    """Return an array as a tensor, sharing memory where torch takes it as it lies.

    It does not take negative strides, fields of packed records, and what is not
    to be written to, such as a memory map: those are copied.
    """
    if isinstance(batch, np.ndarray):  # whatever device torch makes tensors on
        flags, is_forward = batch.flags, min(batch.strides, default=0) >= 0
        if not (flags.aligned and flags.writeable and is_forward):
            batch = np.array(batch, order="C")
        return torch.from_numpy(batch)
    return batch if isinstance(batch, torch.Tensor) else torch.as_tensor(batch)


def logits_of(output: Any) -> torch.Tensor:
    """Return the logits in what a model returned, as a plain tensor.

    Parameters
    ----------
    output : object
        A tensor, an object with an attribute ``logits`` (outputs of transformers),
        or a mapping with a key "logits".

    Raises
    ------
    ModelError
        Anything else, or a tensor whose values are not in memory of its own.
    """
    if not isinstance(output, torch.Tensor):
        inner = getattr(output, "logits", None)
        if inner is None and isinstance(output, Mapping):
            inner = output.get("logits")
        if not isinstance(inner, torch.Tensor):
            raise ModelError(
                f"model: got {type(output).__name__}, expected a tensor of logits (or "
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
            f"model: got logits of layout {output.layout} and dtype "
            f"{_type_name(output)} on {output.device}, expected a dense tensor of "
            "real numbers with values"
        )
    if hasattr(output, "has_names") and output.has_names():  # older torch has names
        output = output.rename(None)
    if type(output) is torch.Tensor:
        return output
    name = type(output).__name__
    output = output.as_subclass(torch.Tensor)
    if output.numel() and output.data_ptr() == 0:  # the values are elsewhere
        raise ModelError(
            f"model: got logits of class {name} without memory of its own, expected "
            "a plain tensor (for a DTensor, return full_tensor())"
        )
    return output


def check_logits(logits: torch.Tensor, n_images: int) -> torch.Tensor:
    """Require finite logits (n_images, n_classes), or raise ModelError."""
    if logits.ndim != 2 or logits.shape[0] != n_images or logits.shape[1] == 0:
        raise ModelError(
            f"model: got logits of shape {tuple(logits.shape)} for {n_images} images, "
            f"expected ({n_images}, n_classes)"
        )
    if not logits.is_floating_point():
        raise ModelError(
            f"model: got logits of dtype {_type_name(logits)}, expected floats"
        )
    n_bad = n_images - int(logits.detach().isfinite().all(dim=1).sum())
    if n_bad:
        raise ModelError(
            f"model: got NaN or infinite logits for {n_bad} of {n_images} images, "
            "expected finite ones"
        )
    return logits


def warn_of_probabilities(
    logits: torch.Tensor, effect: str, *, is_half: bool, stacklevel: int
) -> None:
    """Warn, with their effect, of rows that are probabilities of several classes."""
    limit = steadiness.HALF_JITTER if is_half else steadiness.JITTER
    is_one = bool(((logits.double().sum(1) - 1.0).abs() < limit).all())
    is_soft = bool(((logits > 0.0) & (logits < 1.0)).any())  # not hard labels alone
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
) -> Classifier:
    """Return a model ready to be measured: tried on an image, doubts told.

    The arguments are those of `Classifier`, `Classifier.settle`,
    `Classifier.warn_if_unsteady` and `predict`; what is raised too.
    """
    ask = Classifier(model, autocast=autocast, channels_last=channels_last)
    few = to_tensor(images[:1], device_of(model, images) if device is None else device)
    with evaluating(model):
        ask.settle(few, made=made)
        ask.warn_if_unsteady(few, alone=alone, as_logits=as_logits)
    return ask


def predict(
    model: Model,
    images: Array,
    *,
    batch_size: int = 256,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    """Return the logits of all images; the model is left as found.

    Parameters
    ----------
    model : callable
        Maps a batch (n, C, H, W) to logits (n, n_classes). An ``nn.Module`` is
        run in evaluation mode. What it raises passes through. A `Classifier` is
        asked as it is.
    images : ndarray or Tensor, shape (N, C, H, W)
        Checked by the caller.
    batch_size : int
        Images per call of the model, at least 1.
    device : torch.device or str, optional
        Where batches are sent; by default where the model's parameters are,
        else where the images are.

    Returns
    -------
    Tensor, shape (N, n_classes)
        Where the model left it, outside any autograd graph.

    Raises
    ------
    ModelError
        Logits of a wrong shape or dtype, of another number of classes than in
        the batch before, or not finite.
    TypeError
        As `Classifier.settle`, or if `batch_size` is no integer.
    ValueError
        If `batch_size` is less than 1.
    """
    batch_size = check_batch_size(batch_size)
    ask = model if isinstance(model, Classifier) else Classifier(model)
    device = device_of(ask.model, images) if device is None else device
    parts: list[torch.Tensor] = []
    with evaluating(ask.model), torch.no_grad():
        if ask is not model:
            ask.settle(to_tensor(images[:1], device))
        for start in range(0, len(images), batch_size):
            batch = to_tensor(images[start : start + batch_size], device)
            parts.append(check_logits(ask(batch), len(batch)))
            if parts[-1].shape[1] != parts[0].shape[1]:
                raise ModelError(
                    f"model: got {parts[-1].shape[1]} classes, "
                    f"expected {parts[0].shape[1]} as in the batch before"
                )
    return torch.cat(parts)


def check_autocast(dtype: Any) -> None:
    """Require a type that autocast has, or None."""
    if dtype is not None and dtype not in HALVES:
        raise TypeError(
            f"autocast: got {dtype!r}, expected torch.bfloat16 or torch.float16"
        )


def check_batch_size(batch_size: int) -> int:
    """Return the images per batch, at least one."""
    return validate.count("batch_size", batch_size)


def _type_name(value: Any) -> str:
    """Return the name of a type, an array's or a tensor's, such as "float32"."""
    return str(getattr(value, "dtype", value)).removeprefix("torch.")


def _warn(message: str) -> None:
    """Warn, as from the line that called neurofreq."""
    warnings.warn(message, stacklevel=5)


def _are_rows(logits: torch.Tensor, n_images: int) -> bool:
    """Say whether these are logits of so many images; other answers are told later."""
    return logits.ndim == 2 and len(logits) == n_images and logits.shape[1] > 0
