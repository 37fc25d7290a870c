"""Draw accuracy for filtered images, and channels of models beside the human one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import validate
from neurofreq.plot._curves import _axes, _curves, _draw, _finish, _mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

_LABELS = {
    "low-pass": "cut-off of the low-pass filter (cycles/pixel)",
    "high-pass": "cut-off of the high-pass filter (cycles/pixel)",
    "phase-noise": "width of the phase noise (degrees)",
}


def plot_filtered_accuracy(
    curves: Mapping[str, Any] | Any,
    ax: Axes | None = None,
    *,
    filter: str = "low-pass",
    **kw: Any,
) -> Axes:
    """Draw accuracy against the cut-off of a filter or the width of phase noise.

    Parameters
    ----------
    curves : mapping of str to FilteredAccuracy or Curve, or one of these
        For a Curve, x is the cut-off in cycles/pixel or the width in degrees, and y the
        accuracy as a fraction.
    ax : Axes, optional
    filter : {"low-pass", "high-pass", "phase-noise"}
    **kw
        For ``Axes.plot``.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neurofreq as nf
    >>> curve = nf.plot.Curve([0.1, 0.2, 0.4], [0.3, 0.7, 0.8])
    >>> axes = nf.plot.plot_filtered_accuracy({"my model": curve}, filter="low-pass")
    >>> axes.get_xlabel()
    'cut-off of the low-pass filter (cycles/pixel)'
    """
    label = _LABELS[validate.one_of("filter", filter, tuple(_LABELS))]
    ax = _axes(ax)
    drawn = _curves(curves, "curves", lambda one: one.curve(filter))
    for name, curve in drawn.items():
        _draw(ax, curve, name, 100.0, **({"marker": "o"} | kw))
    if filter != "phase-noise":
        _octaves(ax, [np.asarray(curve.x) for curve in drawn.values()])
    ax.set(ylim=(0.0, 101.0))
    return _finish(ax, label, "accuracy (%)")


def plot_channels(
    curves: Mapping[str, Any] | Any,
    ax: Axes | None = None,
    *,
    human: tuple[float, float] | None = None,
    **kw: Any,
) -> Axes:
    """Draw the sensitivity of models to noise of one octave, with their channels.

    Parameters
    ----------
    curves : mapping of str to BandMasking or Curve, or one of these
        For a Curve, x is the frequency in cycles/image, y the sensitivity in octaves of
        noise, and the mark the center of the channel.
    ax : Axes, optional
    human : tuple of float, optional
        Center (cycles/image) and bandwidth (octaves) of a human channel, which is drawn
        as a Gaussian of arbitrary height (`frequency.HUMAN_CHANNEL`).
    **kw
        For ``Axes.plot``.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neurofreq as nf
    >>> curve = nf.plot.Curve([7, 14, 28, 56], [0.5, 1.5, 2.0, 1.0], mark=25.0)
    >>> axes = nf.plot.plot_channels({"my model": curve}, human=(39.6, 1.0))
    >>> axes.get_xlabel()
    'spatial frequency (cycles/image)'
    """
    ax = _axes(ax)
    drawn = _curves(curves, "curves", lambda one: one.curve())
    highest = 0.0
    for name, curve in drawn.items():
        _draw(ax, curve, name, 1.0, **({"marker": "o"} | kw))
        highest = max(highest, float(np.nanmax([0.0, *np.asarray(curve.y)])))
    for curve in drawn.values():
        _mark(ax, curve, 1.1 * (highest or 1.0), drop_to=0.0)
    x = [np.asarray(curve.x) for curve in drawn.values()]
    if human is not None:
        _human(ax, human, highest or 1.0, float(max(map(np.max, x))))
    _octaves(ax, x)
    ax.set_ylim(0.0, 1.2 * (highest or 1.0))
    return _finish(
        ax, "spatial frequency (cycles/image)", "sensitivity to noise (octaves)"
    )


def plot_sensitivity_curves(
    curves: Mapping[str, Any] | Any, ax: Axes | None = None, **kw: Any
) -> Axes:
    """Draw the error rate after one frequency is added, by octave of this frequency.

    Parameters
    ----------
    curves : mapping of str to FourierSensitivity or Curve, or one of these
        For a Curve, x is the frequency in cycles/pixel, and y the error rate as a
        fraction.
    ax : Axes, optional
    **kw
        For ``Axes.plot``.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neurofreq as nf
    >>> curve = nf.plot.Curve([0.125, 0.25, 0.5], [0.3, 0.5, 0.2])
    >>> axes = nf.plot.plot_sensitivity_curves({"my model": curve})
    >>> axes.get_ylabel()
    'error rate (%)'
    """
    ax = _axes(ax)
    drawn = _curves(curves, "curves", lambda one: one.curve())
    for name, curve in drawn.items():
        _draw(ax, curve, name, 100.0, **({"marker": "o"} | kw))
    _octaves(ax, [np.asarray(curve.x) for curve in drawn.values()])
    ax.set(ylim=(0.0, 101.0))
    return _finish(ax, "frequency of the change (cycles/pixel)", "error rate (%)")


def _human(ax: Axes, human: tuple[float, float], height: float, last: float) -> None:
    """Draw the human channel as a Gaussian over log2 of frequency."""
    center, bandwidth = (validate.number("human", one) for one in human)
    is_positive = min(center, bandwidth) > 0.0
    validate.within("human", min(center, bandwidth), is_positive, "numbers above 0")
    end = max(1.5 * bandwidth, np.log2(max(last, center) / center))
    apart = np.linspace(-1.5 * bandwidth, end, 200)
    ax.plot(
        center * np.exp2(apart), height * np.exp2(-((2.0 * apart / bandwidth) ** 2)),
        "--", color="#777777", linewidth=1.2, label="humans (height arbitrary)",
    )  # fmt: skip


def _octaves(ax: Axes, x: list[Any]) -> None:
    """Make the x axis logarithmic, with ticks at octaves of the lowest frequency."""
    ax.set_xscale("log", base=2)
    whole = np.concatenate(x).astype(np.float64)
    lowest = float(np.min(whole[whole > 0.0], initial=np.inf))
    last = ax.get_xlim()[1]
    if np.isfinite(lowest):
        octaves = lowest * 2.0 ** np.arange(np.ceil(np.log2(last / lowest)))
        ax.set_xticks(octaves, [f"{one:.4g}" for one in octaves])
    ax.minorticks_off()
