"""The command that measures robust accuracy against several budgets."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from neurofreq.cli import _common
from neurofreq.cli._common import (
    Batch,
    Data,
    Device,
    Images,
    Json,
    Models,
    Out,
    Quiet,
    Trace,
)
from neurofreq.cli._errors import plainly, say


def robust(
    model: Models,
    data: Data,
    out: Out,
    epsilons: Annotated[
        str,
        typer.Option(
            "--epsilons",
            metavar="E1,E2,...",
            help="Budgets in pixel units of [0, 1], such as 0,2/255,8/255.",
        ),
    ] = "0,1/255,2/255,4/255,8/255",
    norm: Annotated[
        str, typer.Option("--norm", help="The norm of the budgets: linf, l2, l1 or l0.")
    ] = "linf",
    decision: Annotated[
        Literal["auto", "always", "never"],
        typer.Option(
            "--decision",
            help="Attack without gradients: images whose gradient vanished (auto), all "
            "images that are left (always), or none (never).",
        ),
    ] = "auto",
    n_images: Images = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the attacks.")] = 0,
    batch_size: Batch = None,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Measure accuracy against budgets, under the strongest of several attacks."""
    with plainly(traceback):
        from neurofreq._shared.networks.untrained import is_random
        from neurofreq.report import robust_page

        place = _common.place(device)
        models = _common.load(model, place)
        found = robust_page.write(
            models,
            _common.data(data, n_images, progress=not quiet),
            out,
            command=_common.command(),
            device=place,
            epsilons=_common.epsilons(epsilons),
            norm=norm,
            decision=decision,
            seed=seed,
            batch_size=batch_size,
            progress=not quiet,
        )
        if as_json:
            accuracy = {name: one.by_epsilon for name, one in found.items()}
            say(_common.as_json({"accuracy": accuracy, "out": out}))
            return
        for name, one in found.items():
            suffix = " (random weights)" * is_random(models[name])
            say(f"{name}{suffix}\n{one}")
        say(f"written to {out}")
