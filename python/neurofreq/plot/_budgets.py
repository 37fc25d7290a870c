"""Draw accuracy and success of attacks against the size of perturbations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.perturbations import NORMS
from neurofreq.plot._curves import _axes, _curves, _draw, _finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_robust_accuracy(
    curves: Mapping[str, Any] | Any, ax: Axes | None = None, **kw: Any
) -> Axes:
    """Draw accuracy against the size of the perturbation.

    Parameters
    ----------
    curves : mapping of str to RobustAccuracy or Curve, or one RobustAccuracy or Curve
        For a Curve, x is the budget in pixel units of [0, 1], y the accuracy. All
        results must have the same norm.
    ax : Axes, optional
    **kw
        For ``Axes.plot``.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neurofreq as nf
    >>> curve = nf.plot.Curve([0.0, 0.01, 0.02], [0.9, 0.4, 0.1])
    >>> axes = nf.plot.plot_robust_accuracy({"my model": curve})
    >>> axes.get_ylabel()
    'accuracy (%)'
    """
    given = list(curves.values()) if isinstance(curves, Mapping) else [curves]
    norms = {str(one.norm) for one in given if hasattr(one, "norm")}
    if len(norms) > 1:
        raise ValueError(f"curves: got the norms {sorted(norms)}, expected one norm")
    norm = next(iter(norms), "")
    ax = _axes(ax)
    right = 0.0
    for name, curve in _curves(curves, "curves").items():
        _draw(ax, curve, name, 100.0, **({"marker": "o"} | kw))
        right = max(right, float(np.max(curve.x)))
    ax.set(xlim=(0.0, right or 1.0), ylim=(0.0, 101.0))
    size = f", {norm} size" if norm else ""
    return _finish(ax, f"budget ε{size} of the perturbation", "accuracy (%)")


def plot_success_curves(
    curves: Mapping[str, Any] | Any,
    ax: Axes | None = None,
    *,
    norm: str | None = "linf",
    **kw: Any,
) -> Axes:
    """Draw the fraction of images that an attack changes within a budget.

    Parameters
    ----------
    curves : mapping of str to Curve, or one Curve
        x is the budget in pixel units of [0, 1], y the fraction.
    ax : Axes, optional
    norm : {"linf", "l2", "l1", "l0"}, optional
        The norm of the budgets, for the label; None if unknown. Budgets in "linf" are
        drawn in units of 1/255.
    **kw
        For ``Axes.plot``.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neurofreq as nf
    >>> epsilons = [0.0, 0.02, 0.04, 0.06]
    >>> success = nf.attacks.success_curve([0.01, 0.03, 0.05], epsilons)
    >>> axes = nf.plot.plot_success_curves(nf.plot.Curve(epsilons, success))
    >>> axes.get_ylabel()
    'success (%)'
    """
    norm = None if norm is None else validate.norm("norm", norm, NORMS)
    scale = 255.0 if norm == "linf" else 1.0
    ax = _axes(ax)
    right = 0.0
    for name, curve in _curves(curves, "curves").items():
        scaled = curve._replace(x=scale * np.asarray(curve.x))
        _draw(ax, scaled, name, 100.0, **kw)
        right = max(right, float(np.max(scaled.x)))
    ax.set(xlim=(0.0, right or 1.0), ylim=(0.0, 101.0))
    size = f", {norm} size" if norm else ""
    size = ", largest pixel change (1/255)" if norm == "linf" else size
    return _finish(ax, f"budget ε{size}", "success (%)")
