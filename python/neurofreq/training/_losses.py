"""The losses of a step, which the host reads when they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Losses(Mapping[str, float]):
    """The losses of a step by name; reading one waits until the step is done."""

    def __init__(self, read: Callable[[], dict[str, float]]) -> None:
        self._read: Callable[[], dict[str, float]] = read
        self._values: dict[str, float] | None = None

    def check(self) -> dict[str, float]:
        """Wait for the step; raise ModelError if its loss is NaN or infinite."""
        if self._values is None:
            self._values = self._read()
        return self._values

    def __getitem__(self, name: str) -> float:
        """Return a loss."""
        return self.check()[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the losses."""
        return iter(self.check())

    def __len__(self) -> int:
        """Return the number of losses."""
        return len(self.check())

    def __repr__(self) -> str:
        """Show the losses."""
        return repr(self.check())
