"""Data, models, targets, studies and training."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from hostile_made import (
    call,
    image_set,
    images,
    labels,
    network,
    responses,
    settings,
    similarity,
    trials,
)

import neurofreq as nf
from neurofreq import data, intervals, models, neural, studies, training

if TYPE_CHECKING:
    from collections.abc import Callable

# Data.
call(
    "data.ImageSet", data.ImageSet,
    lambda folder: {
        "images": images(), "labels": labels(), "class_names": ("cat", "dog", "fox"),
        "name": "made up",
    },
    images="set images", labels="labels or names", name="text",
)  # fmt: skip
call(
    "data.as_image_set", data.as_image_set,
    lambda folder: {
        "data": (images(), labels()), "name": "mine", "progress": False,
    },
    data="network", name="text", progress="flag",
)  # fmt: skip
call(
    "data.ImageSet.take", image_set().take, lambda folder: {"which": np.array([0, 2])},
    words={"which": ""}, which="which",
)  # fmt: skip
call(
    "data.ImageSet.sample", image_set().sample, lambda folder: {"n": 3, "seed": 0},
    n="count", seed="seed",
)  # fmt: skip
for name in ("open_data", "load_data"):
    call(
        f"data.{name}", getattr(data, name),
        lambda folder, name=name: {"spec": "synthetic", "split": "test", "n": 8}
        | ({"progress": False} if name == "load_data" else {}),
        words={"spec": ""},
        spec="word", split="word", n="optional count",
        **({"progress": "flag"} if name == "load_data" else {}),
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
settings(
    "intervals.PoissonBootstrap", intervals.PoissonBootstrap,
    {"n_quantities": 2, "n_resamples": 10, "seed": 0},
    n_quantities="count", n_resamples="count", seed="seed",
)  # fmt: skip
call(
    "intervals.PoissonBootstrap.update",
    lambda index, values: intervals.PoissonBootstrap(3).update(index, values),
    lambda folder: {"index": np.arange(6), "values": np.ones((6, 3))},
    values="finite or empty",
)  # fmt: skip
for name in ("save", "load"):
    call(
        f"intervals.PoissonBootstrap.{name}",
        getattr(intervals.PoissonBootstrap(2), name),
        lambda folder: {"path": folder / "absent" / "kept.npz"}, path="path",
    )  # fmt: skip

# Models.


def seeded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that draws the same weights at each call."""

    def drawn(**arguments: Any) -> Any:
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            return function(**arguments)

    return drawn


settings(
    "models.small_cnn", seeded(models.small_cnn),
    {"n_classes": 3, "width": 2, "in_channels": 1},
    n_classes="count", width="count", in_channels="count",
)  # fmt: skip
for name in ("resnet18", "resnet18_gray"):
    settings(
        f"models.{name}", seeded(getattr(models, name)),
        {"base_width": 2, "stem": 3, "n_classes": 3},
        base_width="count", stem="severity", n_classes="count",
    )  # fmt: skip
