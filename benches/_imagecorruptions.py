"""Load the package imagecorruptions 1.1.2, adapted to current libraries.

Install it beside neurofreq: pip install imagecorruptions==1.1.2 scikit-image
opencv-python-headless. Adapted are `np.float_`, `scipy.ndimage.interpolation`,
`pkg_resources`, and the keyword `multichannel` of `skimage.filters.gaussian`.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import skimage.filters


def _module(name: str, **contents: Any) -> None:
    module = types.ModuleType(name)
    for key, value in contents.items():
        setattr(module, key, value)
    sys.modules[name] = module


def _resource(_: str, path: str) -> str:
    spec = importlib.util.find_spec("imagecorruptions")
    return str(Path(str(spec and spec.origin)).parent / path)


def _gaussian(
    image: Any, sigma: Any, *, multichannel: bool = False, **rest: Any
) -> Any:
    axis = -1 if multichannel else None
    return skimage.filters.gaussian(image, sigma=sigma, channel_axis=axis, **rest)


vars(np)["float_"] = np.float64
_module("scipy.ndimage.interpolation", map_coordinates=scipy.ndimage.map_coordinates)
_module("pkg_resources", resource_filename=_resource)

import imagecorruptions.corruptions  # noqa: E402

imagecorruptions.corruptions.gaussian = _gaussian


def corrupt(image: np.ndarray, name: str, severity: int) -> np.ndarray:
    """Corrupt one uint8 image (H, W, 3)."""
    return imagecorruptions.corrupt(image, corruption_name=name, severity=severity)
