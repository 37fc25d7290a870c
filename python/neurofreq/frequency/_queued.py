"""Sums of power spectra that stay on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from neurofreq import _neurofreq
from neurofreq._shared import transfer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Queued:
    """The sum of the power of batches on one device, which the host reads at the end.

    Sums continue from `total` on the host, in the order of the batches.
    """

    def __init__(self, total: NDArray[np.float64], device: torch.device) -> None:
        self.device = device
        self._total = transfer.send([torch.from_numpy(total.copy())], device)[0]
        self._is_finite: list[torch.Tensor] = []
        self._n_planes: list[int] = []

    def add(self, images: torch.Tensor, demean: bool) -> None:
        """Add a batch, without a wait; a batch that is not finite adds nothing."""
        power = _neurofreq.total_power_tensor(images.detach(), demean)
        is_finite = power.isfinite().all()
        self._total = torch.where(is_finite, self._total + power, self._total)
        self._is_finite.append(is_finite)
        self._n_planes.append(images.shape[0] * images.shape[1])

    def read(self) -> tuple[NDArray[np.float64], int, list[int]]:
        """Return the sum, its number of planes, and the batches that are left out.

        The host waits, once.
        """
        flags = torch.stack(self._is_finite).to(self._total)
        host = torch.cat([self._total.flatten(), flags]).cpu().numpy()
        n = len(flags)
        total = host[:-n].reshape(tuple(self._total.shape)).copy()
        is_in = host[-n:] > 0.0
        count = sum(k for k, used in zip(self._n_planes, is_in, strict=True) if used)
        return total, count, [i for i, used in enumerate(is_in, 1) if not used]
