"""Read and write npz files without pickle and with limits on their size.

A zip archive has a checksum for each array, but none for the list of arrays. The entry
"checksum" covers all of them. Files of earlier releases do not have this entry.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from neurofreq._shared.files.damage import compare, damaged, no_folder

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray

# A damaged file of a few hundred bytes may declare terabytes: refuse an array larger
# than `_ALLOWANCE` plus `_RATIO` times its size on disk.
_RATIO = 100
_ALLOWANCE = 2**26
_CHECKSUM = "checksum"


class Archive(Mapping[str, "NDArray[Any]"]):
    """The arrays of an npz file by name; each is read and checked on access.

    Raises FileNotFoundError for a missing file and ValueError for a damaged one; on
    access, ValueError also for object arrays and for arrays that declare too much.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        no_folder(self._path)
        with self._opened() as archive:
            self._members = {
                one.filename.removesuffix(".npy"): one for one in archive.infolist()
            }

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array, after its checksum was verified."""
        member = self._members[name]
        with self._opened() as archive:
            if member.file_size > _ALLOWANCE + _RATIO * member.compress_size:
                raise ValueError(
                    f"{member.filename} declares {member.file_size} bytes, of "
                    f"which {member.compress_size} are there"
                )
            # Read to the end, because zipfile compares the checksum only there.
            return _array(archive.read(member))

    def __iter__(self) -> Iterator[str]:
        """Return the names in the order of the file."""
        return iter(self._members)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._members)

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        """Open the file; errors in the context are raised as "damaged"."""
        try:
            with zipfile.ZipFile(self._path) as archive:
                yield archive
        except FileNotFoundError:
            raise
        except Exception as error:  # the type depends on which byte is damaged
            reason = str(error) or type(error).__name__
            raise damaged(self._path, reason) from error


def write(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write compressed arrays and their checksum to an open binary file."""
    values: dict[str, Any] = {name: np.asarray(one) for name, one in arrays.items()}
    # The checksum comes first: an entry with a damaged header may hide later entries.
    first: dict[str, Any] = {_CHECKSUM: np.array(_checksum(values))}
    np.savez_compressed(file, **(first | values))


def read(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file, after its checksum was verified.

    Raises FileNotFoundError and ValueError as `Archive` does.
    """
    arrays = dict(Archive(path))
    expected = arrays.pop(_CHECKSUM, None)
    compare(Path(path), expected, lambda: _checksum(arrays))
    return arrays


def _checksum(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _array(content: bytes) -> NDArray[Any]:
    """Return the array in the bytes of an npy file; refuse objects and missing data."""
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    reader = (
        npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    )
    shape, is_fortran, dtype = reader(file)
    if dtype.hasobject:
        raise ValueError("an array of objects, which is not read")
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"an array of shape {shape}, whose data have another size")
    flat = (
        np.frombuffer(content, dtype, offset=file.tell())
        if dtype.itemsize
        else (np.empty(math.prod(shape), dtype))
    )
    array = flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)
    return array.copy(order="K")
