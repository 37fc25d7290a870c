"""Draw maps: spectra, error rates by frequency, similarities and responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import validate
from neurofreq.plot._curves import _INK, _axes
from neurofreq.plot.colormaps import CMAP

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


def plot_spectrum(power: ArrayLike, ax: Axes | None = None, **kw: Any) -> Axes:
    """Draw a power spectrum with logarithmic colors.

    The colors span the range of this spectrum. The colormap is perceptually uniform;
    ``cmap=PAPER_CMAP`` gives the colormap of the paper.

    Parameters
    ----------
    power : array_like, shape (H, W)
        Mean power, fftshifted; the DC cell is NaN and stays blank.
    ax : Axes, optional
    **kw
        For ``Axes.imshow``; ``colorbar=False`` omits the color bar.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `power` is not a matrix or has no positive value.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=32).images
    >>> axes = nf.plot.plot_spectrum(nf.power_spectrum(images))
    >>> axes.get_xlabel()
    'cycles/pixel'
    """
    from matplotlib.colors import LogNorm

    values = validate.real(power, "power")
    if values.ndim != 2:
        raise ValueError(f"power: got shape {values.shape}, expected (H, W)")
    if not (values > 0.0).any():
        raise ValueError("power: got no positive value, expected a power spectrum")
    ax = _axes(ax)
    colorbar = kw.pop("colorbar", True)
    # Colors are linear in ln P; a cell without power (such as DC) stays blank.
    masked = np.ma.masked_where(~(values > 0.0), values)
    keywords: dict[str, Any] = {
        "cmap": CMAP,
        "norm": LogNorm(masked.min(), masked.max()),
    } | kw
    image = _map(ax, masked, **keywords)
    if colorbar:
        _colorbar(ax, image, "mean power (log scale)")
    return ax


def plot_sensitivity(result: Any, ax: Axes | None = None, **kw: Any) -> Axes:
    """Draw the error rate for each frequency that is added to the images.

    Parameters
    ----------
    result : FourierSensitivity, or array_like of float, shape (H, W)
        Error rates from 0 to 1, fftshifted.
    ax : Axes, optional
    **kw
        For ``Axes.imshow``; ``colorbar=False`` omits the color bar.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the error rates are not a matrix.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> axes = nf.plot.plot_sensitivity(np.random.default_rng(0).random((8, 8)))
    >>> axes.get_xlabel()
    'cycles/pixel'
    """
    rates = getattr(result, "error_rate", result)
    values = _matrix("result", rates)
    ax = _axes(ax)
    colorbar = kw.pop("colorbar", True)
    keywords: dict[str, Any] = {"cmap": CMAP, "vmin": 0.0, "vmax": 100.0} | kw
    image = _map(ax, 100.0 * values, **keywords)
    if colorbar:
        _colorbar(ax, image, "error rate (%)")
    return ax


def plot_similarity(similarity: ArrayLike, ax: Axes | None = None, **kw: Any) -> Axes:
    """Draw the similarities of images as a map.

    Parameters
    ----------
    similarity : array_like of float, shape (N, N), or Target
        From -1 (blue) over 0 (white) to 1 (red). The diagonal stays blank.
    ax : Axes, optional
    **kw
        For ``Axes.imshow``; ``colorbar=False`` omits the color bar.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the matrix holds no similarities.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=12).images
    >>> axes = nf.plot.plot_similarity(nf.neural.v1_similarity(images))
    >>> axes.get_xlabel(), axes.get_images()[0].get_array().shape
    ('image', (12, 12))
    """
    values = validate.similarity(similarity)
    shown = np.ma.masked_where(np.eye(len(values), dtype=bool), values)
    keywords: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -1.0, "vmax": 1.0} | kw
    return _table(shown, ax, ("image", "image"), "similarity", **keywords)


def plot_responses(responses: ArrayLike, ax: Axes | None = None, **kw: Any) -> Axes:
    """Draw the responses of neurons to images as a map.

    Parameters
    ----------
    responses : array_like of float, shape (N, K), or Responses
        One row per image, one column per neuron; NaN stays blank. `Responses` are
        averaged over trials.
    ax : Axes, optional
    **kw
        For ``Axes.imshow``; ``colorbar=False`` omits the color bar.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the responses are not a matrix.

    Notes
    -----
    The responses of each neuron are divided by their largest absolute value, so that
    all neurons are visible.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=12).images
    >>> axes = nf.plot.plot_responses(nf.neural.simulate_v1(images, n_neurons=5)[0])
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('neuron', 'image')
    """
    has_trials = hasattr(responses, "trials")  # those of Responses
    mean: Any = responses.mean() if has_trials else responses  # type: ignore[union-attr]
    values = _matrix("responses", mean)
    largest = np.nanmax(np.abs(values), axis=0, initial=0.0)
    shown = values / np.where(largest > 0.0, largest, 1.0)
    keywords: dict[str, Any] = {"cmap": CMAP} | kw
    label = "response (relative to the largest)"
    return _table(shown, ax, ("neuron", "image"), label, **keywords)


def _matrix(name: str, value: Any) -> Any:
    """Return a matrix of numbers, which is not empty."""
    values = validate.real(value, name)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"{name}: got shape {values.shape}, expected a matrix")
    return values


def _table(
    values: Any, ax: Axes | None, axes: tuple[str, str], label: str, **kw: Any
) -> Axes:
    """Draw a matrix whose rows and columns are numbered from 0."""
    colorbar = kw.pop("colorbar", True)
    ax = _axes(ax)
    image = ax.imshow(values, interpolation="nearest", aspect="auto", **kw)
    ax.set(xlabel=axes[0], ylabel=axes[1])
    ax.tick_params(length=2, labelsize=8, colors=_INK)
    if colorbar:
        _colorbar(ax, image, label)
    return ax


def _map(ax: Axes, values: Any, **kw: Any) -> Any:
    """Draw a map over the plane of frequencies, and label its axes."""
    left, right, bottom, top = _extent(values.shape)
    image = ax.imshow(
        values, extent=(left, right, bottom, top), origin="lower",
        interpolation="nearest", **kw,
    )  # fmt: skip
    ticks = [-0.5, -0.25, 0.0, 0.25, 0.5]
    ax.set(xticks=ticks, yticks=ticks, xlabel="cycles/pixel", ylabel="cycles/pixel")
    # Ticks outside the map (0.5 for even sizes) have stretched the limits.
    ax.set(xlim=(left, right), ylim=(bottom, top))
    ax.tick_params(length=2, labelsize=8, colors=_INK)
    return image


def _colorbar(ax: Axes, image: Any, label: str) -> None:
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.046, pad=0.03)
    bar.ax.tick_params(which="both", labelsize=6, length=2)
    bar.set_label(label, fontsize=8)
    bar.outline.set_linewidth(0.5)


def _extent(shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the edges of the map in cycles/pixel; vertical frequency grows upwards."""
    height, width = shape
    x0 = -(width // 2) / width - 0.5 / width
    y0 = -(height // 2) / height - 0.5 / height
    return x0, x0 + 1.0, y0, y0 + 1.0
