"""Measure spatial frequencies of each image: half power, bands and orientation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from neurofreq import _neurofreq, intervals
from neurofreq._shared import results
from neurofreq._shared.inputs import validate
from neurofreq._shared.results import Result
from neurofreq.frequency._spectra import radial_profile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from neurofreq._shared.inputs.validate import Array

QUANTITIES = ("half_power", "anisotropy", "size")
# Contrast of an image that is flat but for rounding, in units in the last place.
_ROUNDING = 4.0


class _Spectra(NamedTuple):
    half_power: NDArray[np.float64]
    bands: NDArray[np.float64]
    edges: NDArray[np.float64]
    anisotropy: NDArray[np.float64]
    orientation: NDArray[np.float64]
    size: NDArray[np.float64]


class ImageSpectra(Result, _Spectra):
    """Spatial frequencies of each image of a batch, such as of each perturbation.

    Attributes
    ----------
    half_power : ndarray of float64, shape (N,)
        Half-power frequency, cycles/pixel. All attributes except `size` are NaN for an
        image without power, such as an image of one gray.
    bands : ndarray of float64, shape (N, B)
        Share of the power, without DC, in each band, 0 to 1.
    edges : ndarray of float64, shape (B + 1,)
        Band b holds ``edges[b] < |f| <= edges[b + 1]``, cycles/pixel.
    anisotropy : ndarray of float64, shape (N,)
        ``|sum P exp(2 i theta)| / sum P``, where theta is the angle of a frequency:
        0 if no orientation prevails, 1 for a grating.
    orientation : ndarray of float64, shape (N,)
        The prevailing orientation of bars, from 0 to below 180 degrees, as in
        `orientation_pass`: 0 for horizontal stripes, 45 for stripes that rise to the
        right, 90 for vertical stripes. It is circular: 179 is near 0.
    size : ndarray of float64, shape (N,)
        L2 norm of the image after the mean of each channel is subtracted.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> stripes = np.cos(2 * np.pi * np.arange(32) / 4)
    >>> images = np.tile(stripes, (2, 1, 32, 1))
    >>> images[1] = images[1].transpose(0, 2, 1)
    >>> found = nf.frequency.image_spectra(images)
    >>> found.orientation.round(6).tolist(), found.anisotropy.round(6).tolist()
    ([90.0, 0.0], [1.0, 1.0])
    >>> found.edges.tolist()[-3:-1], found.bands[0].round(6).tolist()
    ([0.25, 0.5], [0.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    >>> found
    ImageSpectra(images: 2, median f_0.5: 0.2... cycles/pixel, bands: 6)
    >>> found.to_frame().columns[:3].tolist(), found.plot().get_ylabel()
    (['half_power', 'anisotropy', 'size'], 'images')
    """

    __slots__ = ()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per image: all quantities, and one column for each band."""
        return results.frame(self._columns() | {"orientation": self.orientation})

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the distribution of f_0.5 (`plot.plot_distribution`)."""
        from neurofreq.plot import plot_distribution

        return plot_distribution(self.half_power, ax, **kw)

    def related(
        self,
        values: Mapping[str, ArrayLike],
        *,
        level: float = 0.95,
        n_resamples: int = 1000,
        seed: int = 0,
    ) -> SpectrumRelations:
        """Return Spearman's correlation of each quantity with other values of images.

        Parameters
        ----------
        values : mapping of name to array_like of float, shape (N,)
            Such as sizes of perturbations in another norm, or confidences of a model on
            the clean images.
        level : float
            Coverage of the intervals, between 0 and 1.
        n_resamples, seed : int
            As in `intervals.resampled_means`.

        Returns
        -------
        SpectrumRelations
            Pairs in which a value is NaN are left out; infinite values have the largest
            rank.

        Raises
        ------
        TypeError, ValueError
            If `values` is empty, or a value has another type or shape.
        """
        if not hasattr(values, "items") or not values:
            raise TypeError(
                f"values: got {validate.shown(values)}, expected arrays by name"
            )
        n_resamples = validate.count("n_resamples", n_resamples)
        seed = validate.seed(seed)
        rows = []
        for name, value in values.items():
            other = self._of_images(value, f"values: {name}")
            for quantity, own in self._columns().items():
                is_in = ~(np.isnan(own) | np.isnan(other))
                row = {"quantity": quantity, "with": name, "n": int(is_in.sum())}
                rho, low, high = float("nan"), float("nan"), float("nan")
                if row["n"]:
                    rho, drawn = _neurofreq.resampled_spearman(
                        own[is_in], other[is_in], n_resamples, seed
                    )
                    low, high = intervals.percentile_interval(drawn, level=level)
                rows.append(row | {"rho": rho, "low": low, "high": high})
        return SpectrumRelations(results.frame(rows))

    def by_class(
        self, labels: ArrayLike, *, quantity: str = "half_power", level: float = 0.95
    ) -> pd.DataFrame:
        """Return the mean of a quantity for each class, with its bootstrap interval.

        Parameters
        ----------
        labels : array_like of int, shape (N,)
        quantity : {"half_power", "anisotropy", "size"}
        level : float
            Coverage of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            Columns "label", "mean", "low", "high" and "n". Images whose quantity is NaN
            are left out.

        Raises
        ------
        TypeError, ValueError
            If an argument has another type, shape or value.
        """
        classes = validate.labels(labels, count=len(self.half_power))
        validate.one_of("quantity", quantity, QUANTITIES)
        values, rows = self._columns()[quantity], []
        for label in np.unique(classes):
            own = values[(classes == label) & ~np.isnan(values)]
            mean, low, high = float("nan"), float("nan"), float("nan")
            if len(own):
                drawn = intervals.resampled_means(own)[:, 0]
                low, high = intervals.percentile_interval(drawn, level=level)
                mean = float(own.mean())
            row = {"label": int(label), "mean": mean, "low": low, "high": high}
            rows.append(row | {"n": len(own)})
        return results.frame(rows)

    def _columns(self) -> dict[str, NDArray[np.float64]]:
        """Return the quantities that have an order, by name."""
        names = [f"band to {edge:.4g}" for edge in self.edges[1:]]
        return {
            "half_power": self.half_power, "anisotropy": self.anisotropy,
            "size": self.size, **dict(zip(names, self.bands.T, strict=True)),
        }  # fmt: skip

    def _of_images(self, value: ArrayLike, name: str) -> NDArray[np.float64]:
        """Return one number per image."""
        numbers = validate.real(value, name)
        if numbers.shape != self.half_power.shape:
            raise ValueError(
                f"{name}: got shape {numbers.shape}, expected {self.half_power.shape}"
            )
        return np.ascontiguousarray(numbers, dtype=np.float64)

    def _has_picture(self) -> bool:
        return bool(np.isfinite(self.half_power).any())

    def _numbers(self) -> dict[str, Any]:
        known = self.half_power[np.isfinite(self.half_power)]
        median = f"{np.median(known):.3f} cycles/pixel" if len(known) else "none"
        return {
            "images": len(self.half_power),
            "median f_0.5": median,
            "bands": len(self.edges) - 1,
        }


class _Relations(NamedTuple):
    table: pd.DataFrame


class SpectrumRelations(Result, _Relations):
    """Spearman's correlations of quantities of `ImageSpectra` with other values.

    Attributes
    ----------
    table : DataFrame
        Columns "quantity", "with", "n" (images), "rho" (-1 to 1; NaN if all values are
        equal), "low" and "high" (percentile bootstrap interval over images).

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> images = np.random.default_rng(0).normal(size=(50, 1, 16, 16))
    >>> images *= np.linspace(1.0, 2.0, 50)[:, None, None, None]
    >>> found = nf.frequency.image_spectra(images).related({"row": np.arange(50)})
    >>> bool(found.table.set_index("quantity")["rho"]["size"] > 0.9)
    True
    >>> found
    SpectrumRelations(half_power with row: ..., size with row: 0.9...)
    >>> found.plot().get_xlabel()
    'rank correlation'
    """

    __slots__ = ()

    def to_frame(self) -> pd.DataFrame:
        """Return `table`."""
        return self.table

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw all correlations with intervals (`plot.plot_relations`)."""
        from neurofreq.plot import plot_relations

        return plot_relations(self.table, ax, **kw)

    def _numbers(self) -> dict[str, Any]:
        return {
            f"{row['quantity']} with {row['with']}": results.bounded(
                row["rho"], row["low"], row["high"]
            )
            for row in self.table.to_dict("records")
            if row["quantity"] in QUANTITIES
        }


def image_spectra(
    images: Array,
    *,
    n_thresholds: int = 25,
    edges: Sequence[float] | None = None,
) -> ImageSpectra:
    """Measure the spatial frequencies of each image, in one pass.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, C, H, W)
        float32 or float64, any finite values, such as perturbations (adversarial minus
        clean images). Tensors are copied to the host.
    n_thresholds : int
        Thresholds between which the half-power frequency is interpolated, as in
        `radial_profile`.
    edges : sequence of float, optional
        Edges of the bands in cycles/pixel, ascending from 0 up, at least two. By
        default octaves: 0, powers of two from 1 / min(H, W) up to 0.5, and the largest
        ``|f|`` of the grid.

    Returns
    -------
    ImageSpectra

    Raises
    ------
    TypeError, ValueError
        As `power_spectrum`, or if `n_thresholds` or `edges` has another type or value.

    Notes
    -----
    The power of an image is the sum over its channels. The half-power frequency agrees
    with ``radial_profile(power_spectrum(image[None]))``.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=32).images
    >>> found = nf.frequency.image_spectra(images)
    >>> found.half_power.shape, found.bands.shape
    ((32,), (32, 6))
    >>> found.by_class([0, 1] * 16)["n"].tolist()
    [16, 16]
    """
    plain = validate.batch(images)
    if isinstance(plain, torch.Tensor):
        plain = plain.detach().cpu().numpy()
    plain = np.ascontiguousarray(plain)  # other layouts would change the rounding
    n_thresholds = validate.count("n_thresholds", n_thresholds, 2)
    height, width = plain.shape[2:]
    grid = radial_profile(np.ones((height, width)), n_thresholds=n_thresholds)
    limits = _edges(edges, height, width, float(grid.frequency[-1]))
    whole = np.unique(np.concatenate([grid.frequency, limits]))
    rings, axes = _neurofreq.image_power(plain, True, whole.tolist())
    if not np.isfinite(rings).all():
        validate.images(plain)
        raise ValueError(
            f"images: got values whose squares overflow {plain.dtype}, expected "
            "smaller ones"
        )
    cumulative = np.cumsum(rings, axis=1)
    total = cumulative[:, np.searchsorted(whole, grid.frequency[-1])]
    # The rounding of the mean leaves power in flat images.
    square = np.einsum("nchw,nchw->n", plain, plain, dtype=np.float64)
    rounding = (_ROUNDING * np.finfo(plain.dtype).eps) ** 2 * height * width * square
    total = np.where(total > rounding, total, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(total > 0.0, 1.0 / total, np.nan)[:, None] * cumulative
        anisotropy = np.hypot(*axes.T) / np.where(total > 0.0, total, np.nan)
    profile = np.ascontiguousarray(shares[:, np.searchsorted(whole, grid.frequency)])
    # From the direction of the frequency to that of the bars, with y upwards.
    angle = (90.0 - np.degrees(0.5 * np.arctan2(axes[:, 1], axes[:, 0]))) % 180.0
    angle[angle >= 180.0] = 0.0
    return ImageSpectra(
        half_power=_neurofreq.crossing(grid.frequency, profile, 0.5),
        bands=np.diff(shares[:, np.searchsorted(whole, limits)], axis=1),
        edges=limits,
        anisotropy=np.minimum(anisotropy, 1.0),
        orientation=np.where(total > 0.0, angle, np.nan),
        size=np.sqrt(total / (height * width)),
    )


def _edges(
    value: Sequence[float] | None, height: int, width: int, largest: float
) -> NDArray[np.float64]:
    """Return the edges of the bands; by default octaves."""
    if value is None:
        octaves = [0.5]
        while octaves[0] / 2.0 >= 1.0 / min(height, width):
            octaves.insert(0, octaves[0] / 2.0)
        beyond = [largest] if largest > 0.5 else []
        return np.array([0.0, *octaves, *beyond])
    edges = validate.real(value, "edges")
    is_rising = edges.ndim == 1 and len(edges) >= 2 and bool((np.diff(edges) > 0).all())
    if not is_rising or not np.isfinite(edges).all() or edges[0] < 0.0:
        raise ValueError(
            f"edges: got {validate.shown(value)}, expected two or more, ascending from "
            "0 up and finite"
        )
    return edges.astype(np.float64)
