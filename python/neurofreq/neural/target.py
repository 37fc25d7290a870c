"""A similarity target that records its source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared import results
from neurofreq._shared.files.storage import write_atomically
from neurofreq._shared.inputs import validate
from neurofreq._shared.results import Result
from neurofreq.neural import image_names
from neurofreq.neural._similarity import response_similarity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

SOURCES = (
    "recording",
    "predicted from recordings",
    "predicted",
    "simulated",
    "pixel",
    "teacher",
    "shuffled",
)
"""The possible sources of the similarities of a target.

"predicted" is the source of a model that does not name recordings.
"""

# Only the details name the original source, or the model.
_DETAILED = ("shuffled", "predicted", "predicted from recordings")


@dataclass(frozen=True, eq=False, repr=False)
class Target(Result):
    """Similarities of N images, and their source.

    A target is accepted wherever an array of similarities is accepted:
    ``np.asarray(target)`` is its matrix.

    Parameters
    ----------
    similarity : array_like of float, shape (N, N)
        Symmetric, finite, in [-1, 1], N >= 2. Kept as float64.
    source : str
        One of `SOURCES`.
    detail : str
        Text that tables show beside the source.
    images : array_like of length N, optional
        Distinct names or indices of the images, in the order of the rows. By
        default the labels of a pandas frame, whose rows and columns must have the
        same labels; None if the images have no names.

    Raises
    ------
    ValueError
        If the matrix holds no similarities, the source is unknown, or the names are
        not distinct, not N, or not the same for rows and columns.

    Examples
    --------
    >>> import numpy as np
    >>> from neurofreq import neural
    >>> target = neural.pixel_similarity(np.random.rand(5, 1, 8, 8))
    >>> target.label, target.shuffled(seed=1).label
    ('pixel', 'shuffled (pixel; seed 1)')
    >>> target
    Target(images: 5, source: pixel)
    >>> target.to_frame().shape, target.plot().get_ylabel()
    ((5, 5), 'image')
    """

    similarity: NDArray[np.float64]
    source: str
    detail: str = ""
    images: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        """Check the arguments."""
        matrix, labels = named_similarity(self.similarity, "similarity")
        names = labels if self.images is None else self.images
        object.__setattr__(self, "similarity", matrix)
        object.__setattr__(self, "images", image_names.names(names, len(matrix)))
        validate.one_of("source", self.source, SOURCES)
        validate.text("detail", self.detail)

    @property
    def label(self) -> str:
        """The source, with the detail in parentheses, as tables print it."""
        return f"{self.source} ({self.detail})" if self.detail else self.source

    @property
    def upper(self) -> NDArray[np.float64]:
        """The N (N - 1) / 2 entries above the diagonal, row by row."""
        return self.similarity[np.triu_indices(len(self), 1)]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.similarity)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the matrix, for NumPy."""
        array = np.asarray(self.similarity, dtype=dtype)
        return array.copy() if copy else array

    def to_frame(self) -> pd.DataFrame:
        """Return the matrix; the names of the images label rows and columns."""
        return results.frame(self.similarity, index=self.images, columns=self.images)

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the similarities (`plot.plot_similarity`), on new Axes by default."""
        from neurofreq.plot import plot_similarity

        return plot_similarity(self.similarity, ax, **kw)

    def _numbers(self) -> dict[str, Any]:
        return {"images": len(self), "source": self.label}

    def select(self, images: ArrayLike) -> Target:
        """Return the target of some of the images.

        Parameters
        ----------
        images : array_like
            Indices from 0 to N - 1 or a mask of N; at least two.

        Raises
        ------
        ValueError
            An index out of range, or fewer than two images.
        """
        index = validate.index("images", images, len(self))
        return replace(
            self,
            similarity=self.similarity[np.ix_(index, index)],
            images=None if self.images is None else self.images[index],
        )

    def for_images(self, images: ArrayLike) -> Target:
        """Return the target of the images with these names, in their order.

        Parameters
        ----------
        images : array_like
            Names or indices as in the attribute `images`, for example the names of the
            stimuli; distinct, at least two. Other images of the target are left out.

        Raises
        ------
        ValueError
            If the target's images have no names, a name is unknown, or a name is
            repeated.
        """
        return self.select(image_names.places(self.images, images))

    def require_images(self, stimuli: Any, name: str = "stimuli") -> None:
        """Raise unless the stimuli can be the images of the target, in its order.

        Parameters
        ----------
        stimuli : sized
            Images, or their names. The number of images is compared. Names are compared
            if the target and the stimuli have names. Stimuli with names are a
            `data.ImageSet` of files, a `data.ImageFiles`, an xarray DataArray or an
            array of names. If one side has no names, and the other side has the numbers
            0 to N - 1 as names, these must be in ascending order.
        name : str
            The caller's name of the argument, for the error message.

        Raises
        ------
        ValueError
            Another number of images, other images, or another order.
        """
        image_names.require(self.images, len(self), stimuli, name)

    def shuffled(self, *, seed: int = 0) -> Target:
        """Return the control target: images exchanged, similarities kept.

        Rows and columns are permuted together so that no image keeps its place. The
        matrix has the same values, but for other pairs of images.

        Parameters
        ----------
        seed : int

        References
        ----------
        Li et al. 2019, arXiv 1911.05072, the control "Shuffle".
        """
        moved = exchanged(len(self), seed)
        return replace(
            self,
            similarity=self.similarity[np.ix_(moved, moved)],
            source="shuffled",
            detail=f"{self.label}; seed {seed}",
        )

    def save(self, path: Path | str) -> None:
        """Write an npz file with the matrix, the source, the detail and the names."""
        place = validate.path("path", path)
        arrays: dict[str, Any] = {
            "similarity": self.similarity,
            "source": np.array(self.source),
            "detail": np.array(self.detail),
        }
        if self.images is not None:
            arrays[image_names.KEY] = self.images
        write_atomically(place, lambda file: np.savez_compressed(file, **arrays))

    @classmethod
    def load(cls, path: Path | str) -> Target:
        """Read a file that `save` wrote."""
        file = validate.npz(path)
        missing = {"similarity", "source", "detail"} - set(file)
        if missing:
            raise ValueError(
                f"path: got {path} without {sorted(missing)}, expected a target"
            )
        return cls(
            file["similarity"],
            str(file["source"]),
            str(file["detail"]),
            file.get(image_names.KEY),
        )


def exchanged(n: int, seed: int) -> NDArray[np.int64]:
    """Return a permutation of n images in which none keeps its place: one cycle."""
    order = np.random.default_rng(validate.seed(seed)).permutation(n)
    moved = np.empty_like(order)
    moved[order] = np.roll(order, 1)
    return moved


def mean_target(targets: Sequence[Target]) -> Target:
    """Merge scans of the same images: the mean of their similarity matrices.

    Parameters
    ----------
    targets : sequence of Target
        Targets of the same images in the same order, from the same source. To reorder
        images, use `Target.for_images`.

    Returns
    -------
    Target

    Raises
    ------
    ValueError
        No target, different numbers of images, names of images that differ or are in
        another order, or different sources.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072: one matrix per scan, averaged over scans.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=8).images
    >>> scans = [nf.neural.v1_similarity(images, seed=seed) for seed in (0, 1)]
    >>> target = nf.neural.mean_target(scans)
    >>> target.similarity.shape, target.source
    ((8, 8), 'simulated')
    """
    scans = [targets] if isinstance(targets, Target) else list(targets)
    if not scans:
        raise ValueError("targets: got none, expected at least one")
    for scan in scans:
        if not isinstance(scan, Target):
            raise TypeError(f"targets: got {type(scan).__name__}, expected Targets")
    sizes = sorted({len(scan) for scan in scans})
    if len(sizes) > 1:
        raise ValueError(
            f"targets: got {sizes} images, expected the same number of images"
        )
    sources = sorted({scan.source for scan in scans})
    if len(sources) > 1:
        raise ValueError(f"targets: got sources {sources}, expected the same source")
    images = image_names.agreed(
        {f"targets[{k}]": scan.images for k, scan in enumerate(scans)}
    )
    if len(scans) == 1:
        return scans[0]
    mean = np.mean([scan.similarity for scan in scans], axis=0)
    detail = f"mean of {len(scans)} scans"
    if sources[0] in _DETAILED and any(one.detail for one in scans):
        detail += " (" + "), (".join(dict.fromkeys(one.detail for one in scans)) + ")"
    return Target(mean, sources[0], detail, images)


def named_similarity(
    value: Any, name: str
) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """Return checked similarities, and the names of their images if they have any.

    `name` is the caller's name of the argument. Raises ValueError as
    `validate.similarity`, or if names differ between rows and columns.
    """
    if isinstance(value, Target):
        return value.similarity, value.images
    rows, columns = image_names.labels(value)
    sides = {f"{name}, rows": rows, f"{name}, columns": columns}
    # The matrix is symmetric, so the names of the rows also name the columns.
    named = {side: images for side, images in sides.items() if images is not None}
    names = image_names.agreed(named)
    return validate.similarity(value, name), names


def predicted(
    responses: NDArray[np.float32],
    weights: NDArray[np.float64],
    images: NDArray[Any] | None = None,
) -> Target:
    """Return the target of predicted responses, (N, K), weighted by neuron.

    Raises ValueError if all weights are 0, or a neuron with a weight has no prediction.
    """
    if not weights.any():
        raise ValueError("models: got no neuron with v > 0, expected at least one")
    gaps = np.isnan(responses).any(0)
    if (missing := gaps & (weights > 0.0)).any():
        raise ValueError(
            f"models: neuron {int(missing.argmax())} has no held-out prediction for "
            "some images, expected one for every image: the network of one fold had "
            "no response of this neuron to train on"
        )
    rows = np.where(gaps, np.float32(0.0), responses)
    similarity = response_similarity(rows, weights=weights)
    return Target(similarity, "predicted from recordings", images=images)
