"""The class of bad values, and functions that make a bad value from a good value.

A kind is a word such as "images" or "count". A bad value is made from the good value
of the same call, so that the two values differ in one respect only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

TYPE, VALUE = (TypeError,), (ValueError,)
EITHER = (TypeError, ValueError)
MODEL = (TypeError, ValueError, RuntimeError)  # nf.ModelError is a RuntimeError
FILE = (OSError, ValueError)


@dataclass(frozen=True)
class Bad:
    """One bad value.

    Parameters
    ----------
    name : str
        A description of the value, for error messages.
    make : callable
        Takes the good value and returns the bad value.
    error : tuple of exception classes
    word : str, optional
        A word that the message must contain in addition to the name of the parameter.
    """

    name: str
    make: Callable[[Any], Any]
    error: tuple[type[Exception], ...] = EITHER
    word: str = ""


class Wrapper(torch.Tensor):
    """A tensor that wraps another tensor and has no memory itself, like DTensor."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, device=inner.device
        )

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        # Torch's own wrappers raise this error for an operation that they lack.
        raise NotImplementedError(f"{function} of a wrapper")


def always(value: Any) -> Callable[[Any], Any]:
    return lambda good: value


def host(good: Any) -> np.ndarray:
    """Return a good array or tensor as a new NumPy array."""
    if isinstance(good, torch.Tensor):
        return good.detach().numpy().copy()
    return np.array(good)


def with_first(value: Any) -> Callable[[Any], np.ndarray]:
    """Return a function that replaces the first element of a good array."""

    def make(good: Any) -> np.ndarray:
        array = host(good)
        array[(0,) * array.ndim] = value
        return array

    return make


def tensor(good: Any) -> torch.Tensor:
    return torch.tensor(host(good))


def masked(good: Any) -> np.ma.MaskedArray:
    array = np.ma.array(host(good))
    array[(0,) * array.ndim] = np.ma.masked
    return array


def nested(good: Any) -> torch.Tensor:
    return torch.nested.nested_tensor([tensor(good)] * 2, layout=torch.jagged)


def of_records(good: Any) -> np.ndarray:
    return host(good).view([("value", host(good).dtype)])


def frozen(value: Any) -> Any:
    """Return the content of a value, to compare it before and after a call."""
    if isinstance(value, np.ma.MaskedArray):
        return frozen(value.data), frozen(np.ma.getmaskarray(value))
    if isinstance(value, np.ndarray):
        content = value.tolist() if value.dtype == object else value.tobytes()
        return value.dtype.str, value.shape, value.strides, repr(content)
    if isinstance(value, torch.Tensor):
        is_plain = type(value) is torch.Tensor and value.layout == torch.strided
        if not is_plain or value.device.type == "meta" or value.is_quantized:
            return type(value), tuple(value.shape) if not value.is_nested else None
        whole = value.detach()
        whole = whole.float() if whole.dtype == torch.bfloat16 else whole
        return value.dtype, value.requires_grad, frozen(whole.numpy())
    if isinstance(value, torch.nn.Module):
        modes = [module.training for module in value.modules()]
        hooks = [len(module._forward_hooks) for module in value.modules()]
        return modes, hooks, frozen(dict(value.state_dict()))
    if isinstance(value, dict):
        return {name: frozen(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [frozen(one) for one in value]
    return None


def without(kind: tuple[Bad, ...], *words: str) -> tuple[Bad, ...]:
    """Return a kind without the values whose names contain one of the words."""
    return tuple(bad for bad in kind if not any(word in bad.name for word in words))
