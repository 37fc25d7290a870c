"""Functions that measure: spectra, hybrids, similarities, corruptions, attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from hostile_made import (
    call,
    features,
    images,
    labels,
    network,
    responses,
    settings,
    similarity,
    trials,
)
from torch import nn

import neurofreq as nf
from neurofreq import attacks

if TYPE_CHECKING:
    from pathlib import Path


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
    {
        "height": 16, "width": 16, "demean": True, "n_resamples": 3,
        "n_thresholds": 5, "seed": 0,
    },
    height="count", width="count", demean="flag", n_resamples="count from 0",
    n_thresholds="count from 2", seed="seed",
)  # fmt: skip
call(
    "SpectrumAccumulator.update",
    lambda images: nf.SpectrumAccumulator(16, 16).update(images).power,
    lambda folder: {"images": images()},
    images="signed images",
)
settings(
    "frequency.HybridAccumulator", nf.frequency.HybridAccumulator,
    {"frequencies": [0.1, 0.5], "n_resamples": 3, "seed": 0},
    n_resamples="count", seed="seed",
)  # fmt: skip
settings(
    "corruptions.CellAccumulator", nf.corruptions.CellAccumulator,
    {
        "corruptions": ["fog"], "severities": [1], "n_resamples": 3, "seed": 0,
        "level": 0.9,
    },
    n_resamples="count", seed="seed", level="share",
)  # fmt: skip
call(
    "frequency.image_spectra", nf.frequency.image_spectra,
    lambda folder: {"images": images(), "n_thresholds": 5, "edges": [0.0, 0.25, 0.5]},
    images="signed images", n_thresholds="count from 2", edges="optional finite",
)  # fmt: skip
call(
    "frequency.ImageSpectra.related",
    nf.frequency.image_spectra(images()).related,
    lambda folder: {
        "values": {"row": np.arange(6.0)}, "level": 0.9, "n_resamples": 3, "seed": 0,
    },
    level="share", n_resamples="count", seed="seed",
)  # fmt: skip
call(
    "frequency.ImageSpectra.by_class",
    nf.frequency.image_spectra(images()).by_class,
    lambda folder: {"labels": labels(), "quantity": "size", "level": 0.9},
    labels="labels", quantity="word", level="share",
)  # fmt: skip
call(
    "fourier_sensitivity", nf.fourier_sensitivity,
    lambda folder: {
        "model": network(side=8), "images": images(side=8), "labels": labels(),
        "norm": 1.0, "per_octave": 2, "seed": 0, "batch_size": 6, "device": "cpu",
        "progress": False,
    },
    model="classifier", images="images", labels="labels", norm="positive",
    per_octave="optional count", seed="seed", batch_size="optional count",
    device="device", progress="flag",
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
        "device": "cpu", "progress": False,
    },
    model="classifier", images="images", labels="labels", frequencies="optional finite",
    seeds="seeds", batch_size="optional count", device="device", progress="flag",
)  # fmt: skip
call(
    "filtered_accuracy", nf.filtered_accuracy,
    lambda folder: {
        "model": network(), "images": images(), "labels": labels(),
        "filters": ["low-pass", "phase-noise"], "kind": "butterworth", "order": 3.0,
        "unit": "nyquist", "seed": 0, "batch_size": 4, "device": "cpu", "gray": "auto",
        "progress": False,
    },
    model="classifier", images="images", labels="labels", filters="words", kind="word",
    order="positive", unit="word", seed="seed", batch_size="optional count",
    device="device", gray="flag or word", progress="flag",
)  # fmt: skip
call(
    "band_masking", nf.band_masking,
    lambda folder: {
        "model": network(), "images": images(), "labels": labels(),
        "sds": np.array([0.05, 0.1]), "contrast": 0.5, "mean": 0.4, "criterion": 0.3,
        "seed": 0, "batch_size": 4, "device": "cpu", "gray": "auto", "progress": False,
    },
    model="classifier", images="images", labels="labels", sds="finite",
    contrast="positive", mean="share", criterion="share", seed="seed",
    batch_size="optional count", device="device", gray="flag or word", progress="flag",
)  # fmt: skip
call(
    "frequency.high_pass, keep_mean", nf.frequency.high_pass,
    lambda folder: {"images": images(), "cutoff": 0.2, "keep_mean": False},
    keep_mean="flag",
)  # fmt: skip
for name in ("low_pass", "high_pass"):
    call(
        f"frequency.{name}", getattr(nf.frequency, name),
        lambda folder: {
            "images": images(), "cutoff": 0.2, "kind": "butterworth", "order": 3.0,
            "unit": "nyquist",
        },
        images="signed images", cutoff="budgets", kind="word", order="positive",
        unit="word",
    )  # fmt: skip
call(
    "frequency.band_pass", nf.frequency.band_pass,
    lambda folder: {
        "images": images(), "low": 0.1, "high": 0.4, "kind": "ideal", "order": 3.0,
        "unit": "nyquist", "keep_mean": False,
    },
    images="signed images", low="positive", high="positive", kind="word",
    order="positive", unit="word", keep_mean="flag",
)  # fmt: skip
call(
    "frequency.orientation_pass", nf.frequency.orientation_pass,
    lambda folder: {
        "images": images(), "orientation": 30.0, "width": 40.0, "kind": "ideal",
        "order": 3.0, "keep_mean": False,
    },
    images="signed images", orientation="number", width="positive", kind="word",
    order="positive", keep_mean="flag",
)  # fmt: skip
call(
    "frequency.phase_noise", nf.frequency.phase_noise,
    lambda folder: {"images": images(), "width": 90.0, "seed": 0, "first_index": 3},
    images="signed images", width="number", seed="seed", first_index="count from 0",
)  # fmt: skip
call(
    "frequency.whiten", nf.frequency.whiten, lambda folder: {"images": images()},
    images="signed images",
)  # fmt: skip
call(
    "frequency.combine_spectra", nf.frequency.combine_spectra,
    lambda folder: {"amplitude": images(), "phase": images()[::-1].copy()},
    amplitude="signed images", phase="signed images",
)  # fmt: skip
settings(
    "frequency.Filter", nf.frequency.Filter, {"name": "whiten"}, name="word",
)  # fmt: skip
call(
    "cycles_per_degree", nf.frequency.cycles_per_degree,
    lambda folder: {
        "frequency": 0.3, "pixels_per_degree": 8.0, "unit": "cycles/pixel",
    },
    frequency="budgets", pixels_per_degree="positive", unit="word",
)  # fmt: skip
call(
    "pixels_per_degree", nf.frequency.pixels_per_degree,
    lambda folder: {"distance": 570.0, "pixel_pitch": 0.265},
    distance="positive", pixel_pitch="positive",
)  # fmt: skip
call(
    "response_similarity", nf.response_similarity,
    lambda folder: {"responses": responses(), "weights": np.ones(12)},
    responses="responses",
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
    """Take a step of a model; a bad model has no parameters of its own."""
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


def captured_step(model: Any, **others: Any) -> Any:
    """Build a step for a model; a bad model has no parameters of its own."""
    network_ = model if isinstance(model, nn.Module) else network()
    optimizer = torch.optim.SGD(network_.parameters(), lr=0.1)
    return nf.training.CapturedStep(model, optimizer, **others)


call(
    "training.CapturedStep", captured_step,
    lambda folder: {
        "model": network(), "alpha": 1.0, "joint": False, "label_smoothing": 0.1,
        "consistency": 1.0, "capture": False,
    },
    model="network", alpha="number", joint="flag", label_smoothing="share",
    consistency="number", capture="optional flag",
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
    "Corruption.forward",
    lambda images, index: nf.Corruption("fog", 1, seed=0)(images, index=index),
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
    corruptions="words", seed="seed", parameters="word", gray="flag or word",
    batch_size="optional count", device="device", out="optional path", progress="flag",
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
        "binary_search_steps": 4, "survey": 3, "descent": 2,
    },
    norm="word", steps="count", radius="word", first_radius="positive",
    last_radius="positive", decay="optional share", patience="optional count",
    tolerance="share", n_decays="count", momentum="share", normalise="flag",
    overshoot="positive", overshoot_rule="word", n_starts="count", scatter="flag",
    restarts="count from 0", binary_search_steps="count",
    survey="optional count from 0", descent="count from 0",
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
    norm="word", max_queries="count", proposal="word", probes="count",
    reach="optional share", tolerance="share", spherical_step="share",
    source_step="share", step_adaptation="positive", n_starts="count",
    binary_search_steps="count",
)  # fmt: skip


def attack_arguments(folder: Path) -> dict[str, Any]:
    return {
        "model": network(), "images": images(), "labels": labels(),
        "targets": (labels() + 1) % 3, "margin": 0.0, "min_probability": 0.0,
        "seed": 0, "first_index": 0, "batch_size": 4, "deterministic": False,
        "channels_last": False, "trajectory": False, "progress": False,
        "capture": False, "epsilons": [0.1, 0.0],
    }  # fmt: skip


ATTACK = {
    "model": "attacked", "images": "images", "labels": "labels",
    "targets": "optional labels", "margin": "number", "min_probability": "share",
    "seed": "seed",
    "first_index": "seed", "batch_size": "optional count", "deterministic": "flag",
    "channels_last": "flag", "progress": "flag", "capture": "optional flag",
}  # fmt: skip
call(
    "attacks.Attack.__call__", attacks.BrendelBethge("l2", steps=3), attack_arguments,
    **ATTACK, trajectory="flag", epsilons="optional budgets in order",
)  # fmt: skip
for point in ("starting_points", "candidates"):
    call(
        f"attacks.Attack.__call__, {point}", attacks.BrendelBethge("l2", steps=3),
        lambda folder, point=point: attack_arguments(folder)
        | {point: images()[::-1].copy()},
        **{point: "optional images"},
    )  # fmt: skip
call(
    "attacks.minimal_perturbation", attacks.minimal_perturbation,
    lambda folder: {
        name: value
        for name, value in attack_arguments(folder).items()
        if name not in ("trajectory", "epsilons")
    }
    | {
        "norm": "l2", "repeats": 1, "budgets": [0.5],
        "attack": attacks.BrendelBethge("l2", steps=2),
    },
    **ATTACK, norm="word", repeats="count", attack="optional network",
    budgets="optional budgets",
)  # fmt: skip
call(
    "attacks.evaluate", attacks.evaluate,
    lambda folder: {
        "attack": attacks.PGD("l2", steps=2), "model": network(),
        "loader": [(images(), labels())], "targets": (labels() + 1) % 3,
        "out": folder / "out", "keep_images": False, "seed": 0, "progress": False,
        "batch_size": 4,
    },
    model="network", targets="targets of a loader", out="optional path",
    keep_images="flag",
    seed="seed", progress="flag", attack="network", loader="network",
    batch_size="optional count",
)  # fmt: skip
call(
    "attacks.robust_accuracy", attacks.robust_accuracy,
    lambda folder: {
        "model": network(), "images": images(), "labels": labels(),
        "epsilons": [0.1, 0.0], "norm": "l2", "steps": 2, "decision": "auto",
        "max_queries": 20, "level": 0.9, "seed": 0, "first_index": 0, "batch_size": 4,
        "deterministic": False, "channels_last": False, "progress": False,
        "capture": False,
    },
    model="attacked", images="images", labels="labels", epsilons="budgets in order",
    norm="word", steps="count", decision="word", max_queries="count", level="share",
    seed="seed", first_index="seed", batch_size="optional count", deterministic="flag",
    channels_last="flag", progress="flag", capture="optional flag",
)  # fmt: skip
call(
    "attacks.AttackResult.success_at",
    lambda epsilons: attacks.PGD("l2", steps=2)(
        network(), images(), labels()
    ).success_at(epsilons),
    lambda folder: {"epsilons": [0.1, 0.0]}, epsilons="budgets in order",
)  # fmt: skip
settings(
    "attacks.Wrapped", attacks.Wrapped,
    {"attack": lambda images, labels: images, "norm": "l2"}, attack="network",
    norm="word",
)  # fmt: skip
call(
    "attacks.as_foolbox", attacks.as_foolbox,
    lambda folder: {"attack": attacks.PGD("l2", steps=2), "seed": 0},
    attack="network", seed="seed",
)  # fmt: skip
call(
    "attacks.FoolboxAttack.__call__", attacks.as_foolbox(attacks.PGD("l2", steps=2)),
    lambda folder: {
        "model": network(), "inputs": torch.from_numpy(images()),
        "criterion": torch.from_numpy(labels()), "epsilons": [0.1, 0.2],
    },
    inputs="tensor images", epsilons="budgets or one",
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
