"""Check the mixing frequencies of hybrid images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from collections.abc import Sequence


def frequencies(value: float | Sequence[float], name: str) -> list[float]:
    """Return mixing frequencies as a list of finite numbers, 0 or more."""
    found = np.atleast_1d(validate.real(value, name, kinds="fiu"))
    if found.ndim != 1 or found.size == 0:
        raise ValueError(
            f"{name}: got shape {found.shape}, expected a number or a sequence"
        )
    bad = found[~(np.isfinite(found) & (found >= 0.0))]
    if bad.size:
        raise ValueError(f"{name}: got {bad[0]}, expected finite numbers from 0 up")
    return [float(one) for one in found]
