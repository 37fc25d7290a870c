"""The inputs of Figure 1: stimuli, a target, and the similarities in two networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from neurofreq import neural
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import features
from neurofreq.data import ImageSet

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray
    from torch import nn

N_STIMULI = 100  # if there is no recording


class Stimuli(NamedTuple):
    """Images (N, C, H, W) in float32, and the similarities of responses to them."""

    images: NDArray[np.float32]
    target: neural.Target


def simulated(images: ImageSet) -> Stimuli:
    """Return the first images in gray and their similarities in a simulated V1."""
    shown = images.take(min(N_STIMULI, len(images))).gray().load().images
    return Stimuli(shown, neural.v1_similarity(shown))


def recorded(path: str | os.PathLike[str]) -> Stimuli:
    """Read images and the recorded responses to them, or similarities of responses.

    The npz file has ``images``, uint8 or float in [0, 1], (N, H, W) or (N, C, H, W),
    and the arrays of `neural.Responses.save` or `neural.Target.save`. Neurons with
    constant responses are left out; the other neurons are weighted by reliability.
    Raises FileNotFoundError if the file does not exist, and ValueError if an array is
    missing or the numbers of images differ.
    """
    file = validate.npz(path, "neural")
    names = set(file)
    if "images" not in names or not names & {"trials", "similarity"}:
        raise ValueError(
            f"neural: got {', '.join(sorted(names))} in {path}, expected images, "
            "and trials (of Responses.save) or similarity (of Target.save)"
        )
    images = file["images"]
    if "similarity" in names:
        target = neural.Target.load(str(path))
    else:
        target = neural.Responses.from_npz(str(path)).active().similarity()
    images = images[:, None] if images.ndim == 3 else images
    if images.dtype == np.uint8:
        images = images.astype(np.float32) / 255
    if images.ndim != 4 or len(images) != len(target):
        raise ValueError(
            f"neural: got images of shape {images.shape} and {len(target)} in the "
            "responses, expected (N, C, H, W) or (N, H, W) of the same N"
        )
    return Stimuli(images.astype(np.float32), target)


def seen(images: NDArray[np.float32], like: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return stimuli with the size and the channels of the images `like`."""
    whole = ImageSet(images, np.zeros(len(images), np.int64), ("none",), "stimuli")
    gray = whole.gray().images if like.shape[1] == 1 else images
    pixels = torch.from_numpy(np.ascontiguousarray(gray))
    if pixels.shape[1] != like.shape[1]:
        pixels = pixels.expand(-1, like.shape[1], -1, -1)
    if pixels.shape[2:] != like.shape[2:]:
        pixels = torch.nn.functional.interpolate(pixels, like.shape[2:], mode="area")
    return np.ascontiguousarray(pixels.clamp(0.0, 1.0).numpy())


def space(model: nn.Module, images: NDArray[np.float32]) -> neural.Target:
    """Return the similarities of a network's features, averaged over its layers.

    The layers and their equal weights are those at the start of a regularizer's
    training. Raises ValueError if the layers are not known, see `features.stages`.
    """
    inner = features.unwrapped(model)
    layers = features.stages(inner, images)
    return neural.mean_target(
        [neural.teacher_similarity(inner, layer, images) for layer in layers]
    )
