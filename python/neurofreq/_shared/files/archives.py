"""Files of NumPy arrays: nothing pickled, nothing larger than it can be.

The archive checks the bytes of each array, but not which arrays there are: a
checksum of all is one more entry. Files of earlier releases have none.
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

# More than this many times its size on disk, and more than the allowance, is no
# array that was measured: a few hundred bytes may claim terabytes.
_RATIO = 100
_ALLOWANCE = 2**26
_CHECKSUM = "checksum"


class Archive(Mapping[str, "NDArray[Any]"]):
    """The arrays of an npz file by name, each read and checked where it is asked for.

    Parameters
    ----------
    path : path

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged; where an array is asked for, also if this holds objects or
        declares more than it can hold.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        no_folder(self._path)
        with self._opened() as archive:
            self._members = {
                one.filename.removesuffix(".npy"): one for one in archive.infolist()
            }

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array; every byte of it has been checked."""
        member = self._members[name]
        with self._opened() as archive:
            if member.file_size > _ALLOWANCE + _RATIO * member.compress_size:
                raise ValueError(
                    f"{member.filename} declares {member.file_size} bytes, of "
                    f"which {member.compress_size} are there"
                )
            # To its end, where the archive's own check is made.
            return _array(archive.read(member))

    def __iter__(self) -> Iterator[str]:
        """Return the names in the order of the file."""
        return iter(self._members)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._members)

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        """Open the file; what fails in it says that the file is damaged."""
        try:
            with zipfile.ZipFile(self._path) as archive:
                yield archive
        except FileNotFoundError:
            raise
        except Exception as error:  # of many kinds, by which byte is damaged
            reason = str(error) or type(error).__name__
            raise damaged(self._path, reason) from error


def write(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays, compressed, and their checksum.

    Parameters
    ----------
    file : binary file
        Open for writing.
    arrays : mapping of str to ndarray
    """
    values: dict[str, Any] = {name: np.asarray(one) for name, one in arrays.items()}
    # First: an entry whose header is damaged may hide those after it.
    first: dict[str, Any] = {_CHECKSUM: np.array(_checksum(values))}
    np.savez_compressed(file, **(first | values))


def read(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file; every byte of them has been checked.

    Parameters
    ----------
    path : path

    Raises
    ------
    FileNotFoundError, ValueError
        As `Archive`, and if the checksum differs.
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
    """Return the array of an npy file's bytes, which hold all that it declares."""
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    reader = (
        npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    )
    shape, is_fortran, dtype = reader(file)
    if dtype.hasobject:
        raise ValueError("an array of objects, which is not read")
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"an array of shape {shape}, which is not there")
    flat = (
        np.frombuffer(content, dtype, offset=file.tell())
        if dtype.itemsize
        else (np.empty(math.prod(shape), dtype))
    )
    array = flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)
    return array.copy(order="K")
