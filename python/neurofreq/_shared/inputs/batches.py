"""Take images and labels out of what data sets and loaders give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurofreq._shared.inputs import validate

IMAGES, LABELS = ("images", "image", "img", "pixel_values"), ("labels", "label")


def pair(batch: Any, name: str) -> tuple[Any, Any]:
    """Return images and labels of a batch, or of one item of a data set.

    Accepts a pair, a triple whose third part is ignored, and a mapping. Raises
    TypeError for anything else, and ValueError for a mapping without the keys. `name`
    is the caller's name of the argument.
    """
    if isinstance(batch, Mapping):
        found = []
        for known in (IMAGES, LABELS):
            keys = [key for key in known if key in batch]
            if len(keys) != 1:
                raise ValueError(
                    f"{name}: got a batch with the keys {list(batch)}, expected one of "
                    f"{', '.join(map(repr, known))}"
                )
            found.append(batch[keys[0]])
        return found[0], found[1]
    if isinstance(batch, (tuple, list)) and len(batch) in (2, 3):
        return batch[0], batch[1]
    raise TypeError(
        f"{name}: got a batch of {validate.shown(batch)}, expected (images, "
        "labels), (images, labels, index) or a mapping"
    )
