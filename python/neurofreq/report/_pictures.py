"""The report's pictures: figures with captions that explain the measurement."""

from __future__ import annotations

import dataclasses
import io
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from neurofreq import plot
from neurofreq._shared.escapes import literal
from neurofreq._shared.files.storage import write_bytes
from neurofreq._shared.results import drawing
from neurofreq.corruptions import grouping
from neurofreq.measured import quantities
from neurofreq.plot import Curve
from neurofreq.report import _filters, _tables
from neurofreq.report._filters import DPI, placed
from neurofreq.studies.measuring import N_EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

    from neurofreq.report._tables import Results

FORMATS = ("png", "pdf", "svg")
# With more models, a legend inside the axes would hide curves.
MOST_INSIDE = 5
_BAND = "Bands are 95 % bootstrap intervals over images."


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture of the page: a PNG, its texts, and its file name `key`.

    A wide picture takes the full width of the page.
    """

    key: str
    title: str
    caption: str
    alt: str
    png: bytes
    is_wide: bool
    figure: Figure = dataclasses.field(repr=False)


def draw(results: Results) -> list[Picture]:
    """Draw every picture for which at least one model has finished the measurement."""
    makers = (
        _hybrid_curves,
        _radial_profiles,
        _success_curves,
        _robust_curves,
        _severity,
        _frequency_groups,
        _filtered,
        _spectra,
        _hybrid_examples,
        _perturbation_examples,
    )
    pictures = [picture for make in makers for picture in make(results)]
    narrow = [i for i, picture in enumerate(pictures) if not picture.is_wide]
    if len(narrow) % 2:  # two in a row, so the last picture would be alone
        last = narrow[-1]
        pictures[last] = dataclasses.replace(pictures[last], is_wide=True)
    return pictures


def _hybrid_curves(results: Results) -> Iterator[Picture]:
    curves = placed(
        results,
        {one.name: one.hybrid.curve() for one in results.having("hybrid")},
    )
    if not curves:
        return
    settings = results.settings
    figure = new_figure(5.4, 3.9)
    plot.plot_hybrid_curves(curves, figure.subplots())
    yield _picture(
        figure,
        "hybrid_curves",
        "Which image of a hybrid does the model see?",
        f"{settings.n_hybrid} images. In each of {len(settings.seeds)} pairings, every "
        "image gives the low frequencies of one hybrid, and an image of another class "
        "gives the high frequencies. p_low and p_high are the fractions of hybrids "
        "classified as the low and as the high image. The mixing frequency is in "
        "units of Nyquist (0.5 cycles/pixel). Dots mark the reversal frequency f_rev, "
        f"at which p_low = p_high; bars are its intervals. {_BAND}",
        "Curves of p_low minus p_high against mixing frequency: " + _marks(curves),
    )


def _radial_profiles(results: Results) -> Iterator[Picture]:
    found = {
        one.name: one.attack.radial_curve(one.attack.success)
        for one in results.having("attack")
        if one.attack.has_power
    }
    curves = placed(results, found)
    if not curves:
        return
    figure = new_figure(5.4, 3.9)
    plot.plot_radial_profiles(curves, figure.subplots())
    yield _picture(
        figure,
        "radial_profile",
        "Where is the power of the smallest perturbations?",
        f"Mean power of {_attacked(results)}: the share below each spatial frequency, "
        f"at {results.settings.n_thresholds} thresholds. Frequencies are in "
        "cycles/pixel (fractions of the sampling frequency; Nyquist is 0.5, the corner "
        "0.707). Dots mark the half-power frequency f_0.5; bars are its intervals. "
        f"{_BAND}",
        "Cumulative radial power against spatial frequency: " + _marks(curves),
    )


def _success_curves(results: Results) -> Iterator[Picture]:
    attacks = {one.name: one.attack for one in results.having("attack")}
    if not attacks:
        return
    epsilons = quantities.budgets([one.distance for one in attacks.values()])
    found = {name: one.success_curve(epsilons) for name, one in attacks.items()}
    curves = placed(results, found)
    figure = new_figure(5.4, 3.9)
    plot.plot_success_curves(curves, figure.subplots())
    lost = {name: int((~one.success).sum()) for name, one in attacks.items()}
    failures = ", ".join(f"{count} for {name}" for name, count in lost.items() if count)
    note = f" Number of images without a perturbation: {failures}." if failures else ""
    yield _picture(
        figure,
        "success",
        "How large must a perturbation be?",
        f"Sizes of {_attacked(results)}: the share of images whose perturbation is not "
        "larger than the budget. The size is the largest absolute pixel change, in "
        "1/255. Sizes are upper bounds: a smaller perturbation may exist. "
        f"{_BAND}{note}",
        "Success of the attack against its budget for " + ", ".join(attacks),
    )


def _robust_curves(results: Results) -> Iterator[Picture]:
    curves = placed(results, _tables.robust_curves(results))
    if not curves:
        return
    figure = new_figure(5.4, 3.9)
    ax = figure.subplots()
    plot.plot_robust_accuracy(curves, ax, marker="")
    yield _picture(
        figure,
        "robust_accuracy",
        "How accurate is the model under the attack?",
        f"Accuracy within each budget, from {_attacked(results)}: the share of images "
        "that are classified correctly without an attack and whose perturbation is "
        "larger than the budget. The budget is the largest absolute pixel change, in "
        "units of [0, 1]. Accuracies are upper bounds: a smaller perturbation may "
        f"exist. {_BAND}",
        "Accuracy against the budget of the attack for " + ", ".join(curves),
    )


def _severity(results: Results) -> Iterator[Picture]:
    corrupted = results.corrupted()
    if not corrupted:
        return
    curves = placed(results, {n: c.curve("severity") for n, c in corrupted.items()})
    figure = new_figure(5.4, 3.9)
    plot.plot_corruption_severity(curves, figure.subplots())
    yield _picture(
        figure,
        "corruption_severity",
        "Accuracy against the severity of corruptions",
        f"Mean over {', '.join(map(_words, results.corruptions))}, on "
        f"{results.settings.n_corruption} images; severity 0 is the clean image. "
        f"Color images are corrupted before any conversion to gray. {_BAND}",
        "Accuracy against severity of corruption for " + ", ".join(curves),
    )


def _frequency_groups(results: Results) -> Iterator[Picture]:
    corrupted = results.corrupted()
    if not corrupted:
        return
    curves = placed(results, {n: c.curve("group") for n, c in corrupted.items()})
    figure = new_figure(5.4, 3.9)
    plot.plot_corruption_groups(curves, figure.subplots())
    names = {
        group: [_words(n) for n in results.corruptions if grouping.group_of(n) == group]
        for group in grouping.GROUPS
    }
    listing = "; ".join(
        f"{group}: {', '.join(words)}" for group, words in names.items() if words
    )
    yield _picture(
        figure,
        "corruption_groups",
        "Accuracy by the frequencies of the corruption",
        f"Mean over severities 1 to 5 and the corruptions of each group ({listing}), "
        f"on {results.settings.n_corruption} images. Bars are 95 % bootstrap intervals "
        "over images.",
        "Accuracy by group of corruptions for " + ", ".join(curves),
    )


def _filtered(results: Results) -> Iterator[Picture]:
    for one in _filters.drawings(results):
        texts = one.key, one.title, one.caption, one.alt
        yield _picture(one.figure, *texts, is_wide=one.is_wide)


def _spectra(results: Results) -> Iterator[Picture]:
    models = [
        one for one in results.having("attack") if np.nansum(one.attack.power) > 0.0
    ]
    if not models:
        return
    n_columns = min(len(models), 3)
    n_rows = -(-len(models) // n_columns)
    figure = new_figure(3.6 * n_columns, 3.0 * n_rows)
    # Space between the label of a color bar and the axis label of the next map.
    figure.get_layout_engine().set(wspace=0.08)  # type: ignore[union-attr, call-arg]
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax, one in zip(panels, models, strict=False):
        drawn = plot.plot_spectrum(one.attack.power, ax)
        drawn.set_title(literal(one.name), fontsize=10)
    for ax in panels[len(models) :]:
        ax.set_visible(False)
    yield _picture(
        figure,
        "spectra",
        "Spectra of the smallest perturbations",
        f"Mean power over {_attacked(results)} and over channels, without the spatial "
        "mean; zero frequency, in the center, is blank. Frequencies are in "
        "cycles/pixel. Each panel has a logarithmic color scale between its own "
        "minimum and maximum.",
        "Maps of perturbation power over two-dimensional frequency, one per model",
        is_wide=len(models) > 1,
    )


def _hybrid_examples(results: Results) -> Iterator[Picture]:
    images = _most_colourful(results)
    if images.shape[1] not in (1, 3) or not results.having("hybrid"):
        return
    other = next(
        (i for i, label in enumerate(results.labels) if label != results.labels[0]),
        None,
    )
    if other is None:
        return
    figure = new_figure(7.2, 3.6)
    plot.plot_hybrid_examples(images[0], images[other], ax=figure.subplots())
    first, second = _class(results, 0), _class(results, other)
    yield _picture(
        figure,
        "example_hybrids",
        "Hybrid images",
        f"Low frequencies of one image ({first}) and high frequencies of another "
        f"({second}), split by a sharp circular mask at the mixing frequency (percent "
        "of Nyquist). The mean of the high part is added back for display.",
        "Rows of the low part, the high part and the hybrid at six mixing frequencies",
        is_wide=True,
    )


def _perturbation_examples(results: Results) -> Iterator[Picture]:
    shown = {}
    for one in results.having("attack")[:4]:
        images = one.attack.adversarial
        found = one.attack.success[: len(images), None, None, None]
        shown[one.name] = np.where(found, images, np.nan)
    if not shown or next(iter(shown.values())).shape[1] not in (1, 3):
        return
    clean = {name: results.images[name][: len(shown[name])] for name in shown}
    height = 1.05 * (1 + 2 * len(shown))
    figure = new_figure(7.2, height)
    plot.plot_perturbation_examples(clean, shown, figure.subplots())
    yield _picture(
        figure,
        "example_perturbations",
        "The smallest perturbations found",
        f"The first {min(N_EXAMPLES, results.settings.n_attack)} images, the "
        "adversarial images, and the perturbations, amplified to fill the range around "
        "middle gray. The number on each perturbation is its true size, the largest "
        "absolute pixel change in 1/255.",
        "Images, adversarial images and amplified perturbations",
        is_wide=True,
    )


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of a size in inches, without pyplot, which would keep it open."""
    return drawing(width, height, DPI)


