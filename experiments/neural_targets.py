"""Measure how well a predictive model denoises the similarities of real recordings.

Usage: python experiments/neural_targets.py --data FOLDER [--only macaque]

FOLDER holds mouse_v1_antolik2016.npz and macaque_v1_henaff2021.npz. For every scan,
the similarity of held-out predictions and the similarity of single trials are compared
with the similarity of the mean over trials, as in Li et al. 2019. Fits are saved in
--work, and a stopped run resumes. Results go to docs/results/neural-targets/.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch

import neurofreq as nf
from neurofreq import neural
from neurofreq._shared.runtime import processor

ROOT = Path(__file__).resolve().parents[1]
N_SPLITS = 20


class Scan(NamedTuple):
    """A recording, its images, and which images enter the comparison."""

    name: str
    images: np.ndarray
    responses: neural.Responses
    groups: np.ndarray
    judged: np.ndarray
    settings: dict[str, Any]


def mouse(folder: Path) -> list[Scan]:
    """Return the scans of the mouse: three regions, 50 images each."""
    scans = []
    with np.load(folder / "mouse_v1_antolik2016.npz") as file:
        for region in (1, 2, 3):
            images = file[f"region{region}_images"].astype(np.float32)[:, None] / 255
            responses = neural.Responses(file[f"region{region}_trials"])
            everything = np.ones(len(images), bool)
            settings = MOUSE
            scans.append(
                Scan(
                    f"mouse V1, region {region}",
                    images,
                    responses.active(),
                    np.arange(len(images)),
                    everything,
                    settings,
                )
            )
    return scans


def macaque(folder: Path) -> list[Scan]:
    """Return the scan of the macaque: nine joined populations, grouped by movie.

    Synthetic and contrast images are for training only; natural images are compared.
    """
    with np.load(folder / "macaque_v1_henaff2021.npz") as file:
        present = file["image_present"]
        images = file["images"][present].astype(np.float32)[:, None] / 255
        kind = np.broadcast_to(np.arange(3)[None, :, None, None], present.shape)
        movie = np.broadcast_to(np.arange(10)[None, None, :, None], present.shape)
        scans = []
        for key in file:
            if key.startswith("counts_"):
                counts = file[key][present].astype(np.float64)
                counts[counts == 255] = np.nan
                session = key.removeprefix("counts_")
                scans.append(
                    neural.Responses(
                        counts.transpose(2, 0, 1),
                        neuron={"session": [session] * counts.shape[1]},
                    )
                )
    responses = neural.Responses.join(scans).active()
    judged = kind[present] == 0
    return [Scan("macaque V1", images, responses, movie[present], judged, MACAQUE)]


MOUSE: dict[str, Any] = {"n_folds": 10, "n_layers": 0, "batch_size": 16}
MACAQUE: dict[str, Any] = {"n_folds": 5, "n_layers": 0, "size": (64, 64)}


def single_trials(responses: neural.Responses, weights: np.ndarray) -> np.ndarray:
    """Correlate the similarity of each trial with that of the mean of the others.

    A neuron's trial t of an image is the t-th that it has; those that every neuron
    and image has are taken.
    """
    absent = np.isnan(responses.trials)
    order = np.argsort(absent, axis=0, kind="stable")
    trials = np.take_along_axis(responses.trials, order, axis=0)
    scores = []
    for trial in range(int(responses.counts().min())):
        rest = np.nanmean(np.delete(trials, trial, axis=0), axis=0)
        oracle = nf.response_similarity(rest, weights=weights)
        one = nf.response_similarity(trials[trial], weights=weights)
        scores.append(neural.similarity_correlation(one, oracle))
    return np.array(scores)


def study(scan: Scan, work: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Fit the model, and compare similarities of the chosen images."""
    model = neural.PredictiveModel(**scan.settings).fit(
        scan.images, scan.responses, groups=scan.groups, folder=work, progress=True
    )
    judged = scan.responses.select(images=scan.judged)
    neurons = per_neuron(scan, model, judged)
    row = {
        "scan": scan.name,
        "images": int(scan.judged.sum()),
        "fitted": len(scan.images),
        "neurons": judged.n_neurons,
        "trials": int(judged.counts().min()),
        "median_held_out_r": neurons["held_out_r"].median(),
        "mean_held_out_r": neurons["held_out_r"].mean(),
        "median_held_out_r_judged": neurons["held_out_r_judged"].median(),
        "median_split_half_r": neurons["split_half_r"].median(),
    }
    row |= similarities(scan, model, judged)
    row["best_epochs"] = " ".join(str(int(fold["epoch"])) for fold in model.history)
    return row, neurons


