"""The figures of the paper, the study that they are drawn from, and pictures."""

from __future__ import annotations

import inspect

import numpy as np
from helpers.made_up import a_pair
from hostile_made import call, images, network, responses, settings, similarity

import neurofreq as nf
from neurofreq import figures, plot, studies

call(
    "figures.fig1", figures.fig1,
    lambda folder: {
        "stimuli": images(), "neural": similarity(), "before": similarity(),
        "after": similarity(), "n_shown": 3,
    },
    stimuli="images", neural="finite", before="finite", after="finite",
    n_shown="count",
)  # fmt: skip
call(
    "figures.fig2", figures.fig2,
    lambda folder: {"models": a_pair(), "budget": 0.1},
    budget="positive",
)  # fmt: skip
call(
    "figures.study", figures.study,
    lambda folder: {
        "data": "synthetic", "models": [studies.ModelEntry(network(), "mine")],
        "zoo": False, "n_images": 8, "n_attack": 2, "n_hybrid": 2, "n_corruption": 2,
        "measurements": ["clean"],
    },
    zoo="flag", n_images="optional count", n_attack="count", n_hybrid="count",
    n_corruption="count", measurements="words",
)  # fmt: skip

# Pictures.
call(
    "plot.plot_spectrum", plot.plot_spectrum,
    lambda folder: {"power": nf.power_spectrum(images())}, power="real",
)  # fmt: skip
for name in (
    "plot_radial_profiles", "plot_hybrid_curves", "plot_success_curves",
    "plot_corruption_severity", "plot_corruption_groups", "plot_robust_accuracy",
    "plot_filtered_accuracy", "plot_channels", "plot_sensitivity_curves",
):  # fmt: skip
    parameter = next(iter(inspect.signature(getattr(plot, name)).parameters))
    call(
        f"plot.{name}", getattr(plot, name),
        lambda folder, parameter=parameter: {
            parameter: {"mine": plot.Curve([0.0, 1.0], [0.0, 1.0])}
        },
        **{parameter: "curves"},
    )  # fmt: skip
call(
    "plot.plot_success_curves, in a norm", plot.plot_success_curves,
    lambda folder: {"curves": plot.Curve([0.0, 1.0], [0.0, 1.0]), "norm": "l2"},
    norm="word",
)  # fmt: skip
call(
    "plot.plot_sensitivity", plot.plot_sensitivity,
    lambda folder: {"result": np.eye(4)}, result="real",
)  # fmt: skip
call(
    "plot.plot_similarity", plot.plot_similarity,
    lambda folder: {"similarity": similarity()}, similarity="real",
)  # fmt: skip
call(
    "plot.plot_responses", plot.plot_responses,
    lambda folder: {"responses": responses()}, responses="real",
)  # fmt: skip
call(
    "plot.plot_images", plot.plot_images,
    lambda folder: {"images": images(), "n_columns": 2},
    images="pictures", n_columns="count",
)  # fmt: skip
call(
    "plot.plot_neurons", plot.plot_neurons,
    lambda folder: {"w": np.ones(3), "v": np.ones(3)}, w="real", v="real",
)  # fmt: skip
call(
    "plot.plot_history", plot.plot_history,
    lambda folder: {"history": [{"epoch": 1, "loss": 2.0}], "quantity": "loss"},
    quantity="word",
)  # fmt: skip
call(
    "plot.plot_distribution", plot.plot_distribution,
    lambda folder: {"values": np.arange(4.0)}, values="numbers",
)  # fmt: skip
settings("plot.color", plot.color, {"position": 1}, position="count from 0")
