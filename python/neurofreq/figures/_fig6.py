"""Figure 6: the two scatter plots for models trained on ImageNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from neurofreq._shared.inputs import validate
from neurofreq.figures import _panels, choose
from neurofreq.figures._fig5 import accuracy_panel
from neurofreq.figures._style import blank, new_figure, panel
from neurofreq.figures._table import Table
from neurofreq.figures.registry import Drawn, registered
from neurofreq.measured import groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from neurofreq.figures.registry import Asked
    from neurofreq.measured import Measured


def fig6(
    models: Sequence[Measured],
    *,
    series: Mapping[float, Measured | Sequence[Measured]] | None = None,
    size: Literal["mean", "median"] = "mean",
) -> tuple[pd.DataFrame, Figure]:
    """Draw Figure 6: frequency analysis of models trained on ImageNet.

    Parameters
    ----------
    models : sequence of Measured
        With "attack" for panel a, "hybrid" and "corruption/NAME" for panel b.
    series : mapping of float to Measured or a sequence of them, optional
        See `fig5`.
    size : {"mean", "median"}
        See `fig4`.

    Returns
    -------
    table : DataFrame
        The rows of panel c of `fig4` and of panel b of `fig5`.
    figure : Figure
        (a) Size of minimal perturbations against f_0.5. (b) Mean accuracy over all 75
        cells (corruption and severity) against f_rev. Both panels have intervals in
        both directions.

    Raises
    ------
    ValueError
        For the same reasons as in `fig4` and `fig5`.

    Notes
    -----
    See the notes of `fig4` and `fig5`. If no model was measured for a panel, the panel
    is left blank with a note.

    References
    ----------
    Li et al. 2023, Fig 6.

    Examples
    --------
    The labels in this example are the network's own predictions:

    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=2).images
    >>> data = nf.data.ImageSet(images, [4, 6], (), "mine")
    >>> spec = {
    ...     "data": data,
    ...     "models": ["zoo:gray-mouse"],
    ...     "measurements": ["attack"],
    ...     "settings": {"attack_steps": 5, "targeted": False},
    ... }
    >>> found = nf.studies.run(spec, "out", progress=False)
    >>> table, figure = nf.figures.fig6(found.measured)
    >>> table["quantity"].unique().tolist()
    ['f_half', 'size']
    """
    validate.one_of("size", size, ("mean", "median"))
    groups.check(models, "attack", "hybrid", "corruption")
    table = Table("fig6", models)
    figure = new_figure(3.1)
    left, right = figure.subplots(1, 2)
    if groups.have(models, "attack"):
        _panels.sizes(left, table, "a", models, size)
    else:
        blank(left, "no attack measured")
    accuracy_panel(right, table, "b", models, series)
    panel(left, "a")
    panel(right, "b")
    return table.frame(), figure


@registered(
    "fig6", needs=("attack", "hybrid", "corruption"), data=("imagenet",), sigma=3.0
)
def _from_studies(asked: Asked) -> Drawn:
    chosen = choose.robust("fig6", asked.found)
    return Drawn(*fig6(chosen.models, series=chosen.series), chosen.note)
