"""AugMix: mix each image with copies that are changed by chains of operations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from neurofreq._shared.inputs import validate
from neurofreq._shared.transfer import beside, send

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
"""Operations that move pixels; each image has a matrix."""


def augmix(
    images: Tensor,
    generator: torch.Generator,
    *,
    severity: float = 3.0,
    width: int = 3,
    depth: int = 3,
    alpha: float = 1.0,
) -> Tensor:
    """Mix each image with copies that are changed by chains of operations.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        float32 in [0, 1], on any device.
    generator : torch.Generator
        Source of the draws, on the CPU.
    severity : float
        Largest strength of an operation, in [0.1, 10]. Strengths are uniform from 0.1
        to `severity`.
    width : int
        Chains per image.
    depth : int
        Largest number of operations in a chain; each chain has 1 to `depth`.
    alpha : float
        Parameter of the Dirichlet weights of chains and of the Beta weight of the
        mixture.

    Returns
    -------
    Tensor, shape (N, C, H, W)
        In [0, 1].

    Raises
    ------
    TypeError, ValueError
        If the type, shape or range of the images is wrong, or a setting is out of
        range.

    Notes
    -----
    The nine operations do not overlap with the common corruptions: rotation (up to 30
    degrees at strength 10), shear along x or y (0.3), translation along x or y (a third
    of a side), posterization, solarization, histogram equalization and automatic
    contrast. Pixels from outside an image are 0. Values are rounded to 8 bits for
    operations that are defined on 8-bit values.

    References
    ----------
    Hendrycks et al. 2020, arXiv 1912.02781, algorithm 1 and section 3.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> images = torch.rand(4, 3, 32, 32)
    >>> mixed = nf.training.augmix(images, torch.Generator().manual_seed(0))
    >>> mixed.shape, torch.equal(mixed, images)
    (torch.Size([4, 3, 32, 32]), False)
    """
    images = validate.images(images, unit_range=True)
    severity = validate.number("severity", severity)
    validate.within("severity", severity, 0.1 <= severity <= 10.0, "0.1 to 10")
    width, depth = validate.count("width", width), validate.count("depth", depth)
    alpha = validate.number("alpha", alpha)
    validate.within("alpha", alpha, 0.0 < alpha < math.inf, "above 0")
    n, host = len(images), generator.device
    weights = _dirichlet(torch.full((n, width), alpha, device=host), generator)
    kept = _dirichlet(torch.full((n, 2), alpha, device=host), generator)
    mixture = torch.zeros_like(images)
    for chain in range(width):
        changed = images
        length = torch.randint(1, depth + 1, (n,), generator=generator, device=host)
        for place in range(depth):
            changed = _operate(changed, length > place, severity, generator)
        mixture += beside(weights[:, chain].view(-1, 1, 1, 1), images) * changed
    share = beside(kept[:, 0].view(-1, 1, 1, 1), images)
    return (share * images + (1.0 - share) * mixture).clamp_(0.0, 1.0)


def _dirichlet(concentration: Tensor, generator: torch.Generator) -> Tensor:
    """Draw rows that sum to 1; with two columns, the Beta distribution."""
    gamma = torch._standard_gamma(concentration.double(), generator=generator)
    gamma = gamma.clamp_min(1e-30)
    return (gamma / gamma.sum(dim=1, keepdim=True)).float()


def _operate(
    images: Tensor, chosen: Tensor, severity: float, generator: torch.Generator
) -> Tensor:
    """Apply an operation of random kind and strength to each chosen image."""
    n = len(images)
    drawn: dict[str, Any] = {"generator": generator, "device": generator.device}
    kind = torch.randint(len(SHAPES) + len(_VALUES), (n,), **drawn)
    level = 0.1 + (severity - 0.1) * torch.rand(n, **drawn)
    sign = 2.0 * torch.randint(2, (n,), **drawn) - 1.0
    changed = images.clone()
    moved = (chosen & (kind < len(SHAPES))).nonzero().flatten()
    if len(moved):
        matrix = _matrices(kind[moved], (sign * level)[moved], images)
        at, matrix = send([moved, matrix.to(images.dtype)], images.device)
        changed[at] = _moved(images[at], matrix)
    for index, operation in enumerate(_VALUES):
        chosen_here = (chosen & (kind == len(SHAPES) + index)).nonzero().flatten()
        if len(chosen_here):
            strength = level[chosen_here].view(-1, 1, 1, 1).to(images.dtype)
            at, strength = send([chosen_here, strength], images.device)
            changed[at] = operation(images[at], strength)
    return changed


def _matrices(kind: Tensor, level: Tensor, images: Tensor) -> Tensor:
    """Return the matrix that rotates, shears or shifts each image, shape (n, 2, 3)."""
    height, width = images.shape[2:]
    matrix = torch.eye(2, 3, device=kind.device).repeat(len(kind), 1, 1)
    angle = torch.where(kind == 0, level / 10.0 * math.radians(30.0), 0.0)
    ratio = height / width  # grid units are half the width and half the height
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 0, 1], matrix[:, 1, 0] = -angle.sin() * ratio, angle.sin() / ratio
    shear, shift = level / 10.0 * 0.3, level / 10.0 * 2.0 / 3.0
    matrix[:, 0, 1] += torch.where(kind == 1, shear * ratio, 0.0)
    matrix[:, 1, 0] += torch.where(kind == 2, shear / ratio, 0.0)
    matrix[:, 0, 2] = torch.where(kind == 3, shift, 0.0)
    matrix[:, 1, 2] = torch.where(kind == 4, shift, 0.0)
    return matrix


def _moved(images: Tensor, matrix: Tensor) -> Tensor:
    """Move the pixels of each image, bilinearly."""
    grid = affine_grid(matrix, list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)


def _posterized(images: Tensor, level: Tensor) -> Tensor:
    """Keep the 4 leading bits, or fewer at higher levels."""
    size = 2.0 ** (8.0 - (4.0 - (level * 0.4).floor()))
    return ((images * 255.0).round() / size).floor() * size / 255.0


def _solarized(images: Tensor, level: Tensor) -> Tensor:
    """Invert the bright pixels, more of them at higher levels."""
    threshold = 1.0 - level / 10.0
    return torch.where(images < threshold, images, 1.0 - images)


def _contrasted(images: Tensor, level: Tensor) -> Tensor:
    """Stretch each channel to [0, 1]."""
    del level
    low = images.amin(dim=(2, 3), keepdim=True)
    spread = images.amax(dim=(2, 3), keepdim=True) - low
    stretched = (images - low) / spread.clamp_min(1e-6)
    return torch.where(spread > 1e-6, stretched, images)


def _equalized(images: Tensor, level: Tensor) -> Tensor:
    """Make each channel's histogram of 256 values as flat as possible."""
    del level
    values = (images * 255.0).round().long().flatten(2)
    counts = torch.zeros(*values.shape[:2], 256, device=values.device)
    counts.scatter_add_(2, values, torch.ones_like(values, dtype=counts.dtype))
    brightest = counts.gather(2, values.amax(dim=2, keepdim=True))
    step = ((values.shape[2] - brightest) / 255.0).floor()
    below = counts.cumsum(2) - counts
    table = ((below + (step / 2.0).floor()) / step.clamp_min(1.0)).floor()
    table = table.clamp(0.0, 255.0) / 255.0
    flat = table.gather(2, values).view_as(images)
    return torch.where(step.unsqueeze(3) > 0.0, flat, images)


_VALUES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    _posterized,
    _solarized,
    _contrasted,
    _equalized,
)
