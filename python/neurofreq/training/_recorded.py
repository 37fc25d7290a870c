"""Let a graph record an optimizer: fused, with learning rates on the device."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
"""Optimizers whose fused form skips a step on the device if `found_inf` is 1."""


class Recorded:
    """An optimizer that changes its settings only while a step runs or is recorded.

    Between steps, the learning rates are the numbers that the caller or a scheduler
    sets. `close` moves the counts of steps back to the host where they were there.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self._on_host: list[Any] = []

    def problem(self, device: torch.device) -> str | None:
        """Return why a graph cannot record the optimizer; None if it can."""
        kind = type(self.optimizer)
        if kind not in FUSED:
            names = ", ".join(one.__name__ for one in FUSED)
            return f"the optimizer is {kind.__name__}, not one of {names}"
        if any(group.get("differentiable") for group in self.optimizer.param_groups):
            return "the optimizer is differentiable"
        if any(parameter.device != device for parameter in self.parameters()):
            return f"the optimizer has parameters outside of {device}"
        return None

    def parameters(self) -> Iterator[Tensor]:
        """Yield all parameters."""
        for group in self.optimizer.param_groups:
            yield from group["params"]

    def rates(self) -> Tensor:
        """Return the learning rates of all groups, float32, on the host."""
        rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        return torch.tensor(rates, dtype=torch.float32, device="cpu")

    def settings(self) -> tuple[Any, ...]:
        """Return the settings that a graph records: all except the rates."""
        return tuple(
            (name, str(value))
            for group in self.optimizer.param_groups
            for name, value in group.items()
            if name not in ("params", "lr", "initial_lr")
        )

    def states(self) -> Iterator[Tensor]:
        """Yield the tensors of the state."""
        for parameter in self.parameters():
            for value in self.optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor):
                    yield value

    @contextmanager
    def recordable(self, rates: Tensor, bad: Tensor | None = None) -> Iterator[None]:
        """Use rates on the device; skip the step on the device if `bad` is 1."""
        self._move_steps(rates.device)
        optimizer: Any = self.optimizer
        before = [dict(group) for group in optimizer.param_groups]
        try:
            for group, rate in zip(optimizer.param_groups, rates.unbind(), strict=True):
                group |= {"lr": rate, "fused": True, "foreach": False}
                if "capturable" in group:
                    group["capturable"] = True
            if bad is not None:
                optimizer.found_inf = bad
            yield
        finally:
            for group, settings in zip(optimizer.param_groups, before, strict=True):
                group |= settings
            if bad is not None:
                del optimizer.found_inf

    def close(self) -> None:
        """Move the counts of steps back to the host where they were there."""
        for state in self._on_host:
            state["step"] = state["step"].cpu()
        self._on_host.clear()

    def _move_steps(self, device: torch.device) -> None:
        """Move counts of steps to the device, where fused optimizers need them."""
        for state in self.optimizer.state.values():
            step = state.get("step")
            if isinstance(step, Tensor) and step.device != device:
                self._on_host.append(state)
                state["step"] = step.to(device, torch.float32)
