"""Images with labels: CIFAR-10 in its official layouts, and the synthetic set."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from neurofreq import _synthetic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

Split = Literal["train", "test"]
# Pixels (n, 3072) as uint8, and labels (n,).
Batch: TypeAlias = "tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]"

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
# Weights of ITU-R 601 luma, as torchvision's rgb_to_grayscale has them.
LUMA = (0.2989, 0.587, 0.114)


@dataclass(frozen=True)
class ImageSet:
    """Images and their labels.

    Attributes
    ----------
    images : ndarray of float32, shape (N, C, H, W)
        In [0, 1].
    labels : ndarray of int64, shape (N,)
    class_names : tuple of str
    name : str
        What it is, for tables and captions.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    name: str

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], np.int64]:
        """Return one image (C, H, W) and its label, as a map-style data set does."""
        return self.images[index], self.labels[index]

    def take(self, which: int | Sequence[int] | NDArray[np.int64]) -> ImageSet:
        """Return the first n images, or those at the given indices.

        Raises
        ------
        ValueError
            If there are fewer images than asked for.
        """
        if isinstance(which, int):
            if not 1 <= which <= len(self):
                raise ValueError(f"n: got {which}, expected 1 to {len(self)}")
            which = np.arange(which)
        index = np.asarray(which)
        return replace(self, images=self.images[index], labels=self.labels[index])

    def gray(self) -> ImageSet:
        """Return the luma of colour images, shape (N, 1, H, W); gray as it is."""
        if self.images.shape[1] == 1:
            return self
        luma = np.tensordot(
            self.images, np.array(LUMA, dtype=np.float32), axes=([1], [0])
        )
        return replace(self, images=luma[:, None], name=f"{self.name}, gray")


def load_data(spec: str, *, split: Split = "test", n: int | None = None) -> ImageSet:
    """Return the images a data SPEC names.

    Parameters
    ----------
    spec : str
        ``synthetic``, or ``cifar10:FOLDER`` where FOLDER holds
        ``cifar-10-batches-py`` or ``cifar-10-batches-bin``, or is one of them.
    split : {"test", "train"}
    n : int, optional
        The first n images; by default all of CIFAR-10, 2000 synthetic ones.

    Raises
    ------
    ValueError
        An unknown spec or split, fewer than n images, or a damaged file.
    FileNotFoundError
        If the folder or one of its files does not exist.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split: got {split!r}, expected 'train' or 'test'")
    if n is not None and n < 1:
        raise ValueError(f"n: got {n}, expected at least 1")
    kind, _, folder = spec.partition(":")
    if kind == "synthetic" and not folder:
        images, labels = _synthetic.draw(2000 if n is None else n, split=split)
        return ImageSet(images, labels, _synthetic.CLASSES, "synthetic")
    if kind == "cifar10" and folder:
        return _cifar10(Path(folder), split, n)
    raise ValueError(
        f"data: got {spec!r}, expected 'synthetic' or 'cifar10:FOLDER', where FOLDER "
        "holds cifar-10-batches-py or cifar-10-batches-bin"
    )


def _cifar10(folder: Path, split: Split, n: int | None) -> ImageSet:
    readers = {
        "cifar-10-batches-py": _read_pickle,
        "cifar-10-batches-bin": _read_binary,
    }
    for layout, read in readers.items():
        for candidate in (folder / layout, folder):
            if candidate.name == layout and candidate.is_dir():
                return _assemble(candidate, read, split, n)
    raise FileNotFoundError(
        f"data: {folder} holds neither cifar-10-batches-py nor cifar-10-batches-bin: "
        "unpack the official CIFAR-10 archive (python or binary version) there"
    )


def _assemble(
    folder: Path, read: Callable[[Path, str], Batch], split: Split, n: int | None
) -> ImageSet:
    numbers = range(1, 6) if split == "train" else ()
    stems = [f"data_batch_{number}" for number in numbers] or ["test_batch"]
    batches: list[Batch] = []
    for stem in stems:
        if n is not None and sum(len(labels) for _, labels in batches) >= n:
            break
        batches.append(read(folder, stem))
    raw = np.concatenate([pixels for pixels, _ in batches])[:n].reshape(-1, 3, 32, 32)
    found = np.concatenate([labels for _, labels in batches])[:n].astype(np.int64)
    if n is not None and len(found) < n:
        raise ValueError(f"n: got {n}, expected at most {len(found)}")
    images = raw.astype(np.float32) / np.float32(255)
    return ImageSet(images, found, CIFAR10_CLASSES, f"CIFAR-10 {split}")


def _read_binary(folder: Path, stem: str) -> Batch:
    path = folder / f"{stem}.bin"
    _require(path)
    raw = np.fromfile(path, dtype=np.uint8)
    if raw.size == 0 or raw.size % 3073:
        raise ValueError(
            f"data: {path} has {raw.size} bytes, expected records of 3073: truncated?"
        )
    records = raw.reshape(-1, 3073)
    return _checked(path, records[:, 1:], records[:, 0])


def _read_pickle(folder: Path, stem: str) -> Batch:
    path = folder / stem
    _require(path)
    try:
        batch = _ArrayUnpickler(io.BytesIO(path.read_bytes())).load()
        pixels = np.asarray(batch[b"data"])
        labels = np.asarray(batch[b"labels"])
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"data: {path} is no CIFAR-10 batch ({type(error).__name__}: {error})"
        ) from error
    return _checked(path, pixels, labels)


def _checked(path: Path, pixels: NDArray[Any], labels: NDArray[Any]) -> Batch:
    is_batch = (
        pixels.dtype == np.uint8
        and pixels.shape == (len(labels), 3072)
        and np.issubdtype(labels.dtype, np.integer)
    )
    if not is_batch or labels.min() < 0 or labels.max() > 9:
        raise ValueError(
            f"data: {path} holds {pixels.dtype} pixels of shape {pixels.shape}, "
            "expected uint8 (n, 3072) with n labels from 0 to 9"
        )
    return pixels, labels


def _require(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(
            f"data: {path} is missing from the official CIFAR-10 layout"
        )


class _ArrayUnpickler(pickle.Unpickler):
    """Admits NumPy arrays and plain containers, and nothing that runs code."""

    ADMITTED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is not admitted")
        return super().find_class(module, name)
