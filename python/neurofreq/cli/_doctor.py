"""The command ``neurofreq doctor``."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object.")
    ] = False,
) -> None:
    """Examine the installation: versions, hardware, and a self-test of each part.

    The exit status is 0 if every self-test passes, and 1 otherwise.
    """
    from neurofreq.cli import _soundness

    facts, packages = _soundness.facts(), _soundness.optional_packages()
    checks = _soundness.self_test()
    passed = all(check.passed for check in checks)
    if as_json:
        report = {
            "passed": passed,
            "facts": facts,
            "optional_packages": packages,
            "checks": [check._asdict() for check in checks],
        }
        typer.echo(json.dumps(report, indent=1))
    else:
        for name, value in facts.items():
            typer.echo(f"{name:<18} {value}")
        for name, version in packages.items():
            found = version or "not installed"
            typer.echo(f"{name:<18} {found} (optional: {_soundness.OPTIONAL[name]})")
        for check in checks:
            outcome = "ok    " if check.passed else "FAILED"
            where = f"{check.name} on {check.device}"
            typer.echo(f"{outcome} {where:<24} {check.detail}")
        typer.echo("The installation works." if passed else "The installation fails.")
    raise typer.Exit(0 if passed else 1)
