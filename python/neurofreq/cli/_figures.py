"""The command that measures models and draws the paper's figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurofreq.cli import _common, _studies
from neurofreq.cli._common import (
    Batch,
    Colormap,
    Device,
    Images,
    Out,
    Pairings,
    Quiet,
    Seed,
    Steps,
    Trace,
)
from neurofreq.cli._errors import plainly, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neurofreq.studies import Study, StudyResult

Kept = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="DIR...", help="Folders of studies; all their models are drawn."
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Measure on these images first, as for report.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="FIGURE",
        help="A figure, such as fig2; repeatable. By default, the figures of this data "
        "set for which there are models.",
    ),
]
Own = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="[NAME=]SPEC[@WEIGHTS]",
        help="A model beside those of the zoo, as in `neurofreq report`; repeatable.",
    ),
]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        metavar="NAME=GROUP",
        help="Group with which a model is plotted: base, adv, crp, blur, pca, neural "
        "or any word. By default the group in `neurofreq models`, else other.",
    ),
]
Neural = Annotated[
    Path | None,
    typer.Option(
        "--neural",
        help="Recorded stimuli and responses for Figure 1: an npz file with images, "
        "and trials or similarity; by default a simulated V1.",
    ),
]
Zoo = Annotated[
    bool, typer.Option("--zoo/--no-zoo", help="Measure the networks of the package.")
]
Fold = Annotated[
    bool,
    typer.Option(
        "--fold",
        help="Measure copies of the models in channels-last format, with batch norm "
        "folded into the convolutions. Their logits are equal up to rounding, and they "
        "are faster on a CPU.",
    ),
]
Attack = Annotated[int, typer.Option(help="Images attacked, at most.")]
Hybrid = Annotated[int, typer.Option(help="Images in each pairing, at most.")]
Corrupted = Annotated[int, typer.Option(help="Images in each cell, at most.")]


def figures(
    out: Out,
    studies: Kept = None,
    data: Data = None,
    model: Own = None,
    group: Groups = None,
    neural: Neural = None,
    only: Only = None,
    zoo: Zoo = True,
    n_images: Images = None,
    n_attack: Attack = 1000,
    n_hybrid: Hybrid = 1000,
    n_corruption: Corrupted = 1000,
    attack_steps: Steps = None,
    pairings: Pairings = None,
    seed: Seed = 0,
    colormap: Colormap = "viridis",
    fold: Fold = False,
    batch_size: Batch = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Draw the paper's Figures 1 to 6 of measured models.

    With --data, first measures the networks of the package and the models of --model,
    and keeps the results in OUT/study. Ctrl-C keeps finished results; run the same
    command again to continue. Writes each figure as PNG, PDF and SVG, and its table.
    Also writes compare.csv, which has the numbers of all figures in OUT beside the
    paper's numbers where these are known.
    """
    with plainly(traceback):
        from neurofreq.plot.colormaps import known_cmap

        names = _names(only, data, studies or [])
        known_cmap(colormap, "--colormap")
        if data is None:
            _refuse({"--model": model, "--group": group, "--neural": neural})
            known = _read(studies or [])
            for one in known:
                _studies.untrained(one)
            shown = names or _of(known)
            if not _draw(shown, known, out, bool(only), cmap=colormap):
                raise typer.Exit(1)
            return
        from neurofreq import figures as drawn

        _check(neural, pairings)
        seeds = None if pairings is None else list(range(pairings))
        others = {"attack_steps": attack_steps, "seeds": seeds}
        given = {name: value for name, value in others.items() if value is not None}
        wanted = drawn.study(
            data, _entries(model or [], group or []), zoo=zoo, n_images=n_images,
            n_attack=n_attack, n_hybrid=n_hybrid, n_corruption=n_corruption,
            measurements=_needed(names), seed=seed, fold=fold, **given,
        )  # fmt: skip
        found = _measure(wanted, out, quiet, device=device, batch_size=batch_size)
        if found is None:
            return
        _studies.untrained(found)
        known = [found, *_read(studies or [])]
        inputs = {"study": wanted, "neural": neural, "cmap": colormap}
        is_drawn = _draw(names, known, out, bool(only), **inputs)
        _studies.failures(found, traceback)
        if found.failed or not is_drawn:
            raise typer.Exit(1)


