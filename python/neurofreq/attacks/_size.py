"""Measure the size of perturbations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.perturbations import NORMS

if TYPE_CHECKING:
    from neurofreq._shared.inputs.validate import Array

SIGNS = ("positive", "negative")


def perturbation_size(
    adversarial: Array, images: Array, norm: str = "linf", *, signed: str | None = None
) -> Any:
    """Measure the perturbation of each image.

    Parameters
    ----------
    adversarial, images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64, both of the same type, in pixel units of [0, 1].
    norm : {"linf", "l2", "l1", "l0"}
        The largest absolute change, the Euclidean length, the sum of absolute
        changes, or the number of changed values.
    signed : {None, "positive", "negative"}
        For "linf": the largest change upwards, ``max(adversarial - images)``,
        or downwards, ``max(images - adversarial)``, instead of the larger of
        the two. Negative if every value changed in the other direction.

    Returns
    -------
    ndarray or Tensor of float, shape (N,)
        In the dtype of `images`; a tensor for tensors.

    Raises
    ------
    TypeError
        Wrong types or dtypes.
    ValueError
        Wrong shapes, NaN or infinity, an unknown norm, or a sign with another
        norm than "linf".

    Notes
    -----
    The paper plots signed sizes: upwards in Figs 2b and 2f, downwards in Figs
    4c and 6a. Signed sizes equal the norm if a perturbation reaches its "linf" size in
    both directions, which almost all minimal perturbations do.

    References
    ----------
    Li et al. 2023, Figs 2b, 2f, 4c and 6a.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> images = np.full((2, 1, 4, 4), 0.5)
    >>> adversarial = images.copy()
    >>> adversarial[:, :, 0, 0] = 0.75
    >>> nf.attacks.perturbation_size(adversarial, images)
    array([0.25, 0.25])
    >>> nf.attacks.perturbation_size(adversarial, images, "l0")
    array([1., 1.])
    """
    norm = validate.norm("norm", norm, NORMS)
    if signed is not None:
        validate.one_of("signed", signed, SIGNS)
    if signed is not None and norm != "linf":
        raise ValueError(f"signed: got {signed!r} with norm {norm!r}, expected 'linf'")
    images = validate.images(images, "images")
    adversarial = validate.images(adversarial, "adversarial")
    validate.same(images, adversarial, ("images", "adversarial"))
    if isinstance(images, torch.Tensor):
        return _size(torch.as_tensor(adversarial) - images, norm, signed)
    change = torch.from_numpy(np.subtract(adversarial, images))
    return _size(change, norm, signed).numpy()


def _size(change: torch.Tensor, norm: str, signed: str | None) -> torch.Tensor:
    """Return the size of the change of each image."""
    change = change.flatten(1)
    if signed:
        return (change if signed == "positive" else -change).amax(1)
    change = change.abs()
    if norm == "linf":
        return change.amax(1)
    if norm == "l2":
        return torch.linalg.vector_norm(change, dim=1)
    return change.sum(1) if norm == "l1" else (change != 0).sum(1).to(change.dtype)
