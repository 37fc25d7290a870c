"""The command that draws the paper's figures from finished studies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurofreq.cli import _common
from neurofreq.cli._common import Out, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from neurofreq.studies import Measured

NEEDS = {
    "fig2": ("clean", "attack", "corruption"),
    "fig4": ("attack",),
    "fig5": ("hybrid", "corruption"),
    "fig6": ("attack", "hybrid", "corruption"),
}
"""Measurements without which a figure is not drawn."""
SIGMA = re.compile(r"blur[-=_ ]?(\d+(?:\.\d+)?)")


def figures(
    studies: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Folders of studies; models are joined."),
    ],
    out: Out,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="fig2, fig4, fig5 or fig6 (ImageNet); by default 2, 4 and 5, where "
            "there is what they need.",
        ),
    ] = None,
    traceback: Trace = False,
) -> None:
    """Draw the paper's Figures 2, 4, 5 and 6 of the models in studies.

    Writes each as PNG and PDF with its long table, and compare.csv: every number
    beside the paper's, where that is known.
    """
    with _common.plainly(traceback):
        import pandas as pd

        from neurofreq import _validate
        from neurofreq import figures as drawn
        from neurofreq import studies as kept

        for name in only or ():
            _validate.one_of("--only", name, tuple(NEEDS))
        found = [one for folder in studies for one in kept.load(folder).measured]
        out.mkdir(parents=True, exist_ok=True)
        tables = []
        for name in only or ("fig2", "fig4", "fig5"):
            draw = _drawing(name, found)
            if draw is None and only:
                raise ValueError(f"studies: got no models for {name}, {_wants(name)}")
            if draw is None:
                typer.echo(f"{name}: not drawn, {_wants(name)}")
                continue
            table, figure = draw()
            for suffix in ("png", "pdf"):
                figure.savefig(out / f"{name}.{suffix}")
            table.to_csv(out / f"{name}.csv", index=False)
            tables.append(table)
            typer.echo(f"{name}: {out / name}.png")
        if tables:
            near = drawn.compare(pd.concat(tables))
            near.to_csv(out / "compare.csv", index=False)
            typer.echo(near.to_string(index=False))


def _drawing(name: str, found: Sequence[Measured]) -> Callable[[], Any] | None:
    """Return how to draw a figure of these models, None where it cannot be."""
    from neurofreq import figures as drawn

    models = [one for one in found if _has(one, NEEDS[name])]
    if name == "fig2":
        pair = [_first(models, "base"), _first(models, "neural")]
        if None in pair:
            return None
        return lambda: drawn.fig2([one for one in pair if one is not None])
    if len(models) < 2:
        return None
    if name == "fig4":
        return lambda: drawn.fig4(models)
    draw = drawn.fig5 if name == "fig5" else drawn.fig6
    return lambda: draw(models, series=_series(models))


def _has(one: Measured, needs: Sequence[str]) -> bool:
    kinds = {key.partition("/")[0] for key in one.arrays}
    return kinds.issuperset(needs)


def _first(models: Sequence[Measured], group: str) -> Measured | None:
    return next((one for one in models if one.group == group), None)


def _series(models: Sequence[Measured]) -> dict[float, Measured] | None:
    """Return the blurred models by the sigma in their names, where three have one."""
    found = {}
    for one in models:
        sigma = SIGMA.search(one.name)
        if one.group == "blur" and sigma is not None:
            found[float(sigma.group(1))] = one
    return found if len(found) >= 3 else None


def _wants(name: str) -> str:
    pair = "a base and a neural model" if name == "fig2" else "two models"
    return f"which needs {pair} with {', '.join(NEEDS[name])}"
