"""Read batches of images and labels from a loader, and check its order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from neurofreq._shared.inputs import batches, validate

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHUFFLES = (
    "loader: got a loader that shuffles, expected a fixed order: targets, starting "
    "points and processes refer to batches by position"
)
_N_COMPARED = 2**20  # batches; a sampler may be endless


def check(loader: Any) -> None:
    """Require an iterable of batches."""
    is_other = isinstance(loader, (str, bytes, Mapping, np.ndarray, torch.Tensor))
    if is_other or not isinstance(loader, Iterable):
        raise TypeError(
            f"loader: got {validate.shown(loader)}, expected an iterable of (images, "
            "labels), such as a DataLoader or a list of batches"
        )


def in_order(
    loader: Iterable[Any], shown: Iterable[Any], *, is_one_order: bool
) -> Iterator[tuple[Any, Any]]:
    """Yield the images and labels of each batch.

    `shown` gives the batches of the loader, with a progress bar.

    With `is_one_order`, raise ValueError for a loader that changes its order between
    passes. For this the indices of a data set are drawn twice; without indices, the
    first batch is read once more. Iterators allow one pass only and are not checked.
    """
    before = _before(loader) if is_one_order else None
    for batch in shown:
        images, labels = _pair(batch)
        if before is not None and not np.array_equal(before, validate.labels(labels)):
            raise ValueError(_SHUFFLES)
        before = None
        yield images, labels


def _before(loader: Iterable[Any]) -> NDArray[Any] | None:
    """Return the first batch's labels in an extra pass, None if not needed."""
    if isinstance(loader, (Iterator, Sequence)):
        return None
    if isinstance(loader, DataLoader) and not isinstance(
        loader.dataset, IterableDataset
    ):
        indices: Any = loader.batch_sampler or loader.sampler
        with torch.random.fork_rng([]):
            first, second = (list(islice(indices, _N_COMPARED)) for _ in range(2))
        if first != second:
            raise ValueError(_SHUFFLES)
        return None
    batch = next(iter(loader), None)
    return None if batch is None else validate.labels(_pair(batch)[1])


def _pair(batch: Any) -> tuple[Any, Any]:
    """Return checked images and labels of a batch."""
    images, labels = batches.pair(batch, "loader")
    return validate.batch(images), labels


class PerImage:
    """Arguments with one value per image of a loader; None for those not given."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def __bool__(self) -> bool:
        """Return whether any argument is given."""
        return any(values is not None for values in self._values.values())

    def check_most(self, loader: Any) -> None:
        """Refuse more values than images; skipped for loaders without a length."""
        images: Any = getattr(loader, "sampler", getattr(loader, "dataset", None))
        try:
            self.check(len(images), is_least=False)
        except TypeError:
            return

    def check(self, count: int, *, is_least: bool = True) -> None:
        """Require one value per image, or at most one if `is_least` is False."""
        for name, values in self._values.items():
            n = count if values is None else len(values)
            if n > count or (is_least and n < count):
                raise ValueError(
                    f"{name}: got {n}, expected {count}, one per image of the loader"
                )

    def part(self, first: int, stop: int) -> dict[str, Any]:
        """Return the values of one batch."""
        for name, values in self._values.items():
            if values is not None and stop > len(values):
                raise ValueError(
                    f"{name}: got {len(values)}, expected one per image of the "
                    f"loader, at least {stop}"
                )
        return {
            name: None if values is None else values[first:stop]
            for name, values in self._values.items()
        }
