"""Collect the classes that a model predicts, on its device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from neurofreq._shared import transfer
from neurofreq._shared.networks import calling

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Predicted:
    """Predicted classes, batch by batch; the host waits only in `read`."""

    def __init__(self) -> None:
        self._classes: list[torch.Tensor] = []
        self._n_bad: list[torch.Tensor] = []

    def add(self, logits: torch.Tensor, n_images: int) -> None:
        """Add the classes of a batch.

        ModelError is raised for a wrong shape or dtype, and on the CPU for NaN or
        infinity. On other devices, `read` raises for NaN or infinity.
        """
        calling.check_shape(logits, n_images)
        n_bad = calling.count_bad(logits)
        if not transfer.is_queued(logits.device):
            calling.require_finite(int(n_bad), n_images)
        self._n_bad.append(n_bad)
        self._classes.append(logits.argmax(dim=1))

    def read(self) -> list[NDArray[np.int64]]:
        """Return the classes of each batch since the last `read`, in one transfer."""
        lengths = [len(one) for one in self._classes]
        if not lengths:
            return []
        bad = torch.stack(self._n_bad).sum(dim=0, keepdim=True)
        host = torch.cat([*self._classes, bad]).cpu().numpy()
        self._classes, self._n_bad = [], []
        calling.require_finite(int(host[-1]), sum(lengths))
        return np.split(host[:-1], np.cumsum(lengths)[:-1])
