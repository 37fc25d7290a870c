"""Measure how well repeats, subjects and models agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared.inputs import containers, validate
from neurofreq.neural import image_names
from neurofreq.neural.target import Target, named_similarity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

Method = Literal["pearson", "spearman"]
_METHODS = ("pearson", "spearman")
_UNBOUNDED = -1e12  # a smaller 2 r / (1 + r) means that r is -1 up to rounding


class NoiseCeiling(NamedTuple):
    """The bounds of the correlation that the best possible model could reach."""

    lower: float
    upper: float


def split_half(
    trials: ArrayLike,
    *,
    level: Literal["neurons", "similarity"] = "neurons",
    weights: ArrayLike | None = None,
    n_splits: int = 100,
    spearman_brown: bool = True,
    seed: int = 0,
) -> NDArray[np.float64] | float:
    """Compute the split-half reliability of neurons or of their similarities.

    Parameters
    ----------
    trials : array_like of float, shape (n_trials, n_images, n_neurons)
        Responses to repeats, any unit; NaN or a masked entry means that there was
        no such trial. The axes of xarray and pandas containers are found by their
        names, as in `Responses`.
    level : {"neurons", "similarity"}
        "neurons": correlate each neuron's mean responses of the two halves over
        images. "similarity": correlate the two halves' similarities of images.
    weights : array_like of float, shape (n_neurons,), optional
        For "similarity", as in `response_similarity`.
    n_splits : int
        Number of random splits. The correlation is averaged over them.
    spearman_brown : bool
        Whether to correct for halving the number of trials, ``2 r / (1 + r)``.
    seed : int
        Split s of a seed is always the same.

    Returns
    -------
    ndarray of float64, shape (n_neurons,), or float
        At most 1. A neuron whose responses are constant in one half has correlation 0
        in that split. The corrected value has no meaning for negative correlations: it
        has no lower bound, and a correlation of -1 gives NaN.

    Raises
    ------
    TypeError
        If trials are not real numbers, or `n_splits` or `seed` is not an integer.
    ValueError
        Wrong rank, infinite values, an unknown level, or too few trials: a
        neuron needs two images with two trials, the similarity two trials of
        every image and neuron. Weights that `response_similarity` refuses.

    Notes
    -----
    The trials of each image are put in random order and assigned to the halves in
    pairs; an odd last trial is left out. The trials of a neuron that lacks some of them
    are assigned in the same order.

    References
    ----------
    Spearman 1910, Br J Psychol 3:271; Brown 1910, Br J Psychol 3:296.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=16).images
    >>> trials = nf.neural.simulate_v1(images, n_neurons=20)
    >>> nf.neural.split_half(trials).shape
    (20,)
    >>> 0.5 < nf.neural.split_half(trials, level="similarity") < 1.0
    True
    """
    validate.one_of("level", level, ("neurons", "similarity"))
    n_splits, seed = validate.count("n_splits", n_splits), validate.seed(seed)
    spearman_brown = validate.flag("spearman_brown", spearman_brown)
    checked = containers.trials(trials)
    if level == "neurons":
        if weights is not None:
            raise ValueError("weights: got some, expected none for level 'neurons'")
        each = _neurofreq.split_half_neurons(checked, n_splits, seed, spearman_brown)
        return np.where(each < _UNBOUNDED, np.nan, each)
    scale = validate.weights(weights, checked.shape[2])
    whole = _neurofreq.split_half_similarity(
        checked, scale, n_splits, seed, spearman_brown
    )
    return whole if whole >= _UNBOUNDED else np.nan


def similarity_correlation(
    first: ArrayLike, second: ArrayLike, *, method: Method = "pearson"
) -> float:
    """Correlate two similarity matrices over their entries above the diagonal.

    Parameters
    ----------
    first, second : array_like of float, shape (N, N), or Target
        Similarities of the same images in the same order, N >= 3.
    method : {"pearson", "spearman"}
        Correlation of the values, or of their ranks (ties share a rank).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Wrong shapes, values that are not similarities or are all equal, or names of
        images that differ or are in another order. A matrix without names is treated as
        images 0 to N - 1. If the other matrix has these numbers as names, they must be
        in ascending order.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=16).images
    >>> v1 = nf.neural.v1_similarity(images)
    >>> round(nf.neural.similarity_correlation(v1, v1), 6)
    1.0
    >>> pixel = nf.neural.pixel_similarity(images)
    >>> 0.0 < nf.neural.similarity_correlation(v1, pixel) < 1.0
    True
    """
    validate.one_of("method", method, _METHODS)
    a, a_images = named_similarity(first, "first")
    b, b_images = named_similarity(second, "second")
    if a.shape != b.shape:
        raise ValueError(f"second: got shape {b.shape}, expected that of first")
    image_names.agreed({"first": a_images, "second": b_images})
    return _neurofreq.similarity_correlation(a, b, method == "spearman")


def noise_ceiling(
    similarities: Sequence[ArrayLike], *, method: Method = "pearson"
) -> NoiseCeiling:
    """Compute how well the best possible model could correlate with subjects.

    Parameters
    ----------
    similarities : sequence of S arrays or Targets, shape (N, N) each
        One matrix per subject, session or half, of the same images; S >= 2.
    method : {"pearson", "spearman"}
        The correlation by which models are judged.

    Returns
    -------
    NoiseCeiling
        `upper`: mean correlation of each subject with the mean of all subjects.
        `lower`: mean correlation of each subject with the mean of the others.

    Raises
    ------
    TypeError
        If `similarities` is a single target.
    ValueError
        Fewer than two subjects, wrong shapes, a constant matrix, or names of images
        that differ or are in another order (see `similarity_correlation`).

    Notes
    -----
    Pearson: entries above the diagonal are standardized within each subject before
    they are averaged, so that `upper` is the exact maximum. Spearman: ranks are
    averaged, and the mean ranks are ranked again, so that both bounds are on the
    scale of ``similarity_correlation(method="spearman")``. Without ties within a
    subject, no ranking of the entries exceeds `upper`.

    References
    ----------
    Nili et al. 2014, PLOS Comput Biol 10:e1003553.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=16).images
    >>> subjects = [nf.neural.v1_similarity(images, seed=seed) for seed in range(3)]
    >>> ceiling = nf.neural.noise_ceiling(subjects)
    >>> 0.8 < ceiling.lower < ceiling.upper < 1.0
    True
    """
    validate.one_of("method", method, _METHODS)
    if isinstance(similarities, Target):
        raise TypeError("similarities: got one Target, expected one per subject")
    named = {
        f"similarities[{index}]": matrix for index, matrix in enumerate(similarities)
    }
    checked = {key: named_similarity(matrix, key) for key, matrix in named.items()}
    matrices = [matrix for matrix, _ in checked.values()]
    shapes = {matrix.shape for matrix in matrices}
    if len(shapes) > 1:
        raise ValueError(
            f"similarities: got shapes {sorted(shapes)}, expected the same shape"
        )
    if len(matrices) < 2:
        raise ValueError(
            f"similarities: got {len(matrices)} subjects, expected at least two"
        )
    image_names.agreed({key: images for key, (_, images) in checked.items()})
    ranked = method == "spearman"
    return NoiseCeiling(*_neurofreq.noise_ceiling(np.stack(matrices), ranked))
