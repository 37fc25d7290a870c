"""Commands for networks: list named models, and train by recipe."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurofreq.cli import _common
from neurofreq.cli._common import Device, Json, Out, Quiet, Trace
from neurofreq.cli._errors import plainly, say

if TYPE_CHECKING:
    from neurofreq.training import Recipe


def models(as_json: Json = False, traceback: Trace = False) -> None:
    """List the models that have a name, and whether their weights are available."""
    with plainly(traceback):
        from neurofreq.models.registry import list_models, table

        rows = list_models()
        if as_json:
            say(_common.as_json([dataclasses.asdict(row) for row in rows]))
        else:
            say(table(rows))


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="standard, adversarial, adversarial_pgd, adversarial_l2, noise, "
            "augmix, blur, pca, mouse or monkey; options change its settings."
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="Training images, as for report, or a factory of your own.",
        ),
    ],
    out: Out,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            help="Similarities to train towards: simulated, pixel or threshold "
            "(computed from the stimuli); sensorium:FILE (mouse V1) or v4-compact:FILE "
            "(macaque V4), predicted by a published model for the stimuli; or a file "
            "of nf.neural.Target.save.",
        ),
    ] = None,
    responses: Annotated[
        Path | None,
        typer.Option(
            "--responses", help="Co-train with these: a .npy file, stimuli x neurons."
        ),
    ] = None,
    stimuli: Annotated[
        str | None,
        typer.Option(
            "--stimuli",
            help="Images of the target or responses: a .npy file, (N, C, H, W) in "
            "[0, 1], or a data set as for --data.",
        ),
    ] = None,
    n_stimuli: Annotated[
        int,
        typer.Option(
            "--n-stimuli", help="Stimuli of a data set, chosen as by --n-images."
        ),
    ] = 1000,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Train the control: exchange the images.")
    ] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Scale the recipe down for a CPU.")
    ] = False,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting."),
    ] = None,
    n_images: Annotated[
        int | None,
        typer.Option(
            "--n-images",
            help="Train on the first N images; for TinyImageNet and ImageNet, which "
            "are sorted by class, on N fixed random images.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", help="Seed of weights, order, augmentation and --shuffle."
        ),
    ] = 0,
    device: Device = "cpu",
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Train a network by a published recipe, with or without data of visual cortex.

    Ctrl-C keeps the last finished epoch; run the same command again to continue.
    """
    with plainly(traceback):
        from neurofreq import training
        from neurofreq.data import load_data

        if shuffle and target is None and responses is None:
            raise ValueError(
                "--shuffle: expected --target or --responses, whose images are "
                "exchanged"
            )
        settings = _recipe(recipe, fast, change or [])
        shown = _stimuli(stimuli, n_stimuli)
        place = _common.place(device)
        similarity = _target(target, shown, place)
        if similarity is not None and shuffle:
            similarity = similarity.shuffled(seed=seed)
        try:
            found = training.train(
                settings, load_data(data, split="train", n=n_images), out,
                stimuli=shown, similarity=similarity,
                responses=_responses(responses, shuffle, seed),
                source=f"responses, shuffled; seed {seed}" if shuffle else "responses",
                seed=seed, device=place, progress=not quiet,
            )  # fmt: skip
        except KeyboardInterrupt:
            say("interrupted: run the same command again to continue", err=True)
            raise typer.Exit(130) from None
        last = {name: round(value, 4) for name, value in found.history[-1].items()}
        say(", ".join(f"{name} {value}" for name, value in last.items()))
        say(f"use it as {settings.network}@{out / 'best.safetensors'}")


def _recipe(name: str, fast: bool, changes: list[str]) -> Recipe:
    """Return the named recipe, with --fast and the changes of --set applied."""
    from neurofreq._shared.inputs import validate
    from neurofreq.training import RECIPES

    validate.one_of("recipe", name, tuple(RECIPES))
    recipe = RECIPES[name].fast() if fast else RECIPES[name]
    values: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise ValueError(f"--set: got {change!r}, expected NAME=VALUE")
        try:
            values[key] = json.loads(text)
        except json.JSONDecodeError:
            values[key] = text
    return recipe.replace(**values)


def _stimuli(spec: str | None, n: int) -> Any:
    """Return the stimuli of a file or a data set, or None."""
    import numpy as np

    from neurofreq.data import load_data

    if spec is None:
        return None
    if spec.endswith(".npy"):
        return np.load(spec, allow_pickle=False)
    return load_data(spec, split="train", n=n).gray().images


def _target(name: str | None, stimuli: Any, device: Any) -> Any:
    """Return the target with this name, made from the stimuli or read from a file."""
    from neurofreq import neural
    from neurofreq.neural.published import READERS

    if name is None:
        return None
    if stimuli is None:
        raise ValueError("--target: expected --stimuli with it, the target's images")
    if name == "simulated":
        return neural.v1_similarity(stimuli)
    if name == "pixel":
        return neural.pixel_similarity(stimuli)
    if name == "threshold":
        return neural.threshold_similarity(neural.pixel_similarity(stimuli))
    model, colon, file = name.partition(":")
    if colon and model in READERS:
        predictor = neural.load_predictor(model, file, device=device)
        return neural.neural_similarity(predictor, stimuli)
    if zipfile.is_zipfile(name):
        return neural.Target.load(name)
    raise ValueError(
        f"--target: got {name}, expected simulated, pixel, threshold, "
        f"{', '.join(f'{one}:FILE' for one in READERS)} or a file that "
        "nf.neural.Target.save wrote"
    )


def _responses(path: Path | None, shuffle: bool, seed: int) -> Any:
    """Return the responses in a file, with images exchanged if `shuffle` is set."""
    import numpy as np

    from neurofreq.neural.target import exchanged

    if path is None:
        return None
    found = np.load(path, allow_pickle=False)
    return found[exchanged(len(found), seed)] if shuffle else found
