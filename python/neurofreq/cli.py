"""The ``neurofreq`` command: a thin face over ``neurofreq.report``.

What a user got wrong is one sentence on stderr and exit code 2; ``--traceback``
shows where it came from. An interrupted run ends with exit code 130.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from neurofreq.report import Report

# What our own checks raise; AttributeError: a factory that a module lacks.
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError, AttributeError)

app = typer.Typer(
    help="Which spatial frequencies does a vision model rely on?",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Models = Annotated[
    list[str],
    typer.Option(
        "--model",
        metavar="[LABEL=]SPEC[@WEIGHTS]",
        help="A model: python.module:factory, an exported program, or a name of the "
        "registry. Repeat it to compare several; the first is the reference.",
    ),
]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="Images: synthetic, or cifar10:, tinyimagenet: or imagenet:FOLDER.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for what is written.")]
Images = Annotated[
    int | None, typer.Option("--n-images", help="Use the first N images only.")
]
NAttack = Annotated[
    int | None,
    typer.Option("--n-attack", help="Images to attack: by default 200, or all."),
]
Steps = Annotated[int, typer.Option("--attack-steps", help="Most steps of the attack.")]
Untargeted = Annotated[
    bool, typer.Option("--untargeted", help="Attack towards any wrong class.")
]
Pairings = Annotated[int, typer.Option("--pairings", help="Pairings of hybrid images.")]
Textures = Annotated[
    Path | None,
    typer.Option("--textures", help="Folder with the published pictures of frost."),
]
Seed = Annotated[int, typer.Option("--seed", help="Of targets, attack, corruptions.")]
Batch = Annotated[int, typer.Option("--batch-size", help="Images per model call.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:1.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]
Trace = Annotated[
    bool, typer.Option("--traceback", help="Show where an error came from.")
]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.")
    ] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"neurofreq {installed('neurofreq')}")
        raise typer.Exit


@app.command()
def report(
    model: Models,
    data: Data,
    out: Out,
    n_images: Images = None,
    n_attack: NAttack = None,
    attack_steps: Steps = 300,
    untargeted: Untargeted = False,
    pairings: Pairings = 6,
    seed: Seed = 0,
    batch_size: Batch = 256,
    device: Device = "cpu",
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Measure everything and write tables, pictures and one page.

    Ctrl-C keeps what is done; the same command again goes on from there.
    """
    with _plainly(traceback):
        _finish(
            _run(
                model, data, out, n_images, device, not quiet,
                n_attack=n_attack, attack_steps=attack_steps, targeted=not untargeted,
                seeds=range(pairings), seed=seed, batch_size=batch_size,
            )
        )  # fmt: skip


