"""``neurofreq demo``: train two small networks without data files, and report on them.

Both networks have the same initial weights, images and order of batches. One is trained
on labels only. The other is also trained towards the similarities of a simulated V1:
Gabor energy cells with spiking noise, mostly tuned to low frequencies. No recorded data
are used.

The task has a cue at high frequencies that is weak and always right, and a cue at low
frequencies that is strong and often wrong in training: a faint texture, and a shape.
Contrast, shares and the weight of the regularizer were chosen so that the shift to low
frequencies is visible: about thirty settings were tried, with seeds 0 to 2, on the
first test images. The report uses other test images. Two small networks are an
illustration, not evidence about training methods; docs/results/demo.md has other seeds.
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
    from neurofreq.data.folders import Split
    from neurofreq.regularize import SimilarityRegularizer
    from neurofreq.report import Report
    from neurofreq.studies import ModelEntry

BASELINE, NEURAL = "baseline", "V1-regularized"
SHAPE_CONTRAST = 0.3  # 0.15 in the data set "synthetic"
TEXTURE_CONTRAST = 0.025  # 0.10 in the data set "synthetic"
WRONG_SHAPES = 0.6  # share of the training images that have the shape of another class
# Mixing frequency (units of Nyquist) of hybrids with the shape of one image and the
# texture of another: training images with a wrong shape, and all stimuli.
MIXING_FREQUENCY = 0.35
# The settings below were chosen on these test images; the report excludes them.
N_SEEN = 1000
SIGMAS = (1.0, 1.5, 2.0)  # widths of blurs in front of networks, in pixels


@dataclasses.dataclass(frozen=True)
class Size:
    """The amounts of data, training and measurements in the demo."""

    n_train: int = 2000
    n_test: int = 500
    n_stimuli: int = 1000
    n_neurons: int = 512
    width: int = 8
    epochs: int = 8
    alpha: float = 60.0  # 20 in the paper, which trains for many more steps
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
    seed: int = 0,
    progress: bool = True,
    command: str = "",
) -> Report:
    """Train both networks and write the report that compares them.

    With `tiny`, the run takes seconds instead of minutes, and the results have no
    meaning. `seed` decides initial weights, wrong shapes, order, stimuli and the
    simulated neurons. `command` is recorded in settings.json.
    """
    from neurofreq import report

    size = TINY if tiny else Size()
    test = images(N_SEEN + size.n_test).take(range(N_SEEN, N_SEEN + size.n_test))
    networks = {
        name: trained(size, seed, towards_v1=name == NEURAL, progress=progress)
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


def images(n: int, *, split: Split = "test") -> ImageSet:
    """Return n images of the demo's task, in which shape and texture tell the class."""
    from neurofreq.data import ImageSet, synthetic

    pixels, labels = synthetic.draw(
        n,
        split=split,
        shape_contrast=SHAPE_CONTRAST,
        texture_contrast=TEXTURE_CONTRAST,
    )
    return ImageSet(pixels, labels, synthetic.CLASSES, "synthetic, faint texture")


def entries(*, tiny: bool = False, progress: bool = True) -> list[ModelEntry]:
    """Train five small networks on `images`, for figures without data files.

    These are the two networks of the demo, in the groups "base" and "neural", and three
    networks with a blur of their input. With `tiny`, training takes seconds instead of
    minutes, and the results have no meaning.
    """
    from neurofreq.studies import ModelEntry

    size = TINY if tiny else Size()
    wanted: list[tuple[str, str, dict[str, Any]]] = [
        (BASELINE, "base", {}),
        (NEURAL, "neural", {"towards_v1": True}),
    ]
    wanted += [(f"blur-{sigma}", "blur", {"sigma": sigma}) for sigma in SIGMAS]
    return [
        ModelEntry(trained(size, progress=progress, **options), name, group)
        for name, group, options in wanted
    ]


def trained(
    size: Size,
    seed: int = 0,
    *,
    towards_v1: bool = False,
    sigma: float | None = None,
    progress: bool = False,
) -> nn.Module:
    """Return a network trained on labels, and on V1's similarities if requested.

    `sigma` is the width of a blur in front of the network, in pixels.
    """
    from neurofreq import frequency, models, training

    train = images(size.n_train, split="train")
    blur = "" if sigma is None else f",blur={sigma}"
    with runtime.seeded(seed):  # all networks of a seed get the same initial weights
        model = models.load_model(f"small_cnn,width={size.width}{blur}")
    low, high = frequency.hybrid_pairs(train.labels, seed=seed)
    low, high = (one[: round(WRONG_SHAPES * size.n_train)] for one in (low, high))
    shown = train.images.copy()
    shown[high] = frequency.hybrid_images(shown[low], shown[high], MIXING_FREQUENCY)
    training.fit(
        model,
        shown,
        train.labels,
        training.Recipe(epochs=size.epochs, lr=0.05, alpha=size.alpha),
        regularizer=_towards_v1(model, train, size, seed) if towards_v1 else None,
        seed=seed,
        progress=progress,
    )
    return model.eval()


def _towards_v1(
    model: nn.Module, train: ImageSet, size: Size, seed: int
) -> SimilarityRegularizer:
    """Return a regularizer of the last stage towards the similarities of hybrids.

    Where shape and texture agree, a network that uses only texture could reproduce the
    similarities of a cortex that uses shape. Hybrids prevent this.
    """
    from neurofreq import frequency, neural, regularize

    known, n = train.images[: size.n_stimuli], size.n_stimuli
    low, high = frequency.hybrid_pairs(train.labels[:n], seed=seed)
    stimuli = frequency.hybrid_images(known[low], known[high], MIXING_FREQUENCY)
    return regularize.SimilarityRegularizer(
        model,
        ["network.stage3"],
        neural.v1_similarity(stimuli, n_neurons=size.n_neurons, seed=seed),
        stimuli,
        n_pairs=size.n_pairs,
        all_pairs=True,
        seed=seed,
    )


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
