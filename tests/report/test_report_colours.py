"""A model has the same color in the table and in every picture of the page."""

import pandas as pd
import pytest
from helpers.made_up import FIFTEEN, model
from helpers.small_study import images
from matplotlib.colors import to_hex

from neurofreq import plot
from neurofreq.measured import Measured
from neurofreq.report import _page, _pictures, _tables
from neurofreq.studies.settings import Settings

MAKERS = {
    "plot_hybrid_curves": _pictures._hybrid_curves,
    "plot_radial_profiles": _pictures._radial_profiles,
    "plot_success_curves": _pictures._success_curves,
    "plot_corruption_severity": _pictures._severity,
    "plot_corruption_groups": _pictures._frequency_groups,
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_model_has_one_colour_on_the_whole_page(monkeypatch, name):
    models = [Measured("first", "", {}), model("second"), model("third")]
    data = images()
    results = _tables.Results(
        models, {}, data.labels, data.class_names, data.name, Settings(), FIFTEEN
    )
    summary = pd.DataFrame({"model": [one.name for one in models], "weights": "given"})
    in_table = {row["model"]: row["color"] for row in _page.summary_rows([], summary)}
    drawn, make = {}, getattr(plot, name)

    def kept(curves, *words, **options):
        ax = make(curves, *words, **options)
        handles, labels = ax.get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            one = handle[0].get_facecolor() if "group" in name else handle.get_color()
            drawn[label] = one
        return ax

    monkeypatch.setattr(plot, name, kept)
    list(MAKERS[name](results))
    assert list(drawn) == ["second", "third"]
    for label, tint in drawn.items():
        assert to_hex(tint) == in_table[label]
