"""The report's tables and pictures of filters, noise in bands and Fourier maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from neurofreq import plot
from neurofreq._shared.escapes import literal
from neurofreq._shared.results import drawing
from neurofreq.frequency import HUMAN_CHANNEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from neurofreq.measured import Measured
    from neurofreq.plot import Curve
    from neurofreq.report._tables import Results

DPI = 150
_BAND = "Bands are 95 % bootstrap intervals over images."


class Drawing(NamedTuple):
    """A figure of the report with its texts; `key` is the name of its file."""

    figure: Figure
    key: str
    title: str
    caption: str
    alt: str
    is_wide: bool


def tables(results: Results) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the tables "filters", "bands" and "sensitivity"."""
    found: dict[str, list[dict[str, Any]]] = {}
    for model in results.models:
        for key in ("filters", "bands", "sensitivity"):
            if model.has(key):
                table = getattr(model, key).to_frame()
                table.insert(0, "model", model.name)
                found.setdefault(key, []).extend(table.to_dict("records"))
    return found


def drawings(results: Results) -> Iterator[Drawing]:
    """Yield a figure for each of these measurements that a model has finished."""
    yield from _filters(results)
    yield from _channels(results)
    yield from _octaves(results)
    yield from _maps(results)


def _filters(results: Results) -> Iterator[Drawing]:
    models = results.having("filters")
    if not models:
        return
    names = models[0].filters.names
    figure = drawing(4.4 * len(names), 3.6, DPI)
    for ax, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names,
                        strict=True):  # fmt: skip
        curves = placed(results, {m.name: m.filters.curve(name) for m in models})
        plot.plot_filtered_accuracy(curves, ax, filter=name)
    settings = results.settings
    yield Drawing(
        figure,
        "filtered_accuracy",
        "How accurate is the model without some frequencies?",
        f"Accuracy on {settings.n_filtered} images after low-pass filters, high-pass "
        f"filters ({settings.filter_kind}; the mean of an image stays) and random "
        "changes of phase. Phases change uniformly up to the width. Filtered images "
        f"are clipped to [0, 1]. {_BAND}",
        "Accuracy against cut-offs and phase noise for "
        + ", ".join(model.name for model in models),
        is_wide=True,
    )


def _channels(results: Results) -> Iterator[Drawing]:
    models = results.having("bands")
    if not models:
        return
    curves = placed(results, {m.name: m.bands.curve() for m in models})
    figure = drawing(5.4, 3.9, DPI)
    plot.plot_channels(curves, figure.subplots(), human=HUMAN_CHANNEL[:2])
    settings = results.settings
    without = [m.name for m in models if not m.bands.has_threshold]
    note = ""
    if without:
        note = (
            f" {', '.join(without)}: accuracy without noise is not above the criterion "
            "(a higher contrast may help), so there is no threshold."
        )
    yield Drawing(
        figure,
        "channels",
        "Which octave of noise disturbs networks and humans?",
        f"Critical-band masking (Subramanian et al. 2023) on {settings.n_filtered} "
        f"gray images with {100 * settings.contrast:.0f} % of their contrast, in noise "
        "of one octave. The sensitivity is log2 of the largest noise (standard "
        f"deviation {_largest(models):g}) over the noise at which the accuracy "
        f"falls to {100 * settings.criterion:.0f} %; 0: it does not. Dots mark the "
        "centers of the fitted channels; bars are their intervals. A center at the "
        "last band is a bound. Dashed: the human channel, "
        f"{HUMAN_CHANNEL.center:g} cycles/image and "
        f"{HUMAN_CHANNEL.bandwidth:g} octave wide ({HUMAN_CHANNEL.source}); its width "
        f"is uncertain. {_BAND}{note}",
        "Sensitivity to noise against spatial frequency in cycles/image for "
        + ", ".join(curves),
        is_wide=False,
    )


def _largest(models: list[Measured]) -> float:
    """Return the largest standard deviation of the noise."""
    return max(float(model.bands.sd[-1]) for model in models)


def _octaves(results: Results) -> Iterator[Drawing]:
    models = results.having("sensitivity")
    if not models:
        return
    curves = placed(results, {m.name: m.sensitivity.curve() for m in models})
    figure = drawing(5.4, 3.9, DPI)
    plot.plot_sensitivity_curves(curves, figure.subplots())
    yield Drawing(
        figure,
        "sensitivity_octaves",
        "To changes of which octave is the model sensitive?",
        f"Error rate on {results.settings.n_filtered} images after one Fourier basis "
        f"image of L2 norm {results.settings.norm:g} is added to each channel: the "
        f"mean over up to {results.settings.per_octave} pairs of opposite frequencies "
        f"of each octave (Yin et al. 2019). {_BAND}",
        "Error rate against the octave of the change for " + ", ".join(curves),
        is_wide=False,
    )


def _maps(results: Results) -> Iterator[Drawing]:
    models = results.having("sensitivity")
    if not models:
        return
    n_columns = min(len(models), 3)
    n_rows = -(-len(models) // n_columns)
    figure = drawing(3.6 * n_columns, 3.0 * n_rows, DPI)
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax, model in zip(panels, models, strict=False):
        plot.plot_sensitivity(model.sensitivity, ax)
        ax.set_title(literal(model.name), fontsize=10)
    for ax in panels[len(models) :]:
        ax.set_visible(False)
    settings = results.settings
    yield Drawing(
        figure,
        "sensitivity",
        "What does a change of one frequency do?",
        f"Error rate on {settings.n_filtered} images after one Fourier basis image of "
        f"L2 norm {settings.norm:g} is added to each channel, for each frequency (Yin "
        "et al. 2019). Zero frequency is in the center; frequencies that were not "
        "measured are blank.",
        "Maps of the error rate over two-dimensional frequency, one per model",
        is_wide=len(models) > 1,
    )


def placed(results: Results, curves: dict[str, Curve]) -> dict[str, Curve]:
    """Give each model's curve its index in the table, which sets its color."""
    places = {one.name: place for place, one in enumerate(results.models)}
    return {n: curve._replace(position=places[n]) for n, curve in curves.items()}
