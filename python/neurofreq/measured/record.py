"""The measurements of one model: raw values per image."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neurofreq._shared.files.storage import Arrays


@dataclasses.dataclass(frozen=True)
class Measured:
    """The finished measurements of one model.

    Attributes
    ----------
    name : str
        The model's label.
    group : str
        The group it is plotted in: "base", "adv", "crp", "blur", "pca", "neural",
        or any other word.
    arrays : mapping of str to dict of str to ndarray
        Per finished measurement, over the first images of the data:

        - "clean": ``correct`` (N,) bool.
        - "hybrid": ``frequency`` (F,) in units of Nyquist; ``difference`` (N, F),
          p_low - p_high of each low image; ``p_low``, ``p_high`` (F,).
        - "attack": ``distance`` (n,) Linf in units of [0, 1], infinite if none
          was found; ``success`` (n,) bool; ``status`` (n,) str; ``n_queries``
          (n,); ``targets`` (n,), -1 if untargeted; ``power`` (H, W), mean over images;
          ``radial`` (n, T), cumulative power; ``frequency`` (T,) in cycles/pixel;
          ``adversarial`` (6, C, H, W), the first images.
        - "corruption/NAME": ``correct`` (5, N) bool, per severity.
    is_gray : bool
        Whether it was shown gray versions of color images.
    is_random : bool
        Whether its weights are random weights of neurofreq, without training.
    """

    name: str
    group: str
    arrays: Mapping[str, Arrays]
    is_gray: bool = False
    is_random: bool = False

    @property
    def weights(self) -> str:
        """The word for its weights in tables: "random" or "given"."""
        return "random" if self.is_random else "given"

    @property
    def title(self) -> str:
        """Its name in figures, with a note if its weights are random."""
        return self.name + "\n(random weights)" * self.is_random
