"""Responses from and to the tables of pandas and rsatoolbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq.neural._responses import Responses

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray


def from_frame(
    frame: pd.DataFrame,
    *,
    response: str = "response",
    image: str = "image",
    neuron: str = "neuron",
    trial: str | None = None,
    neuron_descriptors: Sequence[str] = (),
) -> Responses:
    """Read a long table, one response a row.

    Parameters
    ----------
    frame : DataFrame
    response, image, neuron : str
        Columns of the response, and of what names the image and the neuron.
        Images and neurons are in the order of their first rows.
    trial : str, optional
        Column of the trial, the same for neurons recorded together. By default
        the rows of an image and neuron are its trials, in their order.
    neuron_descriptors : sequence of str
        Columns to keep beside the neuron; one value per neuron.

    Returns
    -------
    Responses
        NaN where the table has no row.

    Raises
    ------
    ValueError
        No row, a column that does not exist, two rows of one trial, or a descriptor
        that differs within a neuron.
    """
    import pandas as pd

    needed = [response, image, neuron, *neuron_descriptors]
    needed += [] if trial is None else [trial]
    absent = [column for column in needed if column not in frame]
    if absent:
        raise ValueError(
            f"frame: got columns {list(map(str, frame.columns))}, expected {absent} too"
        )
    if frame.empty:
        raise ValueError("frame: got no row, expected at least one")
    at_image, images = pd.factorize(frame[image])
    at_neuron, neurons = pd.factorize(frame[neuron])
    if trial is None:
        at_trial = frame.groupby([at_image, at_neuron]).cumcount().to_numpy()
    else:
        at_trial = pd.factorize(frame[trial], sort=True)[0]
    if min(at_image.min(), at_neuron.min(), at_trial.min()) < 0:
        raise ValueError("frame: got rows without image, neuron or trial")
    places = np.stack([at_trial, at_image, at_neuron])
    if len(np.unique(places, axis=1).T) < len(frame):
        raise ValueError("frame: got two rows of one trial, image and neuron")
    trials = np.full(places.max(axis=1) + 1, np.nan)
    trials[tuple(places)] = frame[response]
    tables = {neuron: np.asarray(neurons)}
    for column in neuron_descriptors:
        values = frame.groupby(at_neuron)[column]
        if (values.nunique(dropna=False) > 1).any():
            raise ValueError(f"frame: {column!r} differs within a neuron")
        tables[column] = values.first().to_numpy()
    return Responses(trials, image={image: np.asarray(images)}, neuron=tables)


def from_rsatoolbox(dataset: Any, image: str) -> Responses:
    """Read an rsatoolbox dataset; see `Responses.from_rsatoolbox`."""
    observations = dict(dataset.obs_descriptors)
    if image not in observations:
        raise ValueError(
            f"image: got {image!r}, expected one of {sorted(observations)}"
        )
    measurements = np.asarray(dataset.measurements, dtype=np.float64)
    names, at_image = _first_seen(np.asarray(observations[image]))
    at_trial = np.array(
        [(at_image[:row] == index).sum() for row, index in enumerate(at_image)]
    )
    shape = (at_trial.max() + 1, len(names), measurements.shape[1])
    trials = np.full(shape, np.nan)
    trials[at_trial, at_image] = measurements
    neuron = {
        name: np.asarray(values) for name, values in dataset.channel_descriptors.items()
    }
    return Responses(trials, image={image: names}, neuron=neuron)


def to_rsatoolbox(responses: Responses) -> Any:
    """Return an rsatoolbox dataset; see `Responses.to_rsatoolbox`."""
    from rsatoolbox.data import Dataset

    trial, image = np.nonzero(~np.isnan(responses.trials).all(axis=2))
    tables = {"image": np.arange(responses.n_images)} | responses.image
    observations = {name: values[image] for name, values in tables.items()}
    return Dataset(
        responses.trials[trial, image],
        obs_descriptors={"trial": trial} | observations,
        channel_descriptors=dict(responses.neuron),
    )


def _first_seen(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return distinct values in the order of their first place, and their codes."""
    names, first, codes = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return names[order], rank[codes]
