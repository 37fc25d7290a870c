"""The training loop: seeded per epoch, and resumed after the last complete epoch."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from neurofreq._neurofreq import ModelError
from neurofreq._shared import runtime
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling
from neurofreq._shared.networks.features import unwrapped
from neurofreq._shared.ranks import Ranks
from neurofreq.training._checkpoint import Checkpoints
from neurofreq.training._inputs import Inputs
from neurofreq.training._optimizer import check_channels_last, sgd
from neurofreq.training._recipe import Recipe
from neurofreq.training._schedule import Progress, rate
from neurofreq.training._step import check_logits, training_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from numpy.typing import NDArray

    from neurofreq.training._augment import Augment

    Row: TypeAlias = dict[str, float]

EVALUATED = 500
"""Validation images per pass."""


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
) -> list[Row]:
    """Train a classifier by a recipe, optionally towards neural data.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits, as in `training_step`. It is trained in place, on its own
        device. Its training flags and those of the regularizer are restored at the end.
        It is given copies of the images, in the type of its parameters.
    images : Tensor or ndarray, shape (N, C, H, W)
        float32 or float64 in [0, 1].
    labels : array_like of int, shape (N,)
        Classes, from 0.
    recipe : Recipe, optional
        Every setting; ``Recipe()`` by default. Its `network` is not used here.
    regularizer : SimilarityRegularizer or CoTraining, optional
        Built on the same `model`.
    augment : callable, optional
        ``augment(images, generator) -> images`` replaces the recipe's augmentation. A
        run in `folder` continues only if its output on some images is the same.
    folder : path, optional
        Stores the state after every epoch, the best weights and the learning curves.
        If the folder holds a run, its weights replace those of `model`, and the run
        continues. The results are those of an uninterrupted run (on a CUDA device only
        as far as torch's own kernels are reproducible).
    seed : int
        Seed of the held-out images, the order, the augmentation and dropout. The
        initial weights of the model are your own. Global random states do not change.
    progress : bool
        Show a progress bar.
    callback : callable, optional
        Called with each epoch's row. To stop training, raise an exception in it.

    Returns
    -------
    list of dict
        One row per epoch: "epoch" (from 1), "lr" (at its end, in the phase of the
        epoch), the mean losses of `training_step`, and what the regularizer reports
        (such as the weights of layers). With held-out images also "validation_loss" and
        "validation_accuracy", on images perturbed by the recipe's adversary, if any.

    Raises
    ------
    ModelError
        If a loss, or after an epoch any weight or the validation loss, is NaN or
        infinite. The last good epoch stays in `folder`.
    ValueError
        Mismatched shapes, labels out of range, a model in several processes, or a
        folder that holds a run with other settings or data.

    Warns
    -----
    UserWarning
        If the model returns probabilities instead of logits.

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
    run = _Run(model, data, classes, recipe, regularizer, augment, seed)
    run.check_classes()
    kept = None if folder is None else Checkpoints(validate.path("folder", folder))
    if kept is not None:
        kept.claim(recipe, seed, data, classes, regularizer, augment)
        kept.load(run)
    with _training(model, progress, run) as bar:
        while not run.is_done:
            row = run.epoch()
            if kept is not None:
                kept.save(run)
            if callback is not None:
                callback(row)
            bar.update()
    run.keep_best()
    return run.history


class _Run:
    """The state of a training run, which `Checkpoints` writes and reads."""

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        recipe: Recipe,
        regularizer: Any,
        augment: Augment | None,
        seed: int,
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.regularizer = regularizer
        self.seed = seed % 2**62
        self.inputs = Inputs(recipe, augment)
        self.device = calling.device_of(model)
        self.images, self.labels = _beside(self.device, images), labels
        order = _permuted(len(images), self._draws(0))
        n_held = round(recipe.validation * len(images))
        self.held, self.shown = order[:n_held].sort().values, order[n_held:]
        if len(self.shown) == 0:
            raise ValueError(
                f"validation: got {recipe.validation}, which leaves no image to train"
            )
        if recipe.channels_last:
            check_channels_last(model, self.device)
            model.to(memory_format=torch.channels_last)
        self.optimizer = sgd(model, recipe, regularizer)
        self.history: list[Row] = []
        self.progress = Progress()
        self.best: dict[str, Tensor] | None = None
        self.best_regularizer: dict[str, Tensor] | None = None

    @property
    def is_done(self) -> bool:
        """Whether all epochs are done, or a plateau has used all falls of the rate."""
        falls = self.recipe.schedule == "plateau" and (
            self.progress.falls > self.recipe.n_phases
        )
        return falls or len(self.history) >= self.recipe.epochs

    def epoch(self) -> Row:
        """Train for one epoch and return its row."""
        number = len(self.history) + 1
        draws = self._draws(number)
        dropout = torch.randint(2**62, (), generator=draws, device=draws.device)
        runtime.seed_generators(int(dropout), self.device)
        batches = _batches(
            self.shown[_permuted(len(self.shown), draws)],
            self.recipe.batch_size,
        )
        rows = []
        for index, batch in enumerate(batches):
            step = (number - 1) * len(batches) + index
            self._set_rate(rate(self.recipe, step, number - 1, len(batches)))
            try:
                rows.append(self._step(batch, draws))
            except ModelError as error:
                place = f"epoch {number}, step {index + 1} of {len(batches)}"
                raise ModelError(f"{error} ({place})") from error
        self._check_finite(number)
        end = rate(self.recipe, number * len(batches), number - 1, len(batches))
        row = {"epoch": number, "lr": end * self._fallen}
        row |= {key: sum(r[key] for r in rows) / len(rows) for key in rows[0]}
        if self.regularizer is not None:
            row |= self.regularizer.figures()
        if len(self.held):
            row |= self._validate(number)
        self.history.append(row)
        return row

    def keep_best(self) -> None:
        """Load the best state into model and regularizer, if images were held out."""
        if self.best is not None:
            unwrapped(self.model).load_state_dict(self.best)
        if self.best_regularizer is not None:
            state = self.regularizer.state_dict() | self.best_regularizer
            self.regularizer.load_state_dict(state)
        torch.clear_autocast_cache()

    def check_classes(self) -> None:
        """Require a logit for every label, also of held-out images, before any step."""
        measuring = calling.evaluating(self.model), runtime.seeded(0, self.device)
        with measuring[0], measuring[1], torch.no_grad():
            logits = self._logits(self.images[:1])
        span = int(self.labels.min()), int(self.labels.max())
        check_logits(logits, span, 1)

    @property
    def _fallen(self) -> float:
        return float(self.recipe.factor**self.progress.falls)

    def _set_rate(self, value: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = value * self._fallen

    def _step(self, index: Tensor, draws: torch.Generator) -> Row:
        labels = self.labels[index].to(self.device)
        drawn = self.images[index.to(self.images.device)]
        images, views = self.inputs(self.model, drawn, labels, draws, self._autocast)
        return training_step(
            self.model,
            self.optimizer,
            images,
            labels,
            self.regularizer,
            self.recipe.alpha,
            joint=self.recipe.joint and self.regularizer is not None,
            autocast=self._autocast,
            label_smoothing=self.recipe.label_smoothing,
            views=views,
            consistency=self.recipe.consistency,
        )

    def _logits(self, images: Tensor) -> Tensor:
        """Return logits of a copy of the images, in the type of the parameters."""
        kind = calling.dtype_of(self.model)
        shown = images.to(self.device, kind, copy=True)
        return calling.logits_of(self.model(shown))

    @property
    def _autocast(self) -> torch.dtype | None:
        return torch.bfloat16 if self.recipe.precision == "bfloat16" else None

    def _validate(self, number: int) -> Row:
        """Score the held-out images, store the best state, and follow a plateau."""
        loss, accuracy = self._score()
        if not math.isfinite(loss):
            raise ModelError(
                f"validation loss: got {loss} after epoch {number}, expected a finite "
                "value; nothing of this epoch is kept"
            )
        score = accuracy if self.recipe.monitor == "accuracy" else -loss
        if self.progress.note(number, score):
            self._note_best()
        elif self.recipe.schedule == "plateau" and self.progress.falls_now(
            self.recipe.patience
        ):
            self.keep_best()
        return {"validation_loss": loss, "validation_accuracy": accuracy}

    def _note_best(self) -> None:
        state = unwrapped(self.model).state_dict()
        self.best = {name: value.clone() for name, value in state.items()}
        if self.regularizer is not None:
            state = self.regularizer.state_dict()
            # Without the count of steps, which decides the draws and must not go back.
            self.best_regularizer = {
                name: value.clone() for name, value in state.items() if name != "step"
            }

    def _check_finite(self, number: int) -> None:
        """Require finite weights and buffers before an epoch counts as complete."""
        states = {"model": unwrapped(self.model).state_dict()}
        if self.regularizer is not None:
            states["regularizer"] = self.regularizer.state_dict()
        for owner, state in states.items():
            values = {k: v for k, v in state.items() if v.is_floating_point()}
            good = [value.isfinite().all() for value in values.values()]
            if good and not torch.stack(good).all():
                bad = next(k for k, one in zip(values, good, strict=True) if not one)
                raise ModelError(
                    f"{owner}: got NaN or infinite values in {bad!r} after epoch "
                    f"{number}, expected finite ones; nothing of this epoch is kept"
                )

    def _score(self) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy on the held-out images.

        The recipe's adversary perturbs them from the same starting points in every
        epoch.
        """
        loss, right = 0.0, 0
        draws = self._draws(0)
        with calling.evaluating(self.model), torch.no_grad():
            for index in torch.split(self.held, EVALUATED):
                truth = self.labels[index].to(self.device)
                images = self.images[index.to(self.images.device)].to(self.device)
                if self.inputs.adversary is not None:
                    images = self.inputs.adversary.perturb(
                        self.model, images, truth, draws, self._autocast
                    )
                with calling.autocast(self.device, self._autocast):
                    logits = self._logits(images).float()
                loss += float(cross_entropy(logits, truth, reduction="sum"))
                right += int((logits.argmax(1) == truth).sum())
        return loss / len(self.held), right / len(self.held)

    def _draws(self, epoch: int) -> torch.Generator:
        """Return the generator of an epoch; epoch 0 chooses the held-out images."""
        # Multiples of the golden ratio's fraction keep nearby seeds and epochs apart.
        spread = (self.seed + epoch * 0x9E3779B97F4A7C15) % 2**63
        return torch.Generator("cpu").manual_seed(spread)


def _permuted(n: int, draws: torch.Generator) -> Tensor:
    """Return the numbers 0 to n - 1 in a random order."""
    return torch.randperm(n, generator=draws, device=draws.device)


def _beside(device: torch.device, images: Tensor) -> Tensor:
    """Move the images to a CUDA device if it has room for twice as many."""
    if device.type != "cuda":
        return images
    free, _ = torch.cuda.mem_get_info(device)
    return images.to(device) if 2 * images.nbytes < free else images


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Split indices into batches; drop a last batch of one image unless it is alone."""
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and batch_size > 1 and len(batches[-1]) == 1:
        batches.pop()
    return batches


@contextmanager
def _training(model: nn.Module, progress: bool, run: _Run) -> Iterator[Any]:
    """Set training mode, seeds and a bar; undo all of them at the end."""
    from tqdm.auto import tqdm

    both = [model] if run.regularizer is None else [model, run.regularizer]
    modes = [(module, module.training) for one in both for module in one.modules()]
    devices = [run.device] if run.device.type == "cuda" else []
    bar = tqdm(
        total=run.recipe.epochs,
        initial=len(run.history),
        desc="training",
        unit="epoch",
        disable=not progress,
    )
    with bar, torch.random.fork_rng(devices):
        for one in both:
            one.train()
        try:
            yield bar
        finally:
            for module, mode in modes:
                module.training = mode
