"""Draw curves, spectra and bars from results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurofreq._shared import results
from neurofreq._shared.escapes import literal
from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

# Okabe and Ito's palette, ordered so that adjacent colors differ clearly. Black and
# orange come first, because the paper uses them for the baseline and the regularized
# model.
COLORS = (
    "#1b1b1b",
    "#d55e00",
    "#0072b2",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#8c6d31",
)
"""Colors of models by position, for color-blind readers too."""
# If there are more models than colors, the colors repeat with other dashes or hatches.
_DASHES = ("-", "--", ":", "-.")
_HATCHES = ("", "////", "....", "xxxx")
_INK = "#333333"
_GRID = "#e4e4e4"


class Curve(NamedTuple):
    """A line with its pointwise interval and one marked x value.

    Attributes
    ----------
    x, y : array_like, shape (K,)
    low, high : array_like, shape (K,), optional
        The interval of y.
    mark : float
        An x value to mark, such as a reversal frequency; NaN for none.
    mark_interval : tuple of float
        The interval of `mark`.
    color : str, optional
        By default the color of `position`.
    position : int, optional
        Decides color, dashes and hatches; by default the position among the curves of
        the plot. Set `position` to give a model the same look in several plots.

    Examples
    --------
    >>> import neurofreq as nf
    >>> curve = nf.plot.Curve([0.0, 0.05, 0.1], [0.0, 0.6, 1.0], color="black")
    >>> axes = nf.plot.plot_success_curves({"my model": curve})
    >>> axes.get_lines()[0].get_color()
    'black'
    """

    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    mark: float = float("nan")
    mark_interval: tuple[float, float] = (float("nan"), float("nan"))
    color: str | None = None
    position: int | None = None

    def __repr__(self) -> str:
        """Describe the curve in one line."""
        numbers: dict[str, Any] = {"points": len(np.asarray(self.x))}
        if np.isfinite(self.mark):
            numbers["mark"] = f"{self.mark:.4g}"
        return results.line(self, numbers)


def color(position: int) -> str:
    """Return the color of the model at this position.

    Examples
    --------
    >>> import neurofreq as nf
    >>> nf.plot.color(0) == nf.plot.COLORS[0]
    True
    """
    return COLORS[validate.count("position", position, 0) % len(COLORS)]


def plot_radial_profiles(
    profiles: Mapping[str, Any] | Any, ax: Axes | None = None, **kw: Any
) -> Axes:
    """Draw cumulative radial power with its half-power frequency.

    Parameters
    ----------
    profiles : mapping of str to RadialProfile or Curve, or one RadialProfile or Curve
        Frequency in cycles/pixel (sampling frequency 1), and power up to this frequency
        as a fraction of the total.
    ax : Axes, optional
    **kw
        For ``Axes.plot``.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=32).images
    >>> profile = nf.radial_profile(nf.power_spectrum(images))
    >>> axes = nf.plot.plot_radial_profiles({"synthetic": profile})
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['synthetic']
    """
    ax = _axes(ax)
    curves = _curves(profiles, "profiles")
    ax.axhline(50.0, color="#999999", linewidth=0.8, linestyle="--")
    for name, curve in curves.items():
        _draw(ax, curve, name, 100.0, **kw)
        _mark(ax, curve, 50.0, drop_to=0.0)
    ax.set(ylim=(0.0, 101.0))
    ax.set_xlim(0.0, max(float(np.max(curve.x)) for curve in curves.values()))
    return _finish(ax, "spatial frequency |f| (cycles/pixel)", "power below |f| (%)")


def plot_hybrid_curves(
    curves: Mapping[str, Any] | Any, ax: Axes | None = None, **kw: Any
) -> Axes:
    """Draw which image of a hybrid the model predicts, and mark the reversal.

    Parameters
    ----------
    curves : mapping of str to HybridCurve or Curve, or one HybridCurve or Curve
        Mixing frequency in units of Nyquist; for a Curve, y is p_low - p_high.
    ax : Axes, optional
    **kw
        For ``Axes.plot``.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=16)
    >>> curve = nf.hybrid_curve(nf.models.small_cnn(), data.images, data.labels)
    >>> axes = nf.plot.plot_hybrid_curves({"small_cnn": curve})
    >>> axes.get_xlabel()
    'mixing frequency (units of Nyquist)'
    """
    ax = _axes(ax)
    ax.axhline(0.0, color="#999999", linewidth=0.8, linestyle="--")
    for name, curve in _curves(curves, "curves").items():
        _draw(ax, curve, name, 100.0, **kw)
        _mark(ax, curve, 0.0, drop_to=-104.0)
    ax.set(xlim=(0.0, 1.0), ylim=(-104.0, 104.0))
    return _finish(
        ax,
        "mixing frequency (units of Nyquist)",
        r"$p_\mathrm{low} - p_\mathrm{high}$ (%)",
    )


def plot_corruption_severity(
    curves: Mapping[str, Any] | Any, ax: Axes | None = None, **kw: Any
) -> Axes:
    """Draw accuracy against severity; severity 0 is the clean image.

    Parameters
    ----------
    curves : mapping of str to Curve, or one Curve
        x is the severity, y the accuracy as a fraction.
    ax : Axes, optional
    **kw
        For ``Axes.plot``.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=32)
    >>> found = nf.corruption_accuracy(nf.models.small_cnn(), data, corruptions=["fog"])
    >>> axes = nf.plot.plot_corruption_severity({"small_cnn": found.curve("severity")})
    >>> axes.get_xlabel()
    'severity'
    """
    ax = _axes(ax)
    for name, curve in _curves(curves, "curves").items():
        _draw(ax, curve, name, 100.0, **({"marker": "o"} | kw))
    ax.set(xticks=range(6), ylim=(0.0, 101.0))
    return _finish(ax, "severity", "accuracy (%)")


def plot_corruption_groups(
    curves: Mapping[str, Any] | Any, ax: Axes | None = None, **kw: Any
) -> Axes:
    """Draw accuracy by group of corruptions as bars with their intervals.

    Parameters
    ----------
    curves : mapping of str to Curve, or one Curve
        x holds the names of the groups, y the accuracy as a fraction.
    ax : Axes, optional
    **kw
        For ``Axes.bar``.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neurofreq as nf
    >>> curve = nf.plot.Curve(["low", "medium", "high"], [0.8, 0.6, 0.5])
    >>> axes = nf.plot.plot_corruption_groups({"my model": curve})
    >>> [label.get_text() for label in axes.get_xticklabels()]
    ['low', 'medium', 'high']
    """
    ax = _axes(ax)
    drawn = _curves(curves, "curves")
    width = 0.8 / max(len(drawn), 1)
    for place, (name, curve) in enumerate(drawn.items()):
        groups = [str(group) for group in np.asarray(curve.x)]
        height = 100.0 * np.asarray(curve.y, dtype=np.float64)
        where = np.arange(len(groups)) + (place - (len(drawn) - 1) / 2) * width
        keywords: dict[str, Any] = {
            "color": curve.color,
            "hatch": _HATCHES[(curve.position or 0) // len(COLORS) % len(_HATCHES)],
            "alpha": 0.85,
            "label": literal(name),
        } | kw
        ax.bar(where, height, 0.92 * width, **keywords)
        if curve.low is not None and curve.high is not None:
            error = [
                height - 100.0 * np.asarray(curve.low),
                100.0 * np.asarray(curve.high) - height,
            ]
            ax.errorbar(
                where, height, np.clip(error, 0.0, None), fmt="none",
                ecolor="#777777", elinewidth=1.2, capsize=2,
            )  # fmt: skip
        ax.set_xticks(range(len(groups)), groups)
    ax.set(ylim=(0.0, 101.0))
    return _finish(ax, "frequency content of the corruption", "accuracy (%)")


def _axes(ax: Axes | None) -> Axes:
    """Return the given Axes, or the Axes of a new pyplot figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def _curves(
    data: Mapping[str, Any] | Any,
    argument: str,
    of: Callable[[Any], Curve] | None = None,
) -> dict[str, Curve]:
    """Return one result or several as curves by name, with colors and positions.

    `of` returns the curve of a result that has several.
    """
    if not isinstance(data, Mapping):
        data = {"": data}
    if not data:
        raise ValueError(f"{argument}: got none, expected at least one")
    curves = {}
    for among, (name, value) in enumerate(data.items()):
        is_result = of is not None and hasattr(value, "curve")
        curve = of(value) if of and is_result else _curve(value, argument)
        place = among if curve.position is None else curve.position
        curves[name] = curve._replace(color=curve.color or color(place), position=place)
    return curves


