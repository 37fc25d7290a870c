"""Run a report for a command, and print its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from neurofreq.cli import _common
from neurofreq.cli._errors import say

if TYPE_CHECKING:
    from pathlib import Path

    from neurofreq.report import Report


def targeted(untargeted: bool) -> bool | None:
    """Return False with the flag, else None: then the study of --beside decides."""
    return False if untargeted else None


def seeds(pairings: int | None) -> range | None:
    return None if pairings is None else range(pairings)


def run(
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
        _common.data(data, n_images, progress=progress),
        out,
        device=place,
        progress=progress,
        command=_common.command(),
        **settings,
    )


def finish(found: Report, as_json: bool = False) -> None:
    """Print the summary; exit with code 130 if the run was interrupted."""
    if as_json:
        known = {"page": found.page, "missing": found.missing}
        tables = ("summary", "differences", "robust")
        known |= {one: found.tables[one] for one in tables if one in found.tables}
        say(_common.as_json(known))
    else:
        say(str(found))
    if not found.is_complete:
        say(
            f"interrupted: {len(found.missing)} measurements are missing; the same "
            "command again continues from there",
            err=True,
        )
        raise typer.Exit(130)
