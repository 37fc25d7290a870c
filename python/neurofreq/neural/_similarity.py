"""Representational similarity of recorded responses, and reliability of neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared.inputs import containers, recorded, validate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def response_similarity(
    responses: ArrayLike, *, weights: ArrayLike | None = None
) -> NDArray[Any]:
    """Compute the mean-subtracted cosine similarity of responses to images.

    Parameters
    ----------
    responses : array_like of float, shape (N, K)
        Response of K neurons (or pixels, or units) to each of N >= 2 images, in
        any unit; finite. float32 stays float32, everything else becomes float64.
        The axes of xarray and pandas containers are found by their names, as in
        `neural.Responses`.
    weights : array_like of float, shape (K,), optional
        Factors of each neuron's responses, see `reliability`; finite, >= 0.

    Returns
    -------
    ndarray of float32 or float64, shape (N, N)
        ``S[i, j] = e_i . e_j``, where ``e_i`` is the response to image i minus the
        mean over images, weighted and scaled to unit length. The matrix is exactly
        symmetric, its diagonal is exactly 1, and its entries are in [-1, 1].

    Raises
    ------
    TypeError
        Booleans, complex numbers or strings.
    ValueError
        Wrong rank, several trials, fewer than two images, NaN, masked or infinite
        values, unusable weights, or an image whose response equals the mean (no
        direction).

    Notes
    -----
    Differences from the paper: this function takes one scan. To average over scans, use
    ``np.mean([S1, S2, ...], axis=0)``. Sums are in float64; the Gram product is in
    the type of `responses`.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072, the definition of S^neural.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> responses = np.array([[3.0, 0.0], [0.0, 3.0], [0.0, 0.0]])  # image, neuron
    >>> nf.response_similarity(responses).round(1)
    array([[ 1. , -0.8, -0.3],
           [-0.8,  1. , -0.3],
           [-0.3, -0.3,  1. ]])
    """
    rows = _means(responses)
    is_single = rows.dtype == np.float32
    scale = validate.weights(weights, rows.shape[1])
    if is_single:
        return _neurofreq.response_similarity_f32(rows, scale)
    return _neurofreq.response_similarity_f64(rows, scale)


def reliability(trials: ArrayLike) -> NDArray[np.float64]:
    """Compute the signal-to-noise weight of each neuron from repeated trials.

    Parameters
    ----------
    trials : array_like of float, shape (n_trials, n_images, n_neurons)
        Responses to repeats of the same images, in any unit. NaN or a masked
        entry means that there was no such trial. Images without any trial of a
        neuron are left out for that neuron. The axes of xarray and pandas
        containers are found by their names, as in `neural.Responses`.

    Returns
    -------
    ndarray of float64, shape (n_neurons,)
        ``sigma / eta``, where sigma^2 is the variance over images of the mean over
        repeats, and eta^2 is the mean over images of the variance over repeats. 0 for
        a neuron whose responses never differ, for example because it never fires.

    Raises
    ------
    TypeError
        Booleans, complex numbers or strings.
    ValueError
        Wrong rank, infinite values, an image with a single repeat, a neuron
        with fewer than two images, or repeats that never differ although the
        images do (infinite weight).

    Notes
    -----
    Differences from the paper: the paper does not state the divisors of the variances.
    Here both variances divide by the count minus one. If all images have the same
    number of repeats, a different divisor scales all weights by the same factor, which
    does not change a similarity.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072, the definition of w.

    Examples
    --------
    The mean responses of 1.5 and 4.5 vary much more than repeated trials:

    >>> import numpy as np
    >>> import neurofreq as nf
    >>> trials = np.array([[[1.0], [5.0]], [[2.0], [4.0]]])  # trial, image, neuron
    >>> nf.reliability(trials)
    array([3.])
    """
    return _neurofreq.reliability(containers.trials(trials))


def _means(responses: ArrayLike) -> NDArray[Any]:
    """Return one response of every neuron to every image, (N, K)."""
    recording = containers.read(responses, "responses")
    if recording is None:
        rows = recorded.floats(responses, "responses")
    else:
        rows = recording.trials[0] if len(recording.trials) == 1 else recording.trials
    if rows.ndim == 3:
        raise ValueError(
            f"responses: got shape {rows.shape}, expected (N, K); average over trials"
        )
    if rows.ndim != 2:
        raise ValueError(f"responses: got shape {rows.shape}, expected (N, K)")
    missing = np.argwhere(np.isnan(rows))
    if len(missing):
        image, neuron = missing[0]
        raise ValueError(
            f"responses: got NaN or masked values of image {image} and neuron "
            f"{neuron}, expected finite ones"
        )
    return rows
