"""Hold images with labels: in memory, memory-mapped, or decoded when indexed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared import results
from neurofreq._shared.files import storage
from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.pixel import luma, to_unit
from neurofreq._shared.progress import bar
from neurofreq._shared.results import Result
from neurofreq.data._files import ImageFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_N_DRAWN = 16
_AT_ONCE = 256  # files decoded between two steps of a bar


@dataclass(frozen=True, repr=False)
class ImageSet(Result):
    """Images and their labels.

    Parameters
    ----------
    images : ndarray, Tensor or ImageFiles, shape (N, C, H, W)
        uint8 from 0 to 255, or float32 or float64 in [0, 1].
    labels : array_like of int, shape (N,)
        Positions in the list of all classes of the measured model. A pandas Series is
        read by position; its index is ignored. Strings, including a pandas Categorical,
        are looked up in `class_names`.
    class_names : sequence of str
        All classes in the order of the model's outputs, including classes without an
        image. Empty if the classes have no names.
    name : str
        For tables and captions.

    Attributes
    ----------
    images : ndarray or ImageFiles, shape (N, C, H, W)
        `load_data` gives float32 in [0, 1]. `open_data` may also give uint8 from 0 to
        255, as an array, a memory map or files.
    labels : ndarray of int64, shape (N,)
    class_names : tuple of str
    name : str

    Raises
    ------
    TypeError
        If `images` have another type or dtype, labels are not integers, or a name is
        not a string.
    ValueError
        If images have a wrong rank, channels on the last axis, masked values or values
        out of range; if the numbers of labels and images differ; if a label is negative
        or has no name; or if a name occurs twice.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> images = np.random.default_rng(0).random((4, 3, 32, 32))
    >>> labels = ["cat", "dog", "dog", "cat"]
    >>> data = nf.data.ImageSet(images, labels, ("cat", "dog"), "mine")
    >>> data.labels
    array([0, 1, 1, 0])
    >>> len(data.take(2)), data.gray().images.shape
    (2, (4, 1, 32, 32))
    >>> data
    ImageSet(name: mine, images: 4, size: 3 x 32 x 32, dtype: float64, classes: 2)
    >>> data.to_frame()["class_name"].tolist()
    ['cat', 'dog', 'dog', 'cat']
    >>> axes = data.plot()
    """

    images: Any
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        """Check the arguments and convert them to arrays."""
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
        """Return one image (C, H, W) in [0, 1] and its label."""
        return to_unit(self.images[index]), self.labels[index]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per image: "index", "label" and "class_name"."""
        return results.frame(
            {
                "index": np.arange(len(self)),
                "label": self.labels,
                "class_name": [self._class_name(label) for label in self.labels],
            }
        )

    def plot(self, ax: Axes | None = None, *, n: int = _N_DRAWN, **kw: Any) -> Axes:
        """Draw the first n images with their classes (`plot.plot_images`)."""
        from neurofreq.plot import plot_images

        first = self.take(min(validate.count("n", n), len(self)))
        names = [self._class_name(label) for label in first.labels]
        return plot_images(np.asarray(first.images), names, ax, **kw)

    def _class_name(self, label: Any) -> str:
        """Return the name of a class, or its number without names."""
        return self.class_names[label] if self.class_names else str(label)

    def _has_picture(self) -> bool:
        return len(self) > 0 and self.images.shape[1] in (1, 3)

    def _numbers(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "images": len(self),
            "size": results.size(self.images.shape[1:]),
            "dtype": self.images.dtype,
            "classes": len(self.class_names) or "no names",
        }

    def take(
        self, which: int | Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]
    ) -> ImageSet:
        """Return the first n images, or the images of an index array or of a mask.

        Indices count from 0 and are not negative.

        Raises
        ------
        TypeError, ValueError
            If `which` is none of these, or there are too few images.
        """
        if np.ndim(which) == 0:
            index = np.arange(self._count(which))
        else:
            index = validate.index("which", which, len(self))
        return replace(
            self, images=self.images.take(index, axis=0), labels=self.labels[index]
        )

    def sample(self, n: int, *, seed: int = 0) -> ImageSet:
        """Return n images drawn without replacement, in their original order.

        Use this for a set that is sorted by class, because its first n images have few
        classes.

        Raises
        ------
        TypeError, ValueError
            If n is not an integer, or there are too few images.
        """
        drawn = np.random.default_rng(validate.seed(seed)).permutation(len(self))
        drawn = drawn[: self._count(n)]
        return self.take(np.sort(drawn))

    def gray(self) -> ImageSet:
        """Return the luma of color images (N, 1, H, W), or gray images unchanged."""
        if self.images.shape[1] == 1:
            return self
        is_lazy = isinstance(self.images, ImageFiles)
        images = self.images.gray() if is_lazy else luma(to_unit(self.images))
        return replace(self, images=images, name=f"{self.name}, gray")

    def digest(self) -> str:
        """Return the SHA-256 of images (for files: names and contents) and labels."""
        is_lazy = isinstance(self.images, ImageFiles)
        images = self.images.digest() if is_lazy else self.images
        return storage.data_digest(images, self.labels)

    def load(self, *, progress: bool = False) -> ImageSet:
        """Return the set with its images as floats in memory.

        With `progress`, show a bar while files are decoded.
        """
        progress = validate.flag("progress", progress)
        if not isinstance(self.images, ImageFiles):
            return replace(self, images=to_unit(np.asarray(self.images)))
        whole = np.empty(self.images.shape, np.float32)
        made = bar(total=len(self), desc="reading", unit="image", progress=progress)
        with made:
            for start in range(0, len(self), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                whole[part] = to_unit(self.images[part])
                made.update(len(whole[part]))
        return replace(self, images=whole)

    def _count(self, n: Any) -> int:
        """Return the checked number of images to take."""
        n = validate.integer("n", n)
        if not 1 <= n <= len(self):
            raise ValueError(f"n: got {n}, expected 1 to {len(self)}")
        return n


def _checked(images: Any) -> Any:
    """Return images as files, or as an array of uint8 or of floats in [0, 1]."""
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
    """Return labels unchanged, or the positions of strings among the names."""
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
