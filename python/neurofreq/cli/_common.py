"""Options that several commands share, and functions that load models and data."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import torch

Models = Annotated[
    list[str],
    typer.Option(
        "--model",
        metavar="[LABEL=]SPEC[@WEIGHTS]",
        help="A model. SPEC is a name that `neurofreq models` lists, with options as "
        "in resnet18,base_width=16,blur=1.5; WEIGHTS is FILE, FILE#PART for a file "
        "with several copies, or random. SPEC may also be timm:NAME, hf:FOLDER of "
        "transformers, an exported program, or file.py:factory or "
        "python.module:factory, which run that file or module. "
        "Repeat the option to compare several models; the first is the reference.",
    ),
]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="Images: synthetic; cifar10:, tinyimagenet: or imagenet:FOLDER; "
        "folder:FOLDER[,resize=N][,crop=N] with a folder for each class; npz:FILE with "
        "images and labels; or file.py:factory, which runs that file.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
Images = Annotated[
    int | None,
    typer.Option(
        "--n-images",
        help="Use only the first N images; for ImageNet, N fixed random images.",
    ),
]
NAttack = Annotated[
    int | None,
    typer.Option("--n-attack", help="Images to attack: by default the first 200."),
]
Steps = Annotated[
    int | None,
    typer.Option("--attack-steps", help="Maximum attack steps: by default 300."),
]
Untargeted = Annotated[
    bool, typer.Option("--untargeted", help="Attack towards any wrong class.")
]
Epsilons = Annotated[
    str | None,
    typer.Option(
        "--epsilons",
        metavar="E1,E2,...",
        help="Budgets in pixel units of [0, 1], such as 0,2/255,8/255.",
    ),
]
NHybrid = Annotated[
    int | None,
    typer.Option("--n-hybrid", help="Images in each pairing: by default all."),
]
NCorruption = Annotated[
    int | None,
    typer.Option("--n-corruption", help="Images to corrupt: by default all."),
]
NFiltered = Annotated[
    int | None,
    typer.Option(
        "--n-filtered",
        help="Images for filters, bands and sensitivity: by default all.",
    ),
]
Measure = Annotated[
    str | None,
    typer.Option(
        "--measure",
        metavar="M1,M2,...",
        help="Some of clean, hybrid, attack, corruption (the default), filters, bands "
        "and sensitivity.",
    ),
]
Contrast = Annotated[
    float | None,
    typer.Option("--contrast", help="Contrast of the images in bands: by default 0.2."),
]
PerOctave = Annotated[
    int | None,
    typer.Option(
        "--per-octave",
        help="Pairs of frequencies of each octave in sensitivity: by default 256.",
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print the numbers as JSON, and nothing else."),
]
Colormap = Annotated[
    str,
    typer.Option(
        "--colormap", help="Colors of spectra, such as viridis; jet as in the paper."
    ),
]
Pairings = Annotated[
    int | None,
    typer.Option("--pairings", help="Pairings of hybrid images: by default 6."),
]
Textures = Annotated[
    Path | None,
    typer.Option("--textures", help="Folder with the published pictures of frost."),
]
Beside = Annotated[
    list[Path] | None,
    typer.Option(
        "--beside",
        metavar="STUDYDIR",
        help="Also show the models of this finished study or report, which must use "
        "the same data. These models are not measured again, and options that you omit "
        "are taken from the study. Repeatable.",
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", help="Seed of targets, attack and corruptions.")
]
Batch = Annotated[
    int | None,
    typer.Option(
        "--batch-size", help="Images per model call: by default chosen by the device."
    ),
]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:1.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]
Trace = Annotated[
    bool, typer.Option("--traceback", help="Show where an error came from.")
]


def epsilons(text: str | None) -> list[float] | None:
    """Return budgets from text such as 0,2/255,0.1."""
    if text is None:
        return None
    found = []
    for word in text.split(","):
        above, slash, below = word.partition("/")
        try:
            found.append(float(above) / (float(below) if slash else 1.0))
        except (ValueError, ZeroDivisionError):
            raise ValueError(
                f"--epsilons: got {text!r}, expected numbers such as 0,2/255,8/255"
            ) from None
    return found


def place(device: str) -> torch.device:
    """Return the device with this name."""
    from neurofreq._shared.inputs import validate

    return validate.device(device)


def load(models: list[str], place: torch.device) -> dict[str, torch.nn.Module]:
    """Load the models of these specs, by label."""
    from neurofreq._shared import runtime
    from neurofreq.models import load_model, parse_spec
    from neurofreq.models.loading import require_weights

    loaded = {}
    for text in models:
        label, spec, weights = parse_spec(text)
        if label in loaded:
            raise ValueError(f"--model: got {label} twice, expected different labels")
        require_weights(spec, weights)
        with runtime.seeded(0):
            loaded[label] = load_model(spec, weights=weights)
        if place.type != "cpu":
            loaded[label] = loaded[label].to(place)
    return loaded


def data(
    spec: str, n_images: int | None, as_stored: bool = False, *, progress: bool = True
) -> Any:
    from neurofreq.data import load_data, open_data

    if as_stored:
        return open_data(spec, split="test", n=n_images)
    return load_data(spec, split="test", n=n_images, progress=progress)


def as_json(value: Any) -> str:
    """Return values as JSON; tables become lists of rows, and NaN becomes null."""
    import math

    def plain(one: Any) -> Any:
        if hasattr(one, "to_dict") and hasattr(one, "columns"):
            return plain(one.to_dict("records"))
        if isinstance(one, dict):
            return {str(key): plain(part) for key, part in one.items()}
        if isinstance(one, (list, tuple)):
            return [plain(part) for part in one]
        if hasattr(one, "item"):
            one = one.item()
        is_undefined = isinstance(one, float) and not math.isfinite(one)
        return None if is_undefined else str(one) if isinstance(one, Path) else one

    return json.dumps(plain(value), indent=1)


def command() -> str:
    """Return the command line with the user's home folder abbreviated."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return shlex.join(words).replace(str(Path.home()), "~")
