"""Every public function with arguments that it takes, and the kind of each argument.

``folder`` is an empty folder of the call's own. Arguments are made anew for each call.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

import neurofreq as nf
from neurofreq import attacks, data, intervals, models, neural, plot, studies, training
from neurofreq.sensitivity import fourier_basis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Call:
    """A function, its good arguments, and what kind of value each of them is.

    Parameters
    ----------
    name : str
        As a user writes it, without ``nf.``.
    function : callable
    good : callable
        Returns the arguments by name, of a folder.
    kinds : dict of str to str
        Of `hostile_values.KINDS`, of the arguments that are tried.
    words : dict of str to str
        What the message calls an argument, where that is not its name.
    """

    name: str
    function: Callable[..., Any]
    good: Callable[[Path], dict[str, Any]]
    kinds: dict[str, str]
    words: dict[str, str]


def images(n: int = 6, channels: int = 3, side: int = 16) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.random((n, channels, side, side), dtype=np.float32)


def labels(n: int = 6) -> np.ndarray:
    return np.arange(n) % 3


def network(channels: int = 3, side: int = 16, n_classes: int = 3) -> nn.Module:
    """Return a small network whose convolution is called "0"."""
    generator = torch.Generator().manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(),
        nn.Linear(4 * (side // 4) ** 2, n_classes),
    )  # fmt: skip
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layers.eval()


def image_set(n: int = 6, channels: int = 3, side: int = 16) -> data.ImageSet:
    names = ("cat", "dog", "fox")
    return data.ImageSet(images(n, channels, side), labels(n), names, "made up")


def responses(n: int = 6, k: int = 12) -> np.ndarray:
    return np.random.default_rng(1).random((n, k))


def trials(n: int = 6) -> np.ndarray:
    return np.random.default_rng(2).random((4, n, 5))


def similarity(n: int = 6) -> np.ndarray:
    return nf.response_similarity(responses(n))


def features() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).normal(size=(6, 4, 3, 3)))


CALLS: list[Call] = []


def call(
    name: str,
    function: Callable[..., Any],
    good: Callable[[Path], dict[str, Any]],
    /,
    words: dict[str, str] | None = None,
    **kinds: str,
) -> None:
    CALLS.append(Call(name, function, good, kinds, words or {}))


def settings(
    name: str, function: Callable[..., Any], good: dict, /, **kinds: str
) -> None:
    """Add a class or function of settings alone, with some that it takes."""
    call(name, function, lambda folder: dict(good), **kinds)


call(
    "power_spectrum", nf.power_spectrum,
    lambda folder: {"images": images(), "demean": True},
    images="signed images", demean="flag",
)  # fmt: skip
call(
    "radial_profile", nf.radial_profile,
    lambda folder: {"power": nf.power_spectrum(images()), "n_thresholds": 5},
    power="real", n_thresholds="count from 2",
)  # fmt: skip
settings(
    "SpectrumAccumulator", nf.SpectrumAccumulator,
    {"height": 16, "width": 16, "demean": True},
    height="count", width="count", demean="flag",
)  # fmt: skip
call(
    "SpectrumAccumulator.update",
    lambda images: nf.SpectrumAccumulator(16, 16).update(images).power,
    lambda folder: {"images": images()},
    images="signed images",
)
call(
    "fourier_sensitivity", nf.fourier_sensitivity,
    lambda folder: {
        "model": network(side=4), "images": images(side=4), "labels": labels(),
        "norm": 1.0, "seed": 0, "batch_size": 6, "device": "cpu", "progress": False,
    },
    model="classifier", images="images", labels="labels", norm="positive", seed="seed",
    batch_size="count", device="device", progress="flag",
)  # fmt: skip
settings(
    "sensitivity.fourier_basis", fourier_basis,
    {"height": 8, "width": 8, "row": 2, "column": 3},
    height="count", width="count", row="count from 0", column="count from 0",
)  # fmt: skip
call(
    "hybrid_pairs", nf.hybrid_pairs,
    lambda folder: {"labels": labels(), "seed": 0},
    labels="some labels", seed="seed",
)  # fmt: skip
call(
    "hybrid_images", nf.hybrid_images,
    lambda folder: {"low": images(), "high": images()[::-1].copy(), "frequency": 0.3},
    low="images", high="images", frequency="budgets",
)  # fmt: skip
call(
    "hybrid_curve", nf.hybrid_curve,
    lambda folder: {
        "model": network(), "images": images(), "labels": labels(),
        "frequencies": np.array([0.0, 0.5, 1.0]), "seeds": (0, 1), "batch_size": 4,
        "device": "cpu",
    },
    model="classifier", images="images", labels="labels", frequencies="finite",
    seeds="seeds", batch_size="count", device="device",
)  # fmt: skip
call(
    "response_similarity", nf.response_similarity,
    lambda folder: {"responses": responses(), "weights": np.ones(12)},
    responses="finite",
)  # fmt: skip
call(
    "response_similarity, weights", nf.response_similarity,
    lambda folder: {"responses": responses(), "weights": np.ones(12)},
    weights="weights",
)  # fmt: skip
call(
    "reliability", nf.reliability, lambda folder: {"trials": trials()}, trials="trials"
)
call(
    "similarity_loss", nf.similarity_loss,
    lambda folder: {
        "features": features(), "target": torch.from_numpy(similarity()), "half": True
    },
    features="features", target="tensor", half="flag",
)  # fmt: skip
settings(
    "SimilarityLoss", nf.SimilarityLoss, {"n_layers": 2, "half": True, "beta": 0.5},
    n_layers="count", half="flag", beta="share",
)  # fmt: skip
call(
    "SimilarityRegularizer", nf.SimilarityRegularizer,
    lambda folder: {
        "model": network(), "layers": ["0"], "similarity": similarity(),
        "stimuli": images(), "n_pairs": 2, "all_pairs": False, "half": True,
        "beta": 0.5, "seed": 0,
    },
    model="network", similarity="finite", stimuli="signed images", n_pairs="count",
    all_pairs="flag", half="flag", beta="share", seed="seed",
)  # fmt: skip


def trained_step(model: Any, **others: Any) -> Any:
    """Take a step of a model; a bad one has no parameters of its own."""
    network_ = model if isinstance(model, nn.Module) else network()
    optimizer = torch.optim.SGD(network_.parameters(), lr=0.1)
    return nf.training_step(model, optimizer, **others)


call(
    "training_step", trained_step,
    lambda folder: {
        "model": network(), "images": torch.from_numpy(images()),
        "labels": torch.from_numpy(labels()), "alpha": 1.0, "joint": False,
        "label_smoothing": 0.1, "consistency": 1.0,
    },
    model="trained", images="tensor images", labels="step labels", alpha="number",
    joint="flag", label_smoothing="share", consistency="number",
)  # fmt: skip
call(
    "corrupt", nf.corrupt,
    lambda folder: {
        "images": images(), "name": "fog", "severity": 3, "seed": 0, "layout": "nchw",
        "parameters": "auto", "first_index": 0, "progress": False,
    },
    images="pixels", name="word", severity="severity", seed="seed",
    layout="optional word", parameters="word", first_index="seed", progress="flag",
)  # fmt: skip
call(
    "Corruption", nf.Corruption,
    lambda folder: {
        "name": "fog", "severity": 3, "seed": 0, "layout": "nchw", "parameters": "auto",
    },
    name="word", severity="severity", seed="optional seed", layout="optional word",
    parameters="word",
)  # fmt: skip
call(
    "Corruption.forward", lambda images, index: nf.Corruption("fog", 1)(images, index),
    lambda folder: {"images": images(), "index": 0},
    images="pictures", index="optional seed",
)  # fmt: skip
call(
    "corruption_accuracy", nf.corruption_accuracy,
    lambda folder: {
        "model": network(), "images": images(), "labels": labels(),
        "corruptions": ("contrast",), "severities": (1,), "seed": 0,
        "parameters": "auto", "gray": False, "batch_size": 4, "device": "cpu",
        "out": folder / "out", "progress": False, "level": 0.9,
    },
    model="classifier", images="stored", labels="labels", severities="severities",
    corruptions="words", seed="seed", parameters="word", gray="flag",
    batch_size="count", device="device", out="optional path", progress="flag",
    level="share",
)  # fmt: skip
settings("set_num_threads", nf.set_num_threads, {"n_threads": 2}, n_threads="count")

# Attacks.
settings(
    "attacks.BrendelBethge", attacks.BrendelBethge,
    {
        "norm": "l2", "steps": 5, "radius": "adaptive", "first_radius": 2.0,
        "last_radius": 0.5, "decay": 0.5, "patience": 2, "tolerance": 0.01,
        "n_decays": 3, "momentum": 0.5, "normalise": True, "overshoot": 1.5,
        "overshoot_rule": "foolbox", "n_starts": 2, "scatter": False, "restarts": 1,
        "binary_search_steps": 4,
    },
    norm="word", steps="count", radius="word", first_radius="positive",
    last_radius="positive", decay="share", patience="count", tolerance="share",
    n_decays="count", momentum="share", normalise="flag", overshoot="positive",
    overshoot_rule="word", n_starts="count", scatter="flag", restarts="count from 0",
    binary_search_steps="count",
)  # fmt: skip
settings(
    "attacks.BrendelBethge.published", attacks.BrendelBethge.published,
    {"norm": "l2", "batch": 20}, norm="word", batch="count",
)  # fmt: skip
settings(
    "attacks.PGD", attacks.PGD,
    {
        "norm": "l2", "epsilon": 0.5, "steps": 3, "step_size": 0.5,
        "step_rule": "adaptive", "restarts": 1, "early_stop": True,
    },
    norm="word", epsilon="budgets", steps="count", step_size="optional positive",
    step_rule="word", restarts="count from 0", early_stop="flag",
)  # fmt: skip
settings(
    "attacks.Boundary", attacks.Boundary,
    {
        "norm": "l2", "max_queries": 50, "proposal": "estimate", "probes": 5,
        "reach": 0.25, "tolerance": 0.5, "spherical_step": 0.25, "source_step": 0.25,
        "step_adaptation": 1.5, "n_starts": 2, "binary_search_steps": 3,
    },
    norm="word", max_queries="count", proposal="word", probes="count", reach="share",
    tolerance="share", spherical_step="share", source_step="share",
    step_adaptation="positive", n_starts="count", binary_search_steps="count",
)  # fmt: skip


def attack_arguments(folder: Path) -> dict[str, Any]:
    return {
        "model": network(), "images": images(), "labels": labels(),
        "targets": (labels() + 1) % 3, "margin": 0.0, "min_probability": 0.0,
        "seed": 0, "first_index": 0, "batch_size": 4, "deterministic": False,
        "channels_last": False, "trajectory": False, "progress": False,
    }  # fmt: skip


ATTACK = {
    "model": "attacked", "images": "images", "labels": "labels", "targets": "labels",
    "margin": "number", "min_probability": "share", "seed": "seed",
    "first_index": "seed", "batch_size": "count", "deterministic": "flag",
    "channels_last": "flag", "progress": "flag",
}  # fmt: skip
call(
    "attacks.Attack.__call__", attacks.BrendelBethge("l2", steps=3), attack_arguments,
    **ATTACK, trajectory="flag",
)  # fmt: skip
for point in ("starting_points", "candidates"):
    call(
        f"attacks.Attack.__call__, {point}", attacks.BrendelBethge("l2", steps=3),
        lambda folder, point=point: attack_arguments(folder)
        | {point: images()[::-1].copy()},
        **{point: "images"},
    )  # fmt: skip
call(
    "attacks.minimal_perturbation", attacks.minimal_perturbation,
    lambda folder: {
        name: value
        for name, value in attack_arguments(folder).items()
        if name != "trajectory"
    }
    | {
        "norm": "l2", "repeats": 1, "budgets": [0.5],
        "attack": attacks.BrendelBethge("l2", steps=2),
    },
    **ATTACK, norm="word", repeats="count", attack="network", budgets="finite",
)  # fmt: skip
call(
    "attacks.evaluate", attacks.evaluate,
    lambda folder: {
        "attack": attacks.PGD("l2", steps=2), "model": network(),
        "loader": [(images(), labels())], "targets": (labels() + 1) % 3,
        "out": folder / "out", "keep_images": False, "seed": 0, "progress": False,
        "batch_size": 4,
    },
    model="network", targets="labels", out="optional path", keep_images="flag",
    seed="seed", progress="flag", attack="network", loader="network",
    batch_size="count",
)  # fmt: skip
call(
    "attacks.perturbation_size", attacks.perturbation_size,
    lambda folder: {
        "adversarial": images(), "images": images()[::-1].copy(), "norm": "linf",
        "signed": "positive",
    },
    adversarial="signed images", images="signed images", norm="word",
    signed="optional word",
)  # fmt: skip
call(
    "attacks.shuffled_targets", attacks.shuffled_targets,
    lambda folder: {"labels": labels(), "seed": 0, "method": "elm"},
    labels="some labels", seed="seed", method="word",
)  # fmt: skip
call(
    "attacks.success_curve", attacks.success_curve,
    lambda folder: {"distance": np.array([0.1, 0.2]), "epsilons": np.array([0.1, 0.3])},
    distance="finite", epsilons="finite or empty",
)  # fmt: skip

# Data.
call(
    "data.ImageSet", data.ImageSet,
    lambda folder: {
        "images": images(), "labels": labels(), "class_names": ("cat", "dog", "fox"),
        "name": "made up",
    },
    images="stored", labels="labels", name="text",
)  # fmt: skip
call(
    "data.ImageSet.take", image_set().take, lambda folder: {"which": np.array([0, 2])},
    which="which",
)  # fmt: skip
call(
    "data.ImageSet.sample", image_set().sample, lambda folder: {"n": 3, "seed": 0},
    n="count", seed="seed",
)  # fmt: skip
for name in ("open_data", "load_data"):
    call(
        f"data.{name}", getattr(data, name),
        lambda folder: {"spec": "synthetic", "split": "test", "n": 8},
        spec="word", split="word", n="optional count",
    )  # fmt: skip
call(
    "data.write_corrupted", data.write_corrupted,
    lambda folder: {
        "data": image_set(), "out": folder / "out", "names": ("contrast",), "seed": 0,
        "parameters": "auto", "layout": "arrays", "batch_size": 4, "progress": False,
    },
    data="network", out="path", names="words", seed="seed", parameters="word",
    layout="word", batch_size="count", progress="flag",
)  # fmt: skip
for name, tail in (
    ("open_cifar10", {"split": "test", "n": 4}), ("open_folder", {}),
    ("open_imagenet", {"split": "test"}), ("open_tinyimagenet", {"split": "test"}),
    ("CorruptedFolder", {}),
):  # fmt: skip
    call(
        f"data.{name}", getattr(data, name),
        lambda folder, tail=tail: {"folder": folder / "absent"} | tail,
        words={"split": ""}, folder="path",
    )  # fmt: skip

# Intervals.
call(
    "intervals.resampled_means", intervals.resampled_means,
    lambda folder: {"values": responses(), "n_resamples": 10, "seed": 0},
    values="finite", n_resamples="count", seed="seed",
)  # fmt: skip
call(
    "intervals.percentile_interval", intervals.percentile_interval,
    lambda folder: {"statistic": responses()[0], "level": 0.9},
    statistic="numbers", level="share",
)  # fmt: skip

# Models.
settings(
    "models.small_cnn", models.small_cnn,
    {"n_classes": 3, "width": 2, "in_channels": 1},
    n_classes="count", width="count", in_channels="count",
)  # fmt: skip
for name in ("resnet18", "resnet18_gray"):
    settings(
        f"models.{name}", getattr(models, name),
        {"base_width": 2, "stem": 3, "n_classes": 3},
        base_width="count", stem="severity", n_classes="count",
    )  # fmt: skip
settings(
    "models.vgg19_bn", models.vgg19_bn, {"base_width": 1, "n_classes": 3},
    base_width="count", n_classes="count",
)  # fmt: skip
settings("models.Blur", models.Blur, {"sigma": 1.5}, sigma="positive")
call(
    "models.PCA.fit", models.PCA.fit,
    lambda folder: {"images": images(), "n_components": 2, "seed": 0},
    images="images", n_components="count", seed="seed",
)  # fmt: skip
call(
    "models.fold_batch_norm", models.fold_batch_norm,
    lambda folder: {"model": network(), "images": images(), "tolerance": 1e-4},
    model="network", images="signed images", tolerance="number",
)  # fmt: skip
call(
    "models.load_model", models.load_model,
    lambda folder: {"spec": "small_cnn", "weights": folder / "absent.pt"},
    words={"weights": ""}, spec="word", weights="optional path",
)  # fmt: skip
settings("models.parse_spec", models.parse_spec, {"text": "small_cnn"}, text="text")

# Targets.
settings(
    "neural.PredictiveModel", neural.PredictiveModel,
    {
        "size": (8, 8), "front": "gabor", "n_channels": 2, "n_layers": 1,
        "kernels": (5, 3), "n_scales": 1, "loss": "poisson", "sparsity": 0.1,
        "smoothness": 0.1, "weight_decay": 0.1, "lr": 0.1, "batch_size": 4,
        "max_epochs": 1, "patience": 1, "n_folds": 3, "seed": 0, "device": "cpu",
    },
    front="word", n_channels="count", n_layers="count from 0", n_scales="count",
    loss="word", sparsity="number", smoothness="number", weight_decay="number",
    lr="positive", batch_size="count from 2", max_epochs="count", patience="count",
    n_folds="count from 2", seed="seed", device="device",
)  # fmt: skip
call(
    "neural.Responses", neural.Responses, lambda folder: {"trials": trials()},
    trials="trials",
)  # fmt: skip
call(
    "neural.Responses.complete", neural.Responses(trials()).complete,
    lambda folder: {"drop": "images"}, drop="word",
)  # fmt: skip
call(
    "neural.Responses.save", neural.Responses(trials()).save,
    lambda folder: {"path": folder / "kept.npz"}, path="path",
)  # fmt: skip
call(
    "neural.Responses.from_npz", neural.Responses.from_npz,
    lambda folder: {"path": folder / "absent.npz"}, path="path",
)  # fmt: skip
call(
    "neural.Target", neural.Target,
    lambda folder: {"similarity": similarity(), "source": "pixel", "detail": ""},
    similarity="finite", source="word", detail="text",
)  # fmt: skip
call(
    "neural.Target.shuffled", neural.Target(similarity(), "pixel").shuffled,
    lambda folder: {"seed": 0}, seed="seed",
)  # fmt: skip
call(
    "neural.Target.select", neural.Target(similarity(), "pixel").select,
    lambda folder: {"images": np.array([0, 2])}, images="which",
)  # fmt: skip
call(
    "neural.Target.save", neural.Target(similarity(), "pixel").save,
    lambda folder: {"path": folder / "kept.npz"}, path="path",
)  # fmt: skip
call(
    "neural.Target.load", neural.Target.load,
    lambda folder: {"path": folder / "absent.npz"}, path="path",
)  # fmt: skip
call(
    "neural.noise_ceiling", neural.noise_ceiling,
    lambda folder: {"similarities": [similarity()] * 2, "method": "pearson"},
    method="word",
)  # fmt: skip
call(
    "neural.similarity_correlation", neural.similarity_correlation,
    lambda folder: {
        "first": similarity(), "second": similarity(), "method": "pearson"
    },
    first="finite", second="finite", method="word",
)  # fmt: skip
call(
    "neural.simulate_v1", neural.simulate_v1,
    lambda folder: {
        "images": images(), "n_trials": 2, "n_neurons": 4, "mean_count": 5.0,
        "noise": "poisson", "seed": 0,
    },
    images="images", n_trials="count", n_neurons="count", mean_count="positive",
    noise="word", seed="seed",
)  # fmt: skip
call(
    "neural.v1_similarity", neural.v1_similarity,
    lambda folder: {"images": images(), "n_trials": 2, "n_neurons": 8, "seed": 0},
    images="images", n_trials="count", n_neurons="count", seed="seed",
)  # fmt: skip
call(
    "neural.pixel_similarity", neural.pixel_similarity,
    lambda folder: {"images": images()}, images="images",
)  # fmt: skip
call(
    "neural.split_half", neural.split_half,
    lambda folder: {
        "trials": trials(), "level": "neurons", "n_splits": 2, "spearman_brown": True,
        "seed": 0,
    },
    trials="trials", level="word", n_splits="count", spearman_brown="flag", seed="seed",
)  # fmt: skip
call(
    "neural.teacher_similarity", neural.teacher_similarity,
    lambda folder: {
        "model": network(), "layer": "0", "images": images(), "batch_size": 4
    },
    model="network", layer="word", images="signed images", batch_size="count",
)  # fmt: skip
call(
    "neural.threshold_similarity", neural.threshold_similarity,
    lambda folder: {"similarity": similarity(), "threshold": 0.5},
    similarity="finite", threshold="share",
)  # fmt: skip

# Pictures.
call(
    "plot.plot_spectrum", plot.plot_spectrum,
    lambda folder: {"power": nf.power_spectrum(images())}, power="real",
)  # fmt: skip
for name in (
    "plot_radial_profiles", "plot_hybrid_curves", "plot_success_curves",
    "plot_corruption_severity", "plot_corruption_groups",
):  # fmt: skip
    parameter = next(iter(inspect.signature(getattr(plot, name)).parameters))
    call(
        f"plot.{name}", getattr(plot, name),
        lambda folder, parameter=parameter: {
            parameter: {"mine": plot.Curve([0.0, 1.0], [0.0, 1.0])}
        },
        **{parameter: "curves"},
    )  # fmt: skip
settings("plot.color", plot.color, {"position": 1}, position="count from 0")

# Studies and reports.
STUDY = {
    "n_attack": 2, "attack_steps": 2, "n_hybrid": 6, "n_corruption": 2,
    "n_thresholds": 5, "seed": 0, "frequencies": (0.0, 1.0), "seeds": (0,),
    "corruptions": ("contrast",),
}  # fmt: skip


def studied(out_dir: Any, **others: Any) -> Any:
    """Run a small study of which settings are given."""
    running = {
        name: others.pop(name)
        for name in ("batch_size", "device", "progress", "resume")
    }
    spec = {
        "data": image_set(), "models": [studies.ModelEntry(network(), "mine")],
        "measurements": ["clean"], "settings": others,
    }  # fmt: skip
    return studies.run(spec, out_dir, **running).n_measured


call(
    "studies.run", studied,
    lambda folder: STUDY
    | {
        "out_dir": folder / "out", "batch_size": 4, "device": "cpu", "progress": False,
        "resume": True, "targeted": True, "gray": "never", "fold": False,
    },
    out_dir="path", batch_size="count", device="device", progress="flag",
    resume="flag", n_attack="optional count", attack_steps="count",
    n_hybrid="optional count", n_corruption="optional count",
    n_thresholds="count from 2", seed="seed", seeds="seeds", corruptions="words",
    frequencies="frequencies", targeted="flag", gray="word", fold="flag",
)  # fmt: skip
call(
    "report.run", nf.report.run,
    lambda folder: {
        "models": {"mine": network()}, "data": image_set(), "out_dir": folder / "out",
        "n_attack": 2, "attack_steps": 2, "targeted": True, "n_hybrid": 6,
        "n_corruption": 2, "n_thresholds": 5, "seeds": (0,), "seed": 0,
        "batch_size": 4, "device": "cpu", "gray": "never", "measurements": ["clean"],
        "progress": False,
    },
    models="network", data="network", out_dir="path", n_attack="optional count",
    attack_steps="optional count", targeted="flag or none", n_hybrid="optional count",
    n_corruption="optional count", n_thresholds="optional count", seeds="seeds",
    seed="optional seed", batch_size="count", device="device", gray="word",
    measurements="words", progress="flag",
)  # fmt: skip
for name in ("load", "status"):
    call(
        f"studies.{name}", getattr(studies, name),
        lambda folder: {"out_dir": folder / "absent"}, out_dir="path",
    )  # fmt: skip

# Training.
settings(
    "training.Adversary", training.Adversary,
    {"norm": "l2", "epsilon": 0.5, "steps": 2, "step": 0.5},
    norm="word", epsilon="positive", steps="count", step="positive",
)  # fmt: skip
_OF_TYPE = {bool: "flag", int: "count", float: "number", str: "word"}
_RECIPE = inspect.signature(training.Recipe).parameters
settings(
    "training.Recipe", training.Recipe,
    {name: one.default for name, one in _RECIPE.items()},
    **{name: _OF_TYPE[type(one.default)] for name, one in _RECIPE.items()}
    | {"name": "text", "network": "text", "layers": "layers"},
)  # fmt: skip
settings("training.Recipe.fast", training.Recipe().fast, {"epochs": 2}, epochs="count")
call(
    "training.augmix", training.augmix,
    lambda folder: {
        "images": torch.from_numpy(images()), "generator": torch.Generator(),
        "severity": 1.0, "width": 2, "depth": 2, "alpha": 1.0,
    },
    images="images", severity="positive", width="count", depth="count",
    alpha="positive",
)  # fmt: skip
call(
    "training.shift_and_flip", training.shift_and_flip,
    lambda folder: {
        "images": torch.from_numpy(images()), "generator": torch.Generator(),
        "padding": 2, "mode": "reflect",
    },
    padding="count from 0", mode="word",
)  # fmt: skip
call(
    "training.CoTraining", training.CoTraining,
    lambda folder: {
        "model": network(), "layer": "0", "responses": responses(),
        "stimuli": images(), "batch_size": 4, "positive": True, "seed": 0,
        "source": "mine",
    },
    model="network", layer="word", responses="finite", stimuli="signed images",
    batch_size="count", positive="flag", seed="seed", source="text",
)  # fmt: skip
call(
    "training.fit", training.fit,
    lambda folder: {
        "model": network(), "images": images(), "labels": labels(),
        "recipe": training.Recipe(epochs=1, batch_size=4, lr=0.01),
        "folder": folder / "out", "seed": 0, "progress": False,
    },
    model="trained", images="images", labels="labels", folder="optional path",
    seed="seed", progress="flag", recipe="network",
)  # fmt: skip
call(
    "training.train", training.train,
    lambda folder: {
        "recipe": training.Recipe(
            epochs=1, batch_size=4, lr=0.01, network="small_cnn"
        ),
        "data": image_set(channels=1, side=32), "out": folder / "out", "seed": 0,
        "device": "cpu", "progress": False, "source": "mine",
    },
    recipe="network", data="network", out="path", seed="seed", device="device",
    progress="flag",
)  # fmt: skip
