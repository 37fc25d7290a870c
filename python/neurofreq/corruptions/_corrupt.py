"""Corrupt images, in batches or as a transform."""

from __future__ import annotations

import difflib
import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate
from neurofreq._shared.progress import bar
from neurofreq.corruptions import _samples, _textures

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from PIL import Image

    Batch = TypeVar("Batch", NDArray[Any], torch.Tensor)

Layout: TypeAlias = Literal["nhwc", "nchw"]
Parameters: TypeAlias = Literal["auto", "cifar", "tinyimagenet", "imagenet"]

CORRUPTIONS: Final[tuple[str, ...]] = tuple(_neurofreq.corruption_names())
"""All corruptions in the published order: the 15 of the paper, then the 4 that the
benchmark keeps for validation (`EXTRA_CORRUPTIONS`)."""

CORRUPTION_GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "low": ("snow", "frost", "fog", "brightness", "contrast"),
        "medium": (
            "defocus_blur",
            "glass_blur",
            "motion_blur",
            "zoom_blur",
            "elastic_transform",
            "pixelate",
            "jpeg_compression",
        ),
        "high": ("gaussian_noise", "shot_noise", "impulse_noise"),
    }
)
"""The 15 corruptions of the paper, grouped by the frequencies that they alter (Li et
al. 2023, Table A)."""

EXTRA_CORRUPTIONS: Final[tuple[str, ...]] = CORRUPTIONS[15:]
"""Corruptions that the paper does not use. They belong to no group."""

LEAST_SIDE: Final = 16
"""Smallest side of images that can be corrupted, in pixels."""

PARAMETERS: Final[tuple[str, ...]] = ("auto", "cifar", "tinyimagenet", "imagenet")
"""Sets of published constants that `corrupt` accepts."""

# Values per call of the kernel: Ctrl-C takes effect between calls.
_PART: Final = 2**24


