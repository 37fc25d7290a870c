"""Compute attack success at each budget from minimal distances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def success_curve(distance: ArrayLike | torch.Tensor, epsilons: Any) -> Any:
    """Return the fraction of images whose perturbation fits each budget.

    Parameters
    ----------
    distance : array_like or Tensor of float, shape (N,)
        Minimal distances; infinite if no adversarial image was found.
    epsilons : array_like of float, shape (K,)
        Budgets in the unit of `distance`; compared in the dtype of `distance`.

    Returns
    -------
    ndarray or Tensor of float, shape (K,)
        The fraction with ``distance <= epsilon``; a tensor if `distance` is one.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If `distance` is empty, or an argument holds NaN or has another rank.

    References
    ----------
    Li et al. 2023, Figs 2b and 2f.

    Examples
    --------
    >>> import neurofreq as nf
    >>> nf.attacks.success_curve([0.01, 0.02, 0.04, float("inf")], [0.0, 0.02, 0.1])
    array([0.  , 0.5 , 0.75])
    """
    sizes = validate.host(distance, "distance")
    is_float = np.issubdtype(sizes.dtype, np.floating)
    sizes = validate.real(sizes, "distance", sizes.dtype if is_float else np.float64)
    budgets = validate.real(epsilons, "epsilons").astype(sizes.dtype)
    for name, values in (("distance", sizes), ("epsilons", budgets)):
        if values.ndim != 1:
            raise ValueError(f"{name}: got shape {values.shape}, expected one axis")
        if np.isnan(values).any():
            raise ValueError(f"{name}: got NaN, expected numbers")
    if sizes.size == 0:
        raise ValueError("distance: got no values, expected at least one")
    fraction = np.searchsorted(np.sort(sizes), budgets, side="right") / sizes.size
    if isinstance(distance, torch.Tensor):
        return torch.from_numpy(fraction).to(distance.device)
    return fraction
