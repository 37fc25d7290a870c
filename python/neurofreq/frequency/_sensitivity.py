"""Measure Fourier sensitivity: the error rate for images plus one frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from neurofreq._shared import results
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling, classes
from neurofreq._shared.progress import bar
from neurofreq._shared.results import Result
from neurofreq.frequency import maps

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from neurofreq._shared.inputs.validate import Array


class _Sensitivity(NamedTuple):
    error_rate: NDArray[np.float64]
    clean_error_rate: float


class FourierSensitivity(Result, _Sensitivity):
    """Result of `fourier_sensitivity`.

    Attributes
    ----------
    error_rate : ndarray of float64, shape (H, W)
        Error rate for images with one frequency added, 0 to 1, for each frequency. The
        order is fftshifted as in `power_spectrum`: DC is at ``[H // 2, W // 2]``.
    clean_error_rate : float
        Error rate for unchanged images, 0 to 1.

    Examples
    --------
    This model uses only the mean of an image, which is frequency zero:

    >>> import numpy as np
    >>> import torch
    >>> import neurofreq as nf
    >>> def model(x):
    ...     bright = x.mean((1, 2, 3)) - 0.5
    ...     return torch.stack([-bright, bright], 1)
    >>> images = np.stack([np.full((1, 8, 8), 0.4), np.full((1, 8, 8), 0.6)])
    >>> found = nf.fourier_sensitivity(model, images, [0, 1], norm=1.0)
    >>> found.clean_error_rate
    0.0
    >>> np.argwhere(found.error_rate > 0).tolist()
    [[4, 4]]
    >>> found
    FourierSensitivity(clean error: 0.0 %, largest error: 50.0 %, size: 8 x 8)
    >>> found.to_frame().columns.tolist()
    ['frequency_y', 'frequency_x', 'error_rate']
    >>> axes = found.plot()
    """

    __slots__ = ()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per frequency, in cycles/pixel, with its error rate."""
        return results.frame(maps.columns(self.error_rate, "error_rate"))

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the error rates (`plot.plot_sensitivity`), on new Axes by default."""
        from neurofreq.plot import plot_sensitivity

        return plot_sensitivity(self, ax, **kw)

    def _numbers(self) -> dict[str, Any]:
        return {
            "clean error": f"{100 * self.clean_error_rate:.1f} %",
            "largest error": f"{100 * self.error_rate.max():.1f} %",
            "size": results.size(self.error_rate.shape),
        }


def fourier_basis(height: int, width: int, row: int, column: int) -> Any:
    """Return a cosine (H, W) of one frequency, float64 with unit L2 norm.

    `row` and `column` are positions in the fftshifted spectrum: the frequency is
    ``(row - H // 2) / H`` and ``(column - W // 2) / W`` cycles/pixel.
    """
    height, width = validate.count("height", height), validate.count("width", width)
    row, column = validate.integer("row", row), validate.integer("column", column)
    for name, value, side in (("row", row, height), ("column", column, width)):
        validate.within(name, value, 0 <= value < side, f"0 to {side - 1}")
    u, v = (row - height // 2) / height, (column - width // 2) / width
    y = torch.arange(height, dtype=torch.float64, device="cpu")[:, None]
    x = torch.arange(width, dtype=torch.float64, device="cpu")
    wave = torch.cos(2.0 * torch.pi * (u * y + v * x))
    return wave / wave.norm()


def fourier_sensitivity(
    model: calling.Model,
    images: Array,
    labels: ArrayLike,
    *,
    norm: float = 4.0,
    seed: int = 0,
    batch_size: int = 256,
    device: torch.device | str | None = None,
    progress: bool = False,
) -> FourierSensitivity:
    """Measure the error rate after each Fourier basis image is added to the images.

    Parameters
    ----------
    model : callable
        Maps images (n, C, H, W) in [0, 1] to logits (n, n_classes). An
        ``nn.Module`` runs in evaluation mode and is not changed.
    images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64 in [0, 1].
    labels : array_like of int, shape (N,)
    norm : float
        L2 norm of the change of each channel, in pixel units of [0, 1]. Yin et al. use
        4 for CIFAR-10.
    seed : int
        Seed of the random sign for each image and channel. The signs of an image depend
        only on the seed and the image's position in `images`. They are the same for all
        frequencies.
    batch_size : int
        Images per call of the model.
    device : torch.device or str, optional
        By default the device of the model's parameters.
    progress : bool
        Show a progress bar over frequencies.

    Returns
    -------
    FourierSensitivity(error_rate, clean_error_rate)

    Raises
    ------
    TypeError, ValueError
        Wrong images, labels or arguments.
    ModelError
        If the model returns anything but finite logits, or has fewer
        classes than the labels need.

    Notes
    -----
    The model gets all images once for each pair of opposite frequencies, which is about
    ``H * W / 2`` times. Changed images are clipped to [0, 1].

    References
    ----------
    Yin et al. 2019, "A Fourier perspective on model robustness in computer
    vision", arXiv 1906.08988, section 3 and Figure 3.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=4)
    >>> images = data.images[:, :, ::2, ::2]
    >>> found = nf.fourier_sensitivity(nf.models.small_cnn(), images, data.labels)
    >>> found.error_rate.shape
    (16, 16)
    """
    validate.model(model)
    images = validate.images(images, unit_range=True)
    truth = calling.as_tensor(validate.labels(labels, count=len(images)))
    norm = validate.number("norm", norm)
    validate.within("norm", norm, 0.0 < norm < float("inf"), "above 0")
    batch_size = validate.count("batch_size", batch_size)
    progress = validate.flag("progress", progress)
    device = None if device is None else validate.device(device)
    shown = calling.to_tensor(images, "cpu")
    signs = _signs(len(shown), shown.shape[1], validate.seed(seed)).to(shown.dtype)
    height, width = shown.shape[2:]
    ask = calling.tried(model, shown, device=device, made=True)

    def error(change: torch.Tensor | None) -> float:
        n_wrong = 0
        for part in torch.split(torch.arange(len(shown), device="cpu"), batch_size):
            batch = shown[part]
            if change is not None:
                batch = (batch + norm * signs[part] * change).clamp(0.0, 1.0)
            logits = calling.predict(ask, batch, batch_size=batch_size, device=device)
            classes.fit(logits.shape[1], truth.numpy())
            n_wrong += int((logits.argmax(1).cpu() != truth[part]).sum())
        return n_wrong / len(shown)

    rates = np.full((height, width), np.nan)
    for row, column in _places(height, width, progress):
        change = fourier_basis(height, width, row, column).to(shown.dtype)
        rate = error(change)
        rates[row, column] = rate
        rates[_opposite(row, height), _opposite(column, width)] = rate
    return FourierSensitivity(rates, error(None))


def _signs(n: int, n_channels: int, seed: int) -> torch.Tensor:
    """Return random signs (n, C, 1, 1), from one random stream per image."""
    rows = [
        np.random.default_rng((seed, i)).integers(2, size=n_channels) for i in range(n)
    ]
    return torch.from_numpy(2 * np.stack(rows) - 1)[:, :, None, None]


def _opposite(place: int, side: int) -> int:
    """Return the position of the negative frequency on an axis of the spectrum."""
    return (2 * (side // 2) - place) % side


def _places(height: int, width: int, progress: bool) -> Any:
    """Return one position of each pair of opposite frequencies, with a progress bar."""
    places = [
        (row, column)
        for row in range(height)
        for column in range(width)
        if (row, column) <= (_opposite(row, height), _opposite(column, width))
    ]
    return bar(places, desc="frequencies", progress=progress)
