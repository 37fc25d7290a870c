"""Any model that predicts responses, with the preprocessing of its images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.nn import functional as F

from neurofreq._neurofreq import ModelError
from neurofreq._shared.inputs import pixel, validate
from neurofreq._shared.networks import calling, luma
from neurofreq.data import ImageSet

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_WHAT = "responses"
_REFUSALS = (RuntimeError, ValueError, AssertionError, IndexError, TypeError)
"""What models raise for images of another size or number of channels."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """A model that predicts responses of neurons, and the images that it expects.

    Images in [0, 1] are brought to the model's form in this order: gray or color, size,
    range, standardization. The model runs in evaluation mode, on batches, without
    gradients, and is not changed.

    Parameters
    ----------
    model : nn.Module or callable
        Maps prepared images (N, 1 or 3, H, W), float32, to responses (N, K). A model
        with other arguments needs a function, such as
        ``lambda images: model(images, data_key="scan")``.
    recordings : str, optional
        Area, number of neurons and reference of the recordings that the model was
        fitted to. Labels of targets show this text. Without it, the targets of the
        model have the source "predicted", which is not said to come from recordings.
    gray : bool or "auto"
        True: the model gets luminance, one channel. False: three channels; gray images
        are repeated. "auto": the channels of the images, or the other form if the model
        refuses these.
    size : (int, int), optional
        Height and width of the images of the model. By default the size does not
        change. Images are resized bilinearly, with smoothing where they shrink.
    fit : {"crop", "stretch"}
        For images of other proportions than `size`: resize the largest central part
        with these proportions, or the whole image, with other proportions.
    value_range : (float, float)
        Values of black and white: ``(0.0, 255.0)`` for a model fitted to bytes.
    mean, std : float or sequence of float
        ``(value - mean) / std``, in the units of `value_range`; one number, or one for
        each channel.
    batch_size : int
        Images per pass.
    device : torch.device or str, optional
        Where the images are put. By default the device of the model's parameters.
    neuron : mapping of str to array_like of length K
        Descriptors of the neurons, for example area and session.

    Raises
    ------
    TypeError, ValueError
        A field of a wrong type or out of range; for example a `mean` outside of
        `value_range`, which is a mean in other units.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=8).images
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 5))
    >>> predictor = nf.neural.Predictor(network, gray=True, size=(9, 16), mean=0.5)
    >>> predictor.predict(images).shape
    (8, 5)
    >>> predictor
    Predictor(Sequential; gray, 9 x 16 (crop), 0 to 1, minus 0.5, divided by 1)
    """

    model: calling.Model
    recordings: str | None = None
    gray: bool | Literal["auto"] = "auto"
    size: tuple[int, int] | None = None
    fit: Literal["crop", "stretch"] = "crop"
    value_range: tuple[float, float] = (0.0, 1.0)
    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0
    batch_size: int = 64
    device: torch.device | str | None = None
    neuron: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the fields."""
        validate.model(self.model)
        if self.recordings is not None:
            validate.text("recordings", self.recordings)
        low, high = _numbers("value_range", self.value_range, (2,))
        validate.within("value_range", high, low < high, f"more than {low:g}")
        mean = _numbers("mean", self.mean, (1, 3))
        std = _numbers("std", self.std, (1, 3))
        for one in mean:
            inside = low <= one <= high or one == 0.0
            validate.within("mean", one, inside, f"{low:g} to {high:g}, value_range")
        for one in std:
            most = high - low
            inside = 0.0 < one <= max(most, 1.0)
            told = f"above 0 and at most {most:g}, the width of value_range"
            validate.within("std", one, inside, told)
        gray = luma.wanted(self.gray)
        if gray is not False and max(len(mean), len(std)) > 1:
            raise ValueError(
                f"gray: got {self.gray!r} and a mean or std for each channel, expected "
                "gray=False"
            )
        table = {} if self.neuron is None else dict(self.neuron)
        checked: dict[str, Any] = {
            "gray": gray,
            "size": None if self.size is None else validate.pair("size", self.size),
            "fit": validate.one_of("fit", self.fit, ("crop", "stretch")),
            "value_range": (low, high), "mean": mean, "std": std,
            "batch_size": validate.count("batch_size", self.batch_size),
            "neuron": {key: np.asarray(one) for key, one in table.items()},
        }  # fmt: skip
        if self.device is not None:
            checked["device"] = validate.device(self.device)
        for name, one in checked.items():
            object.__setattr__(self, name, one)

    def __repr__(self) -> str:
        """Describe the source and the preprocessing in one line."""
        words = {True: "gray", False: "color", "auto": "gray or color"}
        size = "any size"
        if self.size is not None:
            size = f"{self.size[0]} x {self.size[1]} ({self.fit})"
        low, high = self.value_range
        mean, std = (
            ", ".join(f"{one:g}" for one in _numbers("", value, (1, 3)))
            for value in (self.mean, self.std)
        )
        return (
            f"Predictor({self.name}; {words[self.gray]}, {size}, {low:g} to {high:g}, "
            f"minus {mean}, divided by {std})"
        )

    @property
    def name(self) -> str:
        """The recordings, or the name of the model's class or function."""
        given = getattr(self.model, "__name__", type(self.model).__name__)
        return self.recordings or str(given)

    @property
    def source(self) -> str:
        """The source of targets of this model: see `nf.neural.SOURCES`."""
        return "predicted from recordings" if self.recordings else "predicted"

    def prepare(self, images: Any) -> Tensor:
        """Return images in the form that the model gets, on its device.

        Parameters
        ----------
        images : ndarray, Tensor or data.ImageSet, shape (N, C, H, W)
            float32 or float64 in [0, 1], C = 1 or 3; uint8 in an `ImageSet`.

        Raises
        ------
        TypeError, ValueError
            Bad images, for example in [0, 255].
        """
        checked = pictures(images)
        return self._prepared(checked, self._form(checked))

    def predict(self, images: Any) -> NDArray[np.float32]:
        """Predict the responses to images.

        Parameters
        ----------
        images : ndarray, Tensor or data.ImageSet, shape (N, C, H, W)
            float32 or float64 in [0, 1], C = 1 or 3; uint8 in an `ImageSet`.

        Returns
        -------
        ndarray of float32, shape (N, K)
            In the unit of the model.

        Raises
        ------
        ModelError
            If the model returns another shape, NaN or infinite values.
        TypeError, ValueError
            Bad images, or images that the model refuses, for example because of their
            size or number of channels.

        Warns
        -----
        UserWarning
            If the responses to an image depend on the other images of the batch, or
            differ between repeated calls.
        """
        checked = pictures(images)
        is_gray = self._form(checked)
        ask = calling.tried(
            self.model, self._prepared(checked[:1], is_gray), device=self._device(),
            made=True, what=_WHAT,
        )  # fmt: skip
        parts: list[NDArray[np.float32]] = []
        for start in range(0, len(checked), self.batch_size):
            batch = self._prepared(checked[start : start + self.batch_size], is_gray)
            rows = calling.predict(
                ask, batch, batch_size=self.batch_size, device=self._device()
            )
            parts.append(rows.float().cpu().numpy())
        widths = sorted({part.shape[1] for part in parts})
        if len(widths) > 1:
            raise ModelError(
                f"model: got {widths} neurons in different batches, expected one number"
            )
        self._check_neurons(widths[0])
        return np.concatenate(parts)

    def _check_neurons(self, n_neurons: int) -> None:
        for key, one in self.neuron.items():
            if one.shape != (n_neurons,):
                raise ValueError(
                    f"neuron: got {key!r} of shape {one.shape}, expected "
                    f"({n_neurons},), one per neuron of the model"
                )

    def _device(self) -> torch.device:
        own = calling.device_of(self.model)
        return own if self.device is None else torch.device(self.device)

    def _form(self, images: Any) -> bool:
        """Return whether the model gets luminance; raise if it refuses the images."""
        forms = [self.gray is True]
        if self.gray == "auto":
            is_gray = images.shape[1] == 1
            forms = [is_gray, not is_gray]
        refusals = []
        for is_gray in forms:
            refusal = self._refusal(self._prepared(images[:1], is_gray))
            if refusal is None:
                return is_gray
            refusals.append(refusal)
        sides = " x ".join(map(str, self._prepared(images[:1], forms[0]).shape[1:]))
        raise ValueError(
            f"images: the model refuses images of {sides} ({_line(refusals[0])}), "
            "expected the form that it was fitted to: set size and gray of Predictor"
        ) from refusals[0]

    def _refusal(self, image: Tensor) -> Exception | None:
        """Return the exception that the model raises for a prepared image, or None."""
        ask = calling.Classifier(self.model, what=_WHAT)
        try:
            with calling.evaluating(self.model):
                ask.settle(image, made=True)
            calling.predict(ask, image, device=self._device())
        except (ModelError, torch.OutOfMemoryError):
            raise
        except _REFUSALS as error:
            return error
        return None

    def _prepared(self, images: Any, is_gray: bool) -> Tensor:
        """Return checked images in the form of the model."""
        shown = calling.to_tensor(images, self._device()).float()
        if is_gray and shown.shape[1] == 3:
            shown = pixel.luma(shown)
        elif not is_gray and shown.shape[1] == 1:
            shown = shown.expand(-1, 3, -1, -1)
        if self.size is not None:
            shown = _resized(shown, self.size, self.fit)
        low, high = self.value_range
        mean, std = (
            torch.tensor(_numbers("", one, (1, 3)), device=shown.device)[:, None, None]
            for one in (self.mean, self.std)
        )
        return (shown * (high - low) + low - mean) / std


