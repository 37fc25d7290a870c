"""Measure the networks of regularized_training.py, and write their page.

Usage: python experiments/regularized_measures.py mouse --data DIR --work FOLDER
       python experiments/regularized_measures.py monkey --data DIR --work FOLDER

Measures every network in FOLDER whose training is complete, and saves the raw values
per image in docs/results/regularized-<study>/measured. The page has the seeds that all
conditions have. Saved results are not measured again, even if the network was deleted,
so seeds may be trained one by one. The name of a result has the condition, seed and
recipe only: delete results after a change of targets or attack. DIR is the folder of
regularized_training.py.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from _pages import fill
from _regularized_page import (
    NOISE,
    against_controls,
    differences,
    estimates,
    lost,
    table,
    verdicts,
)  # fmt: skip
from regularized_training import SEEDS, STUDIES, Study

import neurofreq as nf
from neurofreq import models
from neurofreq._shared.files.storage import Store
from neurofreq._shared.runtime import processor
from neurofreq.corruptions import grouping
from neurofreq.corruptions.folder import SEVERITIES
from neurofreq.measured import quantities as measures
from neurofreq.studies import measuring
from neurofreq.studies.settings import Settings

if TYPE_CHECKING:
    from neurofreq.measured.quantities import Quantity


ROOT = Path(__file__).resolve().parents[1]
N_CORRUPTION = 1000  # images in each of 75 cells


def subject(
    folder: Path, data: nf.data.ImageSet, network: str, device: str
) -> measuring.Subject:
    weights, gray = folder / "best.safetensors", data.gray()
    model = models.load_model(network, weights=weights)
    folded = models.fold_batch_norm(model, torch.as_tensor(gray.images[:2]))
    folded = folded.to(device, memory_format=torch.channels_last)
    return measuring.Subject(folder.name, folded, gray.images, gray.labels, True, "")


def noisy(one: measuring.Subject, sd: float) -> np.ndarray:
    """Return whether each image is classified correctly with clipped Gaussian noise."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(one.images.shape, dtype=np.float32)
    images = (one.images + np.float32(sd) * noise).clip(0, 1)
    return measuring.Running().classes(one.model, images) == one.labels


def settings_of(study: Study) -> Settings:
    return Settings(n_attack=128, n_hybrid=study.n_hybrid, seeds=(0, 1, 2))


def records_of(name: str, study: Study) -> tuple[dict[str, object], dict[str, object]]:
    """Return the settings of a network's results, without and with corruptions."""
    settings = settings_of(study)
    first = {
        "measurement": name,
        "recipe": study.recipe.as_dict(),
        "noise": NOISE,
        "n_attack": settings.n_attack,
        "n_hybrid": settings.n_hybrid,
        "pairings": len(settings.seeds),
    }
    second = {
        "measurement": f"{name}-corrupted",
        "recipe": study.recipe.as_dict(),
        "n_corruption": N_CORRUPTION,
    }
    return first, second


def measure(
    folder: Path, data: nf.data.ImageSet, study: Study, store: Store, device: str
) -> None:
    """Make the missing measurements of one network."""
    plain, under = records_of(folder.name, study)
    missing = [record for record in (plain, under) if store.load(record) is None]
    if not missing:
        return
    one = subject(folder, data, study.recipe.network, device)
    if plain in missing:
        store.save(plain, measured(one, settings_of(study)))
    if under in missing:
        store.save(under, corrupted(one, data))
    print(folder.name, flush=True)


def measured(one: measuring.Subject, settings: Settings) -> dict[str, np.ndarray]:
    """Return the raw values per image of one network."""
    running = measuring.Running(progress=False)
    arrays = {"clean": measuring.clean(one, settings, running).correct}
    arrays |= {f"noise {sd:g}": noisy(one, sd) for sd in NOISE}
    found = measuring.hybrids(one, settings, running)
    arrays |= {"mixing": found.frequency, "difference": found.difference}
    attack = measuring.attack(one, settings, running, range(settings.n_attack))
    kept = ("distance", "radial", "frequency")
    return arrays | {name: getattr(attack, name) for name in kept}


def corrupted(one: measuring.Subject, data: nf.data.ImageSet) -> dict[str, np.ndarray]:
    """Return accuracy per image under corruptions: severity (5, N), group (3, N)."""
    settings, running = Settings(n_corruption=N_CORRUPTION), measuring.Running()
    right = {
        name: measuring.corruption(name, data, [one], settings, running)[one.name]
        for name in settings.corruptions
    }
    found = {"severity": np.mean([each.correct for each in right.values()], axis=0)}
    for band in grouping.GROUPS:
        inside = [right[n].correct for n in right if grouping.group_of(n) == band]
        found[band] = np.mean(inside, axis=(0, 1))
    return found