def per_neuron(
    scan: Scan, model: neural.PredictiveModel, judged: neural.Responses
) -> pd.DataFrame:
    """Return the held-out correlation and reliability of every neuron."""
    predicted, mean = model.held_out[scan.judged], judged.mean()
    each = [np.corrcoef(predicted[:, k], mean[:, k])[0, 1] for k in range(len(mean.T))]
    return pd.DataFrame(
        {
            "scan": scan.name,
            "session": judged.neuron.get("session", ""),
            "neuron": np.arange(len(each)),
            "held_out_r": model.v,
            "held_out_r_judged": each,
            "split_half_r": neural.split_half(judged.trials, n_splits=N_SPLITS),
            "w": model.w,
        }
    )


def similarities(
    scan: Scan, model: neural.PredictiveModel, judged: neural.Responses
) -> dict[str, float]:
    """Return correlations with the similarity of mean responses."""
    predicted, images = model.held_out[scan.judged], scan.images[scan.judged]
    oracle = judged.similarity(weights=model.w)
    candidates = {
        "model": nf.response_similarity(predicted, weights=model.weights),
        "model_without_v": nf.response_similarity(predicted, weights=model.w),
        "pixels": neural.pixel_similarity(images),
        "simulated_v1": neural.v1_similarity(images),
    }
    row = {
        name: neural.similarity_correlation(candidate, oracle)
        for name, candidate in candidates.items()
    }
    row["single_trial"] = float(single_trials(judged, model.w).mean())
    row["oracle_split_half"] = neural.split_half(
        judged.trials, level="similarity", weights=model.w, n_splits=N_SPLITS
    )
    return row


def picture(rows: pd.DataFrame, neurons: pd.DataFrame, path: Path) -> None:
    """Draw neurons on the left and similarities on the right."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, group in neurons.groupby("scan"):
        left.plot(
            group["split_half_r"].clip(-0.2), group["held_out_r"], ".", label=name
        )
    left.plot([0, 1], [0, 1], color="0.7", lw=1)
    left.set(
        xlabel="split-half reliability of the neuron",
        ylabel="correlation of held-out prediction (v)",
    )
    left.legend(frameon=False, fontsize=8)
    columns = ["single_trial", "model", "pixels", "simulated_v1"]
    names = ["single trial", "model, held out", "pixels", "simulated V1"]
    width = 0.8 / len(columns)
    for index, (column, name) in enumerate(zip(columns, names, strict=True)):
        right.bar(np.arange(len(rows)) + index * width, rows[column], width, label=name)
    right.set_xticks(
        np.arange(len(rows)) + 0.3, rows["scan"].str.replace(", ", "\n"), fontsize=8
    )
    right.set(ylabel="correlation with similarity of mean responses")
    right.set_ylim(top=0.8)
    right.legend(frameon=False, fontsize=8, ncols=2)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("neural-targets-fits"))
    parser.add_argument("--only", default="", help="part of a scan's name")
    options = parser.parse_args()
    scans = [s for s in mouse(options.data) + macaque(options.data)]
    scans = [s for s in scans if options.only in s.name]
    rows, tables = [], []
    for scan in scans:
        row, neurons = study(scan, options.work)
        print(pd.Series(row).to_string(), "\n", flush=True)
        rows.append(row)
        tables.append(neurons)
    if options.only:
        return
    out = ROOT / "docs/results/neural-targets"
    out.mkdir(parents=True, exist_ok=True)
    summary, neurons = pd.DataFrame(rows), pd.concat(tables, ignore_index=True)
    summary.round(4).to_csv(out / "summary.csv", index=False)
    neurons.round(4).to_csv(out / "neurons.csv", index=False)
    picture(summary, neurons, out / "similarity.png")
    cores = len(os.sched_getaffinity(0))
    print(
        f"{datetime.date.today()}, {processor()}, {cores} cores, "
        f"Python {platform.python_version()}, neurofreq {nf.__version__}, "
        f"torch {torch.__version__}, NumPy {np.__version__}"
    )


if __name__ == "__main__":
    main()
