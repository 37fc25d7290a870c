"""Run models on corrupted images, which are made in the background.

A cell is one corruption at one severity; the clean images are a cell of severity 0.
`corruption_accuracy` and the report use this loop.
"""

from __future__ import annotations

import dataclasses
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch

from neurofreq import corruptions
from neurofreq._shared.inputs import pixel
from neurofreq._shared.networks import batches, calling, classes
from neurofreq._shared.networks.predicted import Predicted
from neurofreq.corruptions import _textures
from neurofreq.corruptions._ahead import ahead
from neurofreq.corruptions.result import CLEAN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from neurofreq.corruptions.folder import CorruptedFolder
    from neurofreq.data import ImageSet

# Limits of a part. Results are saved part by part, and the clean images of one part are
# held in memory.
_PART_IMAGES = 10_000
_PART_BYTES = 2**29


class Part(NamedTuple):
    """Rows start to stop of one corruption at one severity."""

    corruption: str
    severity: int
    start: int
    stop: int


@dataclasses.dataclass(frozen=True)
class Shown:
    """A model, and whether it gets the luma of the images."""

    model: Any
    is_gray: bool = False


class Source(Protocol):
    """A source of corrupted images; only one thread calls `pixels`."""

    n_classes: int
    """Number of classes of the labels; 0 if the classes have no names."""

    def n_images(self, name: str) -> int:
        """Return the number of images of a cell."""

    def pixels(self, part: Part, start: int, stop: int) -> NDArray[Any]:
        """Return some images of a part, (n, C, H, W), uint8 or floats in [0, 1]."""

    def labels(self, part: Part) -> NDArray[np.int64]:
        """Return the labels of a part."""

    def record(self, part: Part) -> dict[str, Any]:
        """Return everything that decides the images of a part, as JSON values."""

    def some(self) -> Any:
        """Return images for fingerprints of models, equal for every measurement."""


class Corrupting:
    """Cells that are made from clean images on demand."""

    def __init__(
        self, data: ImageSet, seed: int, parameters: Any = "auto", textures: Any = None
    ) -> None:
        self.data, self.seed, self.parameters = data, seed, parameters
        self.textures = textures
        self.n_classes = len(data.class_names)
        self._held: tuple[tuple[int, int], NDArray[Any]] | None = None
        self._digests: dict[tuple[int, int], str] = {}

    def n_images(self, name: str) -> int:
        """Return the number of images, the same in every cell."""
        return len(self.data)

    def pixels(self, part: Part, start: int, stop: int) -> NDArray[Any]:
        """Corrupt some images of a part."""
        rows = part[2:]
        if self._held is None or self._held[0] != rows:
            self._held = rows, np.asarray(self.data.images[slice(*rows)])
        images = self._held[1][start - part.start : stop - part.start]
        if part.corruption == CLEAN:
            return images
        return corruptions.corrupt(
            images,
            part.corruption,
            part.severity,
            seed=self.seed,
            layout="nchw",
            parameters=self.parameters,
            first_index=start,
            textures=self.textures,
        )

    def labels(self, part: Part) -> NDArray[np.int64]:
        """Return the labels of a part."""
        return self.data.labels[part.start : part.stop]

    def record(self, part: Part) -> dict[str, Any]:
        """Return everything that decides the images of a part."""
        rows = (part.start, part.stop)
        if rows not in self._digests:
            self._digests[rows] = self.data.take(np.arange(*rows)).digest()
        made = {"seed": self.seed, "parameters": self.parameters}
        if part.corruption == "frost" and self.textures is not None:
            made["textures"] = _textures.digest(str(self.textures))
        return {"data": self._digests[rows]} | (
            {} if part.corruption == CLEAN else made
        )

    def some(self) -> Any:
        """Return the clean images."""
        return self.data.images


class Reading:
    """Cells that are read from a benchmark folder, with optional clean images."""

    def __init__(self, folder: CorruptedFolder, clean: ImageSet | None) -> None:
        self.folder, self.clean = folder, clean
        self.n_classes = len(folder.class_names)

    def n_images(self, name: str) -> int:
        """Return the number of images of a cell."""
        return len(self.clean if name == CLEAN and self.clean else self.folder)

    def pixels(self, part: Part, start: int, stop: int) -> NDArray[Any]:
        """Read some images of a part."""
        return np.asarray(self._cell(part).images[start:stop])

    def labels(self, part: Part) -> NDArray[np.int64]:
        """Return the labels of a part."""
        labels = self.folder.labels
        if part.corruption == CLEAN and self.clean is not None:
            labels = self.clean.labels
        return labels[part.start : part.stop]

    def record(self, part: Part) -> dict[str, Any]:
        """Return everything that decides the images of a part."""
        rows = np.arange(part.start, part.stop)
        return {"data": self._cell(part).take(rows).digest()}

    def some(self) -> Any:
        """Return the first cell of the folder."""
        folder = self.folder
        return folder.cell(folder.names[0], folder.severities[0]).images

    def _cell(self, part: Part) -> ImageSet:
        if part.corruption == CLEAN and self.clean is not None:
            return self.clean
        return self.folder.cell(part.corruption, part.severity)


