"""Read CIFAR-10 in its two official layouts."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from neurofreq._shared.inputs import validate
from neurofreq.data._sets import ImageSet

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import NDArray

    from neurofreq.data.folders import Split

# Pixels (n, 3072) as uint8, and labels (n,).
Batch: TypeAlias = "tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]"

RECORD = np.dtype([("label", np.uint8), ("pixels", np.uint8, 3072)])
"""One image of the binary version."""

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
"""Names of the classes of CIFAR-10, in the order of their labels."""


def open_cifar10(
    folder: str | os.PathLike[str], *, split: Split = "test", n: int | None = None
) -> ImageSet:
    """Return CIFAR-10 as it is stored.

    Parameters
    ----------
    folder : path
        Holds ``cifar-10-batches-py`` or ``cifar-10-batches-bin``, or is one of
        them.
    split : {"test", "train"}
    n : int, optional
        The first n images; all by default.

    Returns
    -------
    ImageSet
        uint8, (N, 3, 32, 32), in the official order. The test images of the binary
        version are memory-mapped. The five files of "train" are joined in memory, 154
        MB.

    Raises
    ------
    FileNotFoundError
        If the folder or one of its files does not exist.
    ValueError
        If a file is damaged or is not a CIFAR-10 batch, or there are fewer than n
        images.

    Examples
    --------
    Here, two empty records replace the official file:

    >>> import pathlib
    >>> import neurofreq as nf
    >>> folder = pathlib.Path("cifar-10-batches-bin")
    >>> folder.mkdir()
    >>> n_bytes = (folder / "test_batch.bin").write_bytes(bytes(2 * 3073))
    >>> data = nf.data.open_cifar10(".")
    >>> data.images.shape, data.images.dtype
    ((2, 3, 32, 32), dtype('uint8'))
    >>> data.class_names[data.labels[0]]
    'airplane'
    """
    root = validate.path("folder", folder)
    readers = {
        "cifar-10-batches-py": _read_pickle,
        "cifar-10-batches-bin": _read_binary,
    }
    for layout, read in readers.items():
        for candidate in (root / layout, root):
            if candidate.name == layout and candidate.is_dir():
                return _assemble(candidate, read, split, n)
    raise FileNotFoundError(
        f"data: {root} holds neither cifar-10-batches-py nor cifar-10-batches-bin: "
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
    parts = [pixels for pixels, _ in batches]
    images = (parts[0] if len(parts) == 1 else np.concatenate(parts))[:n]
    found = np.concatenate([labels for _, labels in batches])[:n].astype(np.int64)
    if n is not None and len(found) < n:
        raise ValueError(f"n: got {n}, expected at most {len(found)}")
    images = images.reshape(-1, 3, 32, 32)  # no copy of a memory-mapped file
    return ImageSet(images, found, CIFAR10_CLASSES, f"CIFAR-10 {split}")


def _read_binary(folder: Path, stem: str) -> Batch:
    path = folder / f"{stem}.bin"
    _require(path)
    size = path.stat().st_size
    if size == 0 or size % RECORD.itemsize:
        raise ValueError(
            f"data: {path} has {size} bytes, expected records of 3073: truncated?"
        )
    records = np.memmap(path, dtype=RECORD, mode="c")  # copy-on-write
    return _checked(path, np.asarray(records["pixels"]), np.array(records["label"]))


def _read_pickle(folder: Path, stem: str) -> Batch:
    path = folder / stem
    _require(path)
    try:
        batch = _ArrayUnpickler(io.BytesIO(path.read_bytes())).load()
        pixels = np.asarray(batch[b"data"])
        labels = np.asarray(batch[b"labels"])
    except Exception as error:  # the type depends on which byte is damaged
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
    """Unpickles NumPy arrays and plain containers only, so that no code can run."""

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
