"""Targets without recordings: simulated neurons, pixels, a teacher network.

These targets are not based on measured neurons, as their `source` shows.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from torch import nn

from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.pixel import unscaled
from neurofreq._shared.networks import calling, steadiness
from neurofreq._shared.networks.features import Features
from neurofreq._shared.progress import bar
from neurofreq.neural._similarity import reliability, response_similarity
from neurofreq.neural._simulated import gray, simulate_v1
from neurofreq.neural.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray


def v1_similarity(
    images: Any, *, n_trials: int = 10, n_neurons: int = 512, seed: int = 0
) -> Target:
    """Compute the similarity target of a simulated V1: not a recording.

    The steps are those for recorded responses: `simulate_v1`, then `nf.reliability`
    weights, then `nf.response_similarity` of the mean over trials.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, C, H, W)
        As in `simulate_v1`; N >= 2.
    n_trials : int
        At least 2.
    n_neurons, seed : int
        As in `simulate_v1`.

    Returns
    -------
    Target
        Source "simulated".

    Raises
    ------
    TypeError, ValueError
        As `simulate_v1`, `nf.reliability` and `nf.response_similarity`.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=8).images
    >>> target = nf.neural.v1_similarity(images, n_neurons=64)
    >>> target.similarity.shape, target.source
    ((8, 8), 'simulated')
    """
    trials = simulate_v1(images, n_trials=n_trials, n_neurons=n_neurons, seed=seed)
    mean = trials.mean(axis=0, dtype=np.float64)
    similarity = response_similarity(mean, weights=reliability(trials))
    return Target(similarity, "simulated", "Gabor energy, Poisson noise")


def pixel_similarity(images: Any) -> Target:
    """Compute the similarity of luminance images, minus their mean image.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64 in [0, 1]; C = 1, or 3 (converted to luminance).

    Returns
    -------
    Target
        Source "pixel".

    Raises
    ------
    TypeError, ValueError
        Bad images, fewer than two images, or an image that equals their mean.

    References
    ----------
    Attias et al. 2024, arXiv 2410.03952.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=8).images
    >>> target = nf.neural.pixel_similarity(images)
    >>> target.label, target.similarity.shape
    ('pixel', (8, 8))
    """
    luminance = gray(images)
    rows = luminance.reshape(len(luminance), -1)
    return Target(response_similarity(rows), "pixel")


@overload
def threshold_similarity(similarity: Target, *, threshold: float = ...) -> Target: ...
@overload
def threshold_similarity(
    similarity: ArrayLike, *, threshold: float = ...
) -> NDArray[np.float64]: ...
def threshold_similarity(
    similarity: ArrayLike | Target, *, threshold: float = 0.8
) -> NDArray[np.float64] | Target:
    """Replace similarities by 1 above a threshold, -1 below its negative, else 0.

    Parameters
    ----------
    similarity : array_like of float, shape (N, N), or Target
        Symmetric, in [-1, 1].
    threshold : float
        Between 0 and 1.

    Returns
    -------
    ndarray of float64, shape (N, N), or Target
        A target if `similarity` is a target, with the same source.

    Raises
    ------
    ValueError
        If `threshold` is not between 0 and 1, or the matrix holds no
        similarities.

    References
    ----------
    Attias et al. 2024, arXiv 2410.03952, with threshold 0.8.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> similarity = np.array([[1.0, 0.9, -0.3], [0.9, 1.0, 0.2], [-0.3, 0.2, 1.0]])
    >>> nf.neural.threshold_similarity(similarity)
    array([[1., 1., 0.],
           [1., 1., 0.],
           [0., 0., 1.]])
    """
    threshold = validate.number("threshold", threshold)
    within = 0.0 <= threshold <= 1.0
    validate.within("threshold", threshold, within, "0 to 1")
    values = validate.similarity(similarity)
    signs: NDArray[np.float64] = np.where(
        np.abs(values) > threshold, np.sign(values), 0.0
    )
    if not isinstance(similarity, Target):
        return signs
    detail = f"{similarity.detail}; " if similarity.detail else ""
    return replace(
        similarity, similarity=signs, detail=f"{detail}threshold {threshold:g}"
    )


def teacher_similarity(
    model: nn.Module,
    layer: str,
    images: NDArray[Any] | torch.Tensor,
    *,
    batch_size: int = 64,
    progress: bool = False,
) -> Target:
    """Compute the similarity of one layer's features in a teacher network.

    Parameters
    ----------
    model : nn.Module
        Runs in evaluation mode and is not changed.
    layer : str
        Name of a submodule, as in ``dict(model.named_modules())``. If it is called
        more than once, its last output is used. The output is used as the submodule
        returned it, even if a later module changes it in place.
    images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64, in [0, 1] or standardized by you; N >= 2. They are
        converted to the type of the model's parameters.
    batch_size : int
        Images per pass.
    progress : bool
        Show a progress bar over images.

    Returns
    -------
    Target
        Source "teacher". The mean over images is subtracted from each unit, as for
        neurons in `nf.response_similarity`. All features are in memory at once.

    Raises
    ------
    ModelError
        If the layer is not reached, or returns no tensor of one row per image.
    TypeError, ValueError
        Bad images, for example in [0, 255], an unknown layer, or features that do
        not differ between images.

    Warns
    -----
    UserWarning
        If features of the first image depend on the other images of its batch, as
        with batch statistics, or differ between repeated passes, as with dropout.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072, the control "VGG" (layer conv3-1).

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=8).images
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> target = nf.neural.teacher_similarity(model, "network.layer2", images)
    >>> target.similarity.shape, target.source
    ((8, 8), 'teacher')
    """
    features = Features(model, [validate.text("layer", layer)], "layer")
    images = unscaled(images, "images")
    batch_size = validate.count("batch_size", batch_size)
    progress = validate.flag("progress", progress)
    device = calling.device_of(model)
    own = calling.dtype_of(model)

    def ask(part: torch.Tensor) -> torch.Tensor:
        _, (found,) = features.of(part.to(own), copies=True)
        # NumPy has no bfloat16.
        return found if found.dtype == torch.float64 else found.float()

    rows: list[NDArray[Any]] = []
    shown = bar(total=len(images), desc=layer, unit="image", progress=progress)
    with calling.evaluating(model), torch.no_grad(), shown as advanced:
        told = _doubt(ask, calling.to_tensor(images[:1], device), own)
        for start in range(0, len(images), batch_size):
            part = calling.to_tensor(images[start : start + batch_size], device)
            rows.append(ask(part).flatten(1).cpu().numpy())
            advanced.update(len(part))
    if told:
        warnings.warn(told, stacklevel=2)
    return Target(response_similarity(np.concatenate(rows)), "teacher", layer)


def _doubt(
    ask: Callable[[torch.Tensor], torch.Tensor], one: torch.Tensor, own: torch.dtype
) -> str | None:
    """Return a warning if features of an image depend on more than the image."""
    few = steadiness.beside_others(one)
    try:
        first, again = ask(few), ask(few)
    except Exception:  # the passes that follow raise the same error
        return None
    try:
        single = ask(one)
    except Exception as error:
        return steadiness.told_refusal(error)
    if not (first.shape == again.shape and first.shape[1:] == single.shape[1:]):
        return None
    is_half = own in calling.HALVES
    return steadiness.told(first, again, single, is_half=is_half, what="features")
