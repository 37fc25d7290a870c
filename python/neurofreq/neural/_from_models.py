"""Targets of models that predict responses: our own, published ones, anyone's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import pixel, validate
from neurofreq.data import ImageSet
from neurofreq.neural import image_names
from neurofreq.neural._predictive import PredictiveModel
from neurofreq.neural._predictor import Predictor, warn_of_constant
from neurofreq.neural._similarity import response_similarity
from neurofreq.neural.target import Target, mean_target, predicted

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

    from neurofreq._shared.networks import calling

    Source = PredictiveModel | Predictor | calling.Model


def neural_similarity(
    models: Source | Sequence[Source],
    images: NDArray[Any] | torch.Tensor | ImageSet,
    *,
    weights: ArrayLike | Sequence[ArrayLike] | None = None,
) -> Target:
    """Predict the neural similarity of any images from predicted responses.

    Parameters
    ----------
    models : PredictiveModel, Predictor, nn.Module, callable, or sequence of these
        One per scan; their similarity matrices are averaged. A `PredictiveModel` must
        be fitted. A `Predictor` states the source of a model and the preprocessing of
        its images; `load_predictor` reads published ones. An nn.Module or a callable is
        used as ``Predictor(model)``: it gets the images in [0, 1] as they are.
    images : ndarray, Tensor or data.ImageSet, shape (N, C, H, W)
        float32 or float64 in [0, 1], C = 1 or 3; N >= 2. The target names the images of
        an `ImageSet` of files.
    weights : array_like of float, shape (K,), optional
        Factors of the responses of each neuron, as in `nf.response_similarity`; for
        several models, a sequence with one array or None per model. By default ``w v``
        for a `PredictiveModel`, and 1 for all other models.

    Returns
    -------
    Target
        Source "predicted from recordings" for a `PredictiveModel`, and for a
        `Predictor` that names its recordings; these are in the label. Source
        "predicted" for all other models, with the name of their class or function.

    Raises
    ------
    RuntimeError
        If a `PredictiveModel` is not fitted.
    ModelError
        If a model returns no (N, K) responses, NaN, or the same responses to all
        images.
    TypeError, ValueError
        Bad images or weights, images that a model refuses, or a `PredictiveModel` in
        which no neuron has a positive weight.

    Warns
    -----
    UserWarning
        If a neuron with a weight has the same predicted response to all images, or the
        responses to an image depend on other images of the batch.

    Notes
    -----
    The paper scales predicted responses by the reliability w and the accuracy v of each
    neuron, ``rhat = w v rhohat``. Both need recordings. A published model without its
    recordings therefore has equal weights.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072: scaled model responses, S^neural.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=30).images
    >>> responses = nf.neural.Responses(nf.neural.simulate_v1(images, n_neurons=6))
    >>> model = nf.neural.PredictiveModel(n_channels=4, n_folds=3, max_epochs=1)
    >>> model = model.fit(images, responses)
    >>> target = nf.neural.neural_similarity(model, images[:20])
    >>> target.label, target.similarity.shape
    ('predicted from recordings', (20, 20))

    A network of your own:

    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 5))
    >>> predictor = nf.neural.Predictor(
    ...     network, recordings="mouse V1, 5 neurons, our scan 3",
    ...     gray=True, size=(9, 16), value_range=(0.0, 255.0), mean=110.0, std=60.0,
    ... )
    >>> nf.neural.neural_similarity(predictor, images).label
    'predicted from recordings (mouse V1, 5 neurons, our scan 3)'
    """
    one = isinstance(models, PredictiveModel | Predictor) or callable(models)
    scans = [_predictor(model) for model in ([models] if one else _listed(models))]
    each = [weights] if one else _each(weights, len(scans))
    names = None
    if isinstance(images, ImageSet):
        names = image_names.of(images)
        images = pixel.to_unit(np.asarray(images.images))
    targets = []
    for model, scale in zip(scans, each, strict=True):  # a frame less than in a list
        targets.append(_target(model, images, scale, names))
    return mean_target(targets)


def _listed(models: Any) -> list[Any]:
    """Return several models as a list."""
    if isinstance(models, str) or not isinstance(models, Iterable):
        raise TypeError(
            f"models: got {validate.shown(models)}, expected a PredictiveModel, a "
            "Predictor, an nn.Module or a callable, or a sequence of these"
        )
    return list(models)


def _predictor(model: Any) -> PredictiveModel | Predictor:
    """Return a model with its preprocessing."""
    if isinstance(model, PredictiveModel | Predictor):
        return model
    if isinstance(model, type) or not callable(model):
        raise TypeError(
            f"models: got {validate.shown(model)}, expected a PredictiveModel, a "
            "Predictor, an nn.Module or a callable"
        )
    return Predictor(model)


def _each(weights: Any, n_models: int) -> list[Any]:
    """Return the weights of each of several models."""
    if weights is None:
        return [None] * n_models
    if not isinstance(weights, (list, tuple)) or len(weights) != n_models:
        raise ValueError(
            f"weights: got {validate.shown(weights)} for {n_models} models, expected a "
            "sequence with the weights of each model, or None"
        )
    return list(weights)


def _target(
    model: PredictiveModel | Predictor, images: Any, weights: Any, names: Any
) -> Target:
    """Return the target of one model."""
    rows = model.predict(images)
    if len(rows) < 2:
        raise ValueError(f"images: got {len(rows)}, expected at least two")
    if isinstance(model, PredictiveModel):
        if weights is None:
            return predicted(rows, model.weights, names)
        return predicted(rows, validate.weights(weights, rows.shape[1]), names)
    scale = validate.weights(weights, rows.shape[1])
    warn_of_constant(rows, scale > 0.0)
    similarity = response_similarity(rows, weights=scale)
    return Target(similarity, model.source, model.name, names)
