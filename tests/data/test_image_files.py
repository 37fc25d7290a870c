"""Image files that are read or refused; all readers follow the same rules."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from neurofreq import data
from neurofreq.data import CorruptedFolder

SIDE = 24
RAMP = np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)
LEVELS = np.rint(RAMP / 257).astype(np.uint8)


def saved(folder, name, picture, **options):
    """Write a picture as the only image of a class."""
    path = folder / "only" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def of_folder(path):
    return data.open_folder(path.parents[1]).images[0]


def of_imagenet(path):
    return data.open_imagenet(path.parents[1], resize=None, crop=None).images[0]


def of_tinyimagenet(path):
    root = path.parents[2] / "tiny"
    images = root / "train" / "only" / "images"
    images.mkdir(parents=True)
    (root / "wnids.txt").write_text("only")
    (images / path.name).write_bytes(path.read_bytes())
    return data.open_tinyimagenet(root, split="train").images[0]


def of_corrupted(path):
    cell = path.parents[2] / "made" / "fog" / "1" / "only"
    cell.mkdir(parents=True)
    (cell / path.name).write_bytes(path.read_bytes())
    return CorruptedFolder(cell.parents[2]).cell("fog", 1).images[0]


READERS = [of_folder, of_imagenet, of_tinyimagenet, of_corrupted]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".pgm"])
def test_sixteen_bits_of_gray_are_scaled_to_eight(tmp_path, read, suffix):
    path = saved(tmp_path / "set", f"ramp{suffix}", Image.fromarray(RAMP))
    np.testing.assert_array_equal(read(path), [LEVELS] * 3)


def test_big_endian_sixteen_bits_are_read_alike(tmp_path):
    with Image.new("I;16B", (SIDE, SIDE)) as picture:
        picture.frombytes(RAMP.astype(">u2").tobytes())
        path = saved(tmp_path, "ramp.tiff", picture)
    np.testing.assert_array_equal(of_folder(path)[0], LEVELS)


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".pgm", ".ppm", ".webp", ".bmp"])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_images_of_these_suffixes_are_seen(tmp_path, suffix, case):
    picture = Image.fromarray(LEVELS)
    if suffix == ".ppm":
        picture = picture.convert("RGB")
    options = {"lossless": True} if suffix == ".webp" else {}
    path = saved(tmp_path, case(f"ramp{suffix}"), picture, **options)
    np.testing.assert_array_equal(of_folder(path), [LEVELS] * 3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK"])
def test_eight_bit_modes_become_rgb(tmp_path, mode):
    picture = Image.fromarray(LEVELS).convert("RGB")
    picture = picture.quantize() if mode == "P" else picture.convert(mode)
    suffix = ".tif" if mode == "CMYK" else ".png"
    path = saved(tmp_path, f"ramp{suffix}", picture)
    expected = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(of_folder(path), expected)


def transparent(mode):
    picture = Image.new("RGBA", (SIDE, SIDE), (200, 100, 50, 255))
    picture.putpixel((3, 4), (0, 255, 0, 254))
    return picture.convert(mode)


def white_at_zero(path):
    """Change a little-endian TIFF so that 0 is white."""
    content = path.read_bytes()
    entry = struct.pack("<HHIH", 262, 3, 1, 1)
    assert content.count(entry) == 1
    path.write_bytes(content.replace(entry, struct.pack("<HHIH", 262, 3, 1, 0)))
    return path


REFUSED = {
    "transparent": (
        lambda at: saved(at, "a.png", transparent("RGBA")),
        "has transparent pixels, expected none",
    ),
    "transparent gray": (
        lambda at: saved(at, "a.png", transparent("LA")),
        "has transparent pixels",
    ),
    "transparent colour": (
        lambda at: saved(
            at, "a.png", Image.fromarray(LEVELS), transparency=int(LEVELS[0, 0])
        ),
        "has transparent pixels",
    ),
    "floats": (
        lambda at: saved(at, "a.tif", Image.fromarray(RAMP.astype(np.float32))),
        "has mode 'F' in TIFF, expected 8 bits, or 16 bits of gray",
    ),
    "32 bits": (
        lambda at: saved(at, "a.tif", Image.fromarray(RAMP.astype(np.int32))),
        "has mode 'I' in TIFF",
    ),
    "white at 0": (
        lambda at: white_at_zero(saved(at, "a.tif", Image.fromarray(RAMP))),
        "has mode 'I;16' in TIFF",
    ),
    "several": (
        lambda at: saved(
            at,
            "a.tif",
            Image.fromarray(LEVELS),
            save_all=True,
            append_images=[Image.fromarray(LEVELS.T.copy())],
        ),
        "holds 2 pictures, expected one",
    ),
    "animated": (
        lambda at: saved(
            at,
            "a.webp",
            Image.fromarray(LEVELS),
            save_all=True,
            append_images=[Image.fromarray(LEVELS.T.copy())],
        ),
        "holds 2 pictures",
    ),
    "another format": (
        lambda at: renamed(saved(at, "a.bmp", Image.fromarray(LEVELS)), "a.png"),
        "is no complete image, expected JPEG or PNG as its suffix says",
    ),
}


def renamed(path, name):
    return path.rename(path.with_name(name))


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_one_meaning_is_refused_by_name(tmp_path, kind):
    make, message = REFUSED[kind]
    path = make(tmp_path / "set")
    for read in READERS:
        with pytest.raises(ValueError, match=f"{path.name} {message}"):
            read(path)


def declared(height, width):
    """Return a small PNG that declares a large size."""

    def chunk(kind, content):
        body = kind + content
        return (
            struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(bytes(1000))),
            chunk(b"IEND", b""),
        ]
    )


@pytest.mark.parametrize("size", [(8193, 8192), (13300, 13300), (30000, 30000)])
@pytest.mark.parametrize("action", ["error", "ignore"])
def test_a_declared_size_is_refused_before_memory_is_taken(tmp_path, size, action):
    path = saved(tmp_path, "a.png", Image.fromarray(LEVELS))
    path.write_bytes(declared(*size))
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        with pytest.raises(ValueError, match=r"a\.png (has \d+ x \d+|is too large)"):
            of_folder(path)


def test_a_thin_image_is_not_resized_to_a_large_one(tmp_path):
    path = saved(tmp_path, "a.png", Image.new("RGB", (1, 40_000)))
    with pytest.raises(ValueError, match=r"a\.png has 40000 x 1 pixels, expected at"):
        data.open_imagenet(path.parents[1])


def test_orientation_is_not_applied_as_in_torchvision(tmp_path):
    picture = Image.fromarray(LEVELS[:16])
    tags = picture.getexif()
    tags[0x0112] = 6
    path = saved(tmp_path, "a.jpg", picture, exif=tags, quality=95)
    assert of_folder(path).shape == (3, 16, SIDE)


def test_a_png_with_the_suffix_of_a_jpeg_is_read(tmp_path):
    """ImageNet has such a file."""
    path = renamed(saved(tmp_path, "a.png", Image.fromarray(LEVELS)), "a.JPEG")
    np.testing.assert_array_equal(of_folder(path)[0], LEVELS)
