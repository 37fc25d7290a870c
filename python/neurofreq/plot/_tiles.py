"""Draw grids of small images: example hybrids and example perturbations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import _neurofreq
from neurofreq._shared.escapes import literal
from neurofreq._shared.inputs import mixing, validate
from neurofreq._shared.inputs.pixel import to_unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from neurofreq._shared.inputs.validate import Array

EXAMPLE_FREQUENCIES = (0.0, 0.16, 0.32, 0.48, 0.64, 0.80)
"""The mixing frequencies of Fig 3a, in units of Nyquist."""
_GAP = 3


def plot_hybrid_examples(
    low: ArrayLike,
    high: ArrayLike,
    frequencies: Sequence[float] = EXAMPLE_FREQUENCIES,
    ax: Axes | None = None,
) -> Axes:
    """Draw the low part, the high part and the hybrid of two images, as in Fig 3a.

    Parameters
    ----------
    low, high : array_like of float, shape (C, H, W)
        Two images of different classes, values in [0, 1], C = 1 or 3.
    frequencies : sequence of float
        Mixing frequencies in units of Nyquist, one per column.
    ax : Axes, optional

    Returns
    -------
    Axes

    Notes
    -----
    For display, the mean of the high image is added to its high part.

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=2).images
    >>> axes = nf.plot.plot_hybrid_examples(images[0], images[1])
    >>> axes.get_xlabel()
    'mixing frequency (of Nyquist)'
    """
    pair = [
        validate.images(np.ascontiguousarray(image)[None], name, unit_range=True)
        for name, image in (("low", low), ("high", high))
    ]
    validate.same(pair[0], pair[1], ("low", "high"))
    # A constant image has only DC, so a mix with it shows one part of the other image.
    flat = [np.broadcast_to(x.mean((2, 3), keepdims=True), x.shape) for x in pair]
    flat = [np.ascontiguousarray(x) for x in flat]
    columns = mixing.frequencies(frequencies, "frequencies")
    mix = _neurofreq.hybrid_images
    rows = [
        mix(pair[0], flat[0], columns)[:, 0],
        mix(flat[1], pair[1], columns)[:, 0],
        mix(pair[0], pair[1], columns)[:, 0],
    ]
    labels = [f"{100 * value:.0f} %" for value in columns]
    ax = _draw_rows(rows, ["low part", "high part", "hybrid"], labels, ax)
    ax.set_xlabel("mixing frequency (of Nyquist)", fontsize=9, color="#333333")
    return ax


def plot_perturbation_examples(
    clean: Mapping[str, ArrayLike],
    adversarial: Mapping[str, ArrayLike],
    ax: Axes | None = None,
) -> Axes:
    """Draw images, their adversarial images, and the amplified changes.

    Parameters
    ----------
    clean, adversarial : mapping of str to array_like, shape (n, C, H, W)
        Images of each model in [0, 1], the same images for every model; C = 1 or 3. An
        adversarial image of NaN means that the attack found none.
    ax : Axes, optional

    Returns
    -------
    Axes

    Notes
    -----
    Each perturbation is amplified to fill the range around middle gray. Its label
    gives the true size in 1/255.

    Examples
    --------
    >>> import neurofreq as nf
    >>> clean = nf.data.load_data("synthetic", n=4).images
    >>> adversarial = (clean + 0.02).clip(0.0, 1.0)
    >>> axes = nf.plot.plot_perturbation_examples(
    ...     {"my model": clean}, {"my model": adversarial}
    ... )
    >>> axes.texts[0].get_text()
    '5.1'
    """
    names = list(clean)
    rows, labels, sizes = [np.asarray(clean[names[0]])], ["image"], []
    for name in names:
        start, end = np.asarray(clean[name]), np.asarray(adversarial[name])
        change = end - start
        size = np.abs(change).max(axis=(1, 2, 3))
        scale = np.where(size > 0.0, size, 1.0)[:, None, None, None]
        sizes += [(len(rows) + 1, column, s) for column, s in enumerate(size)]
        rows += [end, 0.5 + 0.5 * change / scale]
        prefix = f"{name}\n" if name else ""
        labels += [f"{prefix}adversarial", f"{prefix}perturbation"]
    ax = _draw_rows(rows, labels, None, ax)
    height, width = rows[0].shape[2:]
    for row, column, size in sizes:
        text = "none found" if np.isnan(size) else f"{255 * size:.2g}"
        _label(ax, column * (width + _GAP), row * (height + _GAP), rows[0].shape, text)
    return ax


def _label(ax: Axes, left: float, top: float, shape: Any, text: str) -> None:
    """Write a text into the lower left corner of an image of this shape."""
    ax.text(
        left + 0.04 * shape[3],
        top + 0.94 * shape[2],
        literal(text),
        fontsize=7,
        color="#1b1b1b",
        verticalalignment="bottom",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.8},
    )


def plot_images(
    images: Array,
    names: Sequence[str] = (),
    ax: Axes | None = None,
    *,
    n_columns: int = 8,
) -> Axes:
    """Draw images in rows.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, C, H, W)
        uint8, or floats in [0, 1]; C = 1 or 3.
    names : sequence of str
        A name for each image, such as its class; none by default.
    ax : Axes, optional
    n_columns : int
        Images in each row.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If `images` are not images, or the number of names is not that of the images.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=12)
    >>> names = [data.class_names[label] for label in data.labels]
    >>> axes = nf.plot.plot_images(data.images, names)
    >>> len(axes.texts)
    12
    """
    n_columns = validate.count("n_columns", n_columns)
    shown = validate.stored(images)
    validate.layout(shown, "images")
    if shown.dtype != np.uint8:
        validate.images(shown, unit_range=True)
    names = [validate.text("names", name) for name in names]
    if names and len(names) != len(shown):
        raise ValueError(f"names: got {len(names)}, expected {len(shown)} or none")
    pixels = to_unit(shown)
    n_columns = min(n_columns, len(pixels))
    gap = -len(pixels) % n_columns
    blank = np.ones((gap, *pixels.shape[1:]), pixels.dtype)
    rows = np.split(np.concatenate([pixels, blank]), (len(pixels) + gap) // n_columns)
    ax = _draw_rows(rows, [""] * len(rows), None, ax)
    height, width = pixels.shape[2:]
    for place, name in enumerate(names):
        row, column = divmod(place, n_columns)
        _label(ax, column * (width + _GAP), row * (height + _GAP), pixels.shape, name)
    return ax


def _draw_rows(
    rows: Sequence[NDArray[Any]],
    row_labels: Sequence[str],
    column_labels: Sequence[str] | None,
    ax: Axes | None,
) -> Axes:
    """Draw rows of images on white, with a label for every row and column."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(layout="constrained")[1]
    n, channels, height, width = rows[0].shape
    if channels not in (1, 3):
        raise ValueError(f"images: got {channels} channels, expected 1 or 3 to draw")
    step_y, step_x = height + _GAP, width + _GAP
    page = np.ones((len(rows) * step_y - _GAP, n * step_x - _GAP, 3))
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            tile = np.clip(np.nan_to_num(np.moveaxis(image, 0, -1), nan=1.0), 0.0, 1.0)
            page[r * step_y :, c * step_x :][:height, :width] = tile
    ax.imshow(
        page, interpolation="nearest", extent=(0, page.shape[1], page.shape[0], 0)
    )
    ax.set_yticks([r * step_y + height / 2 for r in range(len(rows))], row_labels)
    ticks = [c * step_x + width / 2 for c in range(n)] if column_labels else []
    ax.set_xticks(ticks, column_labels or [])
    ax.tick_params(length=0, labelsize=8, colors="#333333")
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax
