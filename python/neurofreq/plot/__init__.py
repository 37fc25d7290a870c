"""Plot measurements: each function draws on one Axes and returns it.

``plot_x(data, ax=None)``: without `ax`, the function makes a new pyplot figure. No
function shows or saves a figure or changes matplotlib's global style. Pass several
models as a mapping from name to data; the models get fixed, color-blind-safe colors in
that order. Bands and error bars are intervals.
"""

from neurofreq.plot._budgets import plot_robust_accuracy, plot_success_curves
from neurofreq.plot._channels import (
    plot_channels,
    plot_filtered_accuracy,
    plot_sensitivity_curves,
)
from neurofreq.plot._curves import (
    COLORS,
    Curve,
    color,
    plot_corruption_groups,
    plot_corruption_severity,
    plot_hybrid_curves,
    plot_radial_profiles,
)
from neurofreq.plot._each import plot_distribution, plot_relations
from neurofreq.plot._history import plot_history
from neurofreq.plot._maps import (
    plot_responses,
    plot_sensitivity,
    plot_similarity,
    plot_spectrum,
)
from neurofreq.plot._neurons import plot_neurons
from neurofreq.plot._tiles import (
    EXAMPLE_FREQUENCIES,
    plot_hybrid_examples,
    plot_images,
    plot_perturbation_examples,
)
from neurofreq.plot.colormaps import CMAP, PAPER_CMAP

__all__ = [
    "CMAP",
    "COLORS",
    "EXAMPLE_FREQUENCIES",
    "PAPER_CMAP",
    "Curve",
    "color",
    "plot_channels",
    "plot_corruption_groups",
    "plot_corruption_severity",
    "plot_distribution",
    "plot_filtered_accuracy",
    "plot_history",
    "plot_hybrid_curves",
    "plot_hybrid_examples",
    "plot_images",
    "plot_neurons",
    "plot_perturbation_examples",
    "plot_radial_profiles",
    "plot_relations",
    "plot_responses",
    "plot_robust_accuracy",
    "plot_sensitivity",
    "plot_sensitivity_curves",
    "plot_similarity",
    "plot_spectrum",
    "plot_success_curves",
]

__dir__ = __all__.copy  # modules of the package are not listed
