"""Measure the networks of regularized_training.py, and write their page.

Usage: python experiments/regularized_measures.py mouse --data DIR --work FOLDER
       python experiments/regularized_measures.py v1 --data DIR --work FOLDER --train

Measures every network in FOLDER whose training is complete, and saves the raw values
per image in docs/results/regularized-<study>/measured. The page has the seeds that all
measured conditions have. With ``--train``, missing networks are trained: each network
is trained and measured before the next. A stopped run resumes. Saved results are not
measured again, even if the network was deleted, so seeds may be trained one by one. The
name of a result has the condition, seed and recipe only: delete results after a change
of targets or attack. DIR is the folder of regularized_training.py.
"""

from __future__ import annotations

import datetime
import json
import platform
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from _pages import fill
from _regularized_page import (
    NOISE,
    against_controls,
    choices,
    differences,
    estimates,
    lost,
    table,
    verdicts,
)  # fmt: skip
from regularized_training import (
    SEEDS,
    Network,
    Study,
    Where,
    is_trained,
    networks,
    parser,
    prepared,
)  # fmt: skip

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
    from pathlib import Path

    from neurofreq.measured.quantities import Quantity


def subject(network: Network, data: nf.data.ImageSet, device: str) -> measuring.Subject:
    weights, gray = network.folder / "best.safetensors", data.gray()
    model = models.load_model(network.recipe.network, weights=weights)
    folded = models.fold_batch_norm(model, torch.as_tensor(gray.images[:2]))
    folded = folded.to(device, memory_format=torch.channels_last)
    name = network.folder.name
    return measuring.Subject(
        name, folded, gray.images, gray.labels, True, "", len(data.class_names)
    )


def noisy(one: measuring.Subject, sd: float, count: int | None) -> np.ndarray:
    """Return whether each image is classified correctly with clipped Gaussian noise.

    `count` is the number of images; None for all.
    """
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(one.images[:count].shape, dtype=np.float32)
    images = (one.images[:count] + np.float32(sd) * noise).clip(0, 1)
    return measuring.Running().classes(one.model, images) == one.labels[:count]


def settings_of(study: Study) -> Settings:
    return Settings(n_attack=128, n_hybrid=study.n_hybrid, seeds=(0, 1, 2))


def records_of(
    network: Network, study: Study
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the settings of a network's results, without and with corruptions."""
    settings, name = settings_of(study), f"{network.condition}-{network.seed}"
    first = {
        "measurement": name,
        "recipe": network.recipe.as_dict(),
        "noise": NOISE,
        "n_attack": settings.n_attack,
        "n_hybrid": settings.n_hybrid,
        "pairings": len(settings.seeds),
    }
    if study.n_noise is not None:
        first["n_noise"] = study.n_noise
    second = {
        "measurement": f"{name}-corrupted",
        "recipe": network.recipe.as_dict(),
        "n_corruption": study.n_corruption,
    }
    return first, second


def measure(
    network: Network, data: nf.data.ImageSet, study: Study, store: Store, device: str
) -> None:
    """Make the missing measurements of one network."""
    plain, under = records_of(network, study)
    missing = [record for record in (plain, under) if store.load(record) is None]
    if not missing:
        return
    one = subject(network, data, device)
    if plain in missing:
        store.save(plain, measured(one, study))
    if under in missing:
        store.save(under, corrupted(one, data, study))
    print(f"{network.folder.name}: measured", flush=True)


def measured(one: measuring.Subject, study: Study) -> dict[str, np.ndarray]:
    """Return the raw values per image of one network."""
    running, settings = measuring.Running(progress=False), settings_of(study)
    arrays = {"clean": measuring.clean(one, settings, running).correct}
    arrays |= {f"noise {sd:g}": noisy(one, sd, study.n_noise) for sd in NOISE}
    found = measuring.hybrids(one, settings, running)
    arrays |= {"mixing": found.frequency, "difference": found.difference}
    attack = measuring.attack(one, settings, running, range(settings.n_attack))
    kept = ("distance", "radial", "frequency")
    return arrays | {name: getattr(attack, name) for name in kept}


def corrupted(
    one: measuring.Subject, data: nf.data.ImageSet, study: Study
) -> dict[str, np.ndarray]:
    """Return accuracy per image under corruptions: severity (5, N), group (3, N)."""
    settings = Settings(n_corruption=study.n_corruption)
    running = measuring.Running()
    right = {
        name: measuring.corruption(name, data, [one], settings, running)[one.name]
        for name in settings.corruptions
    }
    found = {"severity": np.mean([each.correct for each in right.values()], axis=0)}
    for band in grouping.GROUPS:
        inside = [right[n].correct for n in right if grouping.group_of(n) == band]
        found[band] = np.mean(inside, axis=(0, 1))
    return found


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
    raws: dict[tuple[str, int], dict[str, np.ndarray]],
    alphas: Path,
) -> None:
    """Write the tables between the marks of the page, and raw numbers to its folder.

    The page has the conditions that were measured with the first seed, and the seeds
    that all of these have.
    """
    conditions = tuple(c for c in study.conditions if (c, SEEDS[0]) in raws)
    seeds = [s for s in SEEDS if all((c, s) in raws for c in conditions)]
    if len(conditions) < 2 or (not study.alphas and conditions != study.conditions):
        print("no page yet: too few conditions are measured")
        return
    whole = {(c, s): raws[c, s] for s in seeds for c in conditions}
    shared = found_by_all(list(whole.values()))
    found = {key: quantities(raw, shared) for key, raw in whole.items()}
    rows = estimates(found, conditions, seeds)
    folder = page.with_suffix("")
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
    text = (
        f"Page written on {about['date']}; torch {about['torch']}; {len(conditions)} "
        f"of {len(study.conditions)} conditions; {len(seeds)} of {len(SEEDS)} seeds: "
        f"{', '.join(map(str, seeds))}. {lost(whole, shared)}\n\n"
        f"{table(rows, conditions)}\n\n"
        f"{differences(rows, list(conditions[1:]), len(seeds), 'none')}\n\n"
        f"{verdicts(rows, conditions[1:], len(seeds), 'none')}\n\n"
        f"{against_controls(found, conditions, seeds, study.controls)}"
    )
    if alphas.exists():
        text += choices(pd.read_csv(alphas))
    fill(page, "numbers", text)


def kept(
    study: Study, where: Where, store: Store
) -> dict[tuple[str, int], dict[str, np.ndarray]]:
    """Return the saved raw values of the study by condition and seed."""
    raws = {}
    for network in networks(study, where, SEEDS, study.conditions, make=False):
        plain, under = (store.load(one) for one in records_of(network, study))
        if plain is not None:
            raws[network.condition, network.seed] = plain | (under or {})
    return raws


def main() -> None:
    made = parser(__doc__.splitlines()[0])
    made.add_argument("--train", action="store_true", help="networks that are missing")
    options = made.parse_args()
    study, where, page = prepared(options)
    data = nf.data.load_data(study.data.format(options.data))
    store = Store(page.with_suffix("") / "measured")
    asked = options.seeds, options.conditions
    for network in networks(study, where, *asked, make=options.train):
        if is_trained(network):
            measure(network, data, study, store, options.device)
        if options.train:  # the page is there before the last network
            write(page, study, kept(study, where, store), where.alphas)
    write(page, study, kept(study, where, store), where.alphas)


if __name__ == "__main__":
    main()
