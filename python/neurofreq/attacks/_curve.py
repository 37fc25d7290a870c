"""From minimal distances to success at each budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def success_curve(distance: ArrayLike | torch.Tensor, epsilons: Any) -> Any:
    """Return the fraction of images whose perturbation fits each budget.

    Parameters
    ----------
    distance : array_like or Tensor of float, shape (N,)
        Minimal distances; infinite where no adversarial was found.
    epsilons : array_like of float, shape (K,)
        Budgets, in the unit of `distance`; compared in its dtype.

    Returns
    -------
    ndarray or Tensor of float, shape (K,)
        The fraction with ``distance <= epsilon``: a tensor for a tensor.

    Raises
    ------
    ValueError
        If `distance` is empty, or either holds NaN or has another rank.

    References
    ----------
    Li et al. 2023, Figs 2b and 2f.
    """
    if isinstance(distance, torch.Tensor):
        fraction = success_curve(_host(distance), _host(epsilons))
        return torch.from_numpy(fraction).to(distance.device)
    sizes = np.asarray(distance)
    if not np.issubdtype(sizes.dtype, np.floating):
        sizes = sizes.astype(np.float64)
    budgets = np.asarray(_host(epsilons), dtype=sizes.dtype)
    for name, values in (("distance", sizes), ("epsilons", budgets)):
        if values.ndim != 1:
            raise ValueError(f"{name}: got shape {values.shape}, expected one axis")
        if np.isnan(values).any():
            raise ValueError(f"{name}: got NaN, expected numbers")
    if sizes.size == 0:
        raise ValueError("distance: got no values, expected at least one")
    return np.searchsorted(np.sort(sizes), budgets, side="right") / sizes.size


def _host(values: Any) -> Any:
    """Move a tensor to a NumPy array and leave the rest."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