def pictures(images: Any) -> Any:
    """Return checked images in [0, 1], (N, 1 or 3, H, W), of arrays or image sets."""
    if isinstance(images, ImageSet):
        images = pixel.to_unit(np.asarray(images.images))
    checked = validate.images(images, unit_range=True)
    if checked.shape[1] not in (1, 3):
        raise ValueError(f"images: got {checked.shape[1]} channels, expected 1 or 3")
    high = float(checked.max())
    if 0.0 < high <= 1.0 / 255.0:
        raise ValueError(
            f"images: got values of at most {high:.3g}, expected [0, 1] (were bytes "
            "divided by 255 twice?)"
        )
    return checked


def warn_of_constant(responses: NDArray[Any], used: NDArray[np.bool_]) -> None:
    """Warn about neurons with the same response to all images; raise if all are such.

    `used` (K,) marks the neurons with a weight.
    """
    is_constant = (responses.min(0) == responses.max(0)) & used
    n_constant = int(is_constant.sum())
    if n_constant == used.sum():
        raise ModelError(
            "model: got the same responses to all images, expected responses that "
            "differ (are value_range, mean and std those that it was fitted with?)"
        )
    if n_constant:
        warnings.warn(
            f"model: got constant responses of {n_constant} of {used.sum()} neurons "
            f"(first: neuron {int(is_constant.argmax())}), which add nothing to the "
            "similarity",
            stacklevel=4,
        )


def _resized(images: Tensor, size: tuple[int, int], fit: str) -> Tensor:
    """Return images of another size; "crop" keeps the proportions."""
    height, width = images.shape[2:]
    if fit == "crop":
        scale = min(height / size[0], width / size[1])
        rows, columns = (max(1, round(side * scale)) for side in size)
        top, left = (height - rows) // 2, (width - columns) // 2
        images = images[:, :, top : top + rows, left : left + columns]
    if images.shape[2:] == size:
        return images
    return F.interpolate(
        images, size=size, mode="bilinear", antialias=True, align_corners=False
    )


def _numbers(name: str, value: Any, lengths: tuple[int, ...]) -> tuple[float, ...]:
    """Return one or several finite numbers as floats."""
    several = isinstance(value, (tuple, list, np.ndarray)) and np.ndim(value) == 1
    found = tuple(validate.number(name, one) for one in (value if several else [value]))
    if len(found) not in lengths:
        expected = " or ".join(map(str, lengths))
        raise ValueError(f"{name}: got {len(found)} numbers, expected {expected}")
    for one in found:
        validate.within(name, one, bool(np.isfinite(one)), "a finite number")
    return found


def _line(error: Exception) -> str:
    """Return the first line of an error, cut to a length for a message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:150]
