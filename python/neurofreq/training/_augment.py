"""Random shifts, mirrors, turns and color changes of training images.

All draws come from a generator on the CPU, so that the draws do not depend on the
device.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn

from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.pixel import luma
from neurofreq._shared.transfer import beside, send

if TYPE_CHECKING:
    from collections.abc import Callable

    Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]


def shift_and_flip(
    images: Tensor,
    generator: torch.Generator,
    *,
    padding: int = 4,
    mode: str = "reflect",
) -> Tensor:
    """Shift each image by up to `padding` pixels and mirror half of them.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        On any device; `padding` must be less than H and W.
    generator : torch.Generator
        Source of the draws, on the CPU.
    padding : int
        Width of the border that is added before a random crop of the original size.
    mode : {"reflect", "constant"}
        "reflect": the border mirrors the image; "constant": the border is 0.

    Returns
    -------
    Tensor, shape (N, C, H, W)

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> images = torch.rand(4, 3, 32, 32)
    >>> nf.training.shift_and_flip(images, torch.Generator().manual_seed(0)).shape
    torch.Size([4, 3, 32, 32])
    """
    validate.one_of("mode", mode, ("reflect", "constant"))
    padding = validate.count("padding", padding, 0)
    validate.layout(images, "images")
    n, _, height, width = images.shape
    if padding >= min(height, width):
        raise ValueError(
            f"padding: got {padding}, expected less than the sides, {height} x {width}"
        )
    padded = nn.functional.pad(images, (padding,) * 4, mode=mode)
    host = generator.device
    size = 2, n, 1
    shift = torch.randint(2 * padding + 1, size, generator=generator, device=host)
    rows = shift[0] + torch.arange(height, device=host)
    columns = shift[1] + torch.arange(width, device=host)
    is_flipped = torch.rand(n, 1, generator=generator, device=host) < 0.5
    columns = torch.where(is_flipped, columns.flip(1), columns)
    number = torch.arange(n, device=host)[:, None, None]
    index = number, rows[:, :, None], columns[:, None, :]
    image, row, column = send(index, images.device)
    # Index arrays on both sides of a slice put the channels last.
    crops = padded[image, :, row, column]
    return crops.permute(0, 3, 1, 2).contiguous()


def turn(images: Tensor, generator: torch.Generator, *, degrees: float) -> Tensor:
    """Turn each image about its center by a uniform angle up to +/- `degrees`.

    Interpolation is bilinear. Pixels from outside the image are 0.
    """
    n, _, height, width = images.shape
    angle = torch.empty(n, device=generator.device)
    angle = angle.uniform_(-1.0, 1.0, generator=generator)
    angle = angle * math.radians(degrees)
    cos, sin = torch.cos(angle), torch.sin(angle)
    ratio = height / width  # grid units are half the width and half the height
    matrix = torch.zeros(n, 2, 3, device=angle.device)
    matrix[:, 0, 0], matrix[:, 0, 1] = cos, -sin * ratio
    matrix[:, 1, 0], matrix[:, 1, 1] = sin / ratio, cos
    size = list(images.shape)
    grid = nn.functional.affine_grid(beside(matrix, images), size, align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def shift_flip_and_turn(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift with a border of zeros, mirror, and turn by up to 15 degrees.

    Safarani et al. 2021 use this augmentation for grayscale TinyImageNet.
    """
    moved = shift_and_flip(images, generator, mode="constant")
    return turn(moved, generator, degrees=15.0)


def jitter(images: Tensor, generator: torch.Generator, *, strength: float) -> Tensor:
    """Change brightness and contrast, and the saturation of color images.

    Each factor is uniform in 1 - strength to 1 + strength. Results are clipped to
    [0, 1].
    """
    factors = torch.empty(3, len(images), 1, 1, 1, device=generator.device)
    factors.uniform_(1.0 - strength, 1.0 + strength, generator=generator)
    brightness, contrast, saturation = beside(factors, images)
    images = (images * brightness).clamp(0.0, 1.0)
    middle = _luma(images).mean(dim=(1, 2, 3), keepdim=True)
    images = (middle + contrast * (images - middle)).clamp(0.0, 1.0)
    plain = _luma(images)
    return (plain + saturation * (images - plain)).clamp(0.0, 1.0)


def _luma(images: Tensor) -> Tensor:
    gray: Tensor = luma(images) if images.shape[1] == 3 else images
    return gray


def shift_turn_flip_and_jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn by up to 2 degrees, shift, mirror, and change the colors by up to 25 %.

    Li et al. 2023 use this augmentation for their networks "blur".
    """
    moved = shift_and_flip(turn(images, generator, degrees=2.0), generator)
    return jitter(moved, generator, strength=0.25)


def unchanged(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return the images as they are."""
    del generator
    return images


AUGMENTATIONS: dict[str, Augment] = {
    "none": unchanged,
    "shift_and_flip": shift_and_flip,
    "shift_flip_and_turn": shift_flip_and_turn,
    "shift_turn_flip_and_jitter": shift_turn_flip_and_jitter,
}
"""Augmentations by the names that recipes use."""
