"""Hybrid images: low frequencies of one image, high frequencies of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neurofreq import _neurofreq, _validate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def hybrid_pairs(
    labels: Any, *, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair every image with one of another class.

    Parameters
    ----------
    labels : array_like of int, shape (N,)
        The class of every image.
    seed : int
        The same seed gives the same pairing.

    Returns
    -------
    low_index, high_index : ndarray of int64, shape (N,)
        ``low_index`` is ``arange(N)``; ``high_index`` is a permutation, and
        the two images of a pair differ in class.

    Raises
    ------
    TypeError
        If `labels` are not integers.
    ValueError
        If `labels` is empty or one class holds more than half of it.

    References
    ----------
    Li et al. 2023, Fig 3 and Methods: high labels are a shuffle of all labels
    without coincidence; images of a class fill its positions in random order.
    """
    checked = _validate.labels(labels)
    return _neurofreq.hybrid_pairs(checked, _validate.seed(seed))
