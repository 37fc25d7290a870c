"""Measure the accuracy of a model for filtered images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared.inputs import mixing, validate
from neurofreq.frequency import _images, _units
from neurofreq.frequency._filtered import PHASES, UNITS, FilteredAccuracy
from neurofreq.frequency._filters import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from neurofreq._shared.inputs.validate import Array
    from neurofreq._shared.networks.calling import Model
    from neurofreq.frequency._filters import Kind, Unit

CUTOFFS = tuple(0.5 * 2 ** (-k / 2) for k in range(8, -1, -1))
"""Cut-offs of `filtered_accuracy`: half octaves from 1/32 to 0.5 cycles/pixel."""
WIDTHS = (0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0)
"""Widths of the phase noise of `filtered_accuracy`, degrees (Geirhos et al. 2018)."""


def filtered_accuracy(
    model: Model,
    images: Array,
    labels: Any,
    *,
    filters: Sequence[str] | Mapping[str, Sequence[float]] | None = None,
    kind: Kind = "gaussian",
    order: float = 2.0,
    unit: Unit = "cycles/pixel",
    seed: int = 0,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    gray: bool | Literal["auto"] = "auto",
    progress: bool = False,
) -> FilteredAccuracy:
    """Measure accuracy against the cut-off of filters and the width of phase noise.

    Parameters
    ----------
    model : callable
        As in `hybrid_curve`.
    images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64 in [0, 1].
    labels : array_like of int, shape (N,)
    filters : sequence of str, or mapping of str to sequence of float, optional
        Some of "low-pass", "high-pass" and "phase-noise" (by default all), with their
        cut-offs (in `unit`) or widths (degrees, 0 to 180), ascending. By default nine
        cut-offs from 1/32 to 0.5 cycles/pixel, and 0 to 180 degrees in steps of 30.
    kind, order, unit
        As in `frequency.low_pass`.
    seed : int
        Seed of the phase noise (`frequency.phase_noise`).
    batch_size, device, gray, progress
        As in `hybrid_curve`.

    Returns
    -------
    FilteredAccuracy

    Raises
    ------
    ModelError
        Logits of a wrong shape, with fewer classes than labels, or not finite.
    TypeError, ValueError
        Wrong images, labels or settings, or an unknown filter.

    Notes
    -----
    Filtered images are clipped to [0, 1]. High-pass filters keep the mean of each
    channel. Images are filtered batch by batch, so memory is needed only for `images`
    and a few batches; the split into batches has no effect on the filtered images.

    Differences from the papers: Geirhos et al. filter gray images with a Gaussian in
    the space domain and mirrored edges, and give high-pass images the mean 0.4423;
    their blur with the standard deviation s has the cut-off ``0.1874 / s``. Yin et al.
    and Wang et al. use ideal filters (``kind="ideal"``), the former with square areas
    of frequencies.

    References
    ----------
    Geirhos et al. 2018, "Generalisation in humans and deep neural networks", arXiv
    1808.08750. Yin et al. 2019, "A Fourier perspective on model robustness in computer
    vision", arXiv 1906.08988. Wang et al. 2020, "High-frequency component helps explain
    the generalization of convolutional neural networks", arXiv 1905.13545. Wichmann,
    Braun & Gegenfurtner 2006, Vision Research 46.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=16)
    >>> model = nf.models.load_model("zoo:gray-mouse")
    >>> found = nf.filtered_accuracy(
    ...     model, data.images, data.labels, filters=["low-pass", "phase-noise"]
    ... )
    >>> found.names, len(found.values)
    (('low-pass', 'phase-noise'), 16)
    """
    checked = conditions(filters)
    fall = validate.one_of("kind", kind, KINDS)
    order = validate.number("order", order)
    validate.within("order", order, 0.0 < order < np.inf, "a finite number above 0")
    own = validate.one_of("unit", unit, _units.UNITS)
    seed = validate.seed(seed)
    asked = _images.asking(
        model, images, labels,
        batch_size=batch_size, device=device, gray=gray, progress=progress,
    )  # fmt: skip
    shape = asked.images.shape
    if not isinstance(filters, Mapping):  # the usual cut-offs
        own = "cycles/pixel"
    for name, values in checked.items():
        if name != PHASES:
            checked[name] = _units.per_pixel(f"filters: {name}", values, own, shape)
    pairs = [(name, value) for name, values in checked.items() for value in values]

    def changes(batch: torch.Tensor, first: int) -> Iterator[torch.Tensor]:
        yield batch
        spectrum, width = _neurofreq.spectrum_tensor(batch), batch.shape[-1]
        streams = list(range(first, first + len(batch)))
        for name, value in pairs:
            if name == PHASES:
                changed = _neurofreq.scrambled_tensor(
                    spectrum, width, value, seed, streams
                )
            else:
                ends = (0.0, value) if name == "low-pass" else (value, np.inf)
                filter = (*ends, fall, order, None, True)
                changed = _neurofreq.filtered_tensor(spectrum, width, filter)
            yield changed.clamp_(0.0, 1.0)

    right = asked.correct(changes, 1 + len(pairs), "filtered images")
    return FilteredAccuracy(
        np.array([name for name, _ in pairs]),
        np.array([value for _, value in pairs]),
        right[:, 1:],
        right[:, 0],
    )


def conditions(
    filters: Sequence[str] | Mapping[str, Sequence[float]] | None,
) -> dict[str, list[float]]:
    """Return the values of each filter, in their own units."""
    found: dict[str, list[float]] = {}
    usual: Mapping[str, Any] = dict.fromkeys(UNITS, CUTOFFS) | {PHASES: WIDTHS}
    given = filters if isinstance(filters, Mapping) else usual
    for name in validate.distinct("filters", UNITS if filters is None else filters):
        validate.one_of("filters", name, tuple(UNITS))
        values = mixing.frequencies(given[name], f"filters: {name}")
        if np.ndim(given[name]) != 1 or np.any(np.diff(values) <= 0.0):
            raise ValueError(
                f"filters: got {values} for {name}, expected ascending numbers"
            )
        if name == PHASES:
            is_angle = max(values) <= 180.0
            validate.within(f"filters: {name}", max(values), is_angle, "0 to 180")
        found[name] = values
    if not found:
        raise ValueError("filters: got none, expected at least one")
    return found