def parts(
    cells: Sequence[tuple[str, int]], source: Source, image_bytes: int
) -> list[Part]:
    """Split cells into parts, and sort the parts by their first row.

    In this order, the clean images of some rows are decoded once for all cells.
    """
    size = max(1, min(_PART_IMAGES, _PART_BYTES // image_bytes))
    found = [
        Part(name, severity, start, min(start + size, source.n_images(name)))
        for name, severity in cells
        for start in range(0, source.n_images(name), size)
    ]
    return sorted(found, key=lambda part: part.start)


def judge(
    work: Sequence[tuple[Part, Sequence[str]]],
    source: Source,
    models: Mapping[str, Shown],
    take: Callable[[Part, str, NDArray[np.bool_], int], object],
    *,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
) -> None:
    """Measure which images each model classifies correctly, part by part.

    `take` is called for each finished part and model, with the part, the model's name,
    correctness (stop - start,) and the model's number of classes. `take` is a callback
    because a generator would turn a StopIteration that a model raises into another
    exception. Raises ModelError for wrong logits or too few classes.
    """

    def make(request: tuple[Part, Sequence[str], int, int]) -> dict[bool, Any]:
        part, names, start, stop = request
        images = pixel.to_unit(source.pixels(part, start, stop))
        kinds = {models[name].is_gray for name in names}
        return {is_gray: pixel.luma(images) if is_gray else images for is_gray in kinds}

    asked = _Asked(models, device)
    size = batch_size or (asked.size(work[0][1], make, work[0][0]) if work else 1)
    requests = [
        (part, names, start, min(start + size, part.stop))
        for part, names in work
        for start in range(part.start, part.stop, size)
    ]
    found: dict[str, Predicted] = {}
    with closing(ahead(make, requests)) as made:
        for (part, names, start, stop), images in zip(requests, made, strict=True):
            labels = source.labels(part)
            for name in names:
                batch = images[models[name].is_gray]
                logits = asked.logits(name, batch)
                found.setdefault(name, Predicted()).add(logits, len(batch))
                if start == part.start:
                    classes.fit(logits.shape[1], labels, name=name)
                if stop == part.stop:
                    correct = np.concatenate(found.pop(name).read()) == labels
                    take(part, name, correct, logits.shape[1])


class _Asked:
    """Models on their devices; each is tried when it gets its first images."""

    def __init__(self, models: Mapping[str, Shown], device: Any) -> None:
        self._models, self._device = models, device
        self._tried: dict[str, calling.Classifier] = {}

    def logits(self, name: str, images: NDArray[Any]) -> torch.Tensor:
        """Return the logits of a batch."""
        ask = self._ask(name, images)
        with calling.evaluating(ask.model), torch.no_grad():
            return ask(self._placed(name, images))

    def size(
        self, names: Sequence[str], make: Callable[..., dict[bool, Any]], part: Part
    ) -> int:
        """Choose a batch size that suits all models, from one image of a part."""
        on_gpu = [name for name in names if self._place(name).type == "cuda"]
        if not on_gpu:  # other devices need no trial
            return batches.HOST[False]
        sizes, images = [], make((part, on_gpu, part.start, part.start + 1))
        for name in on_gpu:
            image = images[self._models[name].is_gray]
            ask = self._ask(name, image)
            with calling.evaluating(ask.model):
                sizes.append(batches.chosen(None, ask, self._placed(name, image)))
        return min(sizes)

    def _ask(self, name: str, images: NDArray[Any]) -> calling.Classifier:
        if name not in self._tried:
            model = self._models[name].model
            self._tried[name] = calling.tried(
                model, images, device=self._device, made=True
            )
        return self._tried[name]

    def _place(self, name: str) -> torch.device:
        if self._device is not None:
            return torch.device(self._device)
        return calling.device_of(self._models[name].model)

    def _placed(self, name: str, images: NDArray[Any]) -> torch.Tensor:
        return calling.to_tensor(images, self._place(name))
