"""Ways to make `Responses`: files, tables, spikes, traces."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from neurofreq.neural import _events, _nwb, _tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import ArrayLike
    from typing_extensions import Self

    from neurofreq._shared.inputs.labelled import Recording

    Spikes = Mapping[Any, ArrayLike] | Sequence[ArrayLike]


class Readers(ABC):
    """The constructors of `Responses` that begin with ``from_``."""

    @classmethod
    @abstractmethod
    def _of(cls, recording: Recording, **more: Any) -> Self:
        """Return the responses of a recording; `more` is `axes` and `missing`."""

    @classmethod
    def from_npz(
        cls,
        path: Path | str,
        key: str = "trials",
        *,
        image: Mapping[str, ArrayLike] | None = None,
        neuron: Mapping[str, ArrayLike] | None = None,
        axes: Sequence[str] | None = None,
        missing: float | None = None,
    ) -> Self:
        """Read an array of an npz file, (T, N, K) or (N, K); see `save`.

        Parameters
        ----------
        path : path
            Read without pickle.
        key : str
            Name of the array in the file.
        image, neuron : mapping, optional
            Additional descriptors.
        axes, missing
            As for the class: names of the axes of the array, in their order, and the
            value that means that there was no trial.

        Raises
        ------
        ValueError
            If the file has no such array. The message lists the arrays of the file.
        """
        found = _tables.from_npz(path, key, image, neuron)
        return cls._of(found, axes=axes, missing=missing)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, **columns: Any) -> Self:
        """Read a long table with one response per row.

        Parameters
        ----------
        frame : DataFrame
            The order of the rows does not matter if there is a column of trials.
        **columns
            The names of columns:

            - ``response``, ``image``, ``neuron`` (str): the response, and the names of
              image and neuron; by default "response", "image" and "neuron". Names that
              are integers, also as floats, are sorted, so that row i of the result is
              image i of an experiment that numbers its images from 0. An ordered
              categorical keeps its order. Other names are in the order of their first
              rows. The attribute `images` gives the order of the result.
            - ``trial`` (str): the trial, which has the same number for neurons recorded
              together. If the numbers of trials run through a whole experiment, trials
              are renumbered within each image. By default the first column called
              "repetition", "repeat", "rep", "trial" or "presentation". Without such a
              column, the rows of an image and neuron are its trials, in their order.
            - ``neuron_descriptors`` (sequence of str): descriptors of the neurons; one
              value per neuron.

        Returns
        -------
        Responses
            NaN if the table has no row for a trial, or a row without a response.

        Raises
        ------
        TypeError
            If `frame` is not a pandas table, or responses are not real numbers.
        ValueError
            No row, an unknown column, a row without image, neuron or trial, two rows of
            the same trial, image and neuron, or a descriptor that differs within a
            neuron.
        """
        return cls._of(_tables.from_frame(frame, **columns))

    @classmethod
    def from_rsatoolbox(cls, dataset: Any, image: str = "image") -> Self:
        """Read an rsatoolbox dataset in which an observation is a trial of one image.

        Parameters
        ----------
        dataset : rsatoolbox.data.Dataset
            `measurements` (observations, channels): trials and neurons. Channel
            descriptors become neuron descriptors. Observation descriptors that are the
            same in all trials of an image become image descriptors.
        image : str
            The observation descriptor that names the image.

        Raises
        ------
        ValueError
            If the dataset has no such descriptor.
        """
        return cls._of(_tables.from_rsatoolbox(dataset, image))

    @classmethod
    def from_spikes(
        cls,
        spikes: Spikes,
        onsets: ArrayLike,
        images: ArrayLike,
        *,
        window: tuple[float, float],
        neuron: Mapping[str, ArrayLike] | None = None,
    ) -> Self:
        """Count the spikes of each neuron in a window after each image.

        Parameters
        ----------
        spikes : mapping of names to arrays, or sequence of K arrays
            The times of the spikes of each neuron. For times with cluster numbers:
            ``{k: times[clusters == k] for k in np.unique(clusters)}``.
        onsets : array_like of float, shape (P,)
            The time at which each presentation began, in the unit of the spikes.
        images : array_like, shape (P,)
            The name or number of the image of each presentation. Presentations of one
            image are its trials, in their order. Numbers are sorted; the attribute
            `images` has the order of the result.
        window : (float, float)
            A spike at time t counts if ``onset + start <= t < onset + stop``.
        neuron : mapping of str to array_like of length K, optional
            Descriptors of the neurons.

        Returns
        -------
        Responses
            Spike counts. NaN only where an image has fewer trials than others.

        Raises
        ------
        TypeError, ValueError
            Times that are not finite real numbers in one dimension, arrays of different
            lengths, a window that ends before it begins, or no spike in any window,
            which happens if spikes and onsets have different units.

        Examples
        --------
        >>> from neurofreq import neural
        >>> spikes = {"a": [0.06, 0.07, 1.06], "b": [1.08, 2.09, 3.06]}
        >>> responses = neural.Responses.from_spikes(
        ...     spikes, [0.0, 1.0, 2.0, 3.0], [7, 9, 7, 9], window=(0.05, 0.15)
        ... )
        >>> responses.trials.shape, responses.images.tolist()
        ((2, 2, 2), [7, 9])
        >>> responses.mean()  # images 7 and 9, neurons a and b
        array([[1. , 0.5],
               [0.5, 1. ]])
        """
        return cls._of(_events.from_spikes(spikes, onsets, images, window, neuron))

    @classmethod
    def from_traces(
        cls,
        traces: ArrayLike,
        times: ArrayLike,
        onsets: ArrayLike,
        images: ArrayLike,
        *,
        window: tuple[float, float],
        baseline: tuple[float, float] | None = None,
        neuron: Mapping[str, ArrayLike] | None = None,
    ) -> Self:
        """Average traces, such as dF/F, in a window after each image.

        Parameters
        ----------
        traces : array_like of float, shape (S, K)
            S samples of K neurons, in any unit. NaN in a window makes the response of
            this neuron a missing trial.
        times : array_like of float, shape (S,)
            The time of each sample; increasing.
        onsets, images, neuron
            As for `from_spikes`; onsets in the unit of `times`.
        window : (float, float)
            The mean is over the samples with ``onset + start <= time < onset + stop``.
        baseline : (float, float), optional
            A window whose mean is subtracted, for example ``(-0.5, 0.0)``.

        Returns
        -------
        Responses
            In the unit of the traces.

        Raises
        ------
        TypeError, ValueError
            As for `from_spikes`; times that do not increase, traces whose first axis is
            not that of the times, or a window without a sample.

        Examples
        --------
        >>> import numpy as np
        >>> from neurofreq import neural
        >>> times = np.arange(0.0, 4.0, 0.1)
        >>> traces = np.stack([np.floor(times), -np.floor(times)], axis=1)
        >>> responses = neural.Responses.from_traces(
        ...     traces, times, [0.0, 1.0, 2.0, 3.0], list("abab"), window=(0.25, 0.95)
        ... )
        >>> responses.trials[:, :, 0]  # trials of the images a and b, first neuron
        array([[0., 1.],
               [2., 3.]])
        """
        return cls._of(
            _events.from_traces(traces, times, onsets, images, window, baseline, neuron)
        )

    @classmethod
    def from_nwb(cls, file: Any, image: str, **options: Any) -> Self:
        """Read an NWB file: spikes of units, or traces of regions of interest.

        Needs the package pynwb (``pip install neurofreq[recordings]``).

        Parameters
        ----------
        file : path or pynwb.NWBFile
        image : str
            The column, in a table of presentations, that names the image of each.
        **options
            - ``table`` (str): the table of presentations, "trials" or a name in
              ``intervals``. By default the only one with this column.
            - ``responses`` (str): "units", or the name of a RoiResponseSeries, also
              with the name of its parent, as in "DfOverF/RoiResponseSeries". By default
              the only one in the file.
            - ``window`` (float, float): seconds after the start of a presentation. By
              default the whole presentation, if all are equally long (to 10 %).
            - ``baseline`` (float, float): for traces, as for `from_traces`.

        Returns
        -------
        Responses
            Spike counts, or mean values of traces. Columns of the units with one number
            or text per unit become descriptors of the neurons.

        Raises
        ------
        ImportError
            If pynwb is not installed and `file` is a path.
        TypeError
            If `file` is neither a path nor an NWBFile.
        ValueError
            If the file has several tables or series to choose from, or none; the
            message lists them. Errors of `from_spikes` and `from_traces`.
        """
        return cls._of(_nwb.from_nwb(file, image, **options))
