"""Measure four CIFAR-10 networks under common corruptions and write the page.

Usage: python experiments/cifar10_corruptions.py --data DIR [--images N] [--out FOLDER]

DIR holds ``cifar10/`` (an official layout, unpacked) and ``models/`` with the four
checkpoints. The page, docs/results/cifar10-corruptions.md, needs all 15 corruptions of
the paper. If a build lacks one of them, give another folder with --out. Finished cells
are saved in target/cifar10-corruptions, and a stopped run resumes there.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import neurofreq as nf
from neurofreq.corruptions.grouping import GROUPS, averaged, group_of
from neurofreq.report import corruption_page

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    "resnet20": ("resnet20-12fca82f.th", "standard"),
    "marabou_large": ("cifar_marabou_large.pth", "standard"),
    "cnn_a_mix4": ("cifar_cnn_a_mix4.model", "adversarial, Linf"),
    "cnn_a_wide": ("cifar_wide.pth", "provably robust, Linf"),
}
N_CORRUPTIONS = 15
COMMAND = "python experiments/cifar10_corruptions.py --data DIR"
PAGE = """# Four CIFAR-10 networks under common corruptions

**Question.** Are robust networks more accurate than standard ones under common
corruptions, and in which group of frequencies?

**Method.** Four networks classify {n_images} CIFAR-10 test images under {n_corruptions}
corruptions ({names}) at five severities. `nf.corruption_accuracy` makes the corruptions
during the run from 8-bit images, with CIFAR-10-C's constants and seed 0. Accuracy is in
%, with 95 % bootstrap intervals over images; each image is resampled together with all
its corruptions.

**Conclusion.** Over all corruptions, the standard network resnet20 is the most
accurate, because the others lose more clean accuracy. Under corruptions of high
frequency (noise), the three others are ahead of it, although they are less accurate on
clean images; under corruptions of low frequency they lose most. That is what networks
that rely on low frequencies would show.

**Command.**

```console
$ {command}
```

{machine}; neurofreq {neurofreq}, torch {torch}, {date}.

## Means

{means}

![Accuracy against severity](cifar10-corruptions/severity.png)
![Accuracy by group](cifar10-corruptions/group.png)

## Difference from resnet20 in points, paired over images

{differences}

## Accuracy under each corruption, mean over severities

{each}

## Comparison with published values

No published CIFAR-10-C accuracy of these four checkpoints was found. The most similar
networks are those of the paper's Figure 5b, measured on the published CIFAR-10-C files.
Its six standard networks, all larger and with 93.5 to 95.1 % clean accuracy, have 68.2
to 73.5 %. Its adversarially trained wide residual networks have 78.7 to 82.8 %. Here,
resnet20 has {resnet20} %. The images here are not the published files: random
corruptions have the same distribution, but other random numbers.

Raw numbers are in `cifar10-corruptions/cells.csv` (every corruption at every severity)
and `means.csv`. Settings are in `settings.json`.
"""


def percent(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def means(found: dict[str, nf.CorruptionAccuracy]) -> str:
    rows = []
    for name, one in found.items():
        clean = one.by_severity.iloc[0]
        groups = one.by_group.set_index("group")
        cells = [percent(clean["accuracy"], clean["low"], clean["high"])]
        cells.append(percent(one.mean.value, one.mean.low, one.mean.high))
        cells += [
            percent(*groups.loc[group, ["accuracy", "low", "high"]])
            for group in groups.index
        ]
        rows.append([name, FILES[name][1], *cells])
    groups = next(iter(found.values())).by_group["group"].tolist()
    return table(["", "training", "clean", "mean of all", *groups], rows)


def group_means(one: nf.CorruptionAccuracy) -> dict[str, NDArray[np.float64]]:
    """Return each image's mean over all cells, and over the cells of each group."""
    groups = np.array([group_of(name) for name in one.corruptions])
    present = [group for group in GROUPS if (groups == group).any()]
    by_group = {group: one.correct[groups == group].mean((0, 1)) for group in present}
    return {"clean": one.clean, "mean of all": one.correct.mean((0, 1))} | by_group


def differences(found: dict[str, nf.CorruptionAccuracy]) -> str:
    first = group_means(found["resnet20"])
    rows = []
    for name, one in list(found.items())[1:]:
        cells = []
        for key, values in group_means(one).items():
            less = values.astype(np.float64) - first[key]
            draws = nf.intervals.resampled_means(less)
            interval = nf.intervals.percentile_interval(draws)
            cells.append(percent(less.mean(), *interval))
        rows.append([name, *cells])
    return table(["", *first], rows)


def each(found: dict[str, nf.CorruptionAccuracy]) -> str:
    tables = {name: one.by_corruption for name, one in found.items()}
    first = next(iter(tables.values()))
    rows = []
    for row, (corruption, group) in first[["corruption", "group"]].iterrows():
        cells = [
            percent(*one.loc[row, ["accuracy", "low", "high"]])
            for one in tables.values()
        ]
        rows.append([corruption.replace("_", " "), group, *cells])
    return table(["", "group", *tables], rows)


def machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "?"
    return f"{platform.system()} {platform.machine()}, {cores} cores, models on the CPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    options = parser.parse_args()
    names = averaged(nf.CORRUPTIONS)
    is_page = options.out.resolve() == (ROOT / "docs" / "results").resolve()
    if is_page and len(names) < N_CORRUPTIONS:
        parser.error(
            f"this build has {len(names)} of the paper's {N_CORRUPTIONS} corruptions: "
            "name another folder with --out"
        )
    models = {
        name: nf.models.load_model(name, weights=options.data / "models" / file)
        for name, (file, _) in FILES.items()
    }
    data = nf.data.open_cifar10(options.data / "cifar10", n=options.images)
    kept = ROOT / "target" / "cifar10-corruptions"
    found = corruption_page.write(
        models, data, kept, command=COMMAND, seed=0, progress=True
    )
    text = PAGE.format(
        date=f"{datetime.date.today():%-d %B %Y}",
        machine=machine(),
        neurofreq=nf.__version__,
        torch=torch.__version__,
        command=COMMAND + (f" --images {len(data)}" if len(data) < 10_000 else ""),
        n_images=f"{len(data):,}",
        n_corruptions=len(names),
        names=", ".join(name.replace("_", " ") for name in names),
        means=means(found),
        differences=differences(found),
        each=each(found),
        resnet20=f"{100 * found['resnet20'].mean.value:.1f}",
    )
    folder = options.out / "cifar10-corruptions"
    folder.mkdir(parents=True, exist_ok=True)
    for path in kept.iterdir():
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
    (options.out / "cifar10-corruptions.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
