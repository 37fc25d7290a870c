"""Present image files as one array that is decoded when it is indexed."""

from __future__ import annotations

import hashlib
import operator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared import results, runtime
from neurofreq._shared.files import pictures
from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.pixel import luma, to_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, repr=False)
class ImageFiles:
    """Image files that act as an array (N, C, H, W).

    Indexing decodes the requested images in parallel and keeps none of them. Can be
    pickled and used in forked workers.

    Every file becomes 8-bit RGB. Gray is repeated; palettes and CMYK are converted as
    in Pillow. 16-bit gray is divided by 257 and rounded; 16-bit colors are reduced to
    their high byte. EXIF orientation, color profiles and gamma are ignored, as in
    torchvision. A file is refused if it has transparent pixels, several pictures,
    floats or 32 bits, a format that does not match its suffix, or more than 2**26 (67
    million) pixels (checked before memory is allocated). The error names the file.

    Attributes
    ----------
    root : Path
    names : tuple of str
        Paths relative to `root`, N of them.
    size : tuple of int
        Height and width after `resize` and `crop`.
    resize : int, optional
        Scale the shorter side to this many pixels, bilinear and antialiased.
    crop : int, optional
        After that, cut out a centered square of this side.
    is_gray : bool
        Return the luma, float32 in [0, 1] with C = 1, instead of uint8 with C = 3.

    Examples
    --------
    >>> import pathlib
    >>> import PIL.Image
    >>> import neurofreq as nf
    >>> pathlib.Path("photos/cat").mkdir(parents=True)
    >>> PIL.Image.new("RGB", (80, 60)).save("photos/cat/one.png")
    >>> files = nf.data.open_folder("photos", resize=40, crop=32).images
    >>> files.names, files.size
    (('cat/one.png',), (32, 32))
    >>> files
    ImageFiles(root: photos, files: 1, size: 3 x 32 x 32, dtype: uint8)
    >>> files[:1].shape
    (1, 3, 32, 32)
    """

    root: Path
    names: tuple[str, ...]
    size: tuple[int, int]
    resize: int | None = None
    crop: int | None = None
    is_gray: bool = False

    @classmethod
    def of(
        cls,
        root: Path,
        names: tuple[str, ...],
        *,
        resize: int | None = None,
        crop: int | None = None,
    ) -> ImageFiles:
        """Return the files as an array with the size of the first image.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no file, or the first file is not an image.
        """
        if not names:
            raise ValueError(f"data: {root} holds no image")
        height, width = _decoded(root / names[0], resize, crop).shape[:2]
        return cls(root, names, (height, width), resize, crop)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape (N, C, H, W)."""
        return (len(self.names), 1 if self.is_gray else 3, *self.size)

    @property
    def ndim(self) -> int:
        """The number of axes, 4."""
        return 4

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of indexed images."""
        return np.dtype(np.float32 if self.is_gray else np.uint8)

    def __repr__(self) -> str:
        """Describe the files in one line."""
        size = results.size(self.shape[1:])
        numbers = {"root": self.root, "files": len(self), "size": size}
        return results.line(self, numbers | {"dtype": self.dtype})

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.names)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Decode one image (C, H, W), or the images of a slice or index array.

        Raises
        ------
        FileNotFoundError, ValueError
            If a file is missing, is damaged, or has another size than the first file.
        """
        if np.ndim(key) == 0 and not isinstance(key, slice):
            return self._pixels([self.names[operator.index(key)]])[0]
        index = np.arange(len(self))[key]
        return self._pixels([self.names[i] for i in index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Decode every file."""
        if copy is False:
            raise ValueError("copy: got False, expected True or None to decode files")
        return np.asarray(self[:], dtype=dtype)

    def take(self, index: Any, axis: int = 0) -> ImageFiles:
        """Return the files of indices or of a mask, not decoded; `axis` is 0."""
        rows = validate.index("index", index, len(self))
        return replace(self, names=tuple(self.names[i] for i in rows))

    def gray(self) -> ImageFiles:
        """Return the same files, decoded to luma."""
        return replace(self, is_gray=True)

    def digest(self) -> str:
        """Return the SHA-256 of the files' names and contents, and of all settings."""

        def content(name: str) -> bytes:
            return hashlib.sha256(_present(self.root / name).read_bytes()).digest()

        form = (self.size, self.resize, self.crop, self.is_gray)
        digest = hashlib.sha256(repr(form).encode())
        with ThreadPoolExecutor(runtime.num_threads()) as pool:
            for name, one in zip(
                self.names, pool.map(content, self.names), strict=True
            ):
                digest.update(f"{name}\0".encode() + one)
        return digest.hexdigest()

    def _pixels(self, names: list[str]) -> NDArray[Any]:
        def decode(name: str) -> NDArray[np.uint8]:
            pixels = _decoded(self.root / name, self.resize, self.crop)
            if pixels.shape[:2] != self.size:
                raise ValueError(
                    f"data: {self.root / name} has {pixels.shape[:2]} pixels, expected "
                    f"{self.size} as the first image: give resize and crop"
                )
            return pixels

        n_threads = min(runtime.num_threads(), len(names))
        if n_threads < 2:
            decoded = [decode(name) for name in names]
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                decoded = list(pool.map(decode, names))
        images = np.empty((len(names), 3, *self.size), dtype=np.uint8)
        for row, pixels in enumerate(decoded):
            images[row] = pixels.transpose(2, 0, 1)
        return luma(to_unit(images)) if self.is_gray else images


def _decoded(path: Path, resize: int | None, crop: int | None) -> NDArray[np.uint8]:
    """Return one file as RGB, (H, W, 3)."""
    image = pictures.read(path)
    if resize is None and crop is None:
        return np.asarray(image)
    if resize is not None:
        scale = resize / min(image.size)
        if scale**2 * image.width * image.height > pictures.MOST_PIXELS:
            raise ValueError(
                f"data: {path} has {image.height} x {image.width} pixels, expected at "
                f"most {pictures.MOST_PIXELS} in all when resized to {resize}"
            )
        from PIL import Image

        # The shorter side becomes `resize`; the longer side is rounded down.
        short = min(image.size)
        width, height = (resize * side // short for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    if crop is not None:
        if min(image.size) < crop:
            raise ValueError(
                f"data: {path} has {image.height} x {image.width} pixels, expected at "
                f"least {crop}, the crop"
            )
        left, top = (round((side - crop) / 2) for side in image.size)
        image = image.crop((left, top, left + crop, top + crop))
    return np.asarray(image)


def _present(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"data: {path} is missing")
    return path