def corrupt(
    images: Batch,
    name: str,
    severity: int,
    *,
    seed: int,
    layout: Layout | None = None,
    parameters: Parameters = "auto",
    first_index: int = 0,
    textures: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Batch:
    """Corrupt each image of a batch.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, H, W, C) or (N, C, H, W)
        uint8 from 0 to 255, or float32 or float64 in [0, 1]; at least 16 by 16
        pixels. Three channels are red, green and blue. Any other number of channels are
        gray planes.
    name : str
        One of `CORRUPTIONS`.
    severity : int
        1 (weak) to 5 (strong).
    seed : int
        The seed and the index of an image determine the image's random numbers. The
        batch, the layout and the number of threads have no effect on them.
    layout : {"nhwc", "nchw"}, optional
        Position of the channels. May be omitted if exactly one of the second and the
        last axis has length 1 or 3.
    parameters : {"auto", "cifar", "tinyimagenet", "imagenet"}
        The published constants of CIFAR-10-C, Tiny ImageNet-C or ImageNet-C.
        "auto" chooses by the shorter side of the images: "cifar" up to 48 pixels,
        "tinyimagenet" up to 144 pixels, and "imagenet" above.
    first_index : int
        Index of the first image. For a batch of a data set, pass the position of the
        batch's first image in the data set. The batches then get the same pixels as in
        one call on the whole data set.
    textures : path, optional
        Folder with the published photographs of frost, ``frost1.png`` to
        ``frost5.jpg``. Without this folder, frost generates its own textures.
    progress : bool
        Show a progress bar.

    Returns
    -------
    ndarray or Tensor
        New images without gradient, with the type, shape, dtype, device and range of
        values of `images`.

    Raises
    ------
    TypeError
        If `images` is not an array or tensor, or has a dtype that is not listed above.
    ValueError
        If the name (the message suggests the nearest one), severity or parameters are
        unknown, the layout is ambiguous or wrong, or images are too small, empty, NaN
        or out of range.
    FileNotFoundError
        If a texture is missing from its folder.

    Notes
    -----
    Kernels compute in single precision. uint8 results are truncated, not rounded, as in
    the published code; this darkens images by half a gray level on average.
    ``jpeg_compression`` and ``pixelate`` are defined on 8 bits: floats are first
    rounded to the nearest level, and the result has 256 levels.

    Constants in pixels (radii, displacements) are not scaled with the image size.

    Differences from the paper: the paper reads the published files of CIFAR-10-C, Tiny
    ImageNet-C and ImageNet-C. These files have 8 bits, and the ImageNet files are also
    compressed as JPEG. Here, images are corrupted on the fly. Random corruptions have
    the published distribution, but not the published random draws. Frost generates its
    textures unless `textures` is given. ``docs/corruptions.md`` lists the remaining
    differences from the package ``imagecorruptions``.

    References
    ----------
    Hendrycks & Dietterich 2019, arXiv 1903.12261; Li et al. 2023, Fig 2.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> clean = np.full((2, 32, 32, 3), 128, dtype=np.uint8)
    >>> nf.corrupt(clean, "gaussian_noise", 3, seed=0).shape
    (2, 32, 32, 3)
    """
    array = _pixels(images)
    progress = validate.flag("progress", progress)
    _request(name, severity, parameters)
    layout = _layout(array.shape, layout)
    first = validate.seed(first_index, "first_index")
    streams = np.uint64(first) + np.arange(len(array), dtype=np.uint64)
    corrupted = _run(
        array,
        (name, int(severity), validate.seed(seed)),
        streams,
        (layout, parameters),
        None if textures is None else _textures.read(str(textures)),
        progress,
    )
    return _samples.like(images, corrupted)


class Corruption(torch.nn.Module):
    """A corruption as a transform of images, for data sets and pipelines.

    Accepts a PIL image (RGB or L), one image (C, H, W) or (H, W, C), or a batch, and
    returns the same kind: array, tensor, ``tv_tensors.Image`` or PIL image. Also
    accepts samples such as (image, label) or {"image": image, "label": label}, as a
    ``torchvision.transforms.v2.Compose`` passes them. Only the image is changed;
    labels, boxes and masks pass through. A corruption can be pickled and used in forked
    and spawned workers.

    Parameters
    ----------
    name, severity, layout, parameters, textures
        As in `corrupt`; `layout` is "nchw" for (C, H, W) and "nhwc" for (H, W, C).
    seed : int, optional
        Without a seed, every call draws from torch's generator. The noise then differs
        between images, epochs and workers, which suits augmentation. With a seed, an
        image gets the same corruption in every epoch: its randomness depends on the
        seed and the image's `index`, or on the seed and the pixels if no index is
        passed. The number of workers and the order of images have no effect. Without an
        index, equal images get equal noise, and different images of a class get
        different noise.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As `corrupt`; a wrong name, severity, seed or parameter set is reported at once.

    Notes
    -----
    In a sample, PIL images and ``tv_tensors.Image`` count as images. If a sample has
    none, its images are the arrays with 3 or 4 axes under the keys "image", "images",
    "pixel_values" or "img". Without these keys, its image is the first array with 3 or
    4 axes.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> fog = nf.Corruption("fog", 3, seed=0)
    >>> fog(torch.rand(3, 32, 32), index=7).shape
    torch.Size([3, 32, 32])
    >>> image, label = fog(torch.rand(3, 32, 32), 5)
    >>> label
    5
    """

    def __init__(
        self,
        name: str,
        severity: int,
        *,
        seed: int | None = None,
        layout: Layout | None = None,
        parameters: Parameters = "auto",
        textures: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        _request(name, severity, parameters)
        if layout is not None:
            validate.one_of("layout", layout, ("nhwc", "nchw"))
        self.name = name
        self.severity = int(severity)
        self.seed = None if seed is None else validate.seed(seed)
        self.layout: Layout | None = layout
        self.parameter_set: Parameters = parameters  # nn.Module has a `parameters`
        self.textures = None if textures is None else str(textures)

    def forward(self, images: Any, *others: Any, index: int | None = None) -> Any:
        """Corrupt an image or a batch, or the images of a sample.

        Parameters
        ----------
        images : image or sample
        *others
            The rest of a sample, such as its label; the result is then a tuple.
        index : int, optional
            Index of the image, or of the first image of a batch.
        """
        first = None if index is None else validate.seed(index, "index")

        def change(image: Any) -> Any:
            nonlocal first
            at = first
            if first is not None:  # every image gets its own index
                first += len(image) if getattr(image, "ndim", 0) == 4 else 1
            return self._changed(image, at)

        return _samples.changed((images, *others) if others else images, change)

    def _changed(self, images: Any, index: int | None) -> Any:
        """Corrupt an image or a batch; `index` is the index of the (first) image."""
        if not isinstance(images, (np.ndarray, torch.Tensor)):
            from PIL import Image  # slow to import

            if isinstance(images, Image.Image):
                return self._picture(images, index)
        array = _pixels(images, ndim=(3, 4))
        single = array.ndim == 3
        batch = array[None] if single else array
        layout = _layout(batch.shape, self.layout)
        seed, streams = self._randomness(batch, index)
        corrupted = _run(
            batch,
            (self.name, self.severity, seed),
            streams,
            (layout, self.parameter_set),
            None if self.textures is None else _textures.read(self.textures),
        )
        corrupted = corrupted[0] if single else corrupted
        return _samples.like(images, corrupted)

    def extra_repr(self) -> str:
        """Return the settings, for printing."""
        return f"{self.name!r}, {self.severity}, seed={self.seed}"

    def _picture(self, picture: Image.Image, index: int | None) -> Image.Image:
        from PIL import Image

        if picture.mode not in ("RGB", "L"):
            raise TypeError(f"images: got mode {picture.mode!r}, expected 'RGB' or 'L'")
        array = np.asarray(picture)
        whole = Corruption(
            self.name,
            self.severity,
            seed=self.seed,
            layout="nhwc",
            parameters=self.parameter_set,
            textures=self.textures,
        )
        corrupted = whole(array.reshape(*array.shape[:2], -1), index=index)
        return Image.fromarray(corrupted.reshape(array.shape))

    def _randomness(
        self, batch: NDArray[Any], index: int | None
    ) -> tuple[int, NDArray[np.uint64]]:
        """Return the seed and the random stream of each image."""
        count = np.arange(len(batch), dtype=np.uint64)
        if index is not None:
            count = np.uint64(index) + count
        elif self.seed is not None:
            count = np.array([_digest(image) for image in batch], dtype=np.uint64)
        if self.seed is None:
            return int(torch.randint(2**62, (), device="cpu")), count
        return self.seed, count


def _run(
    array: NDArray[Any],
    what: tuple[str, int, int],
    streams: NDArray[np.uint64],
    form: tuple[Layout, Parameters],
    textures: _neurofreq.Textures | None,
    progress: bool = False,
) -> NDArray[Any]:
    """Corrupt a checked batch, part by part."""
    layout, parameters = form
    if parameters == "auto":
        side = min(array.shape[1:3] if layout == "nhwc" else array.shape[2:4])
        parameters = (
            "cifar" if side <= 48 else "tinyimagenet" if side <= 144 else "imagenet"
        )
    count = len(array)
    step = max(1, _PART * count // max(array.size, 1))
    parts = [slice(start, start + step) for start in range(0, max(count, 1), step)]

    def part(at: slice) -> NDArray[Any]:
        return _neurofreq.corrupt(
            array[at], *what, streams[at], layout, parameters, textures
        )

    if len(parts) == 1:
        return part(parts[0])
    corrupted = np.empty_like(array)
    with bar(total=count, desc=what[0], progress=progress) as shown:
        for at in parts:
            corrupted[at] = part(at)
            shown.update(len(corrupted[at]))
    return corrupted


def _request(name: Any, severity: Any, parameters: Any) -> None:
    if not isinstance(name, str) or name not in CORRUPTIONS:
        nearest = difflib.get_close_matches(str(name), CORRUPTIONS, 1, 0.0)[0]
        raise ValueError(
            f"name: got {validate.shown(name)}, expected one of "
            f"{', '.join(CORRUPTIONS)}; the nearest is {nearest!r}"
        )
    try:
        is_known = validate.integer("severity", severity) in (1, 2, 3, 4, 5)
    except TypeError:
        is_known = False
    if not is_known:
        got = validate.shown(severity)
        raise ValueError(f"severity: got {got}, expected 1 to 5")
    validate.one_of("parameters", parameters, PARAMETERS)


def _pixels(images: Any, ndim: tuple[int, ...] = (4,)) -> NDArray[Any]:
    """Return checked images as an array, without a copy where possible."""
    images = validate.stored(images)
    if images.ndim not in ndim:
        raise ValueError(
            f"images: got shape {images.shape}, expected (N, H, W, C) or (N, C, H, W)"
            + (", or one of them" if 3 in ndim else "")
        )
    if 0 in images.shape:
        raise ValueError(f"images: got shape {images.shape}, expected no empty axis")
    if images.dtype != np.uint8:
        validate.finite(images, "images", unit_range=True)
    return images


def _layout(shape: tuple[int, ...], layout: Layout | None) -> Layout:
    if layout is not None:
        validate.one_of("layout", layout, ("nhwc", "nchw"))
        return layout
    is_first, is_last = shape[1] in (1, 3), shape[3] in (1, 3)
    if is_first == is_last:
        raise ValueError(
            f"layout: images of shape {shape} may be either, expected "
            "layout='nhwc' or layout='nchw'"
        )
    return "nchw" if is_first else "nhwc"


def _digest(image: NDArray[Any]) -> int:
    """Return a number that depends on the pixels only."""
    pixels = np.ascontiguousarray(image)
    return int.from_bytes(
        hashlib.blake2b(pixels.data, digest_size=8).digest(), "little"
    )