def _curve(value: Any, argument: str) -> Curve:
    """Return a result of neurofreq as a curve."""
    if isinstance(value, Curve):
        return value
    if hasattr(value, "p_low"):
        difference = np.asarray(value.p_low) - np.asarray(value.p_high)
        interval = getattr(value, "interval", None) or (float("nan"), float("nan"))
        return Curve(
            value.frequency,
            difference,
            mark=float(value.reversal_frequency),
            mark_interval=tuple(interval),
        )
    if hasattr(value, "broken_within"):
        curve: Curve = value.curve()
        return curve
    if hasattr(value, "half_power"):
        return Curve(value.frequency, value.cumulative, mark=float(value.half_power))
    raise TypeError(f"{argument}: got {value!r:.60}, expected a Curve or a result")


def _draw(ax: Axes, curve: Curve, name: str, scale: float, **kw: Any) -> None:
    """Draw one line and its band."""
    x = np.asarray(curve.x, dtype=np.float64)
    y = scale * np.asarray(curve.y, dtype=np.float64)
    keywords: dict[str, Any] = {
        "color": curve.color,
        "linestyle": _DASHES[(curve.position or 0) // len(COLORS) % len(_DASHES)],
        "linewidth": 1.8,
        "markersize": 3.5,
    } | kw
    ax.plot(x, y, label=literal(name), **keywords)
    if curve.low is not None and curve.high is not None:
        ax.fill_between(
            x,
            scale * np.asarray(curve.low, dtype=np.float64),
            scale * np.asarray(curve.high, dtype=np.float64),
            color=keywords["color"],
            alpha=0.18,
            linewidth=0,
        )


def _mark(ax: Axes, curve: Curve, level: float, drop_to: float) -> None:
    """Draw the marked point at the level, its interval, and a line to the axis."""
    if not np.isfinite(curve.mark):
        return
    tint = curve.color
    ax.plot(
        [curve.mark] * 2, [drop_to, level], color=tint, linewidth=0.8, dashes=(2, 2)
    )
    if np.isfinite(curve.mark_interval).all():
        ax.plot(
            curve.mark_interval, [level, level], color=tint, linewidth=3.5, alpha=0.55
        )
    ax.plot(
        [curve.mark], [level], "o", color=tint, markersize=5.5, markeredgecolor="white"
    )


def _finish(ax: Axes, xlabel: str, ylabel: str) -> Axes:
    """Set labels, grid and spines; add a legend if a curve has a name."""
    ax.set_xlabel(xlabel, fontsize=9, color=_INK)
    ax.set_ylabel(ylabel, fontsize=9, color=_INK)
    ax.tick_params(labelsize=8, length=3, colors=_INK)
    ax.grid(visible=True, color=_GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#888888")
    if any(label for label in ax.get_legend_handles_labels()[1]):
        ax.legend(frameon=False, fontsize=8, loc="best", labelspacing=0.3)
    return ax
