"""Targets of the study "v1": similarities of 5000 photographs, shown in gray.

The photographs are those of four sessions of macaque V4 (4400) and of TinyImageNet
(600). V4 saw them whole. The mouse's predictor takes images of 16:9, so it gets the
middle of each. A network sees the part of an image that its target is about.
"""

from __future__ import annotations

import functools
import io
import zipfile
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image

import neurofreq as nf
from neurofreq import neural
from neurofreq._shared.inputs import pixel

if TYPE_CHECKING:
    from pathlib import Path

SESSIONS = ("190923", "201025", "210224", "210225")
N_PHOTOGRAPHS = 5000
WIDE = slice(14, 50)  # the rows of 36 x 64 in the middle of 64 x 64
WHOLE = 48  # side of a whole image with as many pixels as 36 x 64


class Towards(NamedTuple):
    """Target similarities, and their images, (N, 1, H, W).

    `sessions` (N,) is given if only similarities within a session are known.
    """

    target: neural.Target
    images: np.ndarray
    sessions: np.ndarray | None = None


class WithinSessions(nf.SimilarityRegularizer):
    """A regularizer that shows images of one session per step, in turn."""

    def __init__(self, *options, sessions: np.ndarray, **named) -> None:
        super().__init__(*options, all_pairs=True, **named)
        self.groups = [np.flatnonzero(sessions == s) for s in np.unique(sessions)]

    def drawn(self) -> list[torch.Tensor]:
        """Return the images of this step, without replacement within an order."""
        turn, which = divmod(self.count, len(self.groups))
        group, n = self.groups[which], 2 * self.n_pairs
        order, part = divmod(turn, len(group) // n)
        shown = np.random.default_rng((self.seed, which, order)).permutation(group)
        index = torch.from_numpy(shown[part * n : (part + 1) * n])
        return [index, index]


def scaled(images: np.ndarray | torch.Tensor, side: int = 32) -> np.ndarray:
    """Return images scaled to `side` by averaging, in [0, 1]."""
    pixels = torch.as_tensor(images).float()
    smaller = torch.nn.functional.interpolate(pixels, (side, side), mode="area")
    return smaller.clamp(0, 1).numpy()


def session(data: Path, name: str) -> np.ndarray:
    """Return the color images of a session of V4 in the order of the responses."""
    with zipfile.ZipFile(data / f"v4-recordings/images_{name}.zip") as archive:
        files = sorted(one for one in archive.namelist() if one.endswith(".jpg"))
        images = [Image.open(io.BytesIO(archive.read(one))) for one in files]
        pixels = np.stack([np.asarray(one.convert("RGB")) for one in images])
    return pixels.transpose(0, 3, 1, 2) / np.float32(255)


def batches(data: Path) -> list[np.ndarray]:
    """Return the color photographs in their original sizes, by source."""
    found = [session(data, name) for name in SESSIONS]
    n_left = N_PHOTOGRAPHS - sum(map(len, found))
    tiny = nf.data.open_tinyimagenet(data / "tiny/tiny-imagenet-50", split="train")
    chosen = tiny.sample(n_left, seed=0).load()
    return [*found, pixel.to_unit(np.asarray(chosen.images))]


@functools.cache
def photographs(data: Path, side: int = 64) -> np.ndarray:
    """Return the photographs in gray, (5000, 1, side, side)."""
    gray = [pixel.luma(torch.as_tensor(one)) for one in batches(data)]
    return np.concatenate([scaled(one, side) for one in gray])


def wide(data: Path) -> np.ndarray:
    """Return the middle of each photograph, (5000, 1, 36, 64)."""
    return np.ascontiguousarray(photographs(data)[:, :, WIDE])


def normalized(responses: np.ndarray) -> np.ndarray:
    """Return the weights that give each neuron the same variance over images."""
    return 1.0 / responses.std(axis=0, dtype=np.float64)


def v4_recorded(data: Path) -> Towards:
    """Return similarities of mean responses within sessions; all others are 0."""
    with np.load(data / "v4-recordings/responses.npz") as file:
        means = [file[f"mean_{name}"] for name in SESSIONS]
    counts = [len(one) for one in means]
    known, ends = np.zeros((sum(counts), sum(counts))), np.cumsum(counts)
    for one, end in zip(means, ends, strict=True):
        own = slice(end - len(one), end)
        known[own, own] = nf.response_similarity(one, weights=normalized(one))
    target = neural.Target(known, "recording", "macaque V4, 244 neurons, 4 sessions")
    whole = photographs(data, WHOLE)[: sum(counts)]
    return Towards(target, whole, np.repeat(np.arange(len(counts)), counts))


def v4_predicted(data: Path) -> neural.Target:
    """Return the similarity of the predicted responses of 219 V4 neurons, in color."""
    predictor = neural.load_predictor(
        "v4-compact", data / "v4-model/v4_shared_compact_200.pth"
    )
    rows = np.concatenate([predictor.predict(one) for one in batches(data)])
    similarity = nf.response_similarity(rows, weights=normalized(rows))
    return neural.Target(similarity, predictor.source, predictor.name)


def mouse_predicted(data: Path) -> neural.Target:
    """Return the similarity of the predicted responses of 7776 mouse V1 neurons."""
    predictor = neural.load_predictor(
        "sensorium", data / "mouse-v1-model/sensorium_sota_model.pth"
    )
    return neural.neural_similarity(predictor, wide(data))


def towards(condition: str, data: Path, work: Path) -> Towards:
    """Return the similarities that a condition trains towards; the slow are kept."""
    if condition == "v4-recorded":
        return v4_recorded(data)
    if condition == "shuffled":
        target, images, _ = towards("mouse", data, work)
        return Towards(target.shuffled(seed=0), images)
    if condition == "pixel":
        return Towards(neural.pixel_similarity(wide(data)), wide(data))
    makers = {
        "mouse": (lambda: mouse_predicted(data), lambda: wide(data)),
        "v4-predicted": (
            lambda: v4_predicted(data),
            lambda: photographs(data, WHOLE),
        ),
        "simulated": (lambda: neural.v1_similarity(wide(data)), lambda: wide(data)),
    }
    make, show = makers[condition]
    kept = work / f"target-{condition}.npz"
    if not kept.exists():
        make().save(kept)
    return Towards(neural.Target.load(kept), show())
