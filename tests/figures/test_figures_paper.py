"""The paper's numbers beside made-up numbers, and models that are refused."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from helpers.made_up import (
    LOW_PROFILE,
    THRESHOLDS,
    N,
    a_pair,
    attack,
    blur_series,
    hybrid,
    model,
    pick,
)

from neurofreq import figures
from neurofreq.figures import paper

# The paper's numbers


def test_figures_and_their_tables_tell_random_weights():
    models = [model("mine", "base"), replace(model("other", "base"), is_random=True)]
    table, figure = figures.fig4(models)
    weights = table[table["model"] != ""].groupby("model")["weights"].unique()
    assert weights["mine"].tolist() == ["given"]
    assert weights["other"].tolist() == ["random"]
    titles = [ax.get_title() for ax in figure.axes]
    assert "mine" in titles
    assert "other\n(random weights)" in titles


def test_the_papers_numbers_stand_beside_ours():
    models = [
        model("resnet18,blur=1.5", "blur", attack=attack(LOW_PROFILE, 2.0)),
        model("mine", "base"),
    ]
    table, _ = figures.fig4(models)
    named = pick(table, panel="c", model="resnet18,blur=1.5").set_index("quantity")
    assert named["paper"].to_dict() == {"f_half": 0.194, "size": 2.30}
    assert pick(table, panel="c", model="mine")["paper"].isna().all()
    base = pick(table, panel="c", model="group mean", group="base")
    sizes = (1.16, 1.74, 1.52, 1.48, 1.02, 1.02)
    assert base["paper"].item() == pytest.approx(np.mean(sizes))
    compared = figures.compare(table)
    assert compared["paper"].notna().all()
    row = pick(compared, model="resnet18,blur=1.5", quantity="size").iloc[0]
    assert row["difference"] == pytest.approx(2.0 - 2.30)
    assert row["within"] == (row["low"] <= 2.30 <= row["high"])


def test_the_roles_of_figures_2_and_3_are_compared_with_the_papers():
    table, _ = figures.fig2(a_pair())
    at_three = pick(table, quantity="accuracy", x=3.0).set_index("model")["paper"]
    assert at_three.to_dict() == {"plain": 68.8, "v1": 75.6}
    half = pick(table, quantity="frequency_at_power", x=50.0).set_index("model")
    assert half["paper"].to_dict() == {"plain": 0.438, "v1": 0.316}


def test_every_number_of_the_paper_has_a_row_it_belongs_to():
    # A quantity that is renamed in a figure must also be renamed in paper.csv.
    pair, image = a_pair(), np.full((1, 16, 16), 0.5, np.float32)
    groups = ("base", "adv", "crp", "blur", "pca")
    models = [model(group, group, hybrid=hybrid(0.4)) for group in groups]
    series = blur_series()
    tables = [
        figures.fig2([*pair, *pair])[0],
        figures.fig3(pair, image, image)[0],
        figures.fig4(models)[0],
        figures.fig5(models, series=series)[0],
        figures.fig6(models)[0],
    ]
    rows = [row for table in tables for row in table.to_dict("records")]
    found = {(r["figure"], r["panel"], r["quantity"]) for r in rows if r["paper"] > -99}
    known = {
        (figure, panel, quantity)
        for (figure, panel, _, quantity, _), one in paper.numbers().items()
        if not np.isnan(one)
    }
    # Points of scatter plots match only if the name of the network is the paper's.
    points = {("fig5", "b", "f_rev"), ("fig4", "c", "f_half"), ("fig6", "a", "f_half")}
    assert known - found <= points | {("fig6", "b", "f_rev")}


# Refused models


def test_a_measurement_that_some_lack_is_an_error_that_names_them():
    models = [model("whole"), model("part", leave_out=["hybrid"])]
    with pytest.raises(ValueError, match="part has no hybrid, which whole has"):
        figures.fig5(models)
    models = [model("whole"), model("part", leave_out=["corruption/snow"])]
    with pytest.raises(ValueError, match="part has no corruption/snow"):
        figures.fig6(models)
    with pytest.raises(ValueError, match="got no attack of bare"):
        figures.fig4([model("bare", leave_out=["attack"])])
    pair = [model("plain", leave_out=["clean"]), model("v1", leave_out=["clean"])]
    with pytest.raises(ValueError, match="plain, v1 have corruptions but no clean"):
        figures.fig2(pair)


def test_groups_are_over_the_same_images_and_frequencies():
    whole = attack()
    part = {name: getattr(whole, name)[: N - 1] for name in ("distance", "radial")}
    fewer = dataclasses.replace(whole, **part)
    with pytest.raises(ValueError, match="got 19 images of b and 20 of a"):
        figures.fig4([model("a"), model("b", attack=fewer)])
    other = dataclasses.replace(attack(), frequency=2.0 * THRESHOLDS)
    with pytest.raises(ValueError, match="other frequencies of b than of a"):
        figures.fig4([model("a"), model("b", attack=other)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: figures.fig4([]), "models: got none"),
        (lambda: figures.fig4([model(), model()]), "got 'one' twice"),
        (lambda: figures.fig2([model()]), "got 1, expected a pair"),
        (lambda: figures.fig3([model()], None, None), "got 1, expected two"),
        (lambda: figures.fig5([model()], series={1.0: model()}), "series: got 1"),
        (
            lambda: figures.fig4([model(attack=attack(failed=N))]),
            "no perturbation was found for one",
        ),
        (
            lambda: figures.fig1(np.zeros((4, 1, 8, 8)), *[np.eye(5)] * 3),
            "neural: got 5 images",
        ),
        (
            lambda: figures.fig1(np.zeros((4, 2, 8, 8)), *[np.eye(4)] * 3),
            "stimuli: got 2 channels, expected 1 or 3",
        ),
        (
            lambda: figures.fig1(np.full((4, 1, 8, 8), 200.0), *[np.eye(4)] * 3),
            r"stimuli: got values in \[200, 200\]",
        ),
        (lambda: figures.fig4([model()], size="mode"), "size: got 'mode', expected"),
        (lambda: figures.fig6([model()], size="mode"), "size: got 'mode', expected"),
        (
            lambda: figures.fig2([*a_pair(), *a_pair()], titles=["one"]),
            r"titles: got \['one'\], expected one for each of 2 pairs",
        ),
        (
            lambda: figures.fig2([*a_pair(), *a_pair()], chance=[0.1]),
            r"chance: got \[0.1\], expected one for each of 2 pairs",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
