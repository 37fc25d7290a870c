"""Join recordings, and convert them to and from files, long tables and rsatoolbox.

`Responses` passes its own values as a `Recording`, and is made from one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared import results
from neurofreq._shared.files.storage import write_atomically
from neurofreq._shared.inputs import containers, recorded, validate
from neurofreq._shared.inputs.labelled import (
    WORDS,
    Recording,
    Rows,
    coded,
    constant,
    placed,
)
from neurofreq.neural import image_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike


def from_frame(
    frame: pd.DataFrame,
    *,
    response: str = "response",
    image: str = "image",
    neuron: str = "neuron",
    trial: str | None = None,
    neuron_descriptors: Sequence[str] = (),
) -> Recording:
    """Read a long table with one response per row; see `Responses.from_frame`."""
    if not hasattr(frame, "columns") or not hasattr(frame, "iloc"):
        raise TypeError(f"frame: got {type(frame).__name__}, expected a pandas table")
    needed = [response, image, neuron, *neuron_descriptors]
    needed += [] if trial is None else [trial]
    absent = [column for column in needed if column not in frame]
    if absent:
        raise ValueError(
            f"frame: got columns {list(map(str, frame.columns))}, expected {absent} too"
        )
    twice = [column for column in needed if list(frame.columns).count(column) > 1]
    if twice:
        raise ValueError(f"frame: got two columns {twice[0]!r}, expected one")
    if frame.empty:
        raise ValueError("frame: got no row, expected at least one")
    if trial is None:
        words = [word for word in WORDS["trial"] if word in frame]
        trial = next(iter(words), None)
    keys = {"image": image, "neuron": neuron}
    keys |= {} if trial is None else {"trial": trial}
    values = containers.frame_values(frame[response], f"frame: {response!r}")
    labels = {key: frame[key] for key in keys.values()}
    recording = placed(Rows(values[:, None], labels, None), keys, "frame")
    at_neuron = coded(frame[neuron], neuron).codes
    for column in neuron_descriptors:
        each = constant(frame[column], at_neuron)
        if each is None:
            raise ValueError(f"frame: {column!r} differs within a neuron")
        recording.neuron[column] = each
    return recording


def to_frame(recording: Recording) -> pd.DataFrame:
    """Return a long table of the trials that took place; see `Responses.to_frame`."""
    trial, image, neuron = np.nonzero(~np.isnan(recording.trials))
    names = recording.images
    named = image if names is None else names[image]
    columns = {"trial": trial, "image": named, "neuron": neuron}
    columns["response"] = recording.trials[trial, image, neuron]
    for table, rows in ((recording.image, image), (recording.neuron, neuron)):
        for key, values in table.items():
            columns.setdefault(key, values[rows])
    return results.frame(columns)


def from_rsatoolbox(dataset: Any, image: str) -> Recording:
    """Read an rsatoolbox dataset; see `Responses.from_rsatoolbox`."""
    observations = dict(dataset.obs_descriptors)
    if image not in observations:
        raise ValueError(
            f"image: got {image!r}, expected one of {sorted(observations)}"
        )
    measurements = recorded.floats(dataset.measurements, "dataset")
    labels = {key: np.asarray(values) for key, values in observations.items()}
    channels = {
        key: np.asarray(values) for key, values in dataset.channel_descriptors.items()
    }
    rows = Rows(measurements, labels, channels)
    return placed(rows, {"image": image, "neuron": ""}, "dataset")


def to_rsatoolbox(recording: Recording) -> Any:
    """Return an rsatoolbox dataset; see `Responses.to_rsatoolbox`."""
    from rsatoolbox.data import Dataset

    image, trial = np.nonzero(~np.isnan(recording.trials).all(axis=2).T)
    names = recording.images
    names = np.arange(recording.trials.shape[1]) if names is None else names
    observations = {
        name: values[image]
        for name, values in ({"image": names} | recording.image).items()
    }
    return Dataset(
        recording.trials[trial, image],
        obs_descriptors={"trial": trial} | observations,
        channel_descriptors=dict(recording.neuron),
    )


def join(scans: Sequence[Recording]) -> Recording:
    """Put neurons of several scans side by side; see `Responses.join`."""
    if not scans:
        raise ValueError("scans: got none, expected at least one")
    first = scans[0]
    for index, scan in enumerate(scans):
        same = scan.trials.shape[1] == first.trials.shape[1] and all(
            np.array_equal(values, first.image[name])
            for name, values in scan.image.items()
            if name in first.image
        )
        if not same:
            raise ValueError(f"scans: got other images in scan {index} than in 0")
    images = image_names.agreed(
        {f"scans[{index}]": scan.images for index, scan in enumerate(scans)}
    )
    n_trials = max(len(scan.trials) for scan in scans)
    padded = [
        np.pad(
            scan.trials,
            ((0, n_trials - len(scan.trials)), (0, 0), (0, 0)),
            constant_values=np.nan,
        )
        for scan in scans
    ]
    shared = [name for name in first.neuron if all(name in s.neuron for s in scans)]
    neuron = {name: np.concatenate([s.neuron[name] for s in scans]) for name in shared}
    return Recording(np.concatenate(padded, 2), first.image, neuron, images)


def save(recording: Recording, path: Path | str) -> None:
    """Write an npz file; see `Responses.save`."""
    arrays: dict[str, Any] = {"trials": recording.trials}
    for kind, table in (("image", recording.image), ("neuron", recording.neuron)):
        arrays |= {f"{kind}.{name}": values for name, values in table.items()}
    if recording.images is not None:
        arrays[image_names.KEY] = recording.images
    place = validate.path("path", path)
    write_atomically(place, lambda file: np.savez_compressed(file, **arrays))


def from_npz(
    path: Path | str,
    key: str,
    image: Mapping[str, ArrayLike] | None,
    neuron: Mapping[str, ArrayLike] | None,
) -> Recording:
    """Read an npz file; see `Responses.from_npz`."""
    file = validate.npz(path)
    if key not in file:
        raise ValueError(f"key: got {key!r}, expected one of {sorted(file)}")
    tables: dict[str, dict[str, Any]] = {"image": {}, "neuron": {}}
    for name in file:
        kind, dot, rest = name.partition(".")
        if dot and kind in tables:
            tables[kind][rest] = file[name]
    return Recording(
        file[key],
        tables["image"] | dict(image or {}),
        tables["neuron"] | dict(neuron or {}),
        file.get(image_names.KEY),
    )
