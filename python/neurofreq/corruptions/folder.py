"""Read folders of corrupted images: CIFAR-10-C, TinyImageNet-C, ImageNet-C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.files.damage import no_folder
from neurofreq._shared.inputs import validate
from neurofreq.corruptions._manifest import LABELS, MANIFEST, Manifest, digest
from neurofreq.data import CIFAR10_CLASSES, ImageSet, class_order
from neurofreq.data.folders import class_folders, open_folder

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

SEVERITIES = (1, 2, 3, 4, 5)
# Folders in the published archives of ImageNet-C.
_ARCHIVES = ("noise", "blur", "weather", "digital", "extra")
_LAYOUTS = (
    "labels.npy and NAME.npy (CIFAR-10-C), or NAME/SEVERITY/CLASS/*.JPEG (ImageNet-C)"
)


class CorruptedFolder:
    """A published folder of corrupted images, or one that `write_corrupted` made.

    Parameters
    ----------
    folder : path
        A folder in one of two layouts. The layout of CIFAR-10-C is ``labels.npy`` and
        one ``NAME.npy`` per corruption: uint8 of shape (5 n, H, W, C), severity 1
        first. These arrays are memory-mapped. The layout of TinyImageNet-C and
        ImageNet-C is ``NAME/SEVERITY/CLASS/*.JPEG``, also inside the folders of the
        published archives (``blur/NAME`` and so on). Files are decoded when they are
        indexed.
    classes : sequence of str, optional
        All classes in the order of the labels; some of them may have no folder. The
        default is the order in ``corrupted.json``, or else the order in which
        `open_folder` numbers the folders of the first cell.
    resize, crop : int, optional
        As in `ImageFiles`, for folders of files. Li et al. use ``resize=256`` and
        ``crop=224`` for ImageNet-C, whose files are 224 pixels wide.

    Attributes
    ----------
    folder : Path
    names : tuple of str
        Its corruptions, sorted.
    severities : tuple of int
        The severities of the first corruption.
    labels : ndarray of int64, shape (n,)
        The labels of the images of every cell.
    class_names : tuple of str

    Raises
    ------
    FileNotFoundError
        If the folder is missing or has neither layout.
    TypeError, ValueError
        If an array is truncated or has a wrong shape or dtype, labels differ between
        severities, a class is empty, or there are more labels or folders than classes.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=16)
    >>> written = nf.data.write_corrupted(data, "corrupted", names=["fog", "contrast"])
    >>> folder = nf.data.CorruptedFolder("corrupted")
    >>> folder.names, folder.severities
    (('contrast', 'fog'), (1, 2, 3, 4, 5))
    >>> folder.cell("fog", 3).images.shape
    (16, 1, 32, 32)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        classes: Sequence[str] | None = None,
        resize: int | None = None,
        crop: int | None = None,
    ) -> None:
        self.folder = validate.path("folder", folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"data: {self.folder} is missing, expected a folder"
            )
        self._form = {"resize": resize, "crop": crop}
        self._held: dict[tuple[str, int], ImageSet] = {}
        self._first: tuple[str, ...] | None = None
        self._whole: set[tuple[str, int]] = set()  # cells with a verified checksum
        self._arrays = _arrays(self.folder)
        self._folders = {} if self._arrays else _folders(self.folder)
        self.names = tuple(sorted(self._arrays or self._folders))
        self.severities: tuple[int, ...] = SEVERITIES
        noted, self._sums = _noted(self.folder)
        if self._arrays:
            self.labels = _row_labels(self.folder)
            self._check(LABELS, 1, np.tile(self.labels, len(SEVERITIES)))
            for path in self._arrays.values():
                _mapped(path, 5 * len(self.labels))
            default: tuple[str, ...] = CIFAR10_CLASSES if self.labels.max() < 10 else ()
        else:
            first = self._folders[self.names[0]]
            self.severities = _severities(first)
            cell = first / str(self.severities[0])
            default = class_order.of_folders(cell, class_folders(cell))
        known = noted if classes is None else validate.distinct("classes", classes)
        self.class_names: tuple[str, ...] = known or default
        self.labels = self.cell(self.names[0], self.severities[0]).labels

    def __len__(self) -> int:
        """Return the number of images of one cell."""
        return len(self.labels)

    def cell(self, name: str, severity: int) -> ImageSet:
        """Return the images of one corruption at one severity.

        Parameters
        ----------
        name : str
            One of `names`.
        severity : int
            1 to 5.

        Returns
        -------
        ImageSet
            uint8; in the same order for every cell.

        Raises
        ------
        ValueError
            If the name or severity is unknown, an array is damaged, a class is empty,
            or the files of the cell have other names than those of the first cell.
        FileNotFoundError
            If the cell or one of its classes is missing.
        """
        validate.one_of("name", name, self.names)
        if severity not in SEVERITIES:
            raise ValueError(f"severity: got {severity!r}, expected 1 to 5")
        if (name, severity) not in self._held:  # keep one cell for the next batches
            read = self._rows if self._arrays else self._files
            self._held = {(name, severity): read(name, severity)}
        return self._held[name, severity]

    def _rows(self, name: str, severity: int) -> ImageSet:
        n = len(self)
        rows = _mapped(self._arrays[name], 5 * n)[(severity - 1) * n : severity * n]
        self._check(name, severity, rows)
        return self._named(rows.transpose(0, 3, 1, 2), self.labels, name, severity)

    def _check(self, name: str, severity: int, rows: NDArray[Any]) -> None:
        """Compare rows with the recorded checksum, once per cell."""
        sums = self._sums.get(name)
        if not sums or (name, severity) in self._whole:
            return
        if sums[severity - 1] not in (None, digest(rows)):
            raise ValueError(
                f"data: {self.folder / name}.npy is damaged at severity {severity} "
                f"(its checksum in {MANIFEST} differs); write_corrupted makes it again"
            )
        self._whole.add((name, severity))

    def _files(self, name: str, severity: int) -> ImageSet:
        folder = self._folders[name] / str(severity)
        if not folder.is_dir():
            raise FileNotFoundError(f"data: {folder} is missing from {_LAYOUTS}")
        found = open_folder(folder, classes=self.class_names, **self._form)
        names = tuple(str(Path(one).with_suffix("")) for one in found.images.names)
        self._first = self._first or names
        if names != self._first:
            twice = ["a name that occurs twice"]
            apart = sorted(set(names) ^ set(self._first)) or twice
            raise ValueError(
                f"data: {folder} holds {len(names)} images, expected the file names of "
                f"the other cells ({len(self._first)}); they differ in {apart[0]}"
            )
        return self._named(found.images, found.labels, name, severity)

    def _named(
        self, images: Any, labels: NDArray[np.int64], name: str, severity: int
    ) -> ImageSet:
        title = f"{self.folder.name}, {name.replace('_', ' ')}, severity {severity}"
        return ImageSet(images, labels, self.class_names, title)


def _arrays(folder: Path) -> dict[str, Path]:
    """Return the paths of arrays by corruption; empty for a folder of files."""
    found = {
        path.stem: path
        for path in folder.glob("*.npy")
        if not path.name.startswith(".")
    }
    labels = found.pop("labels", None)
    if found and labels is None:
        raise FileNotFoundError(
            f"data: {folder / 'labels.npy'} is missing from {_LAYOUTS}"
        )
    return found


def _folders(folder: Path) -> dict[str, Path]:
    """Return the folders of corruptions by name."""
    roots = [folder, *(folder / archive for archive in _ARCHIVES)]
    found = {
        path.name: path
        for root in roots
        if root.is_dir()
        for path in root.iterdir()
        if path.is_dir() and _severities(path)
    }
    if not found:
        raise FileNotFoundError(
            f"data: {folder} holds no corruption, expected {_LAYOUTS}"
        )
    return found


def _severities(folder: Path) -> tuple[int, ...]:
    return tuple(s for s in SEVERITIES if (folder / str(s)).is_dir())


def _row_labels(folder: Path) -> NDArray[np.int64]:
    """Return the labels of one severity; all five must be equal."""
    path = folder / "labels.npy"
    labels = _read(path)
    if (
        labels.ndim != 1
        or labels.size == 0
        or labels.size % 5
        or not np.issubdtype(labels.dtype, np.integer)
    ):
        raise ValueError(
            f"data: {path} holds {labels.dtype} of shape {labels.shape}, expected "
            "integers (5 n,), n for each severity"
        )
    each = labels.reshape(5, -1)
    if (each != each[0]).any():
        raise ValueError(
            f"data: {path} differs between severities, expected five repeats"
        )
    return validate.labels(each[0], str(path))


def _mapped(path: Path, n_rows: int) -> NDArray[np.uint8]:
    """Return a memory-mapped array of images, after a check of shape and dtype."""
    rows = _read(path)
    is_right = rows.dtype == np.uint8 and rows.ndim == 4 and len(rows) == n_rows
    if not is_right or rows.shape[3] not in (1, 3):
        raise ValueError(
            f"data: {path} holds {rows.dtype} of shape {rows.shape}, expected uint8 "
            f"({n_rows}, H, W, C), a row per label and 1 or 3 channels on the last axis"
        )
    return rows


def _read(path: Path) -> NDArray[Any]:
    no_folder(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(
            f"data: {path} is no complete .npy file ({error}): truncated?"
        ) from error


def _noted(folder: Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the recorded classes and checksums; empty for a published folder."""
    try:
        values = Manifest(folder).read()
    except ValueError as error:
        raise ValueError(
            f"data: {error}; remove this file to read the folder without checksums and "
            "class names"
        ) from error
    return tuple(values.get("classes", ())), values.get("sha256", {})
