"""Test whether recorded responses are in the order of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared.inputs import pixel, validate
from neurofreq.data import ImageSet
from neurofreq.neural import image_names
from neurofreq.neural._responses import Responses
from neurofreq.neural._similarity import response_similarity
from neurofreq.neural._stand_ins import pixel_similarity
from neurofreq.neural.target import named_similarity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

_MOST = 500
"""Images of which random orders are compared; more add time and little power."""

_UNRELATED = 0.05
"""Share of random orders above which the given order is called unrelated."""


class ImageOrder(NamedTuple):
    """How well responses fit to images, in the given order and in others.

    Attributes
    ----------
    correlation : float
        Correlation of the similarities of the responses with the expected similarities
        of the images, in the given order.
    p_value : float
        Share of random orders that correlate at least as well (the given one counts).
    likely : str
        The name of an order of the images that fits clearly better, or "given".
    likely_correlation : float
        Correlation in that order.

    Examples
    --------
    >>> import neurofreq as nf
    >>> found = nf.neural.ImageOrder(0.02, 0.4, "reversed order", 0.61)
    >>> found.problem.split(" (")[0]
    'responses: got responses that fit to the images in reversed order'
    """

    correlation: float
    p_value: float
    likely: str
    likely_correlation: float

    @property
    def problem(self) -> str:
        """A sentence if the responses do not fit to the images, else an empty text."""
        if self.likely != "given":
            return (
                f"responses: got responses that fit to the images in {self.likely} "
                f"(correlation of similarities {self.likely_correlation:.2f}) better "
                f"than in the given order ({self.correlation:.2f}), expected responses "
                "in the order of the images"
            )
        if self.p_value > _UNRELATED:
            return (
                "responses: got responses whose similarities are not related to those "
                f"of the images (correlation {self.correlation:.2f}; "
                f"{self.p_value:.0%} of random orders reach it), expected responses in "
                "the order of the images"
            )
        return ""


def image_order(
    images: Any,
    responses: Responses | ArrayLike,
    *,
    expected: ArrayLike | None = None,
    n_orders: int = 1000,
    seed: int = 0,
) -> ImageOrder:
    """Test whether responses are in the order of the images.

    The similarities of the responses are correlated with expected similarities of the
    images. Responses in another order than the images correlate like random orders. In
    addition, the orders that happen by mistake are tried: reversed, shifted by one
    image, and sorted as text (1, 10, 11, 2) in place of numbers or the reverse.

    Parameters
    ----------
    images : ndarray, Tensor or data.ImageSet, shape (N, C, H, W)
        float32 or float64 in [0, 1], C = 1 or 3; N >= 4. If `expected` is given, only
        their number and names count.
    responses : Responses, or array_like as for `Responses`
        Responses to the images. Neurons without a trial of some image, and neurons
        whose mean responses never differ, are left out.
    expected : array_like of float, shape (N, N), or Target, optional
        The similarities to expect. By default `pixel_similarity` of the images. A
        target of `neural_similarity` from a model of the same area is more sensitive.
    n_orders : int
        Number of random orders.
    seed : int
        Seed of the random orders.

    Returns
    -------
    ImageOrder
        Its `problem` is empty if the given order correlates better than 95 % of random
        orders, and no other order that was tried correlates clearly better.

    Raises
    ------
    TypeError
        Responses or images of a wrong type.
    ValueError
        Images and responses of different numbers, fewer than four images, no neuron
        with responses to all images, or names of images that differ.

    Notes
    -----
    This is a permutation test of two similarity matrices (Mantel 1967). An unrelated
    result does not prove another order: few or unreliable neurons give the same result.

    References
    ----------
    Mantel 1967, Cancer Research 27:209.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=40).images
    >>> responses = nf.neural.Responses(nf.neural.simulate_v1(images, n_neurons=200))
    >>> expected = nf.neural.v1_similarity(images, seed=1)
    >>> nf.neural.image_order(images, responses, expected=expected).problem
    ''
    >>> moved = responses.select(images=range(39, -1, -1))
    >>> nf.neural.image_order(images, moved, expected=expected).likely
    'reversed order'
    """
    n_orders = validate.count("n_orders", n_orders)
    rng = np.random.default_rng(validate.seed(seed))
    recorded = responses if isinstance(responses, Responses) else Responses(responses)
    n_images = recorded.n_images
    image_names.require(recorded.images, n_images, images, "images", "responses")
    if n_images < 4:
        raise ValueError(f"images: got {n_images}, expected at least four")
    if isinstance(images, ImageSet):
        images = pixel.to_unit(np.asarray(images.images))
    wanted = pixel_similarity(images) if expected is None else expected
    ours, _ = named_similarity(wanted, "expected")
    if len(ours) != n_images:
        raise ValueError(f"expected: got {len(ours)} images, expected {n_images}")
    theirs = _similarity(recorded)
    given = _correlation(ours, theirs)
    tried = {
        name: _correlation(ours, theirs[np.ix_(order, order)])
        for name, order in _mistakes(n_images)
    }
    some = np.sort(rng.permutation(n_images)[:_MOST])
    a, b = (matrix[np.ix_(some, some)] for matrix in (ours, theirs))
    observed = _correlation(a, b)
    random = np.empty(n_orders)
    for number in range(n_orders):
        order = rng.permutation(len(some))
        random[number] = _correlation(a, b[np.ix_(order, order)])
    p_value = float((1 + (random >= observed).sum()) / (n_orders + 1))
    best = max(tried, key=lambda name: tried[name])
    # The given order may be related too: images beside each other are often alike.
    most = float(random.max())
    is_clear = tried[best] > max(most, given + most - float(random.mean()))
    likely = (best, tried[best]) if is_clear else ("given", given)
    return ImageOrder(given, p_value, *likely)


def _similarity(responses: Responses) -> NDArray[np.float64]:
    """Return the similarity of mean responses of the neurons with all of them."""
    mean = responses.mean()
    mean = mean[:, ~np.isnan(mean).any(axis=0)]
    mean = mean[:, mean.max(axis=0) > mean.min(axis=0)]
    if not mean.size:
        raise ValueError(
            "responses: got no neuron with varying responses to all images, expected "
            "at least one"
        )
    return response_similarity(mean, weights=1.0 / mean.std(axis=0))


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return _neurofreq.similarity_correlation(first, np.ascontiguousarray(second), False)


def _mistakes(n_images: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield orders that happen by mistake, with their names."""
    index = np.arange(n_images)
    yield "reversed order", index[::-1].copy()
    for step, sign in ((1, "+"), (-1, "-")):
        yield f"an order in which row i holds image i {sign} 1", np.roll(index, step)
    for first in (0, 1):
        as_text = np.array(sorted(index, key=lambda number: str(number + first)))
        if not np.array_equal(as_text, index):
            numbers = f"{first} to {n_images - 1 + first}"
            yield f"the order of {numbers} sorted as text", np.argsort(as_text)
            yield f"the order of {numbers}, and images sorted as text", as_text
