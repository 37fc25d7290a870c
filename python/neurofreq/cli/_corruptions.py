"""Commands for common corruptions: measure accuracy, and write corrupted folders."""

from __future__ import annotations

from typing import Annotated

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
    Seed,
    Textures,
    Trace,
)
from neurofreq.cli._errors import plainly, say


def corruptions(
    model: Models,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="Clean images, as for report, or corrupted:FOLDER, the folder of a "
            "benchmark such as CIFAR-10-C.",
        ),
    ],
    out: Out,
    clean: Annotated[
        str | None,
        typer.Option("--clean", help="Clean images beside corrupted:FOLDER."),
    ] = None,
    n_images: Images = None,
    seed: Seed = 0,
    textures: Textures = None,
    batch_size: Batch = None,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Measure accuracy under every common corruption at every severity.

    Ctrl-C keeps finished results; run the same command again to continue.
    """
    with plainly(traceback):
        from neurofreq._shared.networks.untrained import is_random
        from neurofreq.corruptions import CorruptedFolder
        from neurofreq.report import corruption_page

        kind, _, folder = data.partition(":")
        is_folder = kind == "corrupted" and folder
        if is_folder and n_images is not None:
            raise ValueError("--n-images: got one, expected none with corrupted:FOLDER")
        images = (
            CorruptedFolder(folder)
            if is_folder
            else _common.data(data, n_images, as_stored=True)
        )
        place = _common.place(device)
        models = _common.load(model, place)
        try:
            found = corruption_page.write(
                models,
                images,
                out,
                command=_common.command(),
                seed=seed,
                clean=None if clean is None else _common.data(clean, None, True),
                textures=textures,
                batch_size=batch_size,
                device=place,
                progress=not quiet,
            )
        except KeyboardInterrupt:
            say("interrupted: run the same command again to continue", err=True)
            raise typer.Exit(130) from None
        if as_json:
            tables = {"means": corruption_page.tables(found)["means"]}
            say(_common.as_json({**tables, "out": out}))
            return
        for name, one in found.items():
            suffix = " (random weights)" * is_random(models[name])
            say(f"{name}{suffix}\n{one}")
        say(f"written to {out}")


def corrupt(
    data: Data,
    out: Out,
    n_images: Images = None,
    seed: Seed = 0,
    textures: Textures = None,
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Write a benchmark folder of corrupted images, as CIFAR-10-C or ImageNet-C.

    A run that was stopped continues.
    """
    with plainly(traceback):
        from neurofreq.corruptions import write_corrupted

        made = write_corrupted(
            _common.data(data, n_images, True),
            out,
            seed=seed,
            textures=textures,
            progress=not quiet,
        )
        say(f"{len(made.names)} corruptions of {len(made)} images: {out}")
