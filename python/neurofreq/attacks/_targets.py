"""Target classes of targeted attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


METHODS = ("elm", "cls")


def shuffled_targets(
    labels: Any, *, seed: int, method: str = "elm"
) -> NDArray[np.int64]:
    """Draw target labels, none equal to the truth.

    Parameters
    ----------
    labels : array_like of int, shape (N,)
        The class of every image.
    seed : int
        The same seed gives the same targets.
    method : {"elm", "cls"}
        "elm": shuffle the labels of all images, element by element; their
        histogram is unchanged. "cls": shuffle the classes present, so that all
        images of a class get the same other class.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    TypeError
        If `labels` are not integers.
    ValueError
        If `labels` is empty, one class holds more than half of it ("elm"), or
        there is only one class ("cls").

    References
    ----------
    Li et al. 2023, Fig 2b: one fixed element-wise shuffle of the whole test set.
    """
    validate.one_of("method", method, METHODS)
    checked = validate.labels(labels)
    return _neurofreq.shuffled_targets(checked, validate.seed(seed), method == "cls")
