"""Responses in another order than the images are found by correlation."""

import numpy as np
import pytest

import neurofreq as nf
from neurofreq import neural

IMAGES = nf.data.load_data("synthetic", n=60).images
TRIALS = neural.simulate_v1(IMAGES, n_trials=6, n_neurons=200, seed=3)
EXPECTED = neural.v1_similarity(IMAGES, seed=8)
TEXT = np.array(sorted(range(60), key=str))  # 0, 1, 10, 11, ...


def checked(trials, images=IMAGES, **keywords):
    return neural.image_order(
        images, neural.Responses(trials), expected=EXPECTED, n_orders=200, **keywords
    )


def test_responses_in_the_order_of_the_images_have_no_problem():
    found = checked(TRIALS)
    assert found.problem == ""
    assert found.likely == "given"
    assert found.p_value == 1 / 201
    recorded = TRIALS.mean(0, dtype=np.float64)
    recorded = nf.response_similarity(recorded / recorded.std(0))
    at = np.triu_indices(60, 1)
    oracle = np.corrcoef(recorded[at], EXPECTED.similarity[at])[0, 1]
    assert found.correlation == pytest.approx(oracle, abs=1e-9)


@pytest.mark.parametrize(
    ("order", "name"),
    [
        (np.arange(60)[::-1], "reversed order"),
        (np.roll(np.arange(60), 1), "an order in which row i holds image i - 1"),
        (np.roll(np.arange(60), -1), "an order in which row i holds image i + 1"),
        (TEXT, "the order of 0 to 59 sorted as text"),
        (np.argsort(TEXT), "the order of 0 to 59, and images sorted as text"),
        (
            np.array(sorted(range(60), key=lambda k: str(k + 1))),
            "the order of 1 to 60 sorted as text",
        ),
    ],
)
def test_usual_mistakes_are_named(order, name):
    found = checked(TRIALS[:, order])  # row i holds image order[i]
    assert found.likely == name
    assert found.likely_correlation == pytest.approx(checked(TRIALS).correlation)
    assert f"fit to the images in {name}" in found.problem


def test_a_random_order_is_unrelated():
    moved = np.random.default_rng(1).permutation(60)
    found = checked(TRIALS[:, moved])
    assert found.likely == "given"
    assert "not related to those of the images" in found.problem


def test_neurons_with_gaps_or_without_change_are_left_out():
    trials = TRIALS.astype(np.float64).copy()
    trials[:, 5, 0] = np.nan
    trials[:, :, 1] = 2.0
    rest = checked(np.delete(trials, [0, 1], axis=2))
    assert checked(trials).correlation == pytest.approx(rest.correlation, abs=1e-12)
    with pytest.raises(ValueError, match="no neuron with varying responses to all"):
        checked(trials[:, :, :2])


def test_pixels_are_expected_by_default():
    pixels = IMAGES.mean(1).reshape(60, -1)
    assert neural.image_order(IMAGES, pixels, n_orders=50).correlation > 0.9


def test_other_numbers_and_names_are_refused():
    with pytest.raises(ValueError, match="images: got 59 images, expected 60, one per"):
        checked(TRIALS, IMAGES[:59])
    with pytest.raises(ValueError, match="expected: got 60 images, expected 59"):
        checked(TRIALS[:, :59], IMAGES[:59])
    with pytest.raises(ValueError, match="images: got 3, expected at least four"):
        neural.image_order(IMAGES[:3], TRIALS[0, :3])


def test_a_fit_warns_of_another_order():
    model = neural.PredictiveModel(n_channels=2, n_layers=0, n_folds=3, max_epochs=1)
    rows = IMAGES[:30].mean(1)[:, ::8, ::8].reshape(30, -1)
    weights = np.ones(rows.shape[1])
    with pytest.warns(UserWarning, match="fit to the images in reversed order"):
        model.fit(IMAGES[:30], neural.Responses(rows[::-1]), weights=weights)
    model.fit(IMAGES[:30], neural.Responses(rows), weights=weights)
