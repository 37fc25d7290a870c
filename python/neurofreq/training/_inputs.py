"""The inputs of a step: augmented, mixed, noisy or adversarial images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from neurofreq._shared.networks import calling
from neurofreq._shared.transfer import send
from neurofreq.training._adversary import Adversary
from neurofreq.training._augment import AUGMENTATIONS
from neurofreq.training._augmix import augmix

if TYPE_CHECKING:
    from torch import nn

    from neurofreq.training._augment import Augment
    from neurofreq.training._recipe import Recipe


class Shown(NamedTuple):
    """Images to train on, and other views that should get the same predictions."""

    images: Tensor
    views: tuple[Tensor, ...] = ()


class Inputs:
    """Prepare batches by a recipe; `augment` replaces the recipe's augmentation."""

    def __init__(self, recipe: Recipe, augment: Augment | None = None) -> None:
        self.recipe = recipe
        self.augment = augment or AUGMENTATIONS[recipe.augment]
        self.adversary = Adversary.of(recipe)

    def __call__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        draws: torch.Generator,
        autocast: torch.dtype | None,
    ) -> Shown:
        """Return the inputs of the step, on the device of `labels`.

        Operations run in the type of `images` and on their device. The result has the
        type of the model's parameters. The adversary calls the model under `autocast`.
        `draws` is a generator on the CPU.
        """
        batch = self.augment(images, draws)
        views: tuple[Tensor, ...] = ()
        if self.recipe.augmix and self.recipe.consistency > 0.0:
            views = (augmix(batch, draws), augmix(batch, draws))
        elif self.recipe.augmix:
            batch = augmix(batch, draws)
        if self.recipe.noise > 0.0:
            batch = noisy(batch, draws, sd=self.recipe.noise)
        batch, *others = (self._placed(part, labels) for part in (batch, *views))
        if self.adversary is not None:
            batch = self.adversary.perturb(model, batch, labels, draws, autocast)
            batch = self._placed(batch, labels)
        kind = calling.dtype_of(model)
        return Shown(batch.to(kind), tuple(view.to(kind) for view in others))

    def _placed(self, images: Tensor, labels: Tensor) -> Tensor:
        images = images.to(labels.device)
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images


def noisy(images: Tensor, generator: torch.Generator, *, sd: float) -> Tensor:
    """Add Gaussian noise to half of the images, chosen at random; clip to [0, 1].

    `sd` is the standard deviation in pixel units of [0, 1].
    """
    host = generator.device
    noise = torch.empty(images.shape, dtype=images.dtype, device=host)
    noise.normal_(generator=generator)
    chosen = torch.rand(len(images), 1, 1, 1, generator=generator, device=host) < 0.5
    noise, chosen = send([noise, chosen], images.device)
    changed = (images + sd * noise).clamp(0.0, 1.0)
    return torch.where(chosen, changed, images)
