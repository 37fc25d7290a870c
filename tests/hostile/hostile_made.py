"""Made-up arguments, and the table `CALLS` that the modules `hostile_calls_*` fill.

``folder`` is an empty folder for one call. Each call gets new arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

import neurofreq as nf
from neurofreq import data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Call:
    """A function, its good arguments, and the kind of each argument.

    Parameters
    ----------
    name : str
        The name that a user writes, without ``nf.``.
    function : callable
    good : callable
        Takes a folder and returns the arguments by name.
    kinds : dict of str to str
        The kind, from `hostile_values.KINDS`, of each argument that is tested.
    words : dict of str to str
        The word for an argument in the message, if it is not the argument's name.
    """

    name: str
    function: Callable[..., Any]
    good: Callable[[Path], dict[str, Any]]
    kinds: dict[str, str]
    words: dict[str, str]


def images(n: int = 6, channels: int = 3, side: int = 16) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.random((n, channels, side, side), dtype=np.float32)


def labels(n: int = 6) -> np.ndarray:
    return np.arange(n) % 3


def network(channels: int = 3, side: int = 16, n_classes: int = 3) -> nn.Module:
    """Return a small network whose convolution is called "0"."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng([]):
        layers = nn.Sequential(
            nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4),
            nn.Flatten(), nn.Linear(4 * (side // 4) ** 2, n_classes),
        )  # fmt: skip
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layers.eval()


def image_set(n: int = 6, channels: int = 3, side: int = 16) -> data.ImageSet:
    names = ("cat", "dog", "fox")
    return data.ImageSet(images(n, channels, side), labels(n), names, "made up")


def responses(n: int = 6, k: int = 12) -> np.ndarray:
    return np.random.default_rng(1).random((n, k))


def trials(n: int = 6) -> np.ndarray:
    return np.random.default_rng(2).random((4, n, 5))


def similarity(n: int = 6) -> np.ndarray:
    return nf.response_similarity(responses(n))


def features() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).normal(size=(6, 4, 3, 3)))


CALLS: list[Call] = []


def call(
    name: str,
    function: Callable[..., Any],
    good: Callable[[Path], dict[str, Any]],
    /,
    words: dict[str, str] | None = None,
    **kinds: str,
) -> None:
    CALLS.append(Call(name, function, good, kinds, words or {}))


def settings(
    name: str, function: Callable[..., Any], good: dict, /, **kinds: str
) -> None:
    """Add a class or function that takes only settings, with good settings."""
    call(name, function, lambda folder: dict(good), **kinds)
