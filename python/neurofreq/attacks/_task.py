"""The arguments of an attack's call, as Rust reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


@dataclass(frozen=True)
class Task:
    """The checked arguments of one call."""

    images: torch.Tensor
    labels: list[int]
    targets: list[int] | None
    is_custom: bool
    margin: float
    probability: float
    norm: str
    source: str
    points: torch.Tensor | None
    n_starts: int
    n_surveyed: int
    n_bisections: int
    seed: int
    indices: list[int]
    batch_size: int
    is_deterministic: bool
    is_queued: bool


@dataclass(frozen=True)
class Callables:
    """The functions that Rust calls."""

    model: Any
    criterion: Any
    queries: Callable[..., Any] | None
    advance: Callable[[int], object]
