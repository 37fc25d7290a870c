"""What was measured of one model, as raw values per image."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Measured:
    """The measurements of one model.

    Attributes
    ----------
    name : str
    group : str
        ``base``, ``adv``, ``crp``, ``blur``, ``pca`` or ``neural``.
    arrays : mapping of str to dict of str to ndarray
        Per measurement ("clean", "hybrid", "attack", "corruption/NAME") its
        arrays, as ``neurofreq.report`` measures them.
    """

    name: str
    group: str
    arrays: Mapping[str, dict[str, NDArray[Any]]]
