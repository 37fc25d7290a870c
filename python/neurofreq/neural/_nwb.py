"""Read recordings in NWB files; pynwb is imported only when a file is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import validate
from neurofreq.neural import _events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neurofreq._shared.inputs.labelled import Recording

_UNEQUAL = 0.1
"""Durations may differ by this share, as those on a screen do."""


def from_nwb(
    file: Any,
    image: str,
    *,
    table: str | None = None,
    responses: str | None = None,
    window: tuple[float, float] | None = None,
    baseline: tuple[float, float] | None = None,
) -> Recording:
    """Read an NWB file; see `Responses.from_nwb`."""
    validate.text("image", image)
    if not isinstance(file, (str, os.PathLike)):
        return _read(file, image, table, responses, window, baseline)
    path = validate.path("file", file)
    if not path.is_file():
        raise FileNotFoundError(f"file: there is no file {path}")
    try:
        from pynwb import NWBHDF5IO
    except ImportError as error:
        raise ImportError(
            "file: an NWB file needs the package pynwb, which is not installed: "
            "pip install neurofreq[recordings]"
        ) from error
    with NWBHDF5IO(str(path), "r") as opened:
        return _read(opened.read(), image, table, responses, window, baseline)


def _read(
    nwb: Any, image: str, table: Any, responses: Any, window: Any, baseline: Any
) -> Recording:
    """Return the recording in an open NWBFile."""
    if not all(hasattr(nwb, name) for name in ("intervals", "units", "objects")):
        raise TypeError(
            f"file: got {validate.shown(nwb)}, expected a path or a pynwb.NWBFile"
        )
    shown = _presentations(nwb, image, table)
    onsets = np.asarray(shown["start_time"].data[:], np.float64)
    images = np.asarray(shown[image].data[:])
    if window is None:
        ends = np.asarray(shown["stop_time"].data[:], np.float64)
        window = _whole(ends - onsets)
    sources = _sources(nwb)
    source = sources[_chosen("responses", responses, sources, "in the file")]
    if source is nwb.units:
        if baseline is not None:
            raise ValueError("baseline: got a window, expected None for spikes")
        trains = [source["spike_times"][k] for k in range(len(source))]
        return _events.from_spikes(trains, onsets, images, window, _units(source))
    traces = np.asarray(source.data[:], np.float64)
    traces = traces[:, None] if traces.ndim == 1 else traces
    neuron = {"roi": np.asarray(source.rois.data[:])}
    times = _clock(source, len(traces))
    return _events.from_traces(traces, times, onsets, images, window, baseline, neuron)


def _presentations(nwb: Any, image: str, table: Any) -> Any:
    """Return the table of presentations that has the column of images."""
    tables = dict(sorted((nwb.intervals or {}).items()))
    if nwb.trials is not None:
        tables["trials"] = nwb.trials
    having = {key: one for key, one in tables.items() if image in one.colnames}
    if not having:
        columns = {key: list(one.colnames) for key, one in tables.items()}
        raise ValueError(
            f"image: got {image!r}, expected a column of a table of presentations: "
            f"{columns or 'the file has no such table'}"
        )
    return having[_chosen("table", table, having, f"with a column {image!r}")]


def _sources(nwb: Any) -> dict[str, Any]:
    """Return the units and all series of regions of interest, by name."""
    found: dict[str, Any] = {}
    if nwb.units is not None and "spike_times" in nwb.units.colnames:
        found["units"] = nwb.units
    for one in nwb.objects.values():
        if "RoiResponseSeries" in (kind.__name__ for kind in type(one).__mro__):
            found[f"{one.parent.name}/{one.name}"] = one
    return dict(sorted(found.items()))


def _chosen(name: str, wanted: Any, known: Mapping[str, Any], where: str) -> str:
    """Return the key that is wanted, or the only one."""
    keys = list(known)
    if wanted is not None:
        keys = [key for key in known if wanted in (key, key.partition("/")[2] or key)]
    if len(keys) == 1:
        return keys[0]
    raise ValueError(
        f"{name}: got {validate.shown(wanted)}, expected one of those {where}: "
        f"{', '.join(known) or 'none'}"
    )


def _whole(durations: Any) -> tuple[float, float]:
    """Return the window of a whole presentation; all must be equally long."""
    usual = float(np.median(durations))
    if not (np.abs(durations - usual) <= _UNEQUAL * usual).all():
        raise ValueError(
            f"window: got None and presentations of {durations.min():.3g} to "
            f"{durations.max():.3g} s, expected (start, stop) in seconds after the "
            "start of each"
        )
    return 0.0, usual


def _units(units: Any) -> dict[str, Any]:
    """Return the columns of the units with one number or text per unit."""
    found: dict[str, Any] = {"unit": np.asarray(units.id[:])}
    for name in units.colnames:
        if type(units[name]).__name__ != "VectorData":  # several values per unit
            continue
        column = np.asarray(units[name].data[:])
        if column.ndim == 1 and (
            column.dtype.kind in "biufU"
            or all(isinstance(one, str) for one in column.tolist())
        ):
            found[name] = column
    return found


def _clock(series: Any, n_samples: int) -> Any:
    """Return the time of each sample in seconds."""
    if series.timestamps is not None:
        return np.asarray(series.timestamps[:], np.float64)
    return series.starting_time + np.arange(n_samples) / series.rate
