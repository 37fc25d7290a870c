"""Learning rates by step and epoch, and the falls of a plateau."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neurofreq.training._recipe import Recipe


def rate(recipe: Recipe, step: int, epoch: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step, without the falls of a plateau.

    `step` counts from the start of training; step and epoch count from 0.
    """
    if recipe.schedule == "triangle":
        return recipe.lr * triangle(step, recipe.epochs * steps_per_epoch)
    if recipe.schedule == "cosine":
        share = step / (recipe.epochs * steps_per_epoch)
        return recipe.lr * 0.5 * (1.0 + math.cos(math.pi * share))
    if recipe.schedule == "cyclic":
        phase = epoch // recipe.phase_epochs % recipe.n_phases
        return recipe.lr * recipe.factor**phase
    return recipe.lr


def triangle(step: int, n_steps: int) -> float:
    """Return the fraction of the peak rate; it rises for a tenth of the steps."""
    rise = max(1, n_steps // 10)
    return min((step + 1) / rise, (n_steps - step) / max(1, n_steps - rise))


@dataclass
class Progress:
    """The best epoch so far, and how often the learning rate fell.

    `best` is the validation score of the best epoch (larger is better; -inf before the
    first epoch). `best_epoch` counts from 1 (0 before the first epoch). `since` is the
    number of epochs since the best epoch or the last fall.
    """

    best: float = field(default=float("-inf"))
    best_epoch: int = 0
    since: int = 0
    falls: int = 0

    def note(self, epoch: int, score: float) -> bool:
        """Record an epoch's score; return whether it is the best so far."""
        if score > self.best:
            self.best, self.best_epoch, self.since = score, epoch, 0
            return True
        self.since += 1
        return False

    def falls_now(self, patience: int) -> bool:
        """Return whether patience has run out; if it has, count a fall."""
        if self.since < patience:
            return False
        self.since = 0
        self.falls += 1
        return True
