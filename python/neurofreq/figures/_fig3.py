"""Figure 3: hybrid images, and which of the two parts two models recognize."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurofreq import plot
from neurofreq.figures import choose
from neurofreq.figures._fig2 import ROLES
from neurofreq.figures._style import looks, new_figure, panel, title
from neurofreq.figures._table import Table
from neurofreq.figures.registry import Drawn, registered
from neurofreq.intervals import Estimate
from neurofreq.measured import groups
from neurofreq.plot import EXAMPLE_FREQUENCIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from neurofreq.figures.registry import Asked
    from neurofreq.measured import Measured


def fig3(
    models: Sequence[Measured],
    low: ArrayLike,
    high: ArrayLike,
    *,
    frequencies: Sequence[float] = EXAMPLE_FREQUENCIES,
    roles: Sequence[str] = ROLES,
) -> tuple[pd.DataFrame, Figure]:
    """Draw Figure 3: probing frequency sensitivity with hybrid images.

    Parameters
    ----------
    models : sequence of Measured
        A baseline and its neurally regularized model, with "hybrid".
    low, high : array_like of float, shape (C, H, W)
        Two images of different classes, in [0, 1], C = 1 or 3. The example hybrids have
        the low frequencies of `low` and the high frequencies of `high`.
    frequencies : sequence of float
        Mixing frequencies of the examples, in units of Nyquist.
    roles : sequence of str
        Names of the two models in the legend and the table; the names also set the
        colors. For example ``("base", "adv")`` for a robust model that is not neurally
        regularized.

    Returns
    -------
    table : DataFrame
        p_low_minus_p_high (percentage points at x of Nyquist) and f_rev.
    figure : Figure
        (a) The two images and their hybrid at each mixing frequency. (b) p_low -
        p_high against mixing frequency with its interval; f_rev is marked. Black is the
        baseline, orange the regularized model; other roles have their group's color.

    Raises
    ------
    ValueError
        If there are not two models, or a model has no "hybrid".

    Notes
    -----
    Intervals are 95 %, bootstrap over images.

    References
    ----------
    Li et al. 2023, Fig 3.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=16)
    >>> spec = {
    ...     "data": data,
    ...     "models": ["small_cnn@random", "small_cnn,width=8@random"],
    ...     "measurements": ["hybrid"],
    ...     "settings": {"seeds": [0]},
    ... }
    >>> found = nf.studies.run(spec, "out", progress=False)
    >>> table, figure = nf.figures.fig3(found.measured, data.images[0], data.images[1])
    >>> table["quantity"].unique().tolist()
    ['p_low_minus_p_high', 'f_rev']
    """
    if len(models) != 2:
        raise ValueError(f"models: got {len(models)}, expected two: baseline, neural")
    if len(set(roles)) != 2:
        raise ValueError(f"roles: got {tuple(roles)}, expected two that differ")
    groups.check(models, "hybrid")
    table = Table("fig3", models)
    drawn, tints = {}, looks(roles)
    for role, model in zip(roles, models, strict=True):
        curve = model.hybrid.curve()
        n = model.hybrid.n_images
        row = (model.name, role)
        table.add_curve("b", row, "p_low_minus_p_high", curve, n)
        f_rev = Estimate(curve.mark, *curve.mark_interval, n)
        table.add("b", row, "f_rev", f_rev, "Nyquist")
        drawn[title(role)] = curve._replace(color=tints[role].color)
    figure = new_figure(2.7)
    left, right = figure.subplots(1, 2, width_ratios=[1.35, 1.0])
    plot.plot_hybrid_examples(low, high, frequencies, left).set_anchor("N")
    plot.plot_hybrid_curves(drawn, right)
    panel(left, "a")
    panel(right, "b")
    return table.frame(), figure


@registered("fig3", needs=("hybrid",), has_images=True)
def _from_studies(asked: Asked) -> Drawn:
    """Draw the first pair with the first two images of different classes."""
    images = asked.images("fig3")
    chosen = choose.pairs("fig3", asked.found, ("neural", "adv"))
    pair = chosen.pairs[0]
    roles = ("base", pair.models[1].group)
    shown = images.gray() if pair.models[0].is_gray else images
    other = int((images.labels != images.labels[0]).argmax())
    low, high = np.asarray(shown.images[0]), np.asarray(shown.images[other])
    table, figure = fig3(pair.models, low, high, roles=roles)
    return Drawn(table, figure, chosen.names(1))
