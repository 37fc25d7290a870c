"""Write the output of ``neurofreq attack`` for attacks that are not in a report."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurofreq import attacks, plot
from neurofreq._shared import results, runtime
from neurofreq._shared.escapes import printable, to_csv
from neurofreq._shared.files.storage import write_json, write_text
from neurofreq._shared.inputs import pixel, validate
from neurofreq._shared.networks import luma
from neurofreq._shared.networks.untrained import is_random
from neurofreq.measured import quantities
from neurofreq.report import _pictures
from neurofreq.studies.measuring import N_CANDIDATES, perturbation_power
from neurofreq.studies.result import folder_for
from neurofreq.studies.settings import N_ATTACK, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import torch
    from torch import nn

    from neurofreq.attacks import Attack, AttackResult
    from neurofreq.data import ImageSet
    from neurofreq.measured.quantities import Profile
    from neurofreq.plot import Curve


class Written(NamedTuple):
    """The tables that were written, and the summary as text."""

    tables: dict[str, pd.DataFrame]
    text: str


class _Found(NamedTuple):
    """The perturbations of one model, and their spectra.

    `profile` is None without a change, and for an attack that prefers frequencies.
    """

    result: AttackResult
    targets: Any
    success: Curve
    profile: Profile | None


def write(
    models: Mapping[str, nn.Module],
    data: ImageSet,
    out: Path,
    attack: Attack,
    *,
    command: str,
    n_attack: int | None,
    targeted: bool,
    epsilons: Sequence[float] | None,
    seed: int,
    batch_size: int | None,
    device: torch.device,
    progress: bool,
) -> Written:
    """Write tables, pictures and settings of an attack on the first images.

    Tables are as in a report: attack.csv, success.csv, radial.csv and summary.csv in
    ``out/tables``. Pictures are success and radial_profile in ``out/figures``. `out` is
    created if it does not exist. Gray models get the luma of color images.
    """
    n = min(N_ATTACK, len(data)) if n_attack is None else n_attack
    n = validate.count("n_attack", n)
    validate.within("n_attack", n, n <= len(data), f"at most {len(data)}")
    folder = folder_for(out)
    labels = np.asarray(data.labels)
    targets = attacks.shuffled_targets(labels, seed=seed)[:n] if targeted else None
    options = {
        "targets": targets, "seed": seed, "batch_size": batch_size,
        "progress": progress, "epsilons": epsilons,
    }  # fmt: skip
    measured = {
        name: _attacked(name, model, data, n, attack, device, options)
        for name, model in models.items()
    }
    found = _found(measured, targets, epsilons)
    tables = _tables(found, labels[:n], attack.norm)
    for part in ("tables", "figures"):
        (folder / part).mkdir(exist_ok=True)
    for name, table in tables.items():
        write_text(folder / "tables" / f"{name}.csv", to_csv(table))
    _draw(found, attack.norm, folder / "figures")
    record = {
        "command": command,
        "models": list(models),
        "random_weights": [name for name, one in models.items() if is_random(one)],
        "data": data.name,
        "attack": {"class": type(attack).__name__, **dataclasses.asdict(attack)},  # type: ignore[call-overload]
        "epsilons": None if epsilons is None else list(epsilons),
        "targeted": targeted,
        "n_attack": n,
        "seed": seed,
        "neurofreq": runtime.VERSION,
    }
    write_json(folder / "settings.json", record)
    return Written(tables, _text(tables["summary"], attack.norm, models))


def _attacked(
    name: str,
    model: nn.Module,
    data: ImageSet,
    n: int,
    attack: Attack,
    device: torch.device,
    options: dict[str, Any],
) -> tuple[AttackResult, Any]:
    """Attack the first n images of a model; return them too, as the model saw them."""
    shown = pixel.to_unit(np.asarray(data.images))
    n_channels = shown.shape[1]
    if luma.is_shown(name, model, shown[:2], n_channels, "auto", device=device):
        shown = pixel.luma(shown)
    pool = shown[:N_CANDIDATES] if attack.needs_start else None
    labels = np.asarray(data.labels[:n])
    return attack(model, shown[:n], labels, candidates=pool, **options), shown[:n]


def _found(
    measured: Mapping[str, tuple[AttackResult, Any]],
    targets: Any,
    epsilons: Sequence[float] | None,
) -> dict[str, _Found]:
    """Add the success curve and the spectra of the changes to each result."""
    sizes = {
        name: np.where(one.success, np.asarray(one.distance, np.float64), np.inf)
        for name, (one, _) in measured.items()
    }
    budgets = quantities.budgets(list(sizes.values()))
    if epsilons is not None:
        budgets = np.unique(np.asarray(epsilons, dtype=np.float64))
    found = {}
    for name, (one, images) in measured.items():
        success = np.asarray(one.success, dtype=bool)
        change = (one.adversarial - images)[success]
        profile = None
        if change.any() and not one.shaped:
            power = perturbation_power(change, Settings().n_thresholds)
            profile = quantities.radial_profile(power.frequency, power.radial)
        curve = quantities.success_curve(sizes[name], budgets)
        found[name] = _Found(one, targets, curve, profile)
    return found


def _tables(
    found: Mapping[str, _Found], labels: Any, norm: str
) -> dict[str, pd.DataFrame]:
    """Return the long tables, and the summary with one row per model."""
    images, success, radial, rows = [], [], [], []
    for name, one in found.items():
        table = one.result.to_frame().rename(columns={"index": "image"})
        table.insert(1, "label", labels)
        table.insert(2, "target", -1 if one.targets is None else one.targets)
        images.append(table.assign(model=name))
        success.append(_points(one.success, "epsilon", "fraction").assign(model=name))
        size = quantities.median_size(table["distance"].to_numpy()).estimate()
        row = {"model": name, "norm": norm, "n": len(table)}
        row |= _ends("median_size", size)
        success_rate = quantities.accuracy(table["success"].to_numpy())
        row |= _ends("success", success_rate.estimate())
        if one.profile is not None:
            curve = _points(one.profile.curve(), "frequency", "cumulative")
            radial.append(curve.assign(model=name))
            row |= _ends("f_half", one.profile.crossing().estimate())
        rows.append(row)
    joined = {"attack": images, "success": success, "radial": radial}
    tables = {key: _joined(parts) for key, parts in joined.items() if parts}
    return {"summary": results.frame(rows), **tables}


def _points(curve: Curve, x: str, y: str) -> pd.DataFrame:
    columns = {x: curve.x, y: curve.y, "low": curve.low, "high": curve.high}
    return results.frame(columns)


def _ends(key: str, one: Any) -> dict[str, float]:
    return {key: one.value, f"{key}_low": one.low, f"{key}_high": one.high}


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(parts).set_index("model").reset_index()


def _draw(found: Mapping[str, _Found], norm: str, folder: Path) -> None:
    figure = _pictures.new_figure(5.4, 3.9)
    curves = {name: one.success for name, one in found.items()}
    plot.plot_success_curves(curves, figure.subplots(), norm=norm)
    _pictures.save(figure, folder / "success")
    profiles = {name: one.profile.curve() for name, one in found.items() if one.profile}
    if profiles:
        figure = _pictures.new_figure(5.4, 3.9)
        plot.plot_radial_profiles(profiles, figure.subplots())
        _pictures.save(figure, folder / "radial_profile")


def _text(summary: pd.DataFrame, norm: str, models: Mapping[str, nn.Module]) -> str:
    """Return the summary as plain text."""
    lines = []
    factor, unit = (255.0, "/255") if norm == "linf" else (1.0, "")
    for row in summary.to_dict("records"):
        suffix = " (random weights)" * is_random(models[row["model"]])
        lines.append(printable(row["model"]) + suffix)
        size, low, high = (factor * one for one in _three(row, "median_size"))
        half = _three(row, "f_half")
        lines += [
            f"  median {norm} perturbation    {results.bounded(size, low, high, unit)}",
            f"  found                     {results.percent(*_three(row, 'success'))}",
        ]
        if np.isfinite(half[0]):
            shown = results.bounded(half[0], half[1], half[2], "cycles/pixel")
            lines.append(f"  half-power frequency f_0.5  {shown}")
    return "\n".join(lines)


def _three(row: Mapping[Any, Any], key: str) -> tuple[float, float, float]:
    """Return a number and its interval; NaN if it was not measured."""
    value, low, high = (row.get(key + end, np.nan) for end in ("", "_low", "_high"))
    return value, low, high
