"""The base of both regularizers: your model, the stimuli, and a count of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from neurofreq import _neurofreq
from neurofreq._shared.inputs import pixel
from neurofreq._shared.networks import calling
from neurofreq._shared.networks.features import Features
from neurofreq._shared.ranks import Ranks
from neurofreq.data import ImageSet
from neurofreq.regularize._wide import Wide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self


class Attached(Wide):
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
        self._features: Features | None = Features(model, layers, argument)
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
        shown = self.stimuli[index.to(self.stimuli.device)]
        return shown.to(calling.dtype_of(self.model))

    def _require_finite(self, layer: str, output: Tensor) -> None:
        """Raise ModelError if a layer returned NaN or infinity."""
        if not torch.isfinite(output.detach()).all():
            raise _neurofreq.ModelError(
                f"features: got NaN or infinite values in layer {layer!r} "
                f"at step {int(self.step)}, expected finite ones"
            ) from None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move everything except the count of steps, which is read on the CPU."""
        step = self.step
        super()._apply(fn, recurse)
        self.step = step
        return self
