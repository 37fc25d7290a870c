"""Split rows among the processes of a distributed group, and gather them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.autograd.function import once_differentiable
from torch.nn.parallel import DistributedDataParallel

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Ranks:
    """The processes that work on one step; without a group, only this process."""

    def __init__(self, group: dist.ProcessGroup | None) -> None:
        self.group = group
        self.size = 1 if group is None else dist.get_world_size(group)
        self.rank = 0 if group is None else dist.get_rank(group)

    @classmethod
    def of(cls, model: nn.Module) -> Ranks:
        """Return the processes of a DistributedDataParallel model, compiled or not."""
        while not isinstance(model, DistributedDataParallel):
            inner = dict(model.named_children()).get("_orig_mod")  # of `torch.compile`
            if not isinstance(inner, nn.Module):
                return cls(None)
            model = inner
        return cls(model.process_group)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean over processes, with the gradient of this process's value."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total, group=self.group)
        return value + (total / self.size - value.detach())

    def share(self, items: NDArray[Any]) -> NDArray[Any]:
        """Return this process's part of the items; all parts have the same length.

        If the items do not divide evenly, the last item is repeated. `gather` drops the
        repeats.
        """
        if self.size == 1:
            return items
        length = -(-len(items) // self.size)
        first = self.rank * length
        index = [min(first + k, len(items) - 1) for k in range(length)]
        return items[index]

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """Return the first `count` rows of all processes, with their gradient."""
        if self.size == 1:
            return rows
        return _Gather.apply(rows.contiguous(), self)[:count]


class _Gather(torch.autograd.Function):
    """Gather the rows of all processes; sum the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        parts = [torch.empty_like(rows) for _ in range(ranks.size)]
        dist.all_gather(parts, rows, group=ranks.group)
        return torch.cat(parts)

    @staticmethod
    @once_differentiable  # a second derivative across processes is not supported
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient, group=ctx.ranks.group)
        return gradient.chunk(ctx.ranks.size)[ctx.ranks.rank], None
