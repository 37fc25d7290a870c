"""The colormaps of maps."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from neurofreq._shared.inputs import validate

CMAP = "viridis"
"""The default colormap of maps, perceptually uniform and readable without color."""
PAPER_CMAP = "jet"
"""The colormap of spectra in the paper."""


def known_cmap(value: Any, name: str = "cmap") -> str:
    """Return the name of a colormap; raise ValueError if there is no such one."""
    from matplotlib import colormaps

    text = validate.text(name, value)
    if text not in colormaps:
        near = get_close_matches(text, list(colormaps), n=1)
        hint = f"; nearest is {near[0]!r}" if near else ""
        raise ValueError(
            f"{name}: got {text!r}, expected a colormap of matplotlib, such as "
            f"{CMAP!r}, or {PAPER_CMAP!r} as in the paper{hint}"
        )
    return text