def is_trained(folder: Path, study: Study) -> bool:
    curves = folder / "curves.csv"
    return curves.exists() and len(pd.read_csv(curves)) == study.recipe.epochs


def found_by_all(raws: list[dict[str, np.ndarray]]) -> np.ndarray:
    """Return whether each attacked image has a perturbation of every network, (n,)."""
    return np.all([np.isfinite(raw["distance"]) for raw in raws], axis=0)


def quantities(raw: dict[str, np.ndarray], shared: np.ndarray) -> dict[str, Quantity]:
    """Return the quantities of one network for the table.

    Sizes and spectra are means over the `shared` images. If a network never predicts
    the target class, the attack has no starting point, which is not robustness.
    """
    found = {
        name: measures.accuracy(raw[name])
        for name in raw
        if name == "clean" or name.startswith("noise ")
    }
    hybrids = measures.hybrid_profile(raw["mixing"], raw["difference"])
    found["f_rev"] = hybrids.crossing()
    found["median linf"] = measures.median_size(255.0 * raw["distance"][shared])
    found["median of all"] = measures.median_size(255.0 * raw["distance"])
    radial = measures.radial_profile(raw["frequency"], raw["radial"][shared])
    found["f_0.5"] = radial.crossing()
    if "severity" in raw:
        found |= under_corruptions(raw)
    return found


def under_corruptions(raw: dict[str, np.ndarray]) -> dict[str, Quantity]:
    """Return accuracies under corruptions, and how they differ between groups."""
    parts = {f"severity {s}": raw["severity"][i] for i, s in enumerate(SEVERITIES)}
    parts |= {band: raw[band] for band in grouping.GROUPS}
    for pair in ("high - medium", "medium - low"):
        more, less = pair.split(" - ")
        parts[pair] = raw[more] - raw[less]
    parts["corruptions"] = raw["severity"].mean(axis=0)
    return {key: measures.accuracy(part) for key, part in parts.items()}


def write(
    page: Path,
    study: Study,
    rows: pd.DataFrame,
    seeds: list[int],
    texts: tuple[str, str],
) -> None:
    """Write the tables between the marks of the page, and raw numbers to its folder."""
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / "table.csv", index=False)
    settings = settings_of(study)
    about = {
        "date": f"{datetime.date.today():%-d %B %Y}",
        "page written on": processor(),
        "python": platform.python_version(),
        "neurofreq": nf.__version__,
        "torch": torch.__version__,
        "seeds": seeds,
        "recipe": study.recipe.as_dict(),
        "attacked images": settings.n_attack,
        "images of hybrids": settings.n_hybrid,
        "pairings of hybrids": len(settings.seeds),
    }
    (folder / "settings.json").write_text(json.dumps(about, indent=2) + "\n")
    conditions = study.conditions
    text = (
        f"Page written on {about['date']}; torch {about['torch']}; seeds "
        f"{', '.join(map(str, seeds))}. {texts[0]}\n\n{table(rows, conditions)}\n\n"
        f"{differences(rows, list(conditions[1:]), len(seeds), 'none')}\n\n{texts[1]}"
        f"{verdicts(rows, conditions, len(seeds))}\n"
    )
    fill(page, "numbers", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=tuple(STUDIES))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--seeds", type=int, nargs="+", choices=SEEDS, default=SEEDS, help="of networks"
    )
    parser.add_argument("--conditions", nargs="+", help="by default all")
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32 on every device
    study = STUDIES[options.study]
    options.conditions = options.conditions or study.conditions
    page = ROOT / "docs" / "results" / f"regularized-{options.study}.md"
    data = nf.data.load_data(study.data.format(options.data))
    store = Store(page.with_suffix("") / "measured")
    raws = {}
    for seed in SEEDS:
        for condition in study.conditions:
            folder = options.work / f"{condition}-{seed}"
            records = records_of(folder.name, study)
            is_asked = seed in options.seeds and condition in options.conditions
            if is_asked and is_trained(folder, study):
                measure(folder, data, study, store, options.device)
            kept = [store.load(record) for record in records]
            if kept[0] is not None:
                raws[condition, seed] = kept[0] | (kept[1] or {})
    seeds = [s for s in SEEDS if all((c, s) in raws for c in study.conditions)]
    if not seeds:
        print("no page yet: no seed has all conditions")
        return
    whole = {key: raw for key, raw in raws.items() if key[1] in seeds}
    shared = found_by_all(list(whole.values()))
    found = {key: quantities(raw, shared) for key, raw in whole.items()}
    rows = estimates(found, study.conditions, seeds)
    texts = lost(whole, shared), against_controls(found, study.conditions, seeds)
    write(page, study, rows, seeds, texts)


if __name__ == "__main__":
    main()
