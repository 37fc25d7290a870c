"""The pictures of a report have room for all models."""

import numpy as np
import pytest

from neurofreq import plot
from neurofreq.report import _pictures

X = np.linspace(0.0, 1.0, 5)
CURVE = plot.Curve(X, X, low=X - 0.1, high=X + 0.1)


@pytest.mark.parametrize("count", [5, 6])
def test_a_long_legend_moves_below_the_axes(count):
    figure = _pictures.new_figure(5.0, 4.0)
    curves = {f"m{index}": CURVE for index in range(count)}
    ax = plot.plot_success_curves(curves, figure.subplots())
    _pictures.make_room(figure)
    figure.draw_without_rendering()
    is_long = count > 5
    assert (ax.get_legend() is None) == is_long
    assert figure.get_figheight() > 4.0 or not is_long
    assert len(figure.legends) == is_long
    for legend in figure.legends:
        assert [text.get_text() for text in legend.get_texts()] == list(curves)
        assert legend.get_window_extent().y1 < ax.get_window_extent().y0
