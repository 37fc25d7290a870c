"""The base of both regularizers: your model, the stimuli, and a count of steps."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from neurofreq._shared.inputs import pixel
from neurofreq._shared.networks import calling
from neurofreq._shared.networks.features import Features
from neurofreq._shared.ranks import Ranks
from neurofreq._shared.transfer import send
from neurofreq.data import ImageSet
from neurofreq.regularize._wide import Wide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self


class Deferred(NamedTuple):
    """The loss of one draw, before the host knows whether the loss is finite."""

    loss: Tensor
    """0-dimensional."""
    flag: Tensor
    """0-dimensional; NaN or infinite if the draw cannot be used."""
    features: list[Tensor]
    """Outputs of the layers."""
    means: list[Tensor]
    """New running means, which are not stored yet."""
    logits: Tensor | None = None
    """Logits of the images of `joint`."""


class Attached(Wide, ABC):
    """A regularizer attached to your model, which is not its submodule.

    `argument` is the caller's name of the layers, for error messages.
    """

    stimuli: Tensor
    step: Tensor

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[str] | str,
        stimuli: Tensor | NDArray[Any] | ImageSet,
        argument: str = "layers",
    ) -> None:
        super().__init__()
        self._features: Features | None = Features(model, layers, argument, stimuli)
        self._ranks = Ranks.of(model)
        if isinstance(stimuli, ImageSet):
            stimuli = pixel.to_unit(np.asarray(stimuli.images))
        images = calling.as_tensor(pixel.unscaled(stimuli, "stimuli")).detach()
        kind = torch.promote_types(calling.dtype_of(model), torch.float32)
        self.register_buffer("stimuli", images.to(kind, copy=True), persistent=False)
        step = torch.zeros((), dtype=torch.int64, device="cpu")
        self.register_buffer("step", step)

    @property
    def model(self) -> nn.Module:
        """The model, without distributed or compiled wrapping."""
        return self._reader.model

    @abstractmethod
    def drawn(self) -> list[Tensor]:
        """Return the draw of this step as tensors on the host."""

    @abstractmethod
    def deferred(self, drawn: Sequence[Tensor], images: Tensor | None = None) -> Any:
        """Compute the loss of a draw on the device, without a wait for the device.

        With `images`, these share the pass, as in `joint`. Returns `Deferred`.
        """

    @abstractmethod
    def explain(self, later: Deferred) -> None:
        """Raise ModelError if the features of a draw cannot be used."""

    @abstractmethod
    def told(self, flags: Sequence[float], step: int) -> str | None:
        """Return the message for the values of `flags`; None if the draw was usable."""

    def flags(self, later: Deferred) -> list[Tensor]:
        """Return 0-dimensional tensors, from whose values `told` finds the problem."""
        return [later.flag.detach()]

    def keep(self, later: Deferred) -> None:
        """Store the state after a step, and count the step; only in training mode."""
        if self.training:
            self.advance()

    def keep_unless(self, bad: Tensor, later: Deferred) -> None:
        """Store the state on the device unless `bad` is True; count no step."""

    @property
    def count(self) -> int:
        """The number of steps."""
        return int(self.step.numpy())  # without an operator of torch

    def advance(self, n: int = 1) -> None:
        """Count steps; a negative number takes steps back."""
        self.step.numpy()[...] += n

    def _settled(self, later: Deferred) -> Tensor:
        """Return the loss after a check of the draw, which waits for the device."""
        if not math.isfinite(later.flag.item()):
            self.explain(later)
        self.keep(later)
        return later.loss

    def _sent(self) -> list[Tensor]:
        return send(self.drawn(), calling.device_of(self.model))

    def close(self) -> None:
        """Release the model; it has no hooks outside `loss`."""
        self._features = None

    def __enter__(self) -> Self:
        """Return the regularizer; it is closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the regularizer."""
        self.close()

    @property
    def _reader(self) -> Features:
        if self._features is None:
            raise RuntimeError("the regularizer is closed and no longer has a model")
        return self._features

    def _shown(self, index: Tensor) -> Tensor:
        """Return a copy of some stimuli, in the type of the model's parameters."""
        shown = self.stimuli.index_select(0, index.to(self.stimuli.device))
        return shown.to(calling.dtype_of(self.model))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move everything except the count of steps, which is read on the CPU."""
        step = self.step
        super()._apply(fn, recurse)
        self.step = step
        return self