def _picture(
    figure: Figure,
    key: str,
    title: str,
    caption: str,
    alt: str,
    *,
    is_wide: bool = False,
) -> Picture:
    make_room(figure)
    return Picture(key, title, caption, alt, to_png(figure), is_wide, figure)


def make_room(figure: Figure) -> None:
    """Move a long legend below the axes, and make the figure taller by its height."""
    for ax in figure.axes:
        handles, labels = ax.get_legend_handles_labels()
        legend = ax.get_legend()
        if legend is None or len(labels) <= MOST_INSIDE:
            continue
        legend.remove()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=2, frameon=False,
            fontsize=8,
        )  # fmt: skip
        figure.set_figheight(figure.get_figheight() + 0.18 * -(-len(labels) // 2))


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG on a white background."""
    return in_format(figure, "png")


def in_format(figure: Figure, form: str) -> bytes:
    """Return a figure as PNG, PDF or SVG on a white background."""
    buffer = io.BytesIO()
    # Without the tight box, long model names would be cut off at the edge.
    figure.savefig(
        buffer, format=form, facecolor="white", bbox_inches="tight", pad_inches=0.08
    )
    return buffer.getvalue()


def files(pictures: list[Picture], folder: Path, vector: bool) -> dict[Path, bytes]:
    """Return the content of each file of pictures; `vector` adds PDF and SVG."""
    found = {folder / f"{one.key}.png": one.png for one in pictures}
    for one in pictures if vector else ():
        for form in FORMATS[1:]:
            found[folder / f"{one.key}.{form}"] = in_format(one.figure, form)
    return found


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, PDF and SVG; `path` has no suffix."""
    make_room(figure)
    for form in FORMATS:
        write_bytes(path.with_name(f"{path.name}.{form}"), in_format(figure, form))


def _most_colourful(results: Results) -> np.ndarray:
    """Return the color images if some model was shown them, else the gray images."""
    return max(results.images.values(), key=lambda images: images.shape[1])


def _attacked(results: Results) -> str:
    settings = results.settings
    kind = "targeted" if settings.targeted else "untargeted"
    return f"the minimal {kind} Linf perturbations of {settings.n_attack} images"


def _marks(curves: dict[str, Curve]) -> str:
    marks = {
        n: "undefined" if isnan(c.mark) else f"{c.mark:.3f}" for n, c in curves.items()
    }
    return ", ".join(f"{name} at {mark}" for name, mark in marks.items())


def _class(results: Results, index: int) -> str:
    return str(results.class_names[int(results.labels[index])])


def _words(name: str) -> str:
    return name.replace("_", " ")
