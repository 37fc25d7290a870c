"""Choose how many images a model gets at once, and shrink batches without memory."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from neurofreq._shared.networks.calling import Classifier

    T = TypeVar("T")

HOST = {False: 256, True: 128}
"""Images of a batch on the CPU, without and with gradients."""
MOST = 1024
"""Images of a batch on a GPU. A query of 1000 CIFAR images takes an H200 as long as a
query of 100, so larger batches would only fill its memory."""
_SHARE = 0.5  # of the free memory
# Bytes for each byte of the trial: the gradients beside all outputs that are kept; or
# the inputs, the outputs and the workspace of the largest operator.
_KEPT, _LARGEST = 2.0, 6.0


def check(batch_size: int | None) -> int | None:
    """Return the batch size, at least 1; None stands for a choice by `chosen`."""
    return None if batch_size is None else validate.count("batch_size", batch_size)


def chosen(
    batch_size: int | None,
    ask: Classifier,
    images: torch.Tensor,
    *,
    gradient: bool = False,
) -> int:
    """Return the batch size; None chooses by the device and the model's memory.

    The first of `images` is shown to the model in a trial, on a CUDA device only.
    Batches change the run time, and the results only by the model's rounding.
    """
    if batch_size is not None:
        return batch_size
    if images.device.type != "cuda":
        return HOST[gradient]
    device = images.device
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return fitting(free, needed(ask, images[:1], gradient=gradient))


def needed(ask: Callable[..., Any], image: torch.Tensor, *, gradient: bool) -> float:
    """Return about how many bytes the model needs for an image beside its weights."""
    with torch.set_grad_enabled(gradient), _Outputs() as outputs:
        ask(image.detach().requires_grad_(gradient))
    own = image.numel() * image.element_size()
    if gradient:
        return _KEPT * (outputs.total + own)
    return _LARGEST * max(outputs.largest, own)


def fitting(free: float, needed: float) -> int:
    """Return the largest power of two, up to `MOST`, of images that memory allows."""
    most = max(1, min(MOST, int(_SHARE * free / needed)))
    return 1 << (most.bit_length() - 1)


class _Outputs(TorchDispatchMode):
    """Adds up the bytes of all outputs that have memory of their own."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total, self.largest = 0, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Note the size of an operator's outputs."""
        found = func(*args, **(kwargs or {}))
        given = {one.data_ptr() for one in args if isinstance(one, torch.Tensor)}
        outputs = found if isinstance(found, (tuple, list)) else [found]
        size = sum(
            one.numel() * one.element_size()
            for one in outputs
            if isinstance(one, torch.Tensor) and one.data_ptr() not in given
        )
        self.total, self.largest = self.total + size, max(self.largest, size)
        return found


class Shrinking:
    """Repeats work with smaller batches after an out-of-memory error of a device."""

    def __init__(self) -> None:
        self.most: int | None = None
        """Images of a batch from now on; None before the first error."""

    def tried(self, work: Callable[[], T], n: int) -> T | None:
        """Return the result of work on n images, or None if the batch is too large.

        A single image that is too large raises the error of the device.
        """
        try:
            return work()
        except Exception as error:  # of the model, or of torch in Rust
            if n == 1 or _is_recording() or not is_out_of_memory(error):
                raise
        # The error is gone here, and with it the tensors of the failed call.
        if _is_cuda_used():
            torch.cuda.empty_cache()
        if self.most is None:
            warnings.warn(
                f"model: the device has too little memory for {n} images at once, so "
                f"batches of {n // 2} or fewer follow, which may be slower",
                stacklevel=4,
            )
        self.most = n // 2
        return None

    def over(self, count: int, size: int, work: Callable[[int, int], T]) -> list[T]:
        """Return the results of work on rows `start` to `stop`, in their order."""
        found: list[T] = []
        start = 0
        while start < count:
            stop = min(start + min(size, self.most or size), count)
            one = self.tried(lambda a=start, b=stop: work(a, b), stop - start)  # type: ignore[misc]
            if one is not None:
                found.append(one)
                start = stop
        return found


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether a device has too little memory.

    Errors of torch that come through Rust have lost their class, but not torch's text.
    """
    is_told = isinstance(error, RuntimeError) and "CUDA out of memory" in str(error)
    return is_told or isinstance(error, torch.OutOfMemoryError)


def _is_recording() -> bool:
    return _is_cuda_used() and torch.cuda.is_current_stream_capturing()


def _is_cuda_used() -> bool:
    is_used: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return is_used
