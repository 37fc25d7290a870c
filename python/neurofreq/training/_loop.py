"""The training loop: a run resumes after its last complete epoch.

Each epoch has its own seed, so that a resumed run gives the same results.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling
from neurofreq._shared.networks.features import unwrapped
from neurofreq._shared.progress import bar
from neurofreq._shared.ranks import Ranks
from neurofreq.training._checkpoint import Checkpoints
from neurofreq.training._recipe import Recipe
from neurofreq.training._run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from numpy.typing import NDArray

    from neurofreq.training._augment import Augment
    from neurofreq.training._run import Row


def fit(
    model: nn.Module,
    images: Tensor | NDArray[Any],
    labels: Any,
    recipe: Recipe | None = None,
    *,
    regularizer: Any = None,
    augment: Augment | None = None,
    folder: str | PathLike[str] | None = None,
    seed: int = 0,
    progress: bool = False,
    callback: Callable[[Row], None] | None = None,
    capture: bool | None = None,
) -> list[Row]:
    """Train a classifier by a recipe, optionally towards neural data.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits, as in `training_step`. `fit` trains the model in place,
        on the model's device, and restores the training flags of model and regularizer
        at the end. The model gets copies of the images, in the type of its parameters.
    images : Tensor or ndarray, shape (N, C, H, W)
        float32 or float64 in [0, 1].
    labels : array_like of int, shape (N,)
        Classes, from 0.
    recipe : Recipe, optional
        All settings; ``Recipe()`` by default. `fit` does not use `recipe.network`.
    regularizer : SimilarityRegularizer or CoTraining, optional
        Built on the same `model`.
    augment : callable, optional
        ``augment(images, generator) -> images`` replaces the recipe's augmentation. A
        run in `folder` continues only if `augment` returns the same output as before
        for some images.
    folder : path, optional
        Folder for the state after every epoch, the best weights and the learning
        curves. If the folder holds a run, the stored weights replace the weights of
        `model`, and the run continues. The results are equal to an uninterrupted run
        (on a CUDA device, only if torch's kernels are reproducible).
    seed : int
        Seed of the held-out images, the order, the augmentation and dropout. The seed
        does not affect the model's initial weights. Global random states do not change.
    progress : bool
        Show a progress bar.
    callback : callable, optional
        Called with each epoch's row. To stop training, raise an exception in
        `callback`.
    capture : bool, optional
        Whether steps are recorded in CUDA graphs, see `nf.training.CapturedStep`. By
        default they are on a CUDA device, if the model can be recorded.

    Returns
    -------
    list of dict
        One row per epoch: "epoch" (from 1), "lr" (the learning rate at the end of the
        epoch), the mean losses of `training_step`, and the numbers that the regularizer
        reports (such as the weights of layers). If images are held out, also
        "validation_loss" and "validation_accuracy". If the recipe has an adversary, it
        perturbs the held-out images.

    Raises
    ------
    ModelError
        If a loss is NaN or infinite, or if a weight or the validation loss is NaN or
        infinite after an epoch. The last good epoch stays in `folder`.
    ValueError
        If shapes do not match, labels are out of range, the model runs in several
        processes, or `folder` holds a run with other settings or data.

    Warns
    -----
    UserWarning
        If the model returns probabilities instead of logits, or if steps on a CUDA
        device are not recorded.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", split="train", n=64)
    >>> model = nf.models.small_cnn(width=4)
    >>> recipe = nf.training.Recipe(epochs=2, lr=0.05, validation=0.25)
    >>> history = nf.training.fit(model, data.images, data.labels, recipe)
    >>> len(history), "validation_accuracy" in history[-1]
    (2, True)
    """
    recipe = Recipe() if recipe is None else recipe
    validate.instance("model", model, nn.Module)
    validate.instance("recipe", recipe, Recipe)
    progress, seed = validate.flag("progress", progress), validate.seed(seed)
    if (n_ranks := Ranks.of(model).size) > 1:
        raise ValueError(
            f"model: got a model that runs in {n_ranks} processes, expected a single "
            "process; for several, use `training_step` in your own loop"
        )
    if regularizer is not None and regularizer.model is not unwrapped(model):
        raise ValueError(
            "regularizer: got a regularizer of another model, expected one built on "
            "this model"
        )
    data = calling.as_tensor(validate.images(images, unit_range=True))
    # Draws and augmentations need at least single precision.
    data = data.detach().to(torch.promote_types(calling.dtype_of(model), torch.float32))
    classes = calling.as_tensor(validate.labels(labels, count=len(data)))
    run = Run(model, data, classes, recipe, regularizer, augment, seed, capture)
    run.check_classes()
    kept = None if folder is None else Checkpoints(validate.path("folder", folder))
    if kept is not None:
        kept.claim(recipe, seed, data, classes, regularizer, augment)
        kept.load(run)
    with _training(model, progress, run) as shown:
        while not run.is_done:
            row = run.epoch()
            if kept is not None:
                kept.save(run)
            if callback is not None:
                callback(row)
            shown.update()
    run.keep_best()
    return run.history


@contextmanager
def _training(model: nn.Module, progress: bool, run: Run) -> Iterator[Any]:
    """Set training mode and seeds, open a bar; undo all of this at the end."""
    both = [model] if run.regularizer is None else [model, run.regularizer]
    modes = [(module, module.training) for one in both for module in one.modules()]
    devices = [run.device] if run.device.type == "cuda" else []
    shown = bar(
        total=run.recipe.epochs,
        initial=len(run.history),
        desc="training",
        unit="epoch",
        progress=progress,
    )
    with shown, torch.random.fork_rng(devices):
        for one in both:
            one.train()
        try:
            yield shown
        finally:
            run.step.close()
            for module, mode in modes:
                module.training = mode
