"""Representational similarity of recorded responses, and how reliable neurons are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import _neurofreq, _validate

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
    weights : array_like of float, shape (K,), optional
        Multiply the responses of each neuron, see `reliability`; finite, >= 0.

    Returns
    -------
    ndarray of float32 or float64, shape (N, N)
        ``S[i, j] = e_i . e_j`` with ``e_i`` the response to image i minus the
        mean over images, weighted and scaled to unit length. Exactly symmetric,
        diagonal exactly 1, entries in [-1, 1].

    Raises
    ------
    ValueError
        Wrong rank, fewer than two images, NaN or infinity, unusable weights, or
        an image whose response equals the mean (no direction).

    Notes
    -----
    Differences from the paper: several scans are averaged by the caller, as
    matrices: ``np.mean([S1, S2, ...], axis=0)``. Sums run in float64; the Gram
    product runs in the type of `responses`.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072, the definition of S^neural.
    """
    rows = np.asarray(responses)
    if rows.dtype != np.float32:
        rows = rows.astype(np.float64)
    if rows.ndim != 2:
        raise ValueError(f"responses: got shape {rows.shape}, expected (N, K)")
    scale = _validate.weights(weights, rows.shape[1])
    if rows.dtype == np.float32:
        return _neurofreq.response_similarity_f32(rows, scale)
    return _neurofreq.response_similarity_f64(rows, scale)


def reliability(trials: ArrayLike) -> NDArray[np.float64]:
    """Compute the signal-to-noise weight of each neuron from repeated trials.

    Parameters
    ----------
    trials : array_like of float, shape (n_trials, n_images, n_neurons)
        Responses to repeats of the same images, in any unit. NaN means that
        there was no such trial; images without any trial of a neuron do not
        count for that neuron.

    Returns
    -------
    ndarray of float64, shape (n_neurons,)
        ``sigma / eta``: sigma^2 is the variance over images of the mean over
        repeats, eta^2 the mean over images of the variance over repeats. 0 for
        a neuron whose responses never differ, such as one that never fires.

    Raises
    ------
    ValueError
        Wrong rank, infinite values, an image with a single repeat, a neuron
        with fewer than two images, or repeats that never differ although the
        images do (infinite weight).

    Notes
    -----
    Differences from the paper: it does not state the divisors; both variances
    here divide by one less than the count. With the same number of repeats
    everywhere another choice scales all weights alike, which no similarity
    notices.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072, the definition of w.
    """
    return _neurofreq.reliability(_validate.trials(trials))
