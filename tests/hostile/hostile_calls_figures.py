"""The figures of the paper, and the study that they are drawn from."""

from __future__ import annotations

from helpers.made_up import a_pair
from hostile_made import call, images, network, similarity

from neurofreq import figures, studies

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
