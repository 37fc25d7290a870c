"""Run a whole recipe: build the network, train it and store everything."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from neurofreq._shared import results, runtime
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling
from neurofreq._shared.results import Result
from neurofreq.data import ImageSet
from neurofreq.models import PCA, load_model
from neurofreq.regularize import SimilarityRegularizer
from neurofreq.regularize.cotraining import CoTraining, mean_responses
from neurofreq.training._loop import fit
from neurofreq.training._recipe import Recipe

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from neurofreq.training._run import Row


PCA_OPTION = re.compile(r",pca=(\d+)")


@dataclass(frozen=True, repr=False)
class Trained(Result):
    """The result of `train`.

    Attributes
    ----------
    model : nn.Module
        With its best weights, in evaluation mode.
    history : list of dict
        The rows of `fit`.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", split="train", n=64)
    >>> recipe = nf.training.Recipe(network="small_cnn,width=4", epochs=2, lr=0.05)
    >>> trained = nf.training.train(recipe, data, "run")
    >>> trained.model.training, len(trained.history)
    (False, 2)
    >>> list(trained.history[-1])
    ['epoch', 'lr', 'loss', 'cross_entropy']
    >>> trained
    Trained(model: Normalized, epochs: 2, loss: ..., cross_entropy: ...)
    >>> len(trained.to_frame()), trained.plot().get_xlabel()
    (2, 'epoch')
    """

    model: torch.nn.Module
    history: list[Row]

    def to_frame(self) -> pd.DataFrame:
        """Return `history`, one row per epoch."""
        return results.frame(self.history)

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the loss against the epoch (`plot.plot_history`)."""
        from neurofreq.plot import plot_history

        return plot_history(self.history, ax, **kw)

    def _has_picture(self) -> bool:
        return bool(self.history)

    def _numbers(self) -> dict[str, Any]:
        last = self.history[-1] if self.history else {}
        numbers = {"model": type(self.model).__name__, "epochs": len(self.history)}
        shown = (k for k in last if k not in ("epoch", "lr"))
        return numbers | {key: f"{last[key]:.4g}" for key in shown}


def train(
    recipe: Recipe,
    data: ImageSet,
    out: str | PathLike[str],
    *,
    stimuli: NDArray[Any] | torch.Tensor | None = None,
    similarity: ArrayLike | None = None,
    responses: ArrayLike | None = None,
    source: str = "responses",
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> Trained:
    """Train the network of a recipe, alone or towards neural data.

    Parameters
    ----------
    recipe : Recipe
        Such as ``nf.training.MOUSE`` or ``nf.training.MOUSE.fast()``.
    data : ImageSet
        Training images. Color images are converted to gray if the network takes gray.
    out : path
        Folder of the run, see `fit`. ``best.safetensors`` holds the weights for
        ``nf.models.load_model(recipe.network, weights=...)``. If the folder holds an
        unfinished run, the run continues.
    stimuli : ndarray or Tensor, shape (N, C, H, W), optional
        Images in [0, 1] to which `similarity` or `responses` belong.
    similarity : array_like, shape (N, N), optional
        Similarities or an `nf.neural.Target`, for joint training with a similarity
        loss.
    responses : array_like, shape (N, K), optional
        Responses that co-training predicts from the recipe's `layers`. Predictions are
        positive (see `CoTraining`) if no response is negative.
    source : str
        Source of the responses, which is stored in the run's settings.
    seed : int
        Seed of the initial weights and of all random draws.
    device : str or torch.device
    progress : bool
        Show a progress bar.

    Returns
    -------
    Trained(model, history)

    Raises
    ------
    ValueError
        If `stimuli` are given with both or neither of `similarity` and `responses`, or
        for the same reasons as `fit`.
    ModelError
        If a loss is NaN or infinite. The last complete epoch is kept.

    Examples
    --------
    >>> import pathlib
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", split="train", n=160)
    >>> recipe = nf.training.Recipe(
    ...     network="small_cnn,width=8", epochs=2, batch_size=16, lr=0.1
    ... )
    >>> trained = nf.training.train(recipe, data, "run")
    >>> trained.history[1]["loss"] < trained.history[0]["loss"]
    True
    >>> weights = pathlib.Path("run", "best.safetensors")
    >>> model = nf.models.load_model("small_cnn,width=8", weights=weights)
    """
    validate.instance("recipe", recipe, Recipe)
    validate.instance("data", data, ImageSet)
    folder, progress = validate.path("out", out), validate.flag("progress", progress)
    targets = {"similarity": similarity, "responses": responses}
    given = [name for name, value in targets.items() if value is not None]
    if len(given) != (stimuli is not None):
        got = given if stimuli is None else ["stimuli", *given]
        raise ValueError(
            f"stimuli: got {' and '.join(got)}, expected stimuli with either "
            "similarity or responses, or none of the three"
        )
    shown = data.load(progress=progress)
    place = validate.device(device)
    seed = validate.seed(seed)
    with runtime.seeded(seed % 2**63):
        model, shown = _built(recipe.network, shown, seed)
    model = model.to(place)
    regularizer: SimilarityRegularizer | CoTraining | None = None
    if similarity is not None and stimuli is not None:
        regularizer = SimilarityRegularizer(
            model,
            recipe.layers,
            similarity,
            stimuli,
            n_pairs=recipe.n_pairs,
            all_pairs=recipe.all_pairs,
            half=recipe.half,
            seed=seed,
        )
    elif responses is not None and stimuli is not None:
        regularizer = CoTraining(
            model,
            recipe.layers if isinstance(recipe.layers, str) else recipe.layers[0],
            responses,
            stimuli,
            batch_size=recipe.batch_size,
            positive=bool((calling.as_tensor(mean_responses(responses)[0]) >= 0).all()),
            seed=seed,
            source=source,
        )
    history = fit(
        model,
        shown.images,
        shown.labels,
        recipe,
        regularizer=regularizer,
        folder=folder,
        seed=seed,
        progress=progress,
    )
    return Trained(model.eval(), history)


def _built(
    network: str, shown: ImageSet, seed: int
) -> tuple[torch.nn.Module, ImageSet]:
    """Return an untrained network and its images, in gray if the network takes gray.

    If the spec has principal components in front, fit them to these images.
    """
    asked = PCA_OPTION.search(network)
    model = load_model(PCA_OPTION.sub("", network))
    if model.in_channels == 1:
        shown = shown.gray()
    if asked is not None:
        model.front = PCA.fit(shown.images, int(asked.group(1)), seed=seed)
    return model, shown
