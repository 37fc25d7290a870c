"""Count the operators of a call, and those whose results the host waits for."""

from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode

VIEWS = frozenset((
    "view", "_unsafe_view", "reshape", "expand", "transpose", "t", "permute", "select",
    "slice", "unsqueeze", "squeeze", "detach", "alias", "diagonal", "as_strided",
    "split", "split_with_sizes", "unbind", "view_as", "_reshape_alias", "lift_fresh",
    "scalar_tensor", "_record_function_enter_new", "_record_function_exit", "empty",
    "empty_like", "empty_strided",
))  # fmt: skip
"""Operators that start no kernel: views, memory, and constants of the host."""
WAITS = frozenset({"_local_scalar_dense", "nonzero", "equal", "is_nonzero", "item"})


class Count(TorchDispatchMode):
    """Count operators by name while active, those of backward passes too."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))

    @property
    def launches(self):
        """The number of operators that start a kernel, or several."""
        return sum(n for name, n in self.names.items() if name not in VIEWS)

    @property
    def waits(self):
        return {name: n for name, n in self.names.items() if name in WAITS}


class Reads:
    """Count calls that give values of tensors to Python; on a GPU, each one waits."""

    NAMES = ("item", "tolist", "__bool__", "__int__", "__float__", "cpu", "numpy")

    def __init__(self, monkeypatch):
        self.names = Counter()
        for name in self.NAMES:
            monkeypatch.setattr(torch.Tensor, name, self._counted(name))

    def _counted(self, name):
        read = getattr(torch.Tensor, name)

        def counted(tensor, *args, **kwargs):
            self.names[name] += 1
            return read(tensor, *args, **kwargs)

        return counted
