"""Commands for studies: run a study, show its progress, export its numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurofreq.cli import _common
from neurofreq.cli._common import Batch, Device, Json, Out, Quiet, Trace
from neurofreq.cli._errors import plainly, say

if TYPE_CHECKING:
    from neurofreq.studies import StudyResult

app = typer.Typer(
    help="Measure many models with the same settings. A study can be resumed, and "
    "shared between processes. A study file may name python.module:factory, which runs "
    "that module (also from the current folder): run only studies of people you trust.",
    no_args_is_help=True,
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The study's folder.")]


@app.command()
def run(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.toml", help="The study.")],
    out: Out,
    again: Annotated[
        bool, typer.Option("--again", help="Measure again what is finished.")
    ] = False,
    executor: Annotated[
        str | None,
        typer.Option(
            "--executor",
            metavar="KIND:...",
            help="Measure in workers: processes:N, dask://HOST:PORT, ray, "
            "ray://HOST:PORT, mpi, or slurm:n=N,partition=NAME,... (with submitit).",
        ),
    ] = None,
    n_workers: Annotated[
        int | None,
        typer.Option("--workers", help="Tasks for the executor: by default all."),
    ] = None,
    batch_size: Batch = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Measure every model of a study; several processes may do so at once.

    Ctrl-C keeps finished results; run the same command again to continue. Failed
    measurements are then tried again.
    """
    with plainly(traceback):
        from neurofreq import studies

        # The machine of a worker may have another device than this machine.
        place = _common.place(device) if executor is None else device
        found = studies.run(
            spec, out, resume=not again, progress=not quiet, device=place,
            batch_size=batch_size, executor=executor, n_workers=n_workers,
        )  # fmt: skip
        _finish(found)


@app.command()
def status(out: Folder, as_json: Json = False, traceback: Trace = False) -> None:
    """Count finished, failed, running and missing measurements; print the errors."""
    with plainly(traceback):
        from neurofreq import studies

        if as_json:
            say(_common.as_json(studies.status(out)))
            return
        say(studies.status(out).to_string(index=False))
        failures(studies.load(out), traceback)


@app.command()
def export(
    out: Folder,
    to: Annotated[Path, typer.Option("--to", help="Folder for the table.")],
    traceback: Trace = False,
) -> None:
    """Write all numbers as one long table: CSV, and Parquet if pyarrow is installed."""
    with plainly(traceback):
        from neurofreq import studies

        written = studies.export(out, to)
        say(f"written: {', '.join(map(str, written))}")
        if len(written) == 1:
            say("no Parquet: pyarrow is not installed", err=True)


def _finish(found: StudyResult) -> None:
    """Print the numbers; exit with 130 if interrupted, 1 if something failed."""
    from neurofreq.studies.worker import rank_and_count

    if rank_and_count()[0] > 0:  # rank 0 prints the numbers
        interrupted(found)
        return
    say(found.tables["summary"].drop(columns="x").to_string(index=False))
    untrained(found)
    say(f"written to {found.out_dir}")
    failures(found, False)
    interrupted(found)
    if found.failed:
        raise typer.Exit(1)


def untrained(found: StudyResult) -> None:
    """Print which models have random weights."""
    names = [model.name for model in found._plan.models if model.is_random]
    if names:
        say(f"random weights: {', '.join(names)}")


def interrupted(found: StudyResult) -> None:
    """Exit with code 130 if the study was interrupted."""
    if found.missing:
        say(
            f"interrupted: {len(found.missing)} measurements are missing; the same "
            "command again continues from there",
            err=True,
        )
        raise typer.Exit(130)


def failures(found: StudyResult, traceback: bool) -> None:
    """Print the failed measurements and their errors."""
    for one in found.failed:
        text = one.traceback.rstrip()
        text = text if traceback else text.splitlines()[-1]
        say(f"failed: {one.model}: {one.measurement}: {text}", err=True)
