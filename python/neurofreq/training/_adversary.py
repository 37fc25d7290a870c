"""The adversary of adversarial training, which moves a batch towards a larger loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling
from neurofreq._shared.transfer import beside
from neurofreq.training._recipe import NORMS, Recipe


@dataclass(frozen=True)
class Adversary:
    """Perturb each batch within a ball before the training step.

    Parameters
    ----------
    norm : {"linf", "l2"}
    epsilon : float
        Radius of the ball, in pixel units of [0, 1].
    steps : int
        Gradient steps. 1 is the fast gradient sign method from a random start; "l2"
        uses the normalized gradient instead of its sign.
    step : float
        Length of a step in units of `epsilon`.

    Notes
    -----
    The starting point is uniform in the ball ("linf"), or has a random direction and
    radius ("l2"). Every point is projected to the ball and to [0, 1]. The model stays
    in its mode, as in the published code, so that perturbed images also enter the
    running averages of batch norm. No gradient of a parameter is computed or changed.

    This is a short attack for training steps. To measure robustness, use
    `nf.attacks.PGD`, which restarts and checks every image at the end.

    References
    ----------
    Madry et al. 2018, arXiv 1706.06083; Wong, Rice & Kolter 2020, arXiv 2001.03994
    (one step of 1.25 epsilon from a random start).

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> model = nf.models.small_cnn()
    >>> images, labels = torch.rand(8, 1, 32, 32), torch.arange(8)
    >>> adversary = nf.training.Adversary(epsilon=4 / 255)
    >>> draws = torch.Generator().manual_seed(0)
    >>> moved = adversary.perturb(model, images, labels, draws)
    >>> bool((moved - images).abs().max() <= 4 / 255 + 1e-6)
    True
    """

    norm: str = "linf"
    epsilon: float = 8 / 255
    steps: int = 1
    step: float = 1.25

    def __post_init__(self) -> None:
        """Check every value."""
        object.__setattr__(self, "norm", validate.norm("norm", self.norm, NORMS))
        object.__setattr__(self, "steps", validate.count("steps", self.steps))
        for name in ("epsilon", "step"):
            value = validate.number(name, getattr(self, name))
            object.__setattr__(self, name, value)
            validate.within(name, value, 0.0 < value < float("inf"), "above 0")

    @classmethod
    def of(cls, recipe: Recipe) -> Adversary | None:
        """Return the adversary of a recipe, or None if it has none."""
        if recipe.adversary == "none":
            return None
        return cls(
            recipe.adversary, recipe.epsilon, recipe.attack_steps, recipe.attack_step
        )

    def perturb(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        draws: torch.Generator,
        autocast: torch.dtype | None = None,
    ) -> Tensor:
        """Return perturbed images, detached.

        Parameters
        ----------
        model : nn.Module
            Maps images to logits. The model gets copies of the images, in the type of
            its parameters.
        images : Tensor, shape (N, C, H, W)
            In [0, 1], on the model's device.
        labels : int64 Tensor, shape (N,)
        draws : torch.Generator
            Generator of the random start, on the CPU.
        autocast : torch.dtype, optional
            Type of the model's passes. By default, your own autocast stays active.
        """
        moved = self._within(images, images + self._start(images, draws))
        for _ in range(self.steps):
            moved.requires_grad_(True)
            with torch.enable_grad():
                with calling.autocast(moved.device, autocast):
                    # A copy, because the network may change its input in place.
                    shown = moved.to(calling.dtype_of(model), copy=True)
                    logits = calling.logits_of(model(shown))
                loss = cross_entropy(logits.float(), labels, reduction="sum")
                (slope,) = torch.autograd.grad(loss, moved)
            step = self.step * self.epsilon * self._direction(slope)
            moved = self._within(images, moved.detach() + step)
        return moved

    def _start(self, images: Tensor, draws: torch.Generator) -> Tensor:
        unit = torch.empty(images.shape, device=draws.device)
        if self.norm == "linf":
            unit.uniform_(-1.0, 1.0, generator=draws)
        else:
            unit.normal_(generator=draws)
            unit = unit / _length(unit)
            share = torch.rand(len(unit), generator=draws, device=draws.device)
            unit = unit * share.view(-1, 1, 1, 1)
        return self.epsilon * beside(unit, images)

    def _direction(self, slope: Tensor) -> Tensor:
        if self.norm == "linf":
            return slope.sign()
        return slope / _length(slope).clamp_min(1e-12)

    def _within(self, images: Tensor, moved: Tensor) -> Tensor:
        change = moved - images
        if self.norm == "linf":
            change = change.clamp(-self.epsilon, self.epsilon)
        else:
            change = change * (self.epsilon / _length(change).clamp_min(self.epsilon))
        # Clipping moves pixels towards the image, so the point stays in the ball.
        return (images + change).clamp(0.0, 1.0).detach()


def _length(change: Tensor) -> Tensor:
    return change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
