"""Measure accuracy under common corruptions, made on the fly or read from a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import torch

from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.pixel import to_unit
from neurofreq._shared.networks import batches, classes, luma
from neurofreq._shared.progress import bar
from neurofreq.corruptions import _textures, grid, grouping
from neurofreq.corruptions._corrupt import CORRUPTIONS, PARAMETERS
from neurofreq.corruptions._kept import Kept
from neurofreq.corruptions.folder import SEVERITIES, CorruptedFolder
from neurofreq.corruptions.result import CLEAN, CorruptionAccuracy
from neurofreq.data import ImageFiles, ImageSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from neurofreq._shared.networks import calling
    from neurofreq.corruptions.grid import Part, Shown, Source

    Images = NDArray[Any] | torch.Tensor | ImageSet | CorruptedFolder | str
    Found = dict[str, dict[Part, NDArray[np.bool_]]]


@overload
def corruption_accuracy(
    model: Mapping[str, calling.Model],
    images: Images | os.PathLike[str],
    labels: Any = ...,
    *,
    clean: ImageSet | None = ...,
    corruptions: Sequence[str] | None = ...,
    severities: Sequence[int] = ...,
    seed: int = ...,
    parameters: Literal["auto", "cifar", "tinyimagenet", "imagenet"] = ...,
    textures: str | os.PathLike[str] | None = ...,
    gray: bool | Literal["auto"] = ...,
    batch_size: int | None = ...,
    device: torch.device | str | None = ...,
    out: str | os.PathLike[str] | None = ...,
    progress: bool = ...,
    level: float = ...,
) -> dict[str, CorruptionAccuracy]: ...


@overload
def corruption_accuracy(
    model: calling.Model,
    images: Images | os.PathLike[str],
    labels: Any = ...,
    *,
    clean: ImageSet | None = ...,
    corruptions: Sequence[str] | None = ...,
    severities: Sequence[int] = ...,
    seed: int = ...,
    parameters: Literal["auto", "cifar", "tinyimagenet", "imagenet"] = ...,
    textures: str | os.PathLike[str] | None = ...,
    gray: bool | Literal["auto"] = ...,
    batch_size: int | None = ...,
    device: torch.device | str | None = ...,
    out: str | os.PathLike[str] | None = ...,
    progress: bool = ...,
    level: float = ...,
) -> CorruptionAccuracy: ...


def corruption_accuracy(
    model: calling.Model | Mapping[str, calling.Model],
    images: Images | os.PathLike[str],
    labels: Any = None,
    *,
    clean: ImageSet | None = None,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    parameters: Literal["auto", "cifar", "tinyimagenet", "imagenet"] = "auto",
    textures: str | os.PathLike[str] | None = None,
    gray: bool | Literal["auto"] = "auto",
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = False,
    level: float = 0.95,
) -> CorruptionAccuracy | dict[str, CorruptionAccuracy]:
    """Measure accuracy under every corruption at every severity.

    Parameters
    ----------
    model : callable, or mapping of str to callable
        Maps images (n, C, H, W) in [0, 1] to logits. Each image is corrupted once and
        shown to all models. Models are not changed.
    images : ndarray, Tensor, ImageSet, CorruptedFolder or path
        Clean images, corrupted on the fly: an array or tensor of shape (N, C, H,
        W), uint8 or floats in [0, 1], or an `ImageSet`. Or corrupted images: a
        `CorruptedFolder`, or the path of such a folder.
    labels : array_like of int, shape (N,)
        Required for an array or tensor of images; not allowed otherwise.
    clean : ImageSet, optional
        Clean images for severity 0, if `images` is a folder of corrupted ones.
    corruptions : sequence of str, optional
        By default the 15 corruptions of the paper. With a folder, the default is all of
        these 15 that the folder holds.
    severities : sequence of int
        Distinct numbers from 1 to 5.
    seed, parameters, textures
        As in `corrupt`; not used with a folder.
    gray : bool or "auto"
        Whether models get the luma of color images, computed after the corruption. With
        "auto", a model gets luma if it refuses two of the images in color and accepts
        their luma.
    batch_size : int, optional
        Images per call of a model. It changes the run time, not the results. By default
        256 on the CPU, and on a CUDA device as many as half of its free memory holds,
        up to 1024.
    device : torch.device or str, optional
        Where batches are sent; by default the device of the model's parameters.
    out : path, optional
        A folder that keeps the results of each finished cell (one corruption at one
        severity). A run that was stopped continues: cells with the same model, images
        and settings are read, not measured. `studies.run` explains how models are
        identified.
    progress : bool
        Show a progress bar over images.
    level : float
        Coverage of the bootstrap intervals.

    Returns
    -------
    CorruptionAccuracy
        For a mapping of models, a dictionary with one result per model.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range, or images and labels do not fit.
    ModelError
        If a model returns anything but finite logits, or has fewer classes than the
        labels need. Finished cells stay in `out`.
    FileNotFoundError
        If a folder lacks a part of its layout.

    Warns
    -----
    UserWarning
        If the number of a model's outputs differs from the number of classes, or its
        accuracy is not better than guessing.

    Notes
    -----
    Corrupted uint8 images have 8 bits, as in the published benchmarks. Floats are not
    rounded. While a model processes one batch, another thread prepares the next
    batches.

    Differences from the paper: the paper reads the published corrupted images. If
    images are corrupted on the fly, random corruptions have the published distribution,
    but not the published random draws.

    References
    ----------
    Hendrycks & Dietterich 2019, arXiv 1903.12261; Li et al. 2023, Figs 2a, 2c,
    2e, 2g, 5b and 6b.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=32)
    >>> found = nf.corruption_accuracy(nf.models.small_cnn(), data, severities=[1, 5])
    >>> list(found.cells)
    ['corruption', 'severity', 'group', 'accuracy', 'low', 'high', 'n']
    >>> found.by_group["group"].tolist()
    ['low', 'medium', 'high']
    """
    models = model if isinstance(model, Mapping) else {"model": model}
    for one in models.values():
        validate.model(one)
    device = None if device is None else validate.device(device)
    source, shape, known = _source(images, labels, clean, (seed, parameters, textures))
    names = grouping.chosen(corruptions, known)
    level = validate.number("level", level)
    validate.within("level", level, 0.0 < level < 1.0, "between 0 and 1")
    batch_size = batches.check(batch_size)
    progress = validate.flag("progress", progress)
    gray = luma.wanted(gray)
    severities = _severities(severities)
    cells = [(name, s) for name in names for s in severities]
    if clean is not None or isinstance(source, grid.Corrupting):
        cells.insert(0, (CLEAN, 0))
    shown = {}
    for name, one in models.items():
        few = _few(source, cells[0])
        is_gray = luma.is_shown(name, one, few, shape[0], gray, device=device)
        shown[name] = grid.Shown(one, is_gray)
    parts = grid.parts(cells, source, int(np.prod(shape)))
    kept = None
    if out is not None:
        kept = Kept(validate.path("out", out), source)
        kept.identify(shown, parts[0], batch_size, device)
    found, outputs = _measure(parts, source, shown, kept, batch_size, device, progress)
    results = {name: _result(names, severities, found[name], level) for name in models}
    for name, n_outputs in outputs.items():
        classes.tell_guessing(_easiest(results[name]), n_outputs, name)
    return results if isinstance(model, Mapping) else results["model"]


def _source(
    images: Any, labels: Any, clean: ImageSet | None, made: tuple[int, str, Any]
) -> tuple[Source, tuple[int, ...], tuple[str, ...]]:
    """Return the source of images, the shape of one image, and the corruptions."""
    if isinstance(images, (str, os.PathLike)):
        images = CorruptedFolder(images)
    if not isinstance(images, (np.ndarray, torch.Tensor, ImageSet, CorruptedFolder)):
        raise TypeError(
            f"images: got {type(images).__name__}, expected an array, a tensor, an "
            "ImageSet, a CorruptedFolder or a path"
        )
    if isinstance(images, (np.ndarray, torch.Tensor)):
        images = ImageSet(*validate.labelled(images, labels), (), "images")
    elif labels is not None:
        raise ValueError("labels: got some, expected none: the images have their own")
    if isinstance(images, CorruptedFolder):
        shape = images.cell(images.names[0], images.severities[0]).images.shape[1:]
        if clean is not None and clean.images.shape[1:] != shape:
            raise ValueError(
                f"clean: got images of {clean.images.shape[1:]}, expected {shape}, as "
                "in the folder"
            )
        return grid.Reading(images, clean), shape, images.names
    if not isinstance(images.images, ImageFiles):
        stored = validate.labelled(images.images, images.labels)
        images = replace(images, images=stored[0], labels=stored[1])
    if clean is not None:
        raise ValueError("clean: got some, expected none: the images are clean")
    seed, parameters, textures = made
    validate.one_of("parameters", parameters, PARAMETERS)
    if textures is not None:
        _textures.digest(str(textures))  # raises if a texture is missing
    source = grid.Corrupting(images, validate.seed(seed), parameters, textures)
    return source, images.images.shape[1:], CORRUPTIONS


def _severities(severities: Sequence[int]) -> tuple[int, ...]:
    is_one = isinstance(severities, str) or not isinstance(severities, Iterable)
    each = () if is_one or getattr(severities, "ndim", 1) == 0 else severities
    found = tuple(validate.integer("severities", one) for one in each)
    if not found or len(set(found)) < len(found) or not set(found) <= set(SEVERITIES):
        raise ValueError(
            f"severities: got {validate.shown(severities)}, expected some of 1 to 5, "
            "each once"
        )
    return found


def _few(source: Source, cell: tuple[str, int]) -> NDArray[Any]:
    """Return up to two images of a cell, to try models on."""
    n = min(2, source.n_images(cell[0]))
    return to_unit(source.pixels(grid.Part(*cell, 0, n), 0, n))


def _measure(
    parts: list[Part],
    source: Source,
    shown: dict[str, Shown],
    kept: Kept | None,
    batch_size: int | None,
    device: Any,
    progress: bool,
) -> tuple[Found, dict[str, int]]:
    """Return correctness of every image, and the number of classes, for each model.

    Parts that are already in `kept` are read.
    """
    found: Found = {name: {} for name in shown}
    outputs: dict[str, int] = {}

    def note(name: str, n_outputs: int, part: Part) -> None:
        if name not in outputs:
            outputs[name] = n_outputs
            classes.check(n_outputs, source.labels(part), source.n_classes, name)

    work = []
    for part in parts:
        pending = []
        for name in shown:
            answers = kept.load(part, name) if kept else None
            if answers is None:
                pending.append(name)
            else:
                found[name][part] = answers["correct"]
                if "n_outputs" in answers:
                    note(name, int(answers["n_outputs"]), part)
        if pending:
            work.append((part, pending))
    total = sum(part.stop - part.start for part, names in work for _ in names)
    with bar(
        total=total, desc="corruptions", unit="image", progress=progress
    ) as advanced:

        def take(
            part: Part, name: str, correct: NDArray[np.bool_], n_outputs: int
        ) -> None:
            note(name, n_outputs, part)
            if kept:
                kept.save(part, name, correct, n_outputs)
            found[name][part] = correct
            advanced.update(len(correct))

        grid.judge(work, source, shown, take, batch_size=batch_size, device=device)
    return found, outputs


def _easiest(found: CorruptionAccuracy) -> NDArray[np.bool_]:
    """Return correctness of clean images, or else of the most accurate cell."""
    if found.clean is not None:
        return found.clean
    cells = found.correct.reshape(-1, found.correct.shape[2])
    return cells[cells.mean(axis=1).argmax()]


def _result(
    names: tuple[str, ...],
    severities: tuple[int, ...],
    found: dict[Part, NDArray[np.bool_]],
    level: float,
) -> CorruptionAccuracy:
    """Join the parts of every cell."""

    def cell(name: str, severity: int) -> NDArray[np.bool_]:
        parts = sorted(part for part in found if part[:2] == (name, severity))
        return np.concatenate([found[part] for part in parts])

    correct = np.stack([[cell(name, s) for s in severities] for name in names])
    has_clean = any(part.corruption == CLEAN for part in found)
    clean = cell(CLEAN, 0) if has_clean else None
    return CorruptionAccuracy(names, severities, correct, clean, level)
