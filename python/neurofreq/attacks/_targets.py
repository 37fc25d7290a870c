"""Target classes of targeted attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neurofreq import _neurofreq, _validate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def shuffled_targets(labels: Any, *, seed: int) -> NDArray[np.int64]:
    """Draw target labels, none equal to the truth, histogram unchanged.

    Parameters
    ----------
    labels : array_like of int, shape (N,)
        The class of every image.
    seed : int
        The same seed gives the same targets.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    TypeError
        If `labels` are not integers.
    ValueError
        If `labels` is empty or one class holds more than half of it.

    References
    ----------
    Li et al. 2023, Fig 2b: one fixed element-wise shuffle of the whole test set.
    """
    checked = _validate.labels(labels)
    return _neurofreq.shuffled_targets(checked, _validate.seed(seed))