settings(
    "models.vgg19_bn", seeded(models.vgg19_bn), {"base_width": 1, "n_classes": 3},
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
    words={"spec": ""}, spec="word", weights="optional path",
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
    "neural.Responses.from_spikes", neural.Responses.from_spikes,
    lambda folder: {
        "spikes": [np.arange(0.0, 6.0, 0.3)], "onsets": np.arange(6.0),
        "images": labels(), "window": (0.0, 0.5),
    },
    onsets="responses",
)  # fmt: skip
call(
    "neural.Responses.from_traces", neural.Responses.from_traces,
    lambda folder: {
        "traces": np.random.default_rng(4).random((70, 2)),
        "times": np.arange(70) / 10.0, "onsets": np.arange(6.0), "images": labels(),
        "window": (0.0, 0.5),
    },
    traces="trials", times="responses", onsets="responses",
)  # fmt: skip
call(
    "neural.Responses.from_nwb", neural.Responses.from_nwb,
    lambda folder: {"file": folder / "absent.nwb", "image": "picture"}, image="text",
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
settings(
    "neural.Predictor", neural.Predictor,
    {
        "model": network(), "recordings": "made up", "gray": False, "size": (16, 16),
        "fit": "crop", "value_range": (0.0, 1.0), "mean": 0.5, "std": 0.5,
        "batch_size": 2, "device": "cpu",
    },
    model="network", recordings="text", gray="flag or word", fit="word",
    batch_size="count", device="device",
)  # fmt: skip
call(
    "neural.Predictor.predict", neural.Predictor(network()).predict,
    lambda folder: {"images": images()}, images="images",
)  # fmt: skip
call(
    "neural.neural_similarity", neural.neural_similarity,
    lambda folder: {
        "models": neural.Predictor(network()), "images": images(), "weights": np.ones(3)
    },
    images="images", weights="weights",
)  # fmt: skip
call(
    "neural.load_predictor", neural.load_predictor,
    lambda folder: {
        "name": "sensorium", "path": folder / "absent.pth", "device": "cpu"
    },
    name="word", path="path", device="device",
)  # fmt: skip
call(
    "neural.image_order", neural.image_order,
    lambda folder: {
        "images": images(), "responses": responses(), "expected": similarity(),
        "n_orders": 3, "seed": 0,
    },
    expected="optional finite", n_orders="count", seed="seed",
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
        "model": network(), "layer": "0", "images": images(), "batch_size": 4,
        "progress": False,
    },
    model="network", layer="word", images="signed images", batch_size="count",
    progress="flag",
)  # fmt: skip
call(
    "neural.threshold_similarity", neural.threshold_similarity,
    lambda folder: {"similarity": similarity(), "threshold": 0.5},
    similarity="finite", threshold="share",
)  # fmt: skip

# Pictures.
# Studies and reports.
STUDY = {
    "n_attack": 2, "attack_steps": 2, "n_hybrid": 6, "n_corruption": 2,
    "n_thresholds": 5, "seed": 0, "frequencies": (0.0, 1.0), "seeds": (0,),
    "corruptions": ("contrast",),
}  # fmt: skip


def studied(out_dir: Any, **others: Any) -> Any:
    """Run a small study with some settings."""
    running = {
        name: others.pop(name)
        for name in ("batch_size", "device", "progress", "resume", "n_workers")
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
        "resume": True, "n_workers": None, "targeted": True, "gray": "never",
        "fold": False,
    },
    out_dir="path", batch_size="optional count", device="device", progress="flag",
    resume="flag", n_workers="optional count", n_attack="optional count",
    attack_steps="count", n_hybrid="optional count", n_corruption="optional count",
    n_thresholds="count from 2", seed="seed", seeds="seeds", corruptions="words",
    frequencies="frequencies", targeted="flag", gray="word", fold="flag",
)  # fmt: skip
call(
    "report.run", nf.report.run,
    lambda folder: {
        "models": {"mine": network()}, "data": image_set(), "out_dir": folder / "out",
        "n_attack": 2, "attack_steps": 2, "targeted": True, "n_hybrid": 6,
        "n_corruption": 2, "n_filtered": 2, "contrast": 0.5, "criterion": 0.4,
        "per_octave": 2,
        "n_thresholds": 5, "seeds": (0,), "seed": 0, "batch_size": 4, "device": "cpu",
        "gray": "never", "measurements": ["clean"], "progress": False, "vector": False,
    },
    words={"models": "model"},
    models="network", data="network", out_dir="path", n_attack="optional count",
    attack_steps="optional count", targeted="flag or none", n_hybrid="optional count",
    n_corruption="optional count", n_filtered="optional count",
    contrast="optional positive", criterion="optional share",
    per_octave="optional count",
    n_thresholds="optional count", seeds="seeds", seed="optional seed",
    batch_size="optional count", device="device", gray="word", measurements="words",
    progress="flag", vector="flag",
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
        "folder": folder / "out", "seed": 0, "progress": False, "capture": False,
    },
    model="trained", images="images", labels="labels", folder="optional path",
    seed="seed", progress="flag", recipe="optional network", capture="optional flag",
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
