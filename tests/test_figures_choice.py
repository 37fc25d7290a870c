"""Which of made-up models stand in which figure."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from made_up import hybrid, model

from neurofreq import data, figures, studies
from neurofreq.figures import _choose


def result(*measured, name="CIFAR-10 test", n_classes=10):
    return SimpleNamespace(measured=list(measured), data=name, n_classes=n_classes)


def gray(one):
    return dataclasses.replace(one, is_gray=True)


def shown(channels=3):
    images = np.random.default_rng(0).random((4, channels, 16, 16), dtype=np.float32)
    kept = data.ImageSet(images, np.array([0, 0, 1, 1]), ("a", "b"), "noise")
    return studies.Study(kept, ["small_cnn"])


def test_a_pair_saw_the_same_images():
    found = result(model("colour"), gray(model("gray")), gray(model("v1", "neural")))
    (pair,) = _choose.pairs("fig2", [found])
    assert [one.name for one in pair.models] == ["gray", "v1"]
    assert (pair.title, pair.chance) == ("grayscale CIFAR-10", 0.1)
    with pytest.raises(ValueError, match="needs a base and a neural model of the same"):
        _choose.pairs("fig2", [result(model("colour"), gray(model("v1", "neural")))])


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
    assert list(map(len, dashed)) == [1, 0], "nobody counted the second's classes"


def test_figure_3_falls_back_on_an_adversarial_network():
    found = result(model("plain"), model("strong", "adv", hybrid=hybrid(0.2)))
    table, _, note = figures.draw("fig3", [found], study=shown())
    assert note == "of plain and strong"
    assert set(table["group"]) == {"base", "adv"}
    assert table[table["group"] == "adv"]["paper"].isna().all(), "not of the paper's"
    with pytest.raises(ValueError, match="fig3: not drawn, it needs the images"):
        figures.draw("fig3", [found])


def test_gray_models_stand_beside_none_of_colour():
    pair = [gray(model("gray")), gray(model("v1", "neural"))]
    both = [model("plain"), model("strong", "adv")]
    chosen = _choose.robust("fig4", [result(*pair, *both)])
    assert [one.name for one in chosen.models] == ["plain", "strong"]
    assert chosen.note == "without gray, v1, which saw gray images"
    alone = _choose.robust("fig4", [result(*pair)])
    assert [one.name for one in alone.models] == ["gray", "v1"]
    assert not alone.note


def test_what_lacks_a_part_of_a_measurement_is_in_no_figure_of_it():
    part = model("part", leave_out=["corruption/snow"])
    found = result(model("a"), model("b", "adv"), part)
    assert [one.name for one in _choose.robust("fig5", [found]).models] == ["a", "b"]
    with pytest.raises(ValueError, match="fig5: not drawn, it needs two models with h"):
        _choose.robust("fig5", [result(model("a"), part)])


def test_a_series_without_the_papers_sigma_is_the_group():
    series = [model(f"blur-{sigma}", "blur") for sigma in (1, 2, 3)]
    chosen = _choose.robust("fig5", [result(*series)])
    assert len(chosen.models) == 3
    assert sorted(chosen.series) == [1.0, 2.0, 3.0]
    assert not chosen.note
