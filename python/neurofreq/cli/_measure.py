"""Commands that measure models and images: report, attack, hybrid, spectrum, demo."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from neurofreq.cli import _common, _reports
from neurofreq.cli._common import (
    Batch,
    Beside,
    Colormap,
    Contrast,
    Data,
    Device,
    Epsilons,
    Images,
    Json,
    Measure,
    Models,
    NAttack,
    NCorruption,
    NFiltered,
    NHybrid,
    Out,
    Pairings,
    PerOctave,
    Quiet,
    Seed,
    Steps,
    Trace,
    Untargeted,
)
from neurofreq.cli._errors import plainly, say


def report(
    model: Models,
    data: Data,
    out: Out,
    beside: Beside = None,
    n_images: Images = None,
    n_attack: NAttack = None,
    n_hybrid: NHybrid = None,
    n_corruption: NCorruption = None,
    n_filtered: NFiltered = None,
    measure: Measure = None,
    contrast: Contrast = None,
    per_octave: PerOctave = None,
    attack_steps: Steps = None,
    untargeted: Untargeted = False,
    epsilons: Epsilons = None,
    pairings: Pairings = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", help="Seed of targets, attack and corruptions: by default 0."
        ),
    ] = None,
    batch_size: Batch = None,
    device: Device = "cpu",
    vector: Annotated[
        bool, typer.Option("--vector", help="Write pictures as PDF and SVG too.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Measure everything and write tables, pictures and one page.

    Ctrl-C keeps finished results; run the same command again to continue. With
    --beside, the models are measured with the settings of a study, and appear in the
    same tables and pictures as the study's models.
    """
    with plainly(traceback):
        _reports.finish(
            _reports.run(
                model, data, out, n_images, device, not quiet, beside=beside or (),
                n_attack=n_attack, n_hybrid=n_hybrid, n_corruption=n_corruption,
                n_filtered=n_filtered, contrast=contrast, per_octave=per_octave,
                measurements=None if measure is None else measure.split(","),
                attack_steps=attack_steps, targeted=_reports.targeted(untargeted),
                seeds=_reports.seeds(pairings), seed=seed, batch_size=batch_size,
                epsilons=_common.epsilons(epsilons), vector=vector,
            ),
            as_json,
        )  # fmt: skip


def hybrid(
    model: Models,
    data: Data,
    out: Out,
    n_images: Images = None,
    pairings: Pairings = None,
    batch_size: Batch = None,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Measure the reversal frequency with hybrid images."""
    with plainly(traceback):
        _reports.finish(
            _reports.run(
                model, data, out, n_images, device, not quiet,
                seeds=_reports.seeds(pairings), batch_size=batch_size, n_attack=1,
                measurements=("hybrid",),
            ),
            as_json,
        )  # fmt: skip


def spectrum(
    data: Data,
    out: Out,
    n_images: Images = None,
    corruption: Annotated[
        str | None,
        typer.Option("--corruption", help="Draw what this corruption changes."),
    ] = None,
    severity: Annotated[
        int | None,
        typer.Option("--severity", help="Severity, 1 to 5: by default 3."),
    ] = None,
    seed: Seed = 0,
    colormap: Colormap = "viridis",
    as_json: Json = False,
    traceback: Trace = False,
) -> None:
    """Draw the spectrum of images, or of the change that a corruption makes."""
    with plainly(traceback):
        from neurofreq.report import spectrum_page

        if severity is not None and corruption is None:
            raise ValueError(f"--severity: got {severity}, expected --corruption too")
        found = spectrum_page.write(
            _common.data(data, n_images), out, corruption=corruption,
            severity=3 if severity is None else severity, seed=seed, cmap=colormap,
        )  # fmt: skip
        if as_json:
            say(_common.as_json({"f_half": dataclasses.asdict(found), "out": out}))
            return
        say(
            f"half of the power lies below {found.value:.3f} "
            f"[{found.low:.3f}, {found.high:.3f}] cycles/pixel"
        )
        say(f"written to {out}")


def demo(
    out: Out = Path("neurofreq-demo"),
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Take seconds; the results have no meaning.")
    ] = False,
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Train two small networks without data files, and compare them in a report."""
    with plainly(traceback):
        from neurofreq import demo as demonstration

        found = demonstration.run(
            out, tiny=tiny, progress=not quiet, command=_common.command()
        )
        _reports.finish(found)
        say("\n".join(demonstration.sentences(found)))
