"""``neurofreq demo``: train two small networks without data files, and report on them.

Both networks have the same initial weights, images and order of batches. One is trained
on labels only. The other is also trained towards the similarities of a simulated V1:
Gabor energy cells with spiking noise, mostly tuned to low frequencies. No recorded data
are used. The stimuli and the weight of the regularizer were chosen so that the shift to
low frequencies is visible: about twenty settings were tried, with one seed, on the
first test images. The report uses other test images. Two small networks are an
illustration, not evidence about training methods.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from torch import nn

from neurofreq._shared import runtime

if TYPE_CHECKING:
    import os

    from neurofreq.data import ImageSet
    from neurofreq.report import Report
    from neurofreq.studies import ModelEntry

BASELINE, NEURAL = "baseline", "V1-regularized"
# Mixing frequency (units of Nyquist) of the stimuli, which are hybrids with the shape
# of one image and the texture of another. In training images both cues agree, so a
# network that uses only texture could reproduce the similarities of a cortex that uses
# shape.
STIMULUS_FREQUENCY = 0.35
# The settings below were chosen on these test images; the report excludes them.
N_SEEN = 1000
SIGMAS = (1.0, 1.5, 2.0)  # widths of blurs in front of networks, in pixels


@dataclasses.dataclass(frozen=True)
class Size:
    """The amounts of data, training and measurements in the demo."""

    n_train: int = 2000
    n_test: int = 500
    n_stimuli: int = 300
    n_neurons: int = 512
    width: int = 8
    epochs: int = 8
    alpha: float = 150.0  # 20 in the paper, which trains for many more steps
    n_pairs: int = 32
    n_attack: int = 80
    attack_steps: int = 120
    n_pairings: int = 3


TINY = Size(
    n_train=200,
    n_test=60,
    n_stimuli=40,
    n_neurons=64,
    epochs=1,
    n_pairs=8,
    n_attack=10,
    attack_steps=5,
    n_pairings=1,
)


def run(
    out_dir: str | os.PathLike[str],
    *,
    tiny: bool = False,
    progress: bool = True,
    command: str = "",
) -> Report:
    """Train both networks and write the report that compares them.

    With `tiny`, the run takes seconds instead of minutes, and the results have no
    meaning. `command` is recorded in settings.json.
    """
    from neurofreq import data, report

    size = TINY if tiny else Size()
    train = data.load_data("synthetic", split="train", n=size.n_train)
    fresh = range(N_SEEN, N_SEEN + size.n_test)
    test = data.load_data("synthetic", split="test", n=fresh.stop).take(fresh)
    networks = {
        name: trained(train, size, towards_v1=name == NEURAL, progress=progress)
        for name in (BASELINE, NEURAL)
    }
    return report.run(
        networks,
        test,
        out_dir,
        n_attack=size.n_attack,
        attack_steps=size.attack_steps,
        seeds=range(size.n_pairings),
        progress=progress,
        command=command,
    )


def entries(*, tiny: bool = False, progress: bool = True) -> list[ModelEntry]:
    """Train five small networks on synthetic images, for figures without data files.

    These are the two networks of the demo, in the groups "base" and "neural", and three
    networks with a blur of their input. With `tiny`, training takes seconds instead of
    minutes, and the results have no meaning.
    """
    from neurofreq import data
    from neurofreq.studies import ModelEntry

    size = TINY if tiny else Size()
    train = data.load_data("synthetic", split="train", n=size.n_train)
    wanted: list[tuple[str, str, dict[str, Any]]] = [
        (BASELINE, "base", {}),
        (NEURAL, "neural", {"towards_v1": True}),
    ]
    wanted += [(f"blur-{sigma}", "blur", {"sigma": sigma}) for sigma in SIGMAS]
    return [
        ModelEntry(trained(train, size, progress=progress, **options), name, group)
        for name, group, options in wanted
    ]


def trained(
    train: ImageSet,
    size: Size,
    *,
    towards_v1: bool = False,
    sigma: float | None = None,
    progress: bool = False,
) -> nn.Module:
    """Return a network trained on labels, and on V1's similarities if requested.

    `sigma` is the width of a blur in front of the network, in pixels.
    """
    from neurofreq import frequency, models, neural, regularize, training

    blur = "" if sigma is None else f",blur={sigma}"
    with runtime.seeded(0):  # all networks get the same initial weights
        model = models.load_model(f"small_cnn,width={size.width}{blur}")
    pull = None
    if towards_v1:
        shown = train.images[: size.n_stimuli]
        low, high = frequency.hybrid_pairs(train.labels[: size.n_stimuli], seed=0)
        stimuli = frequency.hybrid_images(shown[low], shown[high], STIMULUS_FREQUENCY)
        trials = neural.simulate_v1(stimuli, n_neurons=size.n_neurons)
        target = neural.response_similarity(
            trials.mean(axis=0), weights=neural.reliability(trials)
        )
        pull = regularize.SimilarityRegularizer(
            model,
            ["network.stage3"],
            target,
            stimuli,
            n_pairs=size.n_pairs,
            all_pairs=True,
        )
    training.fit(
        model,
        train.images,
        train.labels,
        training.Recipe(epochs=size.epochs, lr=0.05, alpha=size.alpha),
        regularizer=pull,
        progress=progress,
    )
    return model.eval()


def sentences(report: Report) -> list[str]:
    """Return three sentences on the results of a complete report of `run`."""
    # A quantity that is undefined for both networks has no row and becomes NaN.
    known = [
        "f_rev",
        "f_half",
        "median_linf",
        "clean_accuracy",
        "corruption_accuracy",
    ]
    rows = report.tables["differences"].set_index("quantity").reindex(known)
    both = report.summary.set_index("model")
    reversal = _direction(rows.loc["f_rev"], both["f_rev"], "lower")
    half = _direction(rows.loc["f_half"], both["f_half"], "lower")
    size = rows.loc["median_linf"]
    clean, worse = rows.loc["clean_accuracy"], rows.loc["corruption_accuracy"]
    return [
        f"Hybrid images: the {NEURAL} network's reversal frequency {reversal} "
        "(units of Nyquist).",
        f"Adversarial perturbations: its half-power frequency {half} (cycles/pixel).",
        f"Robustness: its median perturbation is {_word(size, 'larger', 'smaller')}, "
        f"by {_signed(size, 255.0, 2)} /255, and its accuracy on corrupted images is "
        f"{_word(worse, 'higher', 'lower')}, by {_signed(worse, 100.0, 1)} points, "
        f"with {_signed(clean, 100.0, 1)} points of clean accuracy.",
    ]


def _direction(row: Any, values: Any, expected: str) -> str:
    """Return a phrase on a difference: its sign, numbers and certainty."""
    base, ours = float(values[BASELINE]), float(values[NEURAL])
    if math.isnan(base) or math.isnan(ours):
        return "is not compared: it is undefined if a curve never crosses its threshold"
    interval = f"by {_signed(row, 1.0, 3)}"
    numbers = f"{ours:.3f} against the baseline's {base:.3f}"
    if row["high"] < 0.0:
        return f"is {expected}, as in the paper, {numbers}, {interval}"
    if row["low"] > 0.0:
        return f"is higher, against the paper, {numbers}, {interval}"
    return f"is not shown to differ, {numbers}, {interval}"


def _word(row: Any, expected: str, opposite: str) -> str:
    """Return the direction of a difference, and whether the paper found the same."""
    if row["low"] > 0.0:
        return f"{expected}, as in the paper"
    if row["high"] < 0.0:
        return f"{opposite}, against the paper"
    return "undefined" if math.isnan(row["difference"]) else "not shown to differ"


def _signed(row: Any, factor: float, decimals: int) -> str:
    difference, low, high = (
        factor * float(row[key]) for key in ("difference", "low", "high")
    )
    return f"{difference:+.{decimals}f} [{low:+.{decimals}f}, {high:+.{decimals}f}]"
