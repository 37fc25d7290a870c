"""The demo: its task, and its sentences on differences in both directions."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import neurofreq as nf
from neurofreq import demo

QUANTITIES = (
    "f_rev",
    "f_half",
    "median_linf",
    "clean_accuracy",
    "corruption_accuracy",
)


def made_up(sign):
    """A report whose differences from the baseline all have one sign."""
    low, high = sorted((0.1 * sign, 0.3 * sign))
    rows = [
        {"quantity": one, "difference": 0.2 * sign, "low": low, "high": high}
        for one in QUANTITIES
    ]
    both = pd.DataFrame(
        {
            "model": [demo.BASELINE, demo.NEURAL],
            "f_rev": [0.5, 0.5 + 0.2 * sign],
            "f_half": [0.3, 0.3 + 0.2 * sign],
        }
    )
    return SimpleNamespace(tables={"differences": pd.DataFrame(rows)}, summary=both)


def test_the_sentences_tell_what_is_against_the_paper():
    hybrids, perturbations, robustness = demo.sentences(made_up(1))
    assert "is higher, against the paper, 0.700 against" in hybrids
    assert "is higher, against the paper" in perturbations
    assert robustness.count("as in the paper") == 2
    hybrids, perturbations, robustness = demo.sentences(made_up(-1))
    assert "is lower, as in the paper, 0.300 against" in hybrids
    assert "is lower, as in the paper" in perturbations
    assert "perturbation is smaller, against the paper" in robustness
    assert "corrupted images is lower, against the paper" in robustness
    assert "not shown to differ" in demo.sentences(made_up(0))[2]


def test_an_undefined_frequency_is_not_compared():
    report = made_up(1)
    report.summary.loc[0, "f_rev"] = math.nan
    assert "is not compared: it is undefined" in demo.sentences(report)[0]


def test_the_texture_of_the_task_is_fainter_than_its_shape():
    found, plain = demo.images(64), nf.data.load_data("synthetic", n=64)
    f = np.hypot(*np.meshgrid(*[np.fft.fftfreq(32)] * 2))
    ratios = []
    for images in (found.images, plain.images):
        power = abs(np.fft.fft2(images[:, 0] - 0.5)) ** 2
        low = power[:, (f > 0) & (f < 0.12)].sum(axis=1)
        ratios.append(low / power[:, (f > 0.2) & (f < 0.44)].sum(axis=1))
    assert ratios[0].min() > 10 > ratios[1].max()
    assert found.labels.tolist() == [i % 8 for i in range(64)]
    assert not np.array_equal(found.images, demo.images(64, split="train").images)


def test_the_networks_of_a_seed_start_alike(monkeypatch):
    from neurofreq import training

    starts = []
    monkeypatch.setattr(
        training,
        "fit",
        lambda model, images, *_, regularizer, **__: starts.append(
            (model.network.stage1[0].weight.detach().clone(), images, regularizer)
        ),
    )
    for towards_v1 in (False, True):
        demo.trained(demo.TINY, 3, towards_v1=towards_v1)
    (first, shown, none), (second, same, pull) = starts
    assert none is None
    assert pull is not None
    assert first.equal(second)
    assert np.array_equal(shown, same)
    plain = demo.images(demo.TINY.n_train, split="train").images
    changed = (shown != plain).any(axis=(1, 2, 3))
    assert changed.mean() == pytest.approx(demo.WRONG_SHAPES)
