"""Images with labels: in memory, memory-mapped, or decoded where indexed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import _store, _validate
from neurofreq.data._files import ImageFiles
from neurofreq.data._pixels import luma, to_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageSet:
    """Images and their labels.

    Attributes
    ----------
    images : ndarray or ImageFiles, shape (N, C, H, W)
        float32 in [0, 1] from `load_data`. From `open_data` also uint8 from 0
        to 255, and then perhaps a memory map or files.
    labels : ndarray of int64, shape (N,)
    class_names : tuple of str
    name : str
        What it is, for tables and captions.
    """

    images: Any
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    name: str

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
            index = _validate.index("which", which, len(self))
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
        drawn = np.random.default_rng(seed).permutation(len(self))
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
        """Return the SHA-256 of images and labels; of files, names and sizes."""
        is_lazy = isinstance(self.images, ImageFiles)
        images = self.images.digest() if is_lazy else self.images
        return _store.data_digest(images, self.labels)

    def load(self) -> ImageSet:
        """Return the set with its images as floats in memory."""
        return replace(self, images=to_unit(np.asarray(self.images)))

    def _count(self, n: Any) -> int:
        """Return a number of images that there are."""
        _validate.integer("n", n)
        if not 1 <= n <= len(self):
            raise ValueError(f"n: got {n}, expected 1 to {len(self)}")
        return int(n)
