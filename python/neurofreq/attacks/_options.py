"""Check the options of an attack's call, before any image is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import batches, calling
from neurofreq.attacks import _criterion

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from neurofreq._shared.inputs.validate import Array

TOLERANCE = 1e-6  # rounding after a resize or an undone normalization


@dataclass
class Options:
    """Options of `Attack.__call__` other than images and classes.

    After the checks, values have Python types, `judge` is the wrapped criterion, and
    starting images are clipped to [0, 1]. The call checks what depends on the images.
    """

    criterion: Callable[..., torch.Tensor] | None = None
    margin: float = 0.0
    min_probability: float = 0.0
    starting_points: Array | None = None
    candidates: Array | None = None
    seed: int = 0
    first_index: int = 0
    batch_size: int | None = None
    deterministic: bool = False
    channels_last: bool = False
    autocast: torch.dtype | None = None
    capture: bool | None = None
    trajectory: bool = False
    progress: bool = False
    epsilons: Any = None

    def __post_init__(self) -> None:
        """Check each option by itself."""
        self.batch_size = batches.check(self.batch_size)
        for name in ("deterministic", "channels_last", "trajectory", "progress"):
            setattr(self, name, validate.flag(name, getattr(self, name)))
        if self.capture is not None:
            self.capture = validate.flag("capture", self.capture)
        margin = self.margin = validate.number("margin", self.margin)
        validate.within("margin", margin, 0.0 <= margin < np.inf, "0 or more")
        least = validate.number("min_probability", self.min_probability)
        validate.within("min_probability", least, 0 <= least < 1, "[0, 1)")
        self.min_probability = least
        self.seed = validate.seed(self.seed)
        self.first_index = validate.seed(self.first_index, "first_index")
        self.judge = _criterion.criterion(self.criterion, self.first_index)
        calling.check_autocast(self.autocast)
        if self.starting_points is not None and self.candidates is not None:
            raise ValueError(
                "candidates: got both candidates and starting_points, expected one of "
                "the two"
            )
        if self.epsilons is not None:
            self.epsilons = validate.epsilons("epsilons", self.epsilons)
        for name in ("starting_points", "candidates"):
            if (points := getattr(self, name)) is not None:
                setattr(self, name, unit_images(points, name))


def unit_images(value: Array, name: str) -> Array:
    """Return checked images; clip values that are outside [0, 1] by rounding."""
    checked = validate.images(value, name)
    if isinstance(checked, torch.Tensor):
        checked = checked.detach()
    clipped = checked.clip(0.0, 1.0)
    excess = float(abs(checked - clipped).max())
    if excess > TOLERANCE:
        raise ValueError(
            f"{name}: got values out of [0, 1] by {excess:.3g}, "
            f"expected at most {TOLERANCE:g}"
        )
    return clipped


def classes(
    labels: Any, targets: Any, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Return checked labels and targets; raise if a target equals its label."""
    labels = validate.labels(labels, count=count)
    if targets is None:
        return labels, None
    targets = validate.labels(targets, "targets", count=count)
    same = np.flatnonzero(targets == labels)
    if same.size:
        at = int(same[0])
        raise ValueError(
            f"targets: got {targets[at]} for image {at}, its own label, "
            "expected another class"
        )
    return labels, targets
