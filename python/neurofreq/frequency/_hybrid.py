"""Make hybrid images: low frequencies of one image, high frequencies of another.

Mixing frequencies are in units of Nyquist (0.5 cycles/pixel), as the paper plots
them: `a` means 0.5 a cycles/pixel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._shared.inputs import mixing, validate
from neurofreq._shared.networks import batches, calling, classes
from neurofreq._shared.networks.predicted import Predicted
from neurofreq._shared.progress import bar
from neurofreq.frequency._images import shown, take
from neurofreq.frequency._reversal import HybridCurve
from neurofreq.intervals import percentile_interval, resampled_means

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from neurofreq._shared.inputs.validate import Array
    from neurofreq._shared.networks.calling import Model

FREQUENCIES = (
    0.0, 0.07, 0.12, 0.16, 0.19, 0.22, 0.25, 0.32, 0.42, 0.57, 0.70, 0.85, 1.0
)  # fmt: skip
"""Mixing frequencies of Figs 3 and 5 (CIFAR-10), in units of Nyquist."""

# Values per transform, few enough for a processor's last-level cache.
_VALUES = 2**19


def hybrid_pairs(
    labels: Any, *, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair every image with an image of another class.

    Parameters
    ----------
    labels : array_like of int, shape (N,)
        The class of every image.
    seed : int
        The same seed gives the same pairing.

    Returns
    -------
    low_index, high_index : ndarray of int64, shape (N,)
        ``low_index`` is ``arange(N)``; ``high_index`` is a permutation, and
        the two images of a pair differ in class.

    Raises
    ------
    TypeError
        If `labels` are not integers.
    ValueError
        If `labels` is empty, or one class has more than half of the images.

    References
    ----------
    Li et al. 2023, Fig 3 and Methods: the labels of the high images are a shuffle of
    all labels in which no position keeps its label. The images of each class then fill
    the positions with their label in random order.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> labels = np.array([0, 0, 1, 1, 2, 2])
    >>> low, high = nf.hybrid_pairs(labels, seed=0)
    >>> low
    array([0, 1, 2, 3, 4, 5])
    >>> bool((labels[low] != labels[high]).all())
    True
    """
    checked = validate.labels(labels)
    return _neurofreq.hybrid_pairs(checked, validate.seed(seed))


def hybrid_images(low: Array, high: Array, frequency: float | Sequence[float]) -> Any:
    """Mix low frequencies of one batch with high frequencies of another.

    Parameters
    ----------
    low, high : ndarray or Tensor, shape (N, C, H, W)
        Two batches of the same type, shape, dtype (float32 or float64) and device,
        in [0, 1]. Arrays of any strides are read without a copy.
    frequency : float or sequence of float
        Mixing frequency a in units of Nyquist, 0 or more.

    Returns
    -------
    ndarray or Tensor, shape (N, C, H, W), or (F, N, C, H, W) for F frequencies
        Same type and dtype, in [0, 1]; a tensor stays on its device and has a gradient.

    Raises
    ------
    TypeError
        If a batch is not an array or tensor of float32 or float64, or one batch is an
        array and the other a tensor.
    ValueError
        A wrong rank, an empty axis, values out of [0, 1], batches that differ in shape,
        dtype or device, or a frequency that is negative or not finite.

    Notes
    -----
    The result is ``clip(IFFT(M F_low + (1 - M) F_high))``, where ``M`` is the closed
    disc ``|f| <= 0.5 a``. It is computed as ``clip(high + IFFT(M FFT(low - high)))``.
    DC always comes from the low image. At a = 1, the corners of the spectrum beyond
    Nyquist still come from the high image. For a >= sqrt(2), the result is the low
    image.

    References
    ----------
    Li et al. 2023, Fig 3a and Methods.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=8).images
    >>> nf.hybrid_images(images[:4], images[4:], 0.3).shape
    (4, 1, 32, 32)
    >>> nf.hybrid_images(images[:4], images[4:], [0.1, 0.3, 0.5]).shape
    (3, 4, 1, 32, 32)
    """
    low = validate.images(low, "low", unit_range=True)
    high = validate.images(high, "high", unit_range=True)
    validate.same(low, high, ("low", "high"))
    is_scalar = getattr(frequency, "ndim", np.ndim(frequency)) == 0
    frequencies = mixing.frequencies(frequency, "frequency")
    if isinstance(low, torch.Tensor) and isinstance(high, torch.Tensor):
        mixed: Any = _mix_tensors(low, high, frequencies)
    else:
        mixed = _neurofreq.hybrid_images(low, high, frequencies)  # type: ignore[arg-type]
    return mixed[0] if is_scalar else mixed


