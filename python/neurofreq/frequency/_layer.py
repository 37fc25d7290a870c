"""Filters as layers of a network."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from neurofreq._shared.inputs import validate
from neurofreq.frequency import _filters, _phases


class Filter(torch.nn.Module):
    """A filter of images as a layer, for example before a network.

    Parameters
    ----------
    name : str
        "low_pass", "high_pass", "band_pass", "orientation_pass", "phase_noise" or
        "whiten".
    *values, **settings
        The other arguments of the function with this name, checked in each call.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If the function does not have these arguments.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> blurred = torch.nn.Sequential(
    ...     nf.frequency.Filter("low_pass", 8, unit="cycles/image"),
    ...     nf.models.small_cnn(),
    ... )
    >>> images = nf.data.load_data("synthetic", n=4).images
    >>> blurred(torch.from_numpy(images)).shape
    torch.Size([4, 8])
    >>> blurred[0]
    Filter('low_pass', 8, unit='cycles/image')
    """

    def __init__(self, name: str, *values: Any, **settings: Any) -> None:
        super().__init__()
        self.name = validate.one_of("name", name, tuple(_FUNCTIONS))
        try:
            inspect.signature(_FUNCTIONS[name]).bind(None, *values, **settings)
        except TypeError as error:
            raise TypeError(
                f"settings: got other ones than {name} has: {error}"
            ) from None
        self.values, self.settings = values, settings

    def forward(self, images: Any) -> Any:
        """Return the filtered images (N, C, H, W)."""
        return _FUNCTIONS[self.name](images, *self.values, **self.settings)

    def extra_repr(self) -> str:
        """Return the name and the arguments."""
        given = [repr(value) for value in (self.name, *self.values)]
        named = [f"{key}={value!r}" for key, value in self.settings.items()]
        return ", ".join(given + named)


_FUNCTIONS: dict[str, Any] = {
    one.__name__: one
    for one in (
        _filters.low_pass, _filters.high_pass, _filters.band_pass,
        _filters.orientation_pass, _phases.phase_noise, _phases.whiten,
    )
}  # fmt: skip
