"""Running a user's model: evaluation mode, batch by batch, left as found."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from neurofreq import _validate
from neurofreq._neurofreq import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from neurofreq._validate import Array

Model: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"


@contextmanager
def evaluating(model: Any, images: Array | None = None) -> Iterator[None]:
    """Hold a model in evaluation mode and give every module its own flag back.

    Parameters
    ----------
    model : callable
        Anything but an ``nn.Module`` has no mode and is left alone.
    images : ndarray or Tensor, optional
        What the model is about to be given, for the error that names it.

    Raises
    ------
    TypeError
        If the model raises and `images` are not of its parameters' type.
    """
    modules = list(model.modules()) if isinstance(model, torch.nn.Module) else []
    flags = [module.training for module in modules]
    try:
        if any(flags):
            _evaluate(model)
        yield
    except ModelError:
        raise
    except RuntimeError as error:
        given, own = _type_name(images), _type_name(dtype_of(model))
        # torch's refusals speak of a type, its other errors (memory, shapes) do not.
        if images is None or not modules or given == own or "type" not in str(error):
            raise
        raise TypeError(
            f"images: got {given} for a model of {own}, expected both alike ({error})"
        ) from error
    finally:
        for module, flag in zip(modules, flags, strict=True):
            if module.training != flag:
                module.training = flag


def autocast(
    device: torch.device, dtype: torch.dtype | None
) -> AbstractContextManager[Any]:
    """Return autocast of this type; for None, the caller's own state as it is."""
    if dtype is None:
        return nullcontext()
    return torch.autocast(device.type, dtype)


def device_of(model: Any, images: Array | None = None) -> torch.device:
    """Return where the model's first parameter or buffer is, else the images.

    Parameters
    ----------
    model : callable
    images : ndarray or Tensor, optional
        On the CPU where it is no tensor.
    """
    if isinstance(model, torch.nn.Module):
        for tensors in (model.parameters(), model.buffers()):
            for tensor in tensors:
                return tensor.device
    return images.device if isinstance(images, torch.Tensor) else torch.device("cpu")


def dtype_of(model: Any) -> torch.dtype:
    """Return the type of the model's first floating-point parameter, else float32.

    Parameters
    ----------
    model : callable
    """
    if isinstance(model, torch.nn.Module):
        for tensor in model.parameters():
            if tensor.is_floating_point():
                return tensor.dtype
    return torch.float32


def input_channels(model: Any) -> int | None:
    """Return how many channels a model's images have, None where it does not say.

    That is ``in_channels`` of the first module that has it, from the outside in:
    of the model itself, else of its first convolution.

    Parameters
    ----------
    model : callable
    """
    modules = model.modules() if isinstance(model, torch.nn.Module) else ()
    for module in modules:
        channels = getattr(module, "in_channels", None)
        if isinstance(channels, int):
            return channels
    return None


def to_tensor(batch: Array, device: torch.device | str) -> torch.Tensor:
    """Return a copy of a batch as a tensor on `device`, outside any autograd graph.

    Parameters
    ----------
    batch : ndarray or Tensor
        Strides of an array may have any sign.
    device : torch.device or str
    """
    if isinstance(batch, np.ndarray):  # torch refuses negative strides
        return torch.from_numpy(np.array(batch)).to(device)
    return batch.detach().to(device, copy=True)


def as_tensor(batch: Any) -> torch.Tensor:
    """Return an array as a tensor, sharing memory where torch takes it as it lies.

    It does not take negative strides, fields of packed records, and what is not
    to be written to, such as a memory map: those are copied.
    """
    if isinstance(batch, np.ndarray):
        flags, is_forward = batch.flags, min(batch.strides, default=0) >= 0
        if not (flags.aligned and flags.writeable and is_forward):
            batch = np.array(batch, order="C")
    return torch.as_tensor(batch)


def check_logits(logits: Any, n_images: int) -> torch.Tensor:
    """Require what a classifier must return, and return it unchanged.

    Parameters
    ----------
    logits : object
        What the model returned.
    n_images : int
        The number of images it was given.

    Raises
    ------
    ModelError
        Not a floating-point tensor of shape (n_images, n_classes), or NaN or
        infinite values in it.
    """
    if not isinstance(logits, torch.Tensor):
        raise ModelError(f"model: got {type(logits).__name__}, expected a tensor")
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
        run in evaluation mode. What it raises passes through.
    images : ndarray or Tensor, shape (N, C, H, W)
        Checked by the caller; given to the model in their own dtype.
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
        As `evaluating`, or if `batch_size` is no integer.
    ValueError
        If `batch_size` is less than 1.
    """
    check_batch_size(batch_size)
    device = device_of(model, images) if device is None else device
    parts: list[torch.Tensor] = []
    with evaluating(model, images), torch.no_grad():
        for start in range(0, len(images), batch_size):
            batch = to_tensor(images[start : start + batch_size], device)
            parts.append(check_logits(model(batch), len(batch)))
            if parts[-1].shape[1] != parts[0].shape[1]:
                raise ModelError(
                    f"model: got {parts[-1].shape[1]} classes, "
                    f"expected {parts[0].shape[1]} as in the batch before"
                )
    return torch.cat(parts)


def check_batch_size(batch_size: int) -> None:
    """Require at least one image per batch."""
    _validate.count("batch_size", batch_size)


def _type_name(value: Any) -> str:
    """Return the name of a type, an array's or a tensor's, such as "float32"."""
    return str(getattr(value, "dtype", value)).removeprefix("torch.")


def _evaluate(model: torch.nn.Module) -> None:
    """Call ``eval()``, which a user's class may extend.

    Exported programs refuse it: they were frozen in one mode.
    """
    try:
        model.eval()
    except NotImplementedError:
        return
