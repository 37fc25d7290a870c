"""Static inputs of recorded steps: one form for each shape of the inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from neurofreq._neurofreq import ModelError
from neurofreq._shared.transfer import Packet
from neurofreq.training._objective import check_losses, check_span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from neurofreq._shared.networks.graphs import Watch


class Form:
    """The static inputs of a step, and its recording.

    Inputs are images, labels, views, the draw of the regularizer and the learning
    rates. All inputs that are on the host reach the device in one copy.
    """

    def __init__(
        self, inputs: Sequence[Tensor], n_views: int, device: torch.device
    ) -> None:
        # On the CPU, everything counts as sent, so that tests use the same code.
        self._is_sent = [
            one.device != device or one.device.type == "cpu" for one in inputs
        ]
        sent = [one for one, is_sent in self._pairs(inputs) if is_sent]
        self._packet = Packet(sent, device)
        packed = iter(self._packet.tensors)
        self._fixed = [
            next(packed) if is_sent else torch.empty_like(one)
            for one, is_sent in self._pairs(inputs)
        ]
        images, labels, *rest = self._fixed
        self.batch = images, labels, tuple(rest[:n_views])
        self.drawn = rest[n_views:-1]
        self.rates = rest[-1]
        self.n_steps = 0
        self.watch: Watch | None = None
        self.replay: Callable[[], Tensor] | None = None
        self.grads: list[Tensor | None] = []
        self.addresses: tuple[int, ...] = ()
        self.names: list[str] = []
        self.n_classes = 0

    def fill(self, inputs: Sequence[Tensor]) -> None:
        """Copy new inputs to the device."""
        self._packet.fill([one for one, is_sent in self._pairs(inputs) if is_sent])
        for fixed, (one, is_sent) in zip(self._fixed, self._pairs(inputs), strict=True):
            if not is_sent:
                fixed.copy_(one)

    def losses(
        self, values: list[float], told: Callable[[list[float]], str | None] | None
    ) -> dict[str, float]:
        """Return the losses by name from a report, or raise."""
        n = len(self.names)
        check_span((int(values[-2]), int(values[-1])), self.n_classes)
        if told is not None and (text := told(values[n:-2])):
            raise ModelError(text)
        losses = dict(zip(self.names, values, strict=False))
        check_losses(losses)
        return losses

    def _pairs(self, inputs: Sequence[Tensor]) -> list[tuple[Any, bool]]:
        return list(zip(inputs, self._is_sent, strict=True))
