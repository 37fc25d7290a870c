"""The figures of Li et al. 2023, each from measured data, with its numbers.

Every function takes what was measured and returns a long table and a figure. The
table has the columns figure, panel, model, group, quantity, x, value, low, high, n,
unit, paper and weights: one row per number, its 95 % interval (bootstrap over
images), the images it was taken over (of a correlation, the networks; its interval is
over images, too), the paper's number where that is known, and whether the weights
are "given" or "random". `study` makes the study of all networks that come with the
package, and `draw` takes from studies what belongs in a figure.
"""

from neurofreq.figures._draw import Drawn, draw
from neurofreq.figures._fig1 import fig1
from neurofreq.figures._fig2 import fig2
from neurofreq.figures._fig3 import fig3
from neurofreq.figures._fig4 import fig4
from neurofreq.figures._fig5 import fig5
from neurofreq.figures._fig6 import fig6
from neurofreq.figures._study import study
from neurofreq.figures._style import COLORS, MARKERS
from neurofreq.figures._table import compare

__all__ = [
    "COLORS",
    "MARKERS",
    "Drawn",
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

__dir__ = __all__.copy  # modules of the package are not listed
