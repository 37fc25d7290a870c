"""Draw the figures of Li et al. 2023 from measured data, each with its numbers.

Every figure function takes measured models and returns a long table and a figure.
The table has one row per number, with the columns figure, panel, model, group,
quantity, x, value, low, high, n, unit, paper and weights. ``low`` and ``high`` are
the bounds of the 95 % interval (bootstrap over images). ``n`` is the number of images;
for a correlation over networks, ``n`` is the number of networks, but the bootstrap
still resamples images. ``paper`` is the paper's number where it is known. ``weights``
is "given" or "random". `study` makes the study of all networks that come with the
package, and `draw` draws a figure from the models of finished studies.
"""

from neurofreq.figures._fig1 import fig1
from neurofreq.figures._fig2 import fig2
from neurofreq.figures._fig3 import fig3
from neurofreq.figures._fig4 import fig4
from neurofreq.figures._fig5 import fig5
from neurofreq.figures._fig6 import fig6
from neurofreq.figures._study import study
from neurofreq.figures._style import COLORS, MARKERS
from neurofreq.figures._table import compare
from neurofreq.figures.registry import FIGURES, Drawn, NotDrawnError, PaperFigure, draw

__all__ = [
    "COLORS",
    "FIGURES",
    "MARKERS",
    "Drawn",
    "NotDrawnError",
    "PaperFigure",
    "compare",
    "draw",
    "fig1",
    "fig2",
    "fig3",
    "fig4",
    "fig5",
    "fig6",
    "study",
]

__dir__ = __all__.copy  # hide the modules of the package
