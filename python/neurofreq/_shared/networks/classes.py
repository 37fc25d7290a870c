"""Check that a model's outputs match the classes and labels of the images."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from neurofreq._neurofreq import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEWEST: Final = 50  # images: below this, accuracy is not compared with chance
_TAIL: Final = 0.025  # probability that guessing exceeds the bound
_REMEDY: Final = (
    "name all classes in the order of the model's outputs (class_names of an ImageSet, "
    "classes of open_folder, or one per line in classes.txt beside the folders)"
)


def check(
    n_outputs: int,
    labels: NDArray[np.int64],
    n_classes: int = 0,
    name: str | None = None,
    *,
    error: type[Exception] = ModelError,
) -> None:
    """Raise if a label has no output, and warn if outputs and classes differ in number.

    If the numbers differ, a label may stand for a different class in the model.
    `n_classes` is 0 if the data's class names are unknown.
    """
    fit(n_outputs, labels, n_classes, name, error=error)
    if n_classes not in (0, n_outputs):
        of = "" if name is None else f" of {name!r}"
        warnings.warn(
            f"model: got {n_outputs} outputs{of} for data of {n_classes} classes, "
            f"expected one for each class: {_REMEDY}",
            stacklevel=3,
        )


def fit(
    n_outputs: int,
    labels: NDArray[np.int64],
    n_classes: int = 0,
    name: str | None = None,
    *,
    error: type[Exception] = ModelError,
) -> None:
    """Raise `error` if a label has no output; the arguments are those of `check`."""
    highest = int(labels.max())
    if highest >= n_outputs:
        of = "" if name is None else f" from {name!r}"
        remedy = f": {_REMEDY}" if n_classes else ""
        raise error(
            f"model: got {n_outputs} classes{of}, expected at least {highest + 1} to "
            f"match the labels{remedy}"
        )


def tell_guessing(correct: NDArray[Any], n_outputs: int, name: str) -> None:
    """Warn if the accuracy is not above the 95 % interval of guessing.

    Fewer than 50 images, or a single class, give no warning.
    """
    n, n_right = len(correct), int(np.count_nonzero(correct))
    if n < _FEWEST or n_outputs < 2 or n_right > most_guessed(n, 1.0 / n_outputs):
        return
    warnings.warn(
        f"model: accuracy {100 * n_right / n:.1f} % of {n} images of {name!r} is that "
        f"of guessing among {n_outputs} classes: are the labels in the model's order, "
        "and is the model trained?",
        stacklevel=3,
    )


def most_guessed(n: int, chance: float) -> int:
    """Return the 97.5 % quantile of correct guesses among n images."""
    k = np.arange(n)
    odds = math.log(chance) - math.log1p(-chance)
    steps = np.log((n - k) / (k + 1.0)) + odds
    log_mass = n * math.log1p(-chance) + np.concatenate([[0.0], np.cumsum(steps)])
    return int(np.searchsorted(np.cumsum(np.exp(log_mass)), 1.0 - _TAIL))
