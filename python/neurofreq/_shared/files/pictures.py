"""Open image files as 8-bit RGB; all image files are opened here."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from neurofreq._shared.files.damage import compare, no_folder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

MOST_PIXELS: Final = 2**26
"""The largest image that is decoded, 67 million pixels: 200 MB as RGB."""

# On the web, JPEG files often have the suffix of PNG files, and PNG files that of JPEG
# files. ImageNet has one such file.
_WEB = ("JPEG", "PNG")
_FORMATS: Final = {
    ".jpeg": _WEB,
    ".jpg": _WEB,
    ".png": _WEB,
    ".bmp": ("BMP",),
    ".webp": ("WEBP",),
    ".tif": ("TIFF",),
    ".tiff": ("TIFF",),
    ".ppm": ("PPM",),
    ".pgm": ("PPM",),
}
SUFFIXES: Final = frozenset(_FORMATS)
"""Suffixes of image files, in lower case."""

# Modes with an unambiguous conversion to RGB; 16-bit modes are scaled first.
_PLAIN: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
_SIXTEEN: Final = frozenset({"I;16", "I;16B", "I;16L"})
_WIDE: Final = frozenset({"PNG", "PPM"})  # formats in which mode "I" has 16 bits
_TIFF_BITS, _TIFF_ZERO, _BLACK = 258, 262, 1  # tags BitsPerSample, Photometric; black=0

# The comment of our JPEG files: this text and the SHA-256 of the file, computed with
# zeros in place of the SHA-256.
_SEAL, _BLANK = b"neurofreq sha256 ", b"0" * 64
_HEAD = 4096  # the comment begins within these bytes


def sealed_jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """Return an RGB image (H, W, 3) as a JPEG file with a checksum in its comment."""
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(pixels).save(
        encoded, format="JPEG", quality=quality, optimize=True, comment=_SEAL + _BLANK
    )
    content = encoded.getvalue()
    digest = hashlib.sha256(content).hexdigest().encode()
    return content.replace(_SEAL + _BLANK, _SEAL + digest, 1)


def is_sealed(path: Path) -> bool:
    """Return whether a file holds a checksum; raise ValueError if it differs."""
    no_folder(path)
    with path.open("rb") as file:
        head = file.read(_HEAD)
        at = head.find(_SEAL) + len(_SEAL)
        if at < len(_SEAL):
            return False
        content = head + file.read()
    before, found, after = content[:at], content[at : at + 64], content[at + 64 :]
    digest = hashlib.sha256(before + _BLANK + after).hexdigest()
    compare(path, found.decode("latin-1"), lambda: digest)
    return True


def read(path: Path, argument: str = "data") -> Image.Image:
    """Return an image file as 8-bit RGB.

    The suffix decides which decoders may read the file. Gray is repeated; palettes and
    CMYK are converted as in Pillow; 16-bit gray is divided by 257 and rounded. EXIF
    orientation, color profiles and gamma are ignored, as in torchvision.

    Raises FileNotFoundError for a missing file. Raises ValueError for a damaged file,
    another format than the suffix, more than `MOST_PIXELS` pixels, several pictures,
    transparent pixels, and values of unknown white level (floats, 32 bits).
    """
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise FileNotFoundError(f"{argument}: {path} is missing")
    formats = _FORMATS.get(path.suffix.lower())
    if formats is None:
        raise ValueError(
            f"{argument}: got {path}, expected one of {', '.join(sorted(SUFFIXES))}"
        )
    if formats is _WEB:
        _check_seal(path, argument)
    try:
        with Image.open(path, formats=formats) as file:
            problem = _problem(file)
            if problem is None:
                return _rgb(file)
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{argument}: {path} is no complete image, expected "
            f"{' or '.join(formats)} as its suffix says"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{argument}: {path} is too large ({error})") from error
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as error:
        raise ValueError(
            f"{argument}: {path} is no complete image ({error})"
        ) from error
    raise ValueError(f"{argument}: {path} {problem}")


def _check_seal(path: Path, argument: str) -> None:
    try:
        is_sealed(path)
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from error


def _problem(file: Any) -> str | None:
    """Return why an open file is refused, or None."""
    if file.width * file.height > MOST_PIXELS:
        return (
            f"has {file.height} x {file.width} pixels, expected at most {MOST_PIXELS} "
            "in all"
        )
    # A JPEG of a phone may hold a second, small picture; Pillow calls this MPO.
    n_pictures = 1 if file.format == "MPO" else getattr(file, "n_frames", 1)
    if n_pictures > 1:
        return f"holds {n_pictures} pictures, expected one"
    if not (file.mode in _PLAIN or _is_sixteen(file)):
        return (
            f"has mode {file.mode!r} in {file.format}, expected 8 bits, or 16 bits of "
            "gray with black at 0: convert it first"
        )
    if file.has_transparency_data and (
        file.mode not in _PLAIN or file.convert("RGBA").getextrema()[3][0] < 255
    ):
        return "has transparent pixels, expected none: put it on a background first"
    return None


def _is_sixteen(file: Any) -> bool:
    """Return whether values are gray from 0 to 65535."""
    if file.format == "TIFF":  # files with 12 bits or white at 0 have the same mode
        bits, zero = file.tag_v2.get(_TIFF_BITS), file.tag_v2.get(_TIFF_ZERO)
        return file.mode in _SIXTEEN and bits == (16,) and zero == _BLACK
    return file.mode in _SIXTEEN or (file.mode == "I" and file.format in _WIDE)


def _rgb(file: Any) -> Image.Image:
    """Return an open file of an accepted mode as RGB."""
    from PIL import Image

    if file.mode in _PLAIN:
        return file.convert("RGB")
    levels = np.rint(np.asarray(file) / 257.0)
    return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
