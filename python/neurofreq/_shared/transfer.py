"""Copy tensors to a device and back without a wait of the host for queued work."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ALIGNED = 16  # bytes; at least the largest element


class Packet:
    """One buffer on a device with a view for each tensor.

    The views keep their addresses. `likes` give shapes and dtypes.
    """

    def __init__(self, likes: Sequence[Tensor], device: torch.device) -> None:
        self._forms = [(like.shape, like.dtype) for like in likes]
        self._buffer = torch.empty(self._size(), dtype=torch.uint8, device=device)
        self.tensors = self._views(self._buffer)

    def fill(self, tensors: Sequence[Tensor]) -> None:
        """Copy new values of all tensors to the device, at once.

        The host's part is in page-locked memory: a copy from other memory waits for all
        queued work of the device.
        """
        is_pinned = self._buffer.device.type == "cuda"
        host = torch.empty(
            self._size(), dtype=torch.uint8, device="cpu", pin_memory=is_pinned
        )
        for view, tensor in zip(self._views(host), tensors, strict=True):
            view.copy_(tensor)
        self._buffer.copy_(host, non_blocking=True)

    def _size(self) -> int:
        return sum(_padded(math.prod(shape) * t.itemsize) for shape, t in self._forms)

    def _views(self, buffer: Tensor) -> list[Tensor]:
        views, first = [], 0
        for shape, dtype in self._forms:
            size = math.prod(shape) * dtype.itemsize
            views.append(buffer[first : first + size].view(dtype).view(shape))
            first += _padded(size)
        return views


def send(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Return tensors of the host on a device; on the CPU, the tensors themselves."""
    if device.type != "cuda" or not tensors:
        return [tensor.to(device) for tensor in tensors]
    packet = Packet(tensors, device)
    packet.fill(tensors)
    return packet.tensors


def fetch(tensor: Tensor, device: torch.device) -> Callable[[], Tensor]:
    """Start a copy to the host; return a function that waits for the copy alone.

    Work that is queued on the device after this call may still be under way then.
    """
    if device.type != "cuda":
        return tensor.cpu
    host = tensor.to("cpu", non_blocking=True)  # page-locked memory
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record(torch.cuda.current_stream(device))

    def wait() -> Tensor:
        copied.synchronize()
        return host

    return wait


def is_queued(device: torch.device) -> bool:
    """Return whether the host runs ahead of a device, and waits if it reads a value."""
    return device.type != "cpu"


def beside(tensor: Tensor, like: Tensor) -> Tensor:
    """Return a tensor of the host on the device and in the type of another tensor."""
    return send([tensor.to(like.dtype)], like.device)[0]


def _padded(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
