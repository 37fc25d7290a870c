"""The ``neurofreq`` command.

A user's error is printed on stderr as one sentence, with exit code 2; ``--traceback``
shows where it was raised. A bug, in the user's model or in neurofreq, keeps its
traceback. An interrupted run ends with exit code 130.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from neurofreq._shared import console
from neurofreq.cli import (
    _attack,
    _corruptions,
    _doctor,
    _errors,
    _figures,
    _measure,
    _models,
    _robust,
    _studies,
)

app = typer.Typer(
    help="Which spatial frequencies does a vision model rely on?",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for _command in (
    _measure.report,
    _attack.attack,
    _robust.robust,
    _measure.hybrid,
    _corruptions.corruptions,
    _corruptions.corrupt,
    _measure.spectrum,
    _figures.figures,
    _models.models,
    _models.train,
    _measure.demo,
    _doctor.doctor,
):
    app.command()(_command)
app.add_typer(_studies.app, name="studies")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.")
    ] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"neurofreq {installed('neurofreq')}")
        raise typer.Exit


def main() -> None:
    """Run the command and exit with its status."""
    console.raise_on_interrupt()
    try:
        app()
        status: int | str | None = 0
    except SystemExit as end:
        status = end.code
    except KeyboardInterrupt:
        _errors.say("neurofreq: interrupted", err=True)
        status = console.INTERRUPTED
    console.end_on_interrupt()  # for Ctrl-C while the interpreter shuts down
    with _errors.quietly_without_reader():
        sys.stdout.flush()
    sys.exit(status)
