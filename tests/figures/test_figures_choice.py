"""The models that each figure shows, chosen from made-up models."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from helpers.made_up import a_pair, blur_series, hybrid, model, pick, value

from neurofreq import data, figures, studies
from neurofreq.figures import choose
from neurofreq.studies import StudyResult
from neurofreq.studies.plan import Plan
from neurofreq.studies.settings import Settings


def result(
    *measured, name="CIFAR-10 test", n_classes=10, digest="", version="1", **settings
):
    plan = Plan(
        "made up", name, digest or name, (), Settings(**settings), version=version,
        n_classes=n_classes,
    )  # fmt: skip
    folder = Path(f"kept-{measured[0].name}")
    return StudyResult(folder, list(measured), (), (), 0, plan)


def gray(one):
    return dataclasses.replace(one, is_gray=True)


def names(models):
    return [one.name for one in models]


def shown(channels=3):
    images = np.random.default_rng(0).random((4, channels, 16, 16), dtype=np.float32)
    kept = data.ImageSet(images, np.array([0, 0, 1, 1]), ("a", "b"), "noise")
    return studies.Study(kept, ["small_cnn@random"])


# Pairs


def test_a_pair_saw_the_same_images():
    found = result(model("colour"), gray(model("gray")), gray(model("v1", "neural")))
    (pair,) = choose.pairs("fig2", [found]).pairs
    assert names(pair.models) == ["gray", "v1"]
    assert (pair.title, pair.chance) == ("grayscale CIFAR-10", 0.1)
    with pytest.raises(ValueError, match="needs a base and a neural model of the same"):
        choose.pairs("fig2", [result(model("colour"), gray(model("v1", "neural")))])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_attack": 5}, "models: got v1 of kept-v1 with n_attack 5, not 0, expected"),
        ({"digest": "other"}, "with other images .CIFAR-10 test, not those of kept-pl"),
        ({"version": "2"}, "with neurofreq 2, not 1, expected it measured like plain"),
    ],
)
def test_a_pair_was_measured_alike(changes, message):
    base, neural = a_pair()
    with pytest.raises(ValueError, match=message):
        choose.pairs("fig2", [result(base), result(neural, **changes)])
    (pair,) = choose.pairs("fig2", [result(base), result(neural, n_hybrid=5)]).pairs
    assert names(pair.models) == ["plain", "v1"], "Figure 2 does not need hybrids"
    twin = model("twin", "neural")
    both = [result(base, twin), result(neural, **changes)]
    assert names(choose.pairs("fig2", both).pairs[0].models) == ["plain", "twin"]


def test_figure_2_has_a_row_for_each_data_set():
    mouse = result(model("plain"), model("v1", "neural"))
    monkey = result(model("vgg"), model("it", "neural"), name="tiny", n_classes=0)
    table, figure, note = figures.draw("fig2", [mouse, monkey])
    assert set(table["panel"]) == set("abcdefgh")
    assert note == "of plain and v1; vgg and it"
    titles = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert {"CIFAR-10", "tiny"} <= set(titles)
    dashed = [
        [line for line in ax.get_lines() if line.get_label() == "chance"]
        for ax in (figure.axes[0], figure.axes[4])
    ]
    assert list(map(len, dashed)) == [1, 0], "the second has no known number of classes"


def test_figure_3_falls_back_on_an_adversarial_network():
    strong = model("strong", "adv", hybrid=hybrid(0.2))
    found = result(model("plain"), strong)
    table, _, note = figures.draw("fig3", [found], study=shown())
    assert note == "of plain and strong"
    assert set(table["group"]) == {"base", "adv"}
    assert table[table["group"] == "adv"]["paper"].isna().all(), "not in the paper"
    with pytest.raises(ValueError, match="fig3: not drawn, it needs the images"):
        figures.draw("fig3", [found])
    apart = [found, result(model("v1", "neural"), n_hybrid=5)]
    with pytest.raises(ValueError, match="got v1 of kept-v1 with n_hybrid 5, not 0"):
        figures.draw("fig3", apart, study=shown())
    part = result(model("half", leave_out=["hybrid"]), model("plain"), strong)
    tiny = result(model("vgg"), model("it", "adv"), name="tiny")
    _, _, note = figures.draw("fig3", [part, tiny], study=shown())
    assert note == (
        "of plain and strong; not drawn for lack of space: vgg and it; "
        "without half, not completely measured"
    )


# Groups


def test_gray_models_stand_beside_none_of_colour():
    pair = [gray(model("gray")), gray(model("v1", "neural"))]
    both = [model("plain"), model("strong", "adv")]
    chosen = choose.robust("fig4", [result(*pair, *both)])
    assert names(chosen.models) == ["plain", "strong"]
    assert chosen.note == "without gray, v1, measured on gray images"
    alone = choose.robust("fig4", [result(*pair)])
    assert names(alone.models) == ["gray", "v1"]
    assert not alone.note


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"name": "TinyImageNet val"},
            "other images (TinyImageNet val, not those of kept-plain)",
        ),
        ({"attack_steps": 7, "seed": 1}, "attack_steps 7, not 300, seed 1, not 0"),
        ({"version": "2"}, "neurofreq 2, not 1"),
    ],
)
def test_studies_in_one_figure_agree(changes, why):
    empty = result(model("empty", leave_out=["attack"]), name="any")
    first = result(model("plain"), model("strong", "adv"))
    other = result(model("t-plain"), model("t-strong", "adv"), **changes)
    chosen = choose.robust("fig4", [empty, first, other])
    assert names(chosen.models) == ["plain", "strong"]
    assert chosen.note == (
        f"without the models of kept-t-plain, measured with {why}; "
        "empty, not completely measured"
    )
    alike = result(model("mine", "adv"), n_hybrid=5)
    chosen = choose.robust("fig4", [first, alike])
    assert names(chosen.models) == ["plain", "strong", "mine"]
    assert not chosen.note, "settings of other figures may differ"


def test_what_lacks_a_part_of_a_measurement_is_named_and_in_no_figure_of_it():
    part = model("part", leave_out=["corruption/snow"])
    found = result(model("a"), model("b", "adv"), part)
    chosen = choose.robust("fig5", [found])
    assert names(chosen.models) == ["a", "b"]
    assert chosen.note == "without part, not completely measured"
    with pytest.raises(
        ValueError, match=r"fig5: not drawn, it needs two models .* without part, not"
    ):
        choose.robust("fig5", [result(model("a"), part)])


# The blur series


def test_a_series_without_the_papers_sigma_is_the_group():
    series = [model(f"blur-{sigma}", "blur") for sigma in (1, 2, 3)]
    chosen = choose.robust("fig5", [result(*series)])
    assert len(chosen.models) == 3
    assert sorted(chosen.series) == [1.0, 2.0, 3.0]
    assert not chosen.note


def test_the_papers_sigma_is_the_group_whatever_is_finished():
    plain = [model("plain"), model("strong", "adv")]
    lost = {1.5: ["hybrid"]}
    series = [
        model(f"blur-{sigma}", "blur", leave_out=lost.get(sigma, ()))
        for sigma in (1.0, 1.5, 2.0, 3.0)
    ]
    chosen = choose.robust("fig5", [result(*plain, *series)])
    assert names(chosen.models) == ["plain", "strong"]
    assert sorted(chosen.series) == [1.0, 2.0, 3.0]
    assert chosen.note == (
        "without blur-1.0, blur-2.0, blur-3.0, whose blur is not the paper's (they "
        "make the dashed line); blur-1.5, not completely measured"
    )
    two = [series[0], series[1], model("blur-2.0", "blur", leave_out=["hybrid"])]
    chosen = choose.robust("fig5", [result(*plain, *two)])
    assert names(chosen.models) == ["plain", "strong"]
    assert chosen.series is None
    assert "blur-1.0, whose blur is not the paper's;" in chosen.note


def test_two_networks_of_one_sigma_are_both_in_the_series_and_in_no_other_group():
    series = [
        model(f"blur-{sigma}-{seed}", "blur")
        for sigma in (1.0, 1.5, 2.0)
        for seed in "ab"
    ]
    chosen = choose.robust("fig5", [result(model("plain"), *series)])
    assert names(chosen.models) == ["plain", "blur-1.5-a", "blur-1.5-b"]
    assert {sigma: names(ones) for sigma, ones in chosen.series.items()} == {
        sigma: [f"blur-{sigma}-a", f"blur-{sigma}-b"] for sigma in (1.0, 1.5, 2.0)
    }


def test_a_sigma_of_several_networks_is_their_mean():
    series = blur_series()
    twin = model("twin", "blur", hybrid=hybrid(0.6), shift=2)
    both = series | {3.0: [series[3.0], twin]}
    table, _ = figures.fig5([model("plain")], series=both)
    at = {"group": "blur series", "x": 3.0}
    row = pick(table, **at, quantity="corruption_accuracy")
    assert row["model"].item() == "sigma 3.0, twin"
    # 70 and 80 % in 12 of 15 corruptions, 0 % in three.
    assert row["value"].item() == pytest.approx(60.0)
    # The mean curve: (-0.8, (0 - 0.8 * 2 / 3) / 2, (0.3 + 0) / 2, 0.6).
    low = -0.8 / 3
    expected = 0.2 + 0.4 * low / (low - 0.15)
    assert value(table, **at, quantity="f_rev") == pytest.approx(expected)


def test_what_one_study_lost_and_another_has_stands_once():
    lost = dataclasses.replace(model("lost"), results={})
    one, other = result(model("plain"), lost), result(model("lost", "adv"))
    models, left = choose.together([one, other], ["attack"])
    assert [(m.name, m.group) for m in models] == [("plain", "base"), ("lost", "adv")]
    assert not left
    assert names(choose.together([one], ["attack"])[0]) == ["plain", "lost"]
