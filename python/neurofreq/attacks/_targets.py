"""Draw target classes for targeted attacks."""

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
    """Draw target classes, none equal to the label.

    Parameters
    ----------
    labels : array_like of int, shape (N,)
        The class of every image.
    seed : int
        The same seed gives the same targets.
    method : {"elm", "cls"}
        "elm": shuffle the labels of all images, element by element; their
        histogram is unchanged. "cls": shuffle the classes that occur, so that all
        images of a class get the same other class.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    TypeError
        If `labels` are not integers.
    ValueError
        If `labels` is empty, one class has more than half of the images ("elm"), or
        there is only one class ("cls").

    References
    ----------
    Li et al. 2023, Fig 2b: one fixed element-wise shuffle of the whole test set.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> labels = np.array([0, 0, 1, 1, 2, 2])
    >>> targets = nf.attacks.shuffled_targets(labels, seed=0)
    >>> bool((targets != labels).all()), sorted(targets.tolist())
    (True, [0, 0, 1, 1, 2, 2])
    """
    validate.one_of("method", method, METHODS)
    checked = validate.labels(labels)
    return _neurofreq.shuffled_targets(checked, validate.seed(seed), method == "cls")
