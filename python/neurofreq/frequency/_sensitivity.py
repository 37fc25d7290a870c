"""Measure Fourier sensitivity: the error rate for images plus one frequency."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from neurofreq._shared import results, transfer
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import batches, calling, classes
from neurofreq._shared.networks.predicted import Predicted
from neurofreq._shared.progress import bar
from neurofreq._shared.results import Result
from neurofreq.frequency import _units, maps
from neurofreq.intervals.quantity import pointwise

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from neurofreq._shared.inputs.validate import Array
    from neurofreq.plot import Curve


class _Sensitivity(NamedTuple):
    error_rate: NDArray[np.float64]
    clean_error_rate: float
    frequency: NDArray[np.float64]
    errors: NDArray[np.float64]


class FourierSensitivity(Result, _Sensitivity):
    """Result of `fourier_sensitivity`.

    Attributes
    ----------
    error_rate : ndarray of float64, shape (H, W)
        Error rate for images with one frequency added, 0 to 1, for each frequency. The
        order is fftshifted as in `power_spectrum`: DC is at ``[H // 2, W // 2]``.
        NaN where a frequency was not measured.
    clean_error_rate : float
        Error rate for unchanged images, 0 to 1.
    frequency : ndarray of float64, shape (B,)
        Centers of the octaves in cycles/pixel, ascending, as in `BandMasking`.
    errors : ndarray of float64, shape (N, B)
        Error rate of each image, mean over the measured frequencies of each octave.

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

    def curve(self) -> Curve:
        """Return the error rate against octaves (cycles/pixel), with its interval."""
        from neurofreq.plot import Curve

        if not len(self.frequency):
            shape = " x ".join(map(str, self.error_rate.shape))
            raise ValueError(f"images: got {shape} pixels, expected at least 2 x 2")
        return Curve(self.frequency, *pointwise(self.errors))

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
            "largest error": f"{100 * np.nanmax(self.error_rate):.1f} %",
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
    per_octave: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
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
    per_octave : int, optional
        For large images: measure only this many pairs of opposite frequencies in each
        octave, chosen at random by the seed, or all pairs if there are fewer. By
        default, all frequencies are measured.
    seed : int
        Seed of the random sign for each image and channel. The signs of an image depend
        only on the seed and the image's position in `images`. They are the same for all
        frequencies.
    batch_size : int, optional
        Images per call of the model; small sets of images are shown with several
        frequencies in one call. By default 256 on the CPU, and on a CUDA device as many
        as half of its free memory holds, up to 1024.
    device : torch.device or str, optional
        By default the device of the model's parameters.
    progress : bool
        Show a progress bar over changed images.

    Returns
    -------
    FourierSensitivity

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
    ``H * W / 2`` times: 25,090 times for 224 pixels, and about 360 times with
    ``per_octave=64``. Changed images are clipped to [0, 1].

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
    batch_size = batches.check(batch_size)
    progress = validate.flag("progress", progress)
    if per_octave is not None:
        per_octave = validate.count("per_octave", per_octave)
    seed = validate.seed(seed)
    device = calling.device_of(model) if device is None else validate.device(device)
    shown = calling.to_tensor(images, "cpu")
    signs = _signs(len(shown), shown.shape[1], seed).to(shown.dtype)
    height, width = shown.shape[2:]
    ask = calling.tried(model, shown, device=device, made=True)
    places = _places(height, width)
    octaves = _octaves(places, height, width)
    if per_octave is not None:
        places, octaves = _some(places, octaves, per_octave, seed)
    # Wrong answers for each place, and for unchanged images at the end.
    n_wrong = np.zeros(len(places) + 1, np.int64)
    centers = np.array(_units.octaves(height, width))
    members = (octaves == np.arange(len(centers))[:, None]).astype(np.float64)
    errors = np.empty((len(shown), len(centers)))
    with (
        calling.evaluating(model),
        torch.no_grad(),
        bar(
            total=len(n_wrong) * len(shown),
            desc="frequencies",
            unit="image",
            progress=progress,
        ) as made,
    ):
        size = batches.chosen(batch_size, ask, calling.to_tensor(shown[:1], device))
        for rows in torch.split(torch.arange(len(shown), device="cpu"), size):
            part = transfer.send([shown[rows], norm * signs[rows]], device)
            wrong = _wrong(ask, part, truth[rows].numpy(), places, size, made)
            n_wrong += wrong.sum(axis=1)
            errors[rows] = (members @ wrong[:-1] / members.sum(axis=1)[:, None]).T
    rates = np.full((height, width), np.nan)
    for (row, column), n in zip(places, n_wrong, strict=False):
        rates[row, column] = n / len(shown)
        rates[_opposite(row, height), _opposite(column, width)] = n / len(shown)
    clean = float(n_wrong[-1]) / len(shown)
    return FourierSensitivity(rates, clean, centers, errors)


def _wrong(
    ask: calling.Classifier,
    part: list[torch.Tensor],
    truth: NDArray[np.int64],
    places: list[tuple[int, int]],
    size: int,
    bar: Any,
) -> NDArray[np.bool_]:
    """Return which images of a part are misclassified with each change.

    One call of the model has as many changes of the images as a batch holds. The last
    change is none.
    """
    shown, signs = part
    n, (height, width) = len(shown), shown.shape[2:]
    predicted, step = Predicted(), max(1, size // n)
    for start in range(0, len(places) + 1, step):
        few = [fourier_basis(height, width, *at) for at in places[start : start + step]]
        if start + step > len(places):
            few.append(torch.zeros(height, width, dtype=torch.float64, device="cpu"))
        (changes,) = transfer.send([torch.stack(few).to(shown.dtype)], shown.device)
        moved = (shown + signs * changes[:, None, None]).clamp(0.0, 1.0).flatten(0, 1)
        logits = ask(moved)
        predicted.add(logits, len(moved))
        classes.fit(logits.shape[1], truth)
        bar.update(len(moved))
    named = np.concatenate(predicted.read()).reshape(len(places) + 1, n)
    wrong: NDArray[np.bool_] = named != truth
    return wrong


def _signs(n: int, n_channels: int, seed: int) -> torch.Tensor:
    """Return random signs (n, C, 1, 1), from one random stream per image."""
    rows = [
        np.random.default_rng((seed, i)).integers(2, size=n_channels) for i in range(n)
    ]
    return torch.from_numpy(2 * np.stack(rows) - 1)[:, :, None, None]


def _opposite(place: int, side: int) -> int:
    """Return the position of the negative frequency on an axis of the spectrum."""
    return (2 * (side // 2) - place) % side


def _places(height: int, width: int) -> list[tuple[int, int]]:
    """Return one position of each pair of opposite frequencies."""
    return [
        (row, column)
        for row in range(height)
        for column in range(width)
        if (row, column) <= (_opposite(row, height), _opposite(column, width))
    ]


def _octaves(
    places: list[tuple[int, int]], height: int, width: int
) -> NDArray[np.int64]:
    """Return the octave of each place, -1 below the first one."""
    ends = math.sqrt(2.0) * np.array(_units.octaves(height, width))
    at = np.array(places) - [height // 2, width // 2]
    radii = np.hypot(*(at / [height, width]).T)
    found = np.searchsorted(ends, radii * (1.0 - 1e-9))
    below = radii <= 0.5 * (ends[0] if len(ends) else np.inf) * (1.0 + 1e-9)
    return np.where(below, -1, found)


def _some(
    places: list[tuple[int, int]], octaves: NDArray[np.int64], count: int, seed: int
) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
    """Return some random places of each octave, and all places below the first one."""
    order = np.random.default_rng(seed).permutation(len(places))
    kept = [order[octaves[order] == one][:count] for one in range(octaves.max() + 1)]
    rows = np.sort(np.concatenate([np.flatnonzero(octaves < 0), *kept]))
    return [places[row] for row in rows], octaves[rows]
