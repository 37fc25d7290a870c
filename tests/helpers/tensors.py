"""A tensor without memory, and a network."""

import torch
from torch.utils._pytree import tree_map


class Wrapper(torch.Tensor):
    """A tensor without its own memory, like DTensor."""

    @staticmethod
    def __new__(cls, inner):
        made = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        def inner(value):
            return value.inner if isinstance(value, Wrapper) else value

        def outer(value):
            return Wrapper(value) if isinstance(value, torch.Tensor) else value

        found = func(*tree_map(inner, args), **tree_map(inner, kwargs or {}))
        return tree_map(outer, found)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 4))
