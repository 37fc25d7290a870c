"""The state of a training run, and its epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from neurofreq._neurofreq import ModelError
from neurofreq._shared import runtime
from neurofreq._shared.networks import calling
from neurofreq._shared.networks.features import unwrapped
from neurofreq._shared.transfer import send
from neurofreq.training._captured import CapturedStep
from neurofreq.training._inputs import Inputs
from neurofreq.training._objective import check_logits
from neurofreq.training._optimizer import check_channels_last, sgd
from neurofreq.training._recipe import Recipe
from neurofreq.training._schedule import Progress, rate

if TYPE_CHECKING:
    from neurofreq.training._augment import Augment
    from neurofreq.training._losses import Losses

    Row: TypeAlias = dict[str, float]

EVALUATED = 500
"""Validation images per pass."""


class Run:
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
        capture: bool | None = None,
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
        self.step = CapturedStep(
            model,
            self.optimizer,
            regularizer,
            recipe.alpha,
            joint=recipe.joint and regularizer is not None,
            autocast=self._autocast,
            label_smoothing=recipe.label_smoothing,
            consistency=recipe.consistency,
            capture=capture,
        )
        self.history: list[Row] = []
        self.progress = Progress()
        self.best: dict[str, Tensor] | None = None
        self.best_regularizer: dict[str, Tensor] | None = None

    @property
    def is_done(self) -> bool:
        """Whether all epochs are done, or a plateau followed the last allowed fall."""
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
        rows: list[Losses] = []
        for index, batch in enumerate(batches):
            step = (number - 1) * len(batches) + index
            self._set_rate(rate(self.recipe, step, number - 1, len(batches)))
            place = f"epoch {number}, step {index + 1} of {len(batches)}"
            rows.append(self._step(batch, draws, place))
            if index:  # while this step runs on the device
                self.step.settle(rows[index - 1])
        self.step.finish()
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
        """Require a logit for every label before any step, held-out images included."""
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

    def _step(self, index: Tensor, draws: torch.Generator, place: str) -> Losses:
        """Take a step; an error names its place."""
        where = self.images.device
        if where == self.device:
            labels, index = send([self.labels[index], index], self.device)
        else:
            (labels,) = send([self.labels[index]], self.device)
        drawn = self.images.index_select(0, index.to(where))
        try:
            images, views = self.inputs(
                self.model, drawn, labels, draws, self._autocast
            )
            return self.step.launch(images, labels, views, place)
        except ModelError as error:
            raise ModelError(f"{error} ({place})") from error

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
            # Without the number of steps: it decides the draws and must not go back.
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

        The recipe's adversary, if any, perturbs these images from the same starting
        points in every epoch.
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
        # Multiples of the golden ratio's fraction give nearby seeds and epochs
        # different generators.
        spread = (self.seed + epoch * 0x9E3779B97F4A7C15) % 2**63
        return torch.Generator("cpu").manual_seed(spread)


def _permuted(n: int, draws: torch.Generator) -> Tensor:
    """Return the numbers 0 to n - 1 in a random order."""
    return torch.randperm(n, generator=draws, device=draws.device)


def _beside(device: torch.device, images: Tensor) -> Tensor:
    """Move the images to a CUDA device if it has memory for twice their size."""
    if device.type != "cuda":
        return images
    free, _ = torch.cuda.mem_get_info(device)
    return images.to(device) if 2 * images.nbytes < free else images


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Split indices into batches; drop the last batch if it has one image.

    A batch of one image is kept if it is the only batch or `batch_size` is 1.
    """
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and batch_size > 1 and len(batches[-1]) == 1:
        batches.pop()
    return batches
