"""Commands that measure models and images: report, attack, hybrid, spectrum, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurofreq.cli import _common
from neurofreq.cli._common import (
    Batch,
    Beside,
    Data,
    Device,
    Epsilons,
    Images,
    Models,
    NAttack,
    Out,
    Pairings,
    Quiet,
    Seed,
    Steps,
    Trace,
    Untargeted,
)
from neurofreq.cli._errors import plainly, say

if TYPE_CHECKING:
    from neurofreq.report import Report


def report(
    model: Models,
    data: Data,
    out: Out,
    beside: Beside = None,
    n_images: Images = None,
    n_attack: NAttack = None,
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
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Measure everything and write tables, pictures and one page.

    Ctrl-C keeps finished results; run the same command again to continue. With
    --beside, the models are measured with the settings of a study, and appear in the
    same tables and pictures as the study's models.
    """
    with plainly(traceback):
        _finish(
            _run(
                model, data, out, n_images, device, not quiet, beside=beside or (),
                n_attack=n_attack, attack_steps=attack_steps,
                targeted=_targeted(untargeted), seeds=_seeds(pairings), seed=seed,
                batch_size=batch_size, epsilons=_common.epsilons(epsilons),
            )
        )  # fmt: skip


def attack(
    model: Models,
    data: Data,
    out: Out,
    n_images: Images = None,
    n_attack: NAttack = None,
    attack_steps: Steps = None,
    untargeted: Untargeted = False,
    epsilons: Epsilons = None,
    seed: Seed = 0,
    batch_size: Batch = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Find minimal Linf perturbations: their sizes and success curve."""
    with plainly(traceback):
        _finish(
            _run(
                model, data, out, n_images, device, not quiet,
                n_attack=n_attack, attack_steps=attack_steps,
                targeted=_targeted(untargeted), seed=seed, batch_size=batch_size,
                measurements=("clean", "attack"),
                epsilons=_common.epsilons(epsilons),
            )
        )  # fmt: skip


def hybrid(
    model: Models,
    data: Data,
    out: Out,
    n_images: Images = None,
    pairings: Pairings = None,
    batch_size: Batch = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Measure the reversal frequency with hybrid images."""
    with plainly(traceback):
        _finish(
            _run(
                model, data, out, n_images, device, not quiet,
                seeds=_seeds(pairings), batch_size=batch_size, n_attack=1,
                measurements=("hybrid",),
            )
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
    traceback: Trace = False,
) -> None:
    """Draw the spectrum of images, or of the change that a corruption makes."""
    with plainly(traceback):
        from neurofreq.report import spectrum_page

        if severity is not None and corruption is None:
            raise ValueError(f"--severity: got {severity}, expected --corruption too")
        found = spectrum_page.write(
            _common.data(data, n_images), out, corruption=corruption,
            severity=3 if severity is None else severity, seed=seed,
        )  # fmt: skip
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
        _finish(found)
        say("\n".join(demonstration.sentences(found)))


def _targeted(untargeted: bool) -> bool | None:
    """Return False with the flag, else None: then the study of --beside decides."""
    return False if untargeted else None


def _seeds(pairings: int | None) -> range | None:
    return None if pairings is None else range(pairings)


def _run(
    models: list[str],
    data: str,
    out: Path,
    n_images: int | None,
    device: str,
    progress: bool,
    **settings: Any,
) -> Report:
    """Load the models and the data, and measure."""
    from neurofreq import report as reporting

    place = _common.place(device)
    return reporting.run(
        _common.load(models, place),
        _common.data(data, n_images),
        out,
        device=place,
        progress=progress,
        command=_common.command(),
        **settings,
    )


def _finish(found: Report) -> None:
    """Print the summary; exit with code 130 if the run was interrupted."""
    say(str(found))
    if not found.is_complete:
        say(
            f"interrupted: {len(found.missing)} measurements are missing; the same "
            "command again continues from there",
            err=True,
        )
        raise typer.Exit(130)