@app.command()
def attack(
    model: Models,
    data: Data,
    out: Out,
    n_images: Images = None,
    n_attack: NAttack = None,
    attack_steps: Steps = 300,
    untargeted: Untargeted = False,
    seed: Seed = 0,
    batch_size: Batch = 256,
    device: Device = "cpu",
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Find minimal Linf perturbations: their sizes and success curve."""
    with _plainly(traceback):
        _finish(
            _run(
                model, data, out, n_images, device, not quiet,
                n_attack=n_attack, attack_steps=attack_steps, targeted=not untargeted,
                seed=seed, batch_size=batch_size, measurements=("clean", "attack"),
            )
        )  # fmt: skip


@app.command()
def hybrid(
    model: Models,
    data: Data,
    out: Out,
    n_images: Images = None,
    pairings: Pairings = 6,
    batch_size: Batch = 256,
    device: Device = "cpu",
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Measure the reversal frequency with hybrid images."""
    with _plainly(traceback):
        _finish(
            _run(
                model, data, out, n_images, device, not quiet,
                seeds=range(pairings), batch_size=batch_size, n_attack=1,
                measurements=("hybrid",),
            )
        )  # fmt: skip


@app.command()
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
    batch_size: Batch = 256,
    device: Device = "cpu",
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Measure accuracy under every common corruption at every severity.

    Ctrl-C keeps what is done; the same command again goes on from there.
    """
    with _plainly(traceback):
        from neurofreq.data import CorruptedFolder
        from neurofreq.report import _corruptions

        kind, _, folder = data.partition(":")
        is_folder = kind == "corrupted" and folder
        if is_folder and n_images is not None:
            raise ValueError("--n-images: got one, expected none with corrupted:FOLDER")
        images = CorruptedFolder(folder) if is_folder else _data(data, n_images, True)
        place = _place(device)
        try:
            found = _corruptions.write(
                _load(model, place), images, out, command=_command(), seed=seed,
                clean=None if clean is None else _data(clean, None, True),
                textures=textures, batch_size=batch_size, device=place,
                progress=not quiet,
            )  # fmt: skip
        except KeyboardInterrupt:
            typer.echo("interrupted: the same command again goes on", err=True)
            raise typer.Exit(130) from None
        for name, one in found.items():
            typer.echo(f"{name}\n{one}")
        typer.echo(f"written to {out}")


@app.command()
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

    A stopped run goes on where it was.
    """
    with _plainly(traceback):
        from neurofreq.data import write_corrupted

        made = write_corrupted(
            _data(data, n_images, True), out, seed=seed, textures=textures,
            progress=not quiet,
        )  # fmt: skip
        typer.echo(f"{len(made.names)} corruptions of {len(made)} images: {out}")


@app.command()
def spectrum(
    data: Data,
    out: Out,
    n_images: Images = None,
    corruption: Annotated[
        str | None,
        typer.Option("--corruption", help="The change this corruption makes."),
    ] = None,
    severity: Annotated[int, typer.Option("--severity", help="1 to 5.")] = 3,
    seed: Seed = 0,
    traceback: Trace = False,
) -> None:
    """Draw the spectrum of images, or of what a corruption changes in them."""
    with _plainly(traceback):
        from neurofreq.report import _spectrum

        found = _spectrum.write(
            _data(data, n_images), out, corruption=corruption, severity=severity,
            seed=seed,
        )  # fmt: skip
        typer.echo(
            f"half of the power lies below {found.value:.3f} "
            f"[{found.lower:.3f}, {found.upper:.3f}] cycles/pixel"
        )
        typer.echo(f"written to {out}")


@app.command()
def demo(
    out: Out = Path("neurofreq-demo"),
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Seconds, to see that it runs.")
    ] = False,
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Train two small networks, no data needed, and compare them in a report."""
    with _plainly(traceback):
        from neurofreq import demo as demonstration

        found = demonstration.run(
            out, tiny=tiny, progress=not quiet, command=_command()
        )
        _finish(found)
        typer.echo("\n".join(demonstration.sentences(found)))


def main() -> None:
    """Run the command."""
    app()


def _run(
    models: list[str],
    data: str,
    out: Path,
    n_images: int | None,
    device: str,
    progress: bool,
    **settings: Any,
) -> Report:
    """Load what was named and measure it."""
    from neurofreq import report as reporting

    place = _place(device)
    return reporting.run(
        _load(models, place),
        _data(data, n_images),
        out,
        device=place,
        progress=progress,
        command=_command(),
        **settings,
    )


def _place(device: str) -> torch.device:
    import torch

    try:
        place = torch.device(device)
    except RuntimeError:
        raise ValueError(
            f"device: got {device}, expected cpu, cuda or cuda:N"
        ) from None
    if place.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device: got {device}, expected one that torch can see")
    return place


def _load(models: list[str], place: torch.device) -> dict[str, torch.nn.Module]:
    """Load the models that were named."""
    from neurofreq.models import load_model, parse_spec

    loaded = {}
    for text in models:
        label, spec, weights = parse_spec(text)
        if label in loaded:
            raise ValueError(f"--model: got {label} twice, expected different labels")
        loaded[label] = load_model(spec, weights=weights)
        if place.type != "cpu":
            loaded[label] = loaded[label].to(place)
    return loaded


def _data(spec: str, n_images: int | None, as_stored: bool = False) -> Any:
    from neurofreq.data import load_data, open_data

    read = open_data if as_stored else load_data
    return read(spec, split="test", n=n_images)


def _finish(found: Report) -> None:
    """Print the summary; an interrupted run ends as one."""
    typer.echo(str(found))
    if not found.is_complete:
        typer.echo(
            f"interrupted: {len(found.missing)} measurements are missing; the same "
            "command again goes on from there",
            err=True,
        )
        raise typer.Exit(130)


@contextlib.contextmanager
def _plainly(traceback: bool) -> Iterator[None]:
    """Turn an error of the user into one sentence and exit code 2."""
    from neurofreq import ModelError

    try:
        yield
    except (*_USER_ERRORS, ModelError) as error:
        if traceback:
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        typer.echo(f"neurofreq: {text}", err=True)
        raise typer.Exit(2) from None


def _command() -> str:
    """Return the command line with the user's home folder abbreviated."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return shlex.join(words).replace(str(Path.home()), "~")
