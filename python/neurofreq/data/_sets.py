"""Images with labels: in memory, memory-mapped, or decoded where indexed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared.files import storage
from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.pixel import luma, to_unit
from neurofreq.data._files import ImageFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageSet:
    """Images and their labels.

    Parameters
    ----------
    images : ndarray, Tensor or ImageFiles, shape (N, C, H, W)
        uint8 from 0 to 255, or float32 or float64 in [0, 1].
    labels : array_like of int, shape (N,)
        Places in the list of all classes of the model that is measured. A pandas
        Series is read by position, whatever its index. Strings, also of a pandas
        Categorical, are looked up in `class_names`.
    class_names : sequence of str
        All classes in the order of the model's outputs, also those without an image;
        empty where they have no names.
    name : str
        For tables and captions.

    Attributes
    ----------
    images : ndarray or ImageFiles, shape (N, C, H, W)
        float32 in [0, 1] from `load_data`. From `open_data` also uint8 from 0
        to 255, and then perhaps a memory map or files.
    labels : ndarray of int64, shape (N,)
    class_names : tuple of str
    name : str

    Raises
    ------
    TypeError
        If `images` are none of these or of another dtype, labels are not integers, or
        a name is no string.
    ValueError
        If images have another rank, channels on the last axis, values out of range or
        masked ones, there are more or fewer labels than images, a label is negative or
        has no name, or a name is there twice.
    """

    images: Any
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        """Check what was given, and hold it as arrays."""
        if not isinstance(self.name, str):
            kind = type(self.name).__name__
            raise TypeError(f"name: got {kind}, expected a string")
        names = validate.distinct("class_names", self.class_names)
        images = _checked(self.images)
        labels = validate.labels(_numbers(self.labels, names), count=len(images))
        if names and labels.size and labels.max() >= len(names):
            raise ValueError(
                f"labels: got label {labels.max()}, expected a name for every class, "
                f"got {len(names)} class_names"
            )
        for attribute, value in (
            ("images", images), ("labels", labels), ("class_names", names),
        ):  # fmt: skip
            object.__setattr__(self, attribute, value)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], np.int64]:
        """Return one image (C, H, W) in [0, 1] and its label, as a data set does."""
        return to_unit(self.images[index]), self.labels[index]

    def take(
        self, which: int | Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]
    ) -> ImageSet:
        """Return the first n images, or those of indices from 0 up or of a mask.

        Raises
        ------
        TypeError, ValueError
            If it is none of these, or there are fewer images.
        """
        if np.ndim(which) == 0:
            index = np.arange(self._count(which))
        else:
            index = validate.index("which", which, len(self))
        return replace(
            self, images=self.images.take(index, axis=0), labels=self.labels[index]
        )

    def sample(self, n: int, *, seed: int = 0) -> ImageSet:
        """Return n images drawn once without replacement, in their old order.

        The first n of a set that is sorted by class would be of few classes.

        Raises
        ------
        TypeError, ValueError
            If n is no integer, or there are fewer images.
        """
        drawn = np.random.default_rng(validate.seed(seed)).permutation(len(self))
        drawn = drawn[: self._count(n)]
        return self.take(np.sort(drawn))

    def gray(self) -> ImageSet:
        """Return the luma of colour images, shape (N, 1, H, W); gray as it is."""
        if self.images.shape[1] == 1:
            return self
        is_lazy = isinstance(self.images, ImageFiles)
        images = self.images.gray() if is_lazy else luma(to_unit(self.images))
        return replace(self, images=images, name=f"{self.name}, gray")

    def digest(self) -> str:
        """Return the SHA-256 of images and labels; of files, names and contents."""
        is_lazy = isinstance(self.images, ImageFiles)
        images = self.images.digest() if is_lazy else self.images
        return storage.data_digest(images, self.labels)

    def load(self) -> ImageSet:
        """Return the set with its images as floats in memory."""
        return replace(self, images=to_unit(np.asarray(self.images)))

    def _count(self, n: Any) -> int:
        """Return a number of images that there are."""
        n = validate.integer("n", n)
        if not 1 <= n <= len(self):
            raise ValueError(f"n: got {n}, expected 1 to {len(self)}")
        return n


def _checked(images: Any) -> Any:
    """Return images as an array or as files, in bytes or in floats of [0, 1]."""
    if isinstance(images, ImageFiles):
        return images
    images = validate.stored(images)
    if images.ndim == 4 and not len(images):
        return images
    validate.layout(images, "images")
    if images.dtype != np.uint8:
        validate.images(images, unit_range=True)
    return images


def _numbers(labels: Any, names: tuple[str, ...]) -> Any:
    """Return labels as they are; of strings, their places among the names."""
    if isinstance(labels, torch.Tensor):
        return labels
    values = validate.host(labels, "labels")
    if values.ndim != 1 or not values.size or not isinstance(values[0], str):
        return labels
    place = {name: label for label, name in enumerate(names)}
    unknown = next((str(value) for value in values if value not in place), None)
    if unknown is not None:
        known = f"some of the {len(names)} class_names" if names else "class_names too"
        raise ValueError(f"labels: got {unknown!r}, expected integers, or {known}")
    return np.array([place[value] for value in values])
