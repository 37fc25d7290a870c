"""Responses to presentations: counts of spikes, and means of traces, in windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import recorded, validate
from neurofreq._shared.inputs.labelled import Recording, Rows, placed
from neurofreq.neural import image_names

if TYPE_CHECKING:
    from numpy.typing import NDArray


def from_spikes(
    spikes: Any, onsets: Any, images: Any, window: Any, neuron: Any
) -> Recording:
    """Count spikes; see `Responses.from_spikes`."""
    names: list[Any] | None = None
    if isinstance(spikes, Mapping):
        names, spikes = list(spikes), list(spikes.values())
    elif isinstance(spikes, np.ndarray) and spikes.dtype == object:
        spikes = list(spikes)
    if not isinstance(spikes, list | tuple) or not spikes or np.ndim(spikes[0]) == 0:
        raise ValueError(
            f"spikes: got {validate.shown(spikes)}, expected the times of each neuron: "
            "a mapping or a sequence with one array per neuron; for times with cluster "
            "numbers, {k: times[clusters == k] for k in np.unique(clusters)}"
        )
    trains = [np.sort(_times(f"spikes[{k}]", one)) for k, one in enumerate(spikes)]
    starts, shown = _presentations(onsets, images)
    start, stop = _window("window", window)
    counts = np.stack(
        [
            np.searchsorted(one, starts + stop) - np.searchsorted(one, starts + start)
            for one in trains
        ],
        axis=1,
    )
    if not counts.any():
        known = [one for one in trains if len(one)]
        first, last = (
            (min(one[0] for one in known), max(one[-1] for one in known))
            if known
            else (np.nan, np.nan)
        )
        raise ValueError(
            f"spikes: got times from {first:.6g} to {last:.6g} and none in a window "
            f"after the onsets from {starts.min():.6g} to {starts.max():.6g}, expected "
            "both in one unit, such as seconds"
        )
    return _recording(counts.astype(np.float64), shown, _table(neuron, names))


def from_traces(
    traces: Any,
    times: Any,
    onsets: Any,
    images: Any,
    window: Any,
    baseline: Any,
    neuron: Any,
) -> Recording:
    """Average traces; see `Responses.from_traces`."""
    values = recorded.floats(traces, "traces")
    clock = _times("times", times)
    if len(clock) < 2 or not (np.diff(clock) > 0.0).all():
        raise ValueError("times: got times that do not increase, expected increasing")
    if values.ndim != 2 or len(values) != len(clock):
        turned = ": transpose the traces" if len(clock) in values.shape[1:2] else ""
        raise ValueError(
            f"traces: got shape {values.shape}, expected ({len(clock)}, n_neurons), "
            f"one row per time{turned}"
        )
    silent = np.isnan(values).all(axis=0)
    if silent.any():
        raise ValueError(
            f"traces: neuron {int(silent.argmax())} has only NaN, expected values"
        )
    starts, shown = _presentations(onsets, images)
    means = _means("window", values, clock, starts, window)
    if baseline is not None:
        means = means - _means("baseline", values, clock, starts, baseline)
    return _recording(means, shown, _table(neuron, None))


def _means(
    name: str,
    traces: NDArray[Any],
    times: NDArray[np.float64],
    onsets: NDArray[np.float64],
    window: Any,
) -> NDArray[np.float64]:
    """Return the mean of each trace in a window after each onset, (P, K)."""
    start, stop = _window(name, window)
    first, last = (np.searchsorted(times, onsets + edge) for edge in (start, stop))
    before, after = onsets + start < times[0], onsets + stop > times[-1] + _step(times)
    for is_bad, told in (
        (before | after, f"outside of the times {times[0]:.6g} to {times[-1]:.6g}"),
        (first == last, f"shorter than the {_step(times):.3g} between samples"),
    ):
        if is_bad.any():
            raise ValueError(
                f"{name}: got ({start:g}, {stop:g}), which is {told} for presentation "
                f"{int(is_bad.argmax())} ({int(is_bad.sum())} of {len(onsets)}), "
                "expected at least one sample after each onset, in the unit of times"
            )
    pairs = zip(first.tolist(), last.tolist(), strict=True)
    return np.stack([traces[a:b].mean(axis=0, dtype=np.float64) for a, b in pairs])


def _step(times: NDArray[np.float64]) -> float:
    """Return the usual time between two samples."""
    return float(np.median(np.diff(times)))


def _presentations(
    onsets: Any, images: Any
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the onset and the image of each presentation."""
    starts = _times("onsets", onsets)
    if not len(starts):
        raise ValueError("onsets: got none, expected at least one")
    shown = validate.plain("images:", np.asarray(images))
    if shown.shape != starts.shape:
        raise ValueError(
            f"images: got shape {shown.shape}, expected {starts.shape}, one per onset"
        )
    return starts, shown


def _times(name: str, value: Any) -> NDArray[np.float64]:
    """Return finite times in one dimension."""
    times = recorded.floats(value, name).astype(np.float64)
    if times.ndim != 1:
        raise ValueError(f"{name}: got shape {times.shape}, expected one dimension")
    if not np.isfinite(times).all():
        raise ValueError(
            f"{name}: got NaN, masked or infinite times, expected finite ones"
        )
    return times


def _window(name: str, value: Any) -> tuple[float, float]:
    """Return the two ends of a window."""
    ends = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(ends) != 2:
        raise ValueError(
            f"{name}: got {validate.shown(value)}, expected (start, stop) after onsets"
        )
    start, stop = (validate.number(name, one) for one in ends)
    validate.within(name, stop - start, 0.0 < stop - start < np.inf, "start < stop")
    return start, stop


def _table(neuron: Any, names: list[Any] | None) -> dict[str, Any]:
    """Return descriptors of neurons, with the names of the neurons if they have any."""
    return ({} if names is None else {"neuron": names}) | dict(neuron or {})


def _recording(
    values: NDArray[np.float64], images: NDArray[Any], neuron: dict[str, Any]
) -> Recording:
    """Return presentations (P, K) as trials of images."""
    columns = image_names.descriptors("neuron", neuron, values.shape[1])
    rows = Rows(values, {"image": images}, columns)
    return placed(rows, {"image": "image", "neuron": ""}, "images")
