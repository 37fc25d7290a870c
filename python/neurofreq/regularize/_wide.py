"""Parameters and buffers that stay in float32 beside a model in half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self


class Wide(nn.Module):
    """A module whose tensors stay in float32 when a model is cast to 16 bits."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def wide(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            narrow = moved.is_floating_point() and moved.dtype.itemsize < 4
            return tensor.to(moved.device) if narrow else moved

        return super()._apply(wide, recurse)  # type: ignore[no-untyped-call]