def _names(
    only: list[str] | None, data: str | None, studies: Sequence[Path]
) -> tuple[str, ...]:
    """Return the figures to draw; empty if the studies decide."""
    from neurofreq._shared.inputs import validate
    from neurofreq.figures import FIGURES

    for name in only or ():
        validate.one_of("--only", name, tuple(FIGURES))
    if only:
        return tuple(only)
    if data is not None:
        return tuple(name for name, one in FIGURES.items() if _kind(data) in one.data)
    if not studies:
        raise ValueError("DIR: got none, expected folders of studies, or --data")
    return ()


def _of(found: Sequence[StudyResult]) -> tuple[str, ...]:
    """Return the figures for finished studies, depending on the first study's data."""
    from neurofreq.figures import FIGURES

    kind = _kind(found[0].data) if found else "small"
    return tuple(
        name for name, one in FIGURES.items() if kind in one.data and not one.has_images
    )


def _kind(data: str) -> str:
    """Return "imagenet" for a data SPEC or the name of a data set, else "small"."""
    return "imagenet" if data.casefold().startswith("imagenet") else "small"


def _needed(names: Sequence[str]) -> tuple[str, ...]:
    """Return the measurements that figures need; "clean" is always included."""
    from neurofreq.figures import FIGURES
    from neurofreq.studies.settings import MEASUREMENTS

    needed = {one for name in names for one in FIGURES[name].needs} | {"clean"}
    return tuple(one for one in MEASUREMENTS if one in needed)


def _check(neural: Path | None, pairings: int | None) -> None:
    """Check inputs that are used only after hours of measuring."""
    from neurofreq._shared.inputs import validate
    from neurofreq.figures.compared import recorded

    if pairings is not None:
        validate.count("--pairings", pairings)
    if neural is not None:
        recorded(neural)


def _refuse(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value:
            raise ValueError(f"{name}: got one without --data, expected both")


def _read(folders: Sequence[Path]) -> list[StudyResult]:
    from neurofreq import studies

    return [studies.load(folder) for folder in folders]


def _entries(models: Sequence[str], groups: Sequence[str]) -> list[Any]:
    """Return the requested models with their groups."""
    from neurofreq.studies import ModelEntry

    chosen: dict[str, str] = {}
    for text in groups:
        name, _, group = text.rpartition("=")
        if not name or not group:
            raise ValueError(f"--group: got {text!r}, expected NAME=GROUP")
        chosen[name] = group
    entries = [ModelEntry(text) for text in models]
    entries = [ModelEntry(e.spec, e.name, chosen.pop(e.name, "")) for e in entries]
    if chosen:
        known = ", ".join(entry.name for entry in entries) or "none was given"
        raise ValueError(
            f"--group: got {next(iter(chosen))!r}, expected the name of a --model "
            f"({known})"
        )
    return entries


def _measure(
    wanted: Study, out: Path, quiet: bool, *, device: str, batch_size: int | None
) -> StudyResult | None:
    """Run the study; return None in a process that does not draw."""
    from neurofreq import studies
    from neurofreq.studies.worker import rank_and_count

    found = studies.run(
        wanted, out / "study", progress=not quiet, device=_common.place(device),
        batch_size=batch_size,
    )  # fmt: skip
    _studies.interrupted(found)
    return found if rank_and_count()[0] == 0 else None


def _draw(
    names: Sequence[str],
    found: Sequence[StudyResult],
    out: Path,
    is_strict: bool,
    **inputs: Any,
) -> bool:
    """Draw the figures that can be drawn, and return whether there were any.

    With `is_strict`, a figure that cannot be drawn is an error.
    """
    import pandas as pd

    from neurofreq import figures as drawn
    from neurofreq._shared.escapes import to_csv
    from neurofreq._shared.files.storage import write_text

    out.mkdir(parents=True, exist_ok=True)
    tables = []
    for name in names:
        try:
            table, figure, note = drawn.draw(name, found, **inputs)
        except drawn.NotDrawnError as error:
            if is_strict:
                raise
            say(str(error))
            continue
        for suffix in ("png", "pdf", "svg"):
            figure.savefig(out / f"{name}.{suffix}")
        write_text(out / f"{name}.csv", to_csv(table))
        tables.append(table)
        say(f"{name}: {out / name}.png" + f" ({note})" * bool(note))
    if not tables:
        return False
    shown = drawn.compare(pd.concat(tables))
    if len(shown):
        say(shown.to_string(index=False, float_format="{:.4g}".format))
    kept = [out / f"{name}.csv" for name in drawn.FIGURES]
    drawn_before = [pd.read_csv(path) for path in kept if path.exists()]
    near = drawn.compare(pd.concat(drawn_before))
    write_text(out / "compare.csv", to_csv(near))
    return True
