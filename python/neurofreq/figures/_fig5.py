"""Figure 5: hybrid images and corruption accuracy of robust models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurofreq.figures import _panels, choose
from neurofreq.figures._style import blank, new_figure, panel
from neurofreq.figures._table import Table
from neurofreq.figures.registry import Drawn, registered
from neurofreq.measured import Measured, groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neurofreq.figures.registry import Asked


def fig5(
    models: Sequence[Measured],
    *,
    series: Mapping[float, Measured | Sequence[Measured]] | None = None,
) -> tuple[pd.DataFrame, Figure]:
    """Draw Figure 5: hybrid image classification of robust models.

    Parameters
    ----------
    models : sequence of Measured
        With "hybrid" for panel a, and also "corruption/NAME" for the paper's fifteen
        corruptions for panel b. All models of a group are measured on the same images.
    series : mapping of float to Measured or a sequence of them, optional
        Blurred models by their sigma in pixels, for the dashed line; at least three
        sigmas. Several models with the same sigma are averaged. A model of `series` may
        also be in `models`.

    Returns
    -------
    table : DataFrame
        Panel a: the curves ("p_low_minus_p_high", percentage points at x of Nyquist)
        and f_rev of the group means. Panel b: f_rev and corruption_accuracy (%); rows
        of the group "blur series" have sigma as x.
    figure : Figure
        (a) p_low - p_high against mixing frequency: a thin line per model, a thick line
        with its interval per group, f_rev marked. (b) Mean accuracy over all 75 cells
        (corruption and severity) against f_rev, with intervals of both, and the blur
        series with its quadratic fit.

    Raises
    ------
    ValueError
        If no model has one of the measurements, if only some models have a measurement,
        if the images or frequencies differ within a group, or if the series has fewer
        than three sigmas.

    Notes
    -----
    Intervals are 95 %, bootstrap over images. If no model was measured for a panel, the
    panel is left blank with a note. A model whose curve never crosses zero has no
    f_rev: the table has NaN, and panel b has no point for the model.

    References
    ----------
    Li et al. 2023, Fig 5.

    Examples
    --------
    >>> import neurofreq as nf
    >>> spec = {
    ...     "data": "synthetic",
    ...     "n_images": 16,
    ...     "models": ["small_cnn@random", "small_cnn,width=8@random"],
    ...     "measurements": ["hybrid"],
    ...     "settings": {"seeds": [0]},
    ... }
    >>> found = nf.studies.run(spec, "out", progress=False)
    >>> table, figure = nf.figures.fig5(found.measured)
    >>> table["quantity"].unique().tolist()
    ['p_low_minus_p_high', 'f_rev']
    """
    groups.check(models, "hybrid", "corruption")
    table = Table("fig5", models)
    figure = new_figure(3.1)
    left, right = figure.subplots(1, 2)
    if groups.have(models, "hybrid"):
        _panels.hybrid_curves(left, table, "a", models)
    else:
        blank(left, "no hybrid images measured")
    accuracy_panel(right, table, "b", models, series)
    panel(left, "a")
    panel(right, "b")
    return table.frame(), figure


@registered("fig5", needs=("hybrid", "corruption"), sigma=1.5)
def _from_studies(asked: Asked) -> Drawn:
    chosen = choose.robust("fig5", asked.found)
    return Drawn(*fig5(chosen.models, series=chosen.series), chosen.note)


def accuracy_panel(
    ax: Axes,
    table: Table,
    letter: str,
    models: Sequence[Measured],
    series: Mapping[float, Measured | Sequence[Measured]] | None,
) -> None:
    """Draw the scatter plot of Figs 5b and 6b, or leave the panel blank with a note."""
    blurred = {
        sigma: [one] if isinstance(one, Measured) else list(one)
        for sigma, one in (series or {}).items()
    }
    if series is not None:
        if len(blurred) < 3:
            raise ValueError(f"series: got {len(blurred)} sigmas, expected at least 3")
        members = [model for models in blurred.values() for model in models]
        for one in ("hybrid", "corruption"):
            if not groups.have(members, one):
                raise ValueError(f"series: got no {one} of {members[0].name}")
    measured = [groups.have(models, one) for one in ("hybrid", "corruption")]
    if all(measured):
        _panels.accuracies(ax, table, letter, models, blurred)
    else:
        missing = "hybrid images" if measured[1] else "corruptions"
        blank(ax, f"no {missing} measured")
