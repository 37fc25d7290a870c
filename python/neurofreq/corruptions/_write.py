"""Write a benchmark folder of corrupted images from clean images."""

from __future__ import annotations

import functools
import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neurofreq import corruptions
from neurofreq._shared import runtime
from neurofreq._shared.files import pictures, safe_names, storage
from neurofreq._shared.files.locks import Waiting, claim
from neurofreq._shared.inputs import validate
from neurofreq._shared.progress import bar
from neurofreq.corruptions import _textures, grouping
from neurofreq.corruptions._ahead import ahead
from neurofreq.corruptions._manifest import LABELS, Manifest, digest
from neurofreq.corruptions.folder import SEVERITIES, CorruptedFolder
from neurofreq.data import ImageFiles, ImageSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    # Maps name, severity and rows to corrupted images (n, H, W, C).
    Change = Callable[[str, int, range], NDArray[np.uint8]]

POLL_SECONDS = 0.5  # between two checks whether other processes have finished
QUALITY = 85  # JPEG quality of the published files


def write_corrupted(
    data: ImageSet,
    out: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
    parameters: Literal["auto", "cifar", "tinyimagenet", "imagenet"] = "auto",
    layout: Literal["auto", "arrays", "files"] = "auto",
    textures: str | os.PathLike[str] | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> CorruptedFolder:
    """Corrupt clean images at all five severities into a benchmark folder.

    Parameters
    ----------
    data : ImageSet
        Clean images. Floats are first rounded to 8 bits.
    out : path
        Created if it is missing. Finished parts in the folder are kept, so a run that
        was stopped continues.
    names : sequence of str, optional
        Some of `CORRUPTIONS`; by default those in the paper's groups.
    seed, parameters, textures
        As in `corrupt`.
    layout : {"auto", "arrays", "files"}
        "arrays" writes ``labels.npy`` and ``NAME.npy``, as CIFAR-10-C; "files"
        writes ``NAME/SEVERITY/CLASS/*.JPEG`` of quality 85, as TinyImageNet-C and
        ImageNet-C. "auto" writes files if the clean images are files, else arrays.
    batch_size : int
        Images corrupted at once. It changes the run time, not the pixels.
    progress : bool
        Show a progress bar over images.

    Returns
    -------
    CorruptedFolder

    Raises
    ------
    TypeError, ValueError
        For an unknown name; images that `corrupt` refuses; gray images with layout
        "files"; a class or file whose name leads out of its folder; a link in the
        folder; and a folder with corruptions of other images, seeds, parameters or
        textures. Nothing is written in these cases.
    FileNotFoundError
        If a texture is missing from its folder.

    Notes
    -----
    Files keep the names of the clean images. ``corrupted.json`` records the clean data,
    the settings, the order of the classes, and the SHA-256 of every severity of an
    array. A JPEG file holds its SHA-256 in a comment. Damaged parts are reported and
    made again. Several processes may write to the same folder; each process makes
    arrays that no other has started.

    Differences from the paper: random corruptions have the published distribution, but
    not the published random draws.

    Examples
    --------
    >>> import pathlib
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=16)
    >>> folder = nf.data.write_corrupted(data, "corrupted", names=["fog"])
    >>> sorted(file.name for file in pathlib.Path("corrupted").glob("*.npy"))
    ['fog.npy', 'labels.npy']
    >>> found = nf.corruption_accuracy(nf.models.small_cnn(), folder)
    >>> found.cells["severity"].tolist()
    [1, 2, 3, 4, 5]
    """
    names = grouping.chosen(names, corruptions.CORRUPTIONS, "names")
    batch_size = validate.count("batch_size", batch_size)
    seed, progress = validate.seed(seed), validate.flag("progress", progress)
    validate.one_of("layout", layout, ("auto", "arrays", "files"))
    validate.one_of("parameters", parameters, corruptions.PARAMETERS)
    data = _checked(data)
    if layout == "auto":
        layout = "files" if isinstance(data.images, ImageFiles) else "arrays"
    places = _places(data) if layout == "files" else []
    frost = None if textures is None else _textures.digest(str(textures))
    folder = validate.path("out", out)
    note = {
        "classes": list(data.class_names),
        "data": data.digest(),
        "seed": seed,
        "parameters": parameters,
        "layout": layout,
        "neurofreq": runtime.VERSION,
        "textures": frost,
    }
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out: got {folder}, a file, expected a folder")
    _refuse_links(folder, names, places)
    folder.mkdir(parents=True, exist_ok=True)
    Manifest(folder).claim(note)
    storage.sweep(folder)

    held: dict[range, NDArray[np.uint8]] = {}  # clean images of the last rows

    def change(name: str, severity: int, rows: range) -> NDArray[np.uint8]:
        if rows not in held:
            held.clear()
            held[rows] = _bytes(data.images[rows.start : rows.stop])
        images = corruptions.corrupt(
            held[rows], name, severity, seed=seed,
            layout="nchw", parameters=parameters, first_index=rows.start,
            textures=textures,
        )  # fmt: skip
        return np.ascontiguousarray(images.transpose(0, 2, 3, 1))

    with bar(
        total=len(names) * len(SEVERITIES) * len(data),
        desc="corrupting",
        unit="image",
        progress=progress,
    ) as shown:
        batches = _batches(len(data), batch_size)
        if layout == "files":
            _write_files(folder, places, names, batches, change, shown.update)
        else:
            _write_arrays(folder, data, names, batches, change, shown.update)
    return CorruptedFolder(folder)


def _checked(data: Any) -> ImageSet:
    """Return the data, if they can be corrupted."""
    if not isinstance(data, ImageSet):
        raise TypeError(
            f"data: got {type(data).__name__}, expected an ImageSet, as open_data gives"
        )
    height, width = data.images.shape[2:]
    if min(height, width) < corruptions.LEAST_SIDE:
        raise ValueError(
            f"data: got images of {height} x {width} pixels, expected at least "
            f"{corruptions.LEAST_SIDE} on each side"
        )
    return data


def _write_arrays(
    folder: Path,
    data: ImageSet,
    names: Sequence[str],
    batches: list[range],
    change: Change,
    step: Callable[[int], object],
) -> None:
    """Write one array per corruption; each severity is saved when it is finished."""
    manifest = Manifest(folder)
    labels = np.tile(data.labels, len(SEVERITIES))
    storage.write_atomically(folder / "labels.npy", functools.partial(_save, labels))
    manifest.note_sum(LABELS, 0, 1, digest(labels))

    def cell(name: str, severity: int) -> NDArray[np.uint8]:
        return np.concatenate([change(name, severity, rows) for rows in batches])

    pending, waiting = list(names), None
    while pending:
        left = []
        for name in pending:
            lock = folder / f".{name}.lock"
            with claim(lock) as is_mine:
                if not is_mine:
                    left.append(name)
                    continue
                _write_array(manifest, name, len(data), cell, step)
                lock.unlink(missing_ok=True)
        if len(left) == len(pending):
            waiting = waiting or Waiting(f"it writes {left[0]}.npy of {folder}")
            waiting.look()
            time.sleep(POLL_SECONDS)
        pending = left


def _write_array(
    manifest: Manifest,
    name: str,
    n_images: int,
    cell: Callable[[str, int], NDArray[np.uint8]],
    step: Callable[[int], object],
) -> None:
    """Write the array of one corruption; make only missing or damaged severities."""
    folder, path = manifest.folder, manifest.folder / f"{name}.npy"
    if path.exists() and _is_whole(manifest, path, name, range(len(SEVERITIES))):
        step(len(SEVERITIES) * n_images)
        return
    parts = [folder / f".{name}-{severity}.npy" for severity in SEVERITIES]
    for index, part in enumerate(parts):
        if not (
            part.exists() and _is_whole(manifest, part, name, range(index, index + 1))
        ):
            made = cell(name, SEVERITIES[index])
            storage.write_atomically(part, functools.partial(_save, made))
            manifest.note_sum(name, index, len(SEVERITIES), digest(made))
        step(n_images)
    cells = [np.load(part, mmap_mode="r") for part in parts]
    storage.write_atomically(path, functools.partial(_save, np.concatenate(cells)))
    for part in parts:
        part.unlink()


def _is_whole(manifest: Manifest, path: Path, name: str, indices: range) -> bool:
    """Return whether the parts of an array are undamaged; warn if not."""
    sums = manifest.sums(name) or [None] * len(SEVERITIES)
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
        blocks = np.split(rows, len(indices))
        found = [digest(block) for block in blocks]
    except (ValueError, EOFError, OSError):
        found = []
    if not found or any(
        sums[index] not in (None, one)
        for index, one in zip(indices, found, strict=True)
    ):
        warnings.warn(f"{path} is damaged: it is made again", stacklevel=2)
        return False
    for index, one in zip(indices, found, strict=True):
        if sums[index] is None:  # from an earlier release, or a killed process
            manifest.note_sum(name, index, len(SEVERITIES), one)
    return True


def _write_files(
    folder: Path,
    places: list[Path],
    names: Sequence[str],
    batches: list[range],
    change: Change,
    step: Callable[[int], object],
) -> None:
    """Write one file per image; one thread corrupts, the other threads encode.

    All cells of a batch are made before the next batch, so that each clean file is
    decoded only once.
    """
    cells = [(name, severity) for name in names for severity in SEVERITIES]
    for name, severity in cells:
        for one in {place.parent for place in places}:
            place = folder / name / str(severity) / one
            place.mkdir(parents=True, exist_ok=True)
            storage.sweep(place)
    requests = []
    for rows in batches:
        for name, severity in cells:
            cell = folder / name / str(severity)
            paths = [cell / places[row] for row in rows]
            if all([_is_whole_file(path) for path in paths]):
                step(len(rows))
            else:
                requests.append((name, severity, rows, paths))
    made = ahead(lambda request: change(*request[:3]), requests)
    with closing(made), ThreadPoolExecutor(runtime.num_threads()) as pool:
        for (_, _, rows, paths), images in zip(requests, made, strict=True):
            list(pool.map(_write_jpeg, paths, images))
            step(len(rows))


def _places(data: ImageSet) -> list[Path]:
    """Return the path CLASS/NAME.JPEG of every image; raise if two are equal."""
    if data.images.shape[1] != 3:
        raise ValueError(
            f"data: got {data.images.shape[1]} channels, expected 3 for files"
        )
    if not data.class_names:
        raise ValueError("data: got no class names, expected some to name folders")
    if isinstance(data.images, ImageFiles):
        stems = [Path(name).stem for name in data.images.names]
    else:
        width = len(str(len(data) - 1))
        stems = [f"{row:0{width}}" for row in range(len(data))]
    folders = {
        label: safe_names.checked("class_names", data.class_names[label])
        for label in np.unique(data.labels)
    }
    places = [
        Path(folders[label]) / safe_names.checked("data", f"{stem}.JPEG")
        for label, stem in zip(data.labels, stems, strict=True)
    ]
    if len(set(places)) < len(places):
        raise ValueError("data: got two files of one name in a class, expected one")
    return places


def _refuse_links(folder: Path, names: Sequence[str], places: list[Path]) -> None:
    """Raise if a folder to be written is a link, which may lead out of `folder`."""
    classes = {place.parent for place in places}
    cells = [Path(name, str(severity)) for name in names for severity in SEVERITIES]
    ways = [cell / one for cell in cells for one in classes]
    safe_names.without_links("out", folder, ways)


def _is_whole_file(path: Path) -> bool:
    """Return whether a file exists and is undamaged; warn if it is damaged."""
    if not path.exists():
        return False
    try:
        if not pictures.is_sealed(path):  # written by an earlier release
            pictures.read(path)
    except ValueError:
        warnings.warn(f"{path} is damaged: it is made again", stacklevel=2)
        return False
    return True


def _write_jpeg(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a JPEG file atomically."""
    content = pictures.sealed_jpeg(pixels, QUALITY)
    storage.write_atomically(path, lambda file: file.write(content), is_synced=False)


def _batches(n: int, size: int) -> list[range]:
    return [range(start, min(start + size, n)) for start in range(0, n, size)]


def _bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images as uint8."""
    if images.dtype == np.uint8:
        return images
    return np.rint(255.0 * images).astype(np.uint8)


def _save(array: NDArray[Any], file: Any) -> None:
    np.save(file, array, allow_pickle=False)
