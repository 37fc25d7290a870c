"""Check the type and layout of arrays and tensors, before their values.

Each check returns a plain array: no mask, no subclass, native byte order.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared.inputs.scalars import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray


def array(value: Any, name: str) -> Any:
    """Return a plain array or tensor; memory is shared where possible."""
    if isinstance(value, torch.Tensor):
        return tensor(value, name)
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{name}: got {type(value).__name__}, expected a NumPy array or tensor"
        )
    return host(value, name)


def layout(value: Any, name: str) -> None:
    """Require the shape (N, C, H, W), without empty axes, channels second.

    Channels count as last if the last axis has 1, 3 or 4 entries and the two axes
    before it have more than 4.
    """
    shape = tuple(value.shape)
    if len(shape) != 4:
        raise ValueError(f"{name}: got shape {shape}, expected (N, C, H, W)")
    if 0 in shape:
        raise ValueError(f"{name}: got shape {shape}, expected no empty axis")
    if shape[3] in (1, 3, 4) and min(shape[1:3]) > 4:
        raise ValueError(
            f"{name}: got shape {shape}, expected (N, C, H, W): move the channels to "
            "the second axis"
        )


def tensor(value: torch.Tensor, name: str) -> torch.Tensor:
    """Return a plain tensor; raise TypeError if it has no values in its own memory."""
    kind = type(value)
    if kind.__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        raise TypeError(
            f"{name}: got {kind.__name__}, a tensor that wraps others, expected a "
            "plain one, such as its full_tensor(), to_local() or dequantize() gives"
        )
    if value.is_nested or value.is_quantized or value.layout != torch.strided:
        form = "quantized" if value.is_quantized else str(value.layout).split(".")[-1]
        form = "nested" if value.is_nested else form
        raise TypeError(f"{name}: got a {form} tensor, expected a dense one")
    if value.device.type == "meta":
        raise TypeError(
            f"{name}: got a tensor on the meta device, which holds no values, expected "
            "a tensor with values"
        )
    if kind not in (torch.Tensor, torch.nn.Parameter):
        value = value.as_subclass(torch.Tensor)
    if not _has_memory(value):
        raise TypeError(
            f"{name}: got a tensor inside a transform of torch, which holds no values "
            "itself, expected a tensor with values"
        )
    return value.resolve_neg() if value.is_neg() else value


def host(value: Any, name: str) -> NDArray[Any]:
    """Return numbers of any kind as a plain NumPy array in native byte order."""
    if isinstance(value, torch.Tensor):
        plain = tensor(value, name).detach().cpu().resolve_conj()
        return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name}: got a masked array, whose masked values would be read, expected "
            "a plain one: fill it or leave the masked entries out"
        )
    try:
        found = np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        raise TypeError(
            f"{name}: got {shown(value)}, expected numbers of one rectangular shape"
        ) from None
    is_native = found.dtype.isnative
    return found if is_native else found.astype(found.dtype.newbyteorder("="))


def real(
    value: Any, name: str, dtype: Any = np.float64, *, kinds: str = "fiub"
) -> NDArray[Any]:
    """Return real numbers as an array of floats; bools become 0 and 1.

    Missing values of pandas become NaN. `kinds` are the accepted kinds of NumPy dtypes.
    """
    found = host(value, name)
    if found.dtype == object:
        found = _numbers(found)
    if found.size and found.dtype.kind not in kinds:
        raise TypeError(f"{name}: got dtype {found.dtype}, expected real numbers")
    return found.astype(dtype, copy=False)


def _numbers(found: NDArray[Any]) -> NDArray[Any]:
    """Return an object array as floats if all entries are numbers or missing."""
    values = [math.nan if type(x).__name__ == "NAType" else x for x in found.flat]
    if not all(isinstance(value, Real) for value in values):
        return found
    try:
        return np.array(values, dtype=np.float64).reshape(found.shape)
    except OverflowError:
        return found


def _has_memory(value: torch.Tensor) -> bool:
    """Return whether a tensor has memory of its own."""
    try:
        return value.data_ptr() != 0 or value.numel() == 0
    except RuntimeError:
        return False
