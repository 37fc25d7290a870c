"""A container for responses: trials of images by neurons."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neurofreq._shared.inputs import containers, recorded, validate
from neurofreq._shared.inputs.labelled import Recording
from neurofreq._shared.results import Result
from neurofreq.neural import _tables, image_names
from neurofreq.neural._readers import Readers
from neurofreq.neural._similarity import reliability, response_similarity
from neurofreq.neural.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

Descriptors = dict[str, "NDArray[Any]"]

_FEW = 3
"""Trials below which weights of reliability are imprecise."""


class Responses(Result, Readers):
    """Responses of K neurons to N images in T trials.

    Parameters
    ----------
    trials : array_like of float, shape (T, N, K), or (N, K) for one trial
        In any unit. NaN, a masked entry or `pandas.NA` means that this neuron had
        no such trial of this image. The order of an image's trials does not
        matter. N >= 2, K >= 1. The axes of containers are found by name, see Notes.
    image : mapping of str to array_like of length N, optional
        Descriptors of the images, for example the name or the movie.
    neuron : mapping of str to array_like of length K, optional
        Descriptors of the neurons, for example region and session.
    images : array_like of length N, optional
        Distinct names or indices of the images. By default the names in the container,
        or a descriptor with distinct values called "image", "stimulus" or "picture".
    axes : sequence of str, optional
        Names of the axes of an array without names, in their order, for example
        ``("neuron", "image", "trial")``; the names are those in Notes. By default
        ``("trial", "image", "neuron")``, or ``("image", "neuron")``.
    missing : float, optional
        A value that means, in addition to NaN, that there was no such trial, for
        example 255 in an array of uint8.

    Attributes
    ----------
    trials : ndarray of float64, shape (T, N, K)
        Read-only.
    image, neuron : dict of str to ndarray
    images : ndarray of length N, or None
        Names or indices of the images in the order of the rows, which is also the
        order of the similarities; None without names. `for_images` changes this order.

    Raises
    ------
    TypeError
        Booleans, complex numbers, strings, or a container of an unknown type.
    ValueError
        Wrong rank, fewer than two images, no neuron, infinite values, a neuron
        without any trial, a descriptor of another length or of objects, repeated
        names, or a container whose axes cannot be identified.

    Notes
    -----
    An xarray DataArray is read by its dimensions and coordinates, a pandas
    DataFrame or Series by its levels: "image" (also "stimulus", "picture"),
    "neuron" ("neuroid", "unit", "cell", "voxel", "electrode", "channel", "roi") and
    "trial" ("repetition", "repeat", "presentation"), also in the plural or with
    "_id", "_name", "_index". One axis may have several of these labels, for example
    (presentation, neuroid) with the coordinates image_id and repetition. Without a
    label of trials, the rows of an image are its trials. Other labels of an image or
    a neuron become descriptors. Other dimensions must have length one. A DataFrame
    whose axes have no name is (images, neurons). `from_frame` reads a long table.

    Images with integer names are sorted by name, so that row i is stimulus i of an
    experiment that numbers its stimuli from 0. An ordered categorical keeps its order.
    Other names, and an index without a name, keep the order of the rows.

    Missing trials are not filled in, and nothing is dropped by default. Methods that
    need every image of every neuron raise an error if there are gaps; `complete`
    removes the images or neurons with gaps. Methods that need varying responses
    raise an error for a neuron whose responses never differ; `active` removes such
    neurons.

    Examples
    --------
    >>> import numpy as np
    >>> from neurofreq import neural
    >>> counts = np.random.default_rng(0).poisson(4.0, (10, 30, 6))
    >>> responses = neural.Responses(counts, neuron={"region": ["V1"] * 6})
    >>> responses
    Responses(10 trials, 30 images, 6 neurons; neuron: region)
    >>> responses.similarity().label
    'recording'
    >>> frame = responses.to_frame()
    >>> frame.columns.tolist(), len(frame)
    (['trial', 'image', 'neuron', 'response', 'region'], 1800)
    >>> axes = responses.plot()
    """

    def __init__(
        self,
        trials: ArrayLike,
        *,
        image: Mapping[str, ArrayLike] | None = None,
        neuron: Mapping[str, ArrayLike] | None = None,
        images: ArrayLike | None = None,
        axes: Sequence[str] | None = None,
        missing: float | None = None,
    ) -> None:
        if axes is None:
            recording = containers.read(trials, "trials")
        else:
            recording = containers.named(trials, axes, "trials")
        if recording is None:
            values = recorded.floats(trials, "trials")
        else:
            values = recording.trials
            image = recording.image | dict(image or {})
            neuron = recording.neuron | dict(neuron or {})
            images = recording.images if images is None else images
        values = np.array(values[None] if values.ndim == 2 else values, np.float64)
        if missing is not None:
            values[values == validate.number("missing", missing)] = np.nan
        values = containers.trials(values)
        shape = values.shape
        if shape[1] < 2:
            raise ValueError(f"trials: got {shape[1]} images, expected at least two")
        if 0 in shape:
            raise ValueError(f"trials: got shape {shape}, expected no empty axis")
        absent = np.isnan(values).all(axis=(0, 1))
        if absent.any():
            raise ValueError(
                f"trials: neuron {int(absent.argmax())} has no trial, "
                "expected at least one"
            )
        values.flags.writeable = False
        self.trials: NDArray[np.float64] = values
        self.image = image_names.descriptors("image", image, shape[1])
        self.neuron = image_names.descriptors("neuron", neuron, shape[2])
        names = image_names.naming(self.image) if images is None else images
        self.images = image_names.names(names, shape[1])

    @classmethod
    def _of(cls, recording: Recording, **more: Any) -> Self:
        """Return the responses of a recording that a reader made."""
        return cls(
            recording.trials,
            image=recording.image,
            neuron=recording.neuron,
            images=recording.images,
            **more,
        )

    def _recording(self) -> Recording:
        """Return the values, without checks and methods."""
        return Recording(self.trials, self.image, self.neuron, self.images)

    @property
    def n_trials(self) -> int:
        """Number of trials T: the largest number of trials of any image."""
        return self.trials.shape[0]

    @property
    def n_images(self) -> int:
        """Number of images N."""
        return self.trials.shape[1]

    @property
    def n_neurons(self) -> int:
        """Number of neurons K."""
        return self.trials.shape[2]

    def __repr__(self) -> str:
        """Describe the size, missing trials and the descriptors in one line."""
        least, most = int(self.counts().min()), self.n_trials
        trials = f"{least} to {most}" if least < most else f"{most}"
        parts = [f"{trials} trials, {self.n_images} images, {self.n_neurons} neurons"]
        for name, table in (("image", self.image), ("neuron", self.neuron)):
            if table:
                parts.append(f"{name}: {', '.join(table)}")
        return f"Responses({'; '.join(parts)})"

    def _numbers(self) -> dict[str, Any]:
        return {
            "trials": self.n_trials,
            "images": self.n_images,
            "neurons": self.n_neurons,
            "missing": f"{100 * np.isnan(self.trials).mean():.1f} % of the trials",
            "descriptors": ", ".join([*self.image, *self.neuron]) or "none",
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row per trial, image and neuron, as `from_frame` reads.

        Columns "trial", "image", "neuron", "response", and the descriptors. Images are
        named as in the attribute `images`, or else by their numbers; neurons and trials
        are numbered from 0. Trials that did not take place have no row.
        """
        return _tables.to_frame(self._recording())

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the mean responses (`plot.plot_responses`), on new Axes by default."""
        from neurofreq.plot import plot_responses

        return plot_responses(self.mean(), ax, **kw)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the trials, for NumPy."""
        array = np.asarray(self.trials, dtype=dtype)
        return array.copy() if copy else array

    def counts(self) -> NDArray[np.int64]:
        """Return the number of trials of each image and neuron, (N, K)."""
        return (~np.isnan(self.trials)).sum(axis=0)

    def mean(self) -> NDArray[np.float64]:
        """Return the mean over trials, (N, K); NaN without a trial."""
        counts = self.counts()
        total = np.nansum(self.trials, axis=0)
        return np.divide(
            total, counts, out=np.full(counts.shape, np.nan), where=counts > 0
        )

    def select(
        self, *, images: ArrayLike | None = None, neurons: ArrayLike | None = None
    ) -> Responses:
        """Return some of the images or neurons, with their descriptors.

        Parameters
        ----------
        images, neurons : array_like, optional
            Indices from 0 up or a mask, as in
            ``select(neurons=responses.neuron["region"] == "V1")``. All by
            default.

        Raises
        ------
        ValueError
            An index out of range, a mask of another length, or nothing left.
        """
        trials, image, neuron = self.trials, self.image, self.neuron
        named = self.images
        if images is not None:
            index = validate.index("images", images, self.n_images)
            trials = trials[:, index]
            named = None if named is None else named[index]
            image = {name: values[index] for name, values in image.items()}
        if neurons is not None:
            index = validate.index("neurons", neurons, self.n_neurons)
            trials = trials[:, :, index]
            neuron = {name: values[index] for name, values in neuron.items()}
        return Responses(trials, image=image, neuron=neuron, images=named)

    def for_images(self, images: ArrayLike) -> Responses:
        """Return the responses to the images with these names, in their order.

        Parameters
        ----------
        images : array_like
            Names or indices as in the attribute `images`, for example the names of the
            stimuli; distinct, at least two. Other images are left out.

        Raises
        ------
        ValueError
            If the images have no names, a name is unknown, or a name is repeated.
        """
        return self.select(images=image_names.places(self.images, images))

    def complete(self, drop: Literal["images", "neurons"]) -> Responses:
        """Return responses without gaps: every neuron has a trial of every image.

        Parameters
        ----------
        drop : {"images", "neurons"}
            Whether to drop the images or the neurons that have gaps.

        Raises
        ------
        ValueError
            If fewer than two images or no neuron remain.
        """
        validate.one_of("drop", drop, ("images", "neurons"))
        seen = self.counts() > 0
        if drop == "images":
            return self.select(images=seen.all(axis=1))
        return self.select(neurons=seen.all(axis=0))

    def active(self) -> Responses:
        """Return only the neurons whose responses vary over trials or images.

        Raises
        ------
        ValueError
            If no neuron remains.
        """
        return self.select(neurons=~self._silent())

    def reliability(self) -> NDArray[np.float64]:
        """Return the signal-to-noise weight of each neuron, see `nf.reliability`.

        Raises
        ------
        ValueError
            If a neuron's responses never differ, or an image has a single trial.

        Warns
        -----
        UserWarning
            If an image has two trials: the weights are then imprecise.
        """
        self.require_active()
        counts = self.counts()
        few = np.where(counts > 0, counts, self.n_trials)
        image, neuron = np.unravel_index(few.argmin(), few.shape)
        if (least := int(few.min())) == 1:
            raise ValueError(
                f"responses: image {image} has a single trial of neuron {neuron}, "
                "expected at least 3 trials to estimate reliability; mean responses "
                f"need weights, such as np.ones({self.n_neurons})"
            )
        if least < _FEW:
            warnings.warn(
                f"responses: image {image} has {least} trials of neuron {neuron}, "
                "expected at least 3: weights of reliability are imprecise",
                stacklevel=2,
            )
        return reliability(self.trials)

    def similarity(self, *, weights: ArrayLike | None = None) -> Target:
        """Return the similarity of the mean responses, with the source "recording".

        Parameters
        ----------
        weights : array_like of float, shape (K,), optional
            By default `reliability`. Pass ones for no weighting.

        Raises
        ------
        ValueError
            If a neuron's responses never differ, a neuron has no trial of an image
            (see `complete`), or `nf.response_similarity` refuses the responses.
        """
        self.require_active()
        self.require_complete()
        scale = self.reliability() if weights is None else weights
        similarity = response_similarity(self.mean(), weights=scale)
        return Target(similarity, "recording", images=self.images)

    def require_complete(self) -> None:
        """Raise if a neuron has no trial of an image; the message names both."""
        gaps = np.argwhere(self.counts() == 0)
        if len(gaps):
            image, neuron = gaps[0]
            raise ValueError(
                f"responses: neuron {neuron} has no trial of image {image} "
                f"({len(gaps)} such gaps), expected a trial of every image; "
                "complete('images') or complete('neurons') drops them"
            )

    def _silent(self) -> NDArray[np.bool_]:
        low, high = np.nanmin(self.trials, (0, 1)), np.nanmax(self.trials, (0, 1))
        return low == high

    def require_active(self) -> None:
        """Raise if a neuron's responses never differ; the message names the first."""
        silent = np.flatnonzero(self._silent())
        if len(silent):
            raise ValueError(
                f"responses: the responses of neuron {silent[0]} never differ "
                f"({len(silent)} such neurons), expected varying responses; active() "
                "drops these neurons"
            )

    @staticmethod
    def join(scans: Sequence[Responses]) -> Responses:
        """Put the neurons of several scans of the same images side by side.

        Trials that a scan does not have are NaN. Descriptors of neurons that all scans
        have are kept; descriptors of images come from the first scan.

        Parameters
        ----------
        scans : sequence of Responses

        Raises
        ------
        ValueError
            No scan, different numbers of images, or image descriptors that differ.
        """
        scans = [scans] if isinstance(scans, Responses) else list(scans)
        for scan in scans:
            if not isinstance(scan, Responses):
                raise TypeError(f"scans: got {type(scan).__name__}, expected Responses")
        return Responses._of(_tables.join([scan._recording() for scan in scans]))

    def save(self, path: Path | str) -> None:
        """Write an npz file with "trials", the descriptors and the image names."""
        _tables.save(self._recording(), path)

    def to_rsatoolbox(self) -> Any:
        """Return an rsatoolbox dataset with one observation per trial that took place.

        Observations have "trial" and the image descriptors. If there is no descriptor
        "image", they also have "image": the names of the images, or else their indices.
        The observations of an image are in consecutive rows.

        Raises
        ------
        ImportError
            If rsatoolbox is not installed.
        """
        return _tables.to_rsatoolbox(self._recording())