def hybrid_curve(
    model: Model,
    images: Array,
    labels: Any,
    *,
    frequencies: Sequence[float] | None = None,
    seeds: Iterable[int] = range(6),
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    gray: bool | Literal["auto"] = "auto",
    progress: bool = False,
) -> HybridCurve:
    """Measure which of two images a model recognizes, for each mixing frequency.

    Parameters
    ----------
    model : callable
        Maps a batch (n, C, H, W) in [0, 1] to logits (n, n_classes). Its exceptions
        pass through. An ``nn.Module`` runs in evaluation mode without gradients, and is
        not changed. A warning is given if an image's logits differ between equal calls,
        or depend on the other images of its batch.
    images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64 in [0, 1]. The model gets hybrids in this dtype. If the model
        refuses this dtype, it gets hybrids in the dtype of its parameters.
    labels : array_like of int, shape (N,)
        The class of every image; no class may have more than half of the images.
    frequencies : sequence of float, optional
        Mixing frequencies in units of Nyquist, ascending, at least two; by
        default the 13 of Figs 3 and 5.
    seeds : iterable of int
        One pairing of all images per seed (`hybrid_pairs`).
    batch_size : int, optional
        Hybrids per call of the model. By default 256 on the CPU, and on a CUDA device
        as many as half of its free memory holds, up to 1024.
    device : torch.device or str, optional
        Where hybrids are mixed and passed to the model; by default the device of its
        parameters. The model itself is not moved.
    gray : bool or "auto"
        Mix the luma of color images. "auto" does this if the model refuses color
        images and accepts their luma, as in `corruption_accuracy`.
    progress : bool
        Show a progress bar over hybrids, if stderr is a terminal.

    Returns
    -------
    HybridCurve

    Raises
    ------
    ModelError
        Logits of a wrong shape, with fewer classes than labels, or not finite.
    TypeError, ValueError
        As `hybrid_images` and `hybrid_pairs`. Also: different numbers of labels and
        images; frequencies that are not ascending; no seed; `batch_size` less than 1; a
        device that torch cannot use.

    Notes
    -----
    Memory is needed only for `images` and a few batches: hybrids are mixed batch by
    batch and frequency by frequency, from one forward transform per batch. The
    bootstrap resamples low images, each with all its pairings.

    References
    ----------
    Li et al. 2023, Fig 3b, Fig 5a: 100 (p_low - p_high), means over 6 pairings.

    Examples
    --------
    The labels here are the network's own answers to the clean images:

    >>> import torch
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=16).images
    >>> model = nf.models.load_model("zoo:gray-mouse")
    >>> labels = model(torch.from_numpy(images)).argmax(1)
    >>> curve = nf.hybrid_curve(model, images, labels, seeds=[0])
    >>> bool(curve.p_low[0] < curve.p_high[0]), bool(curve.p_low[-1] > curve.p_high[-1])
    (True, True)
    >>> 0.0 < curve.reversal_frequency < 1.0
    True
    """
    validate.model(model)
    images = validate.images(images, unit_range=True)
    truth = validate.labels(labels, count=len(images))
    grid = curve_frequencies(frequencies)
    pairings = [hybrid_pairs(truth, seed=seed) for seed in validate.seeds(seeds)]
    batch_size = batches.check(batch_size)
    device = calling.device_of(model) if device is None else validate.device(device)
    progress = validate.flag("progress", progress)
    images = shown(model, images, gray, device)
    ask = calling.tried(model, images, device=device, made=True)
    # Hits per image and frequency, summed over pairings.
    low_hits, high_hits = np.zeros((2, len(truth), len(grid)))
    total = len(pairings) * len(truth) * len(grid)
    made = bar(total=total, desc="hybrids", unit="image", progress=progress)
    with made, calling.evaluating(model), torch.no_grad():
        size = batches.chosen(batch_size, ask, take(images, np.arange(1), device))
        for low_index, high_index in pairings:
            predicted, places = Predicted(), []
            for start in range(0, len(truth), size):
                low = low_index[start : start + size]
                high = high_index[start : start + size]
                pair = (
                    take(images, low, device),
                    take(images, high, device),
                )
                for f, hybrids in enumerate(_each_hybrid(*pair, grid)):
                    logits = ask(hybrids)
                    predicted.add(logits, len(hybrids))
                    classes.fit(logits.shape[1], truth)
                    places.append((f, low, high))
                    made.update(len(hybrids))
            for (f, low, high), named in zip(places, predicted.read(), strict=True):
                low_hits[low, f] += named == truth[low]
                high_hits[low, f] += named == truth[high]
    return _curve(grid, low_hits / len(pairings), high_hits / len(pairings))


def _curve(
    grid: list[float], low: NDArray[np.float64], high: NDArray[np.float64]
) -> HybridCurve:
    """Average hit rates over images, and compute the reversal with its interval."""
    frequency = np.array(grid)
    difference = low - high
    resamples = resampled_means(difference)
    mean = difference.mean(axis=0, keepdims=True)
    return HybridCurve(
        frequency=frequency,
        p_low=low.mean(axis=0),
        p_high=high.mean(axis=0),
        reversal_frequency=float(_neurofreq.crossing(frequency, mean, 0.0)[0]),
        interval=percentile_interval(_neurofreq.crossing(frequency, resamples, 0.0)),
        difference=difference,
    )


def _mix_tensors(
    low: torch.Tensor, high: torch.Tensor, frequencies: list[float]
) -> torch.Tensor:
    """Return the hybrids of a batch at all frequencies, (F, N, C, H, W)."""
    if torch.is_grad_enabled() and (low.requires_grad or high.requires_grad):
        return torch.stack(list(_each_hybrid(low, high, frequencies)))
    mixed = low.new_empty((len(frequencies), *low.shape))
    step = max(1, _VALUES // low[0].numel())
    for start in range(0, len(low), step):
        part = slice(start, start + step)
        for f, hybrids in enumerate(_each_hybrid(low[part], high[part], frequencies)):
            mixed[f, part] = hybrids
    return mixed


def _each_hybrid(
    low: torch.Tensor, high: torch.Tensor, frequencies: list[float]
) -> Iterator[torch.Tensor]:
    """Yield the hybrids of a batch, one frequency at a time."""
    difference = _neurofreq.hybrid_difference_tensor(low, high)
    for frequency in frequencies:
        yield _neurofreq.hybrid_tensor(low, high, difference, frequency)


def curve_frequencies(value: Sequence[float] | None) -> list[float]:
    """Return the frequencies of a curve: at least two, ascending."""
    grid = mixing.frequencies(FREQUENCIES if value is None else value, "frequencies")
    if len(grid) < 2 or np.any(np.diff(grid) <= 0.0):
        raise ValueError(f"frequencies: got {grid}, expected two or more, ascending")
    return grid
