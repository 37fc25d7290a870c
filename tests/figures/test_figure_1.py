"""Figure 1: correlations of similarities, order of stimuli, and points in the plane."""

import numpy as np
import pytest
from helpers.made_up import (
    check_drawn,
    check_intervals,
    pick,
)

import neurofreq as nf
from neurofreq import figures
from neurofreq.figures import _spaces
from neurofreq.measured import quantities


def similarity(points):
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    matrix = np.clip(unit @ unit.T, -1.0, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return (matrix + matrix.T) / 2


@pytest.fixture(scope="module")
def spaces():
    rng = np.random.default_rng(3)
    neural = rng.normal(size=(14, 3))
    before = rng.normal(size=(14, 6))
    after = np.hstack([3.0 * neural, before])
    return [similarity(points) for points in (neural, before, after)]


def test_figure_1_correlates_each_space_with_the_neural_one(spaces):
    stimuli = np.random.default_rng(0).random((14, 1, 8, 8))
    table, figure = figures.fig1(stimuli, *spaces, n_shown=5)
    check_intervals(table)
    check_drawn(figure)
    rows = pick(table, quantity="similarity_correlation").set_index("model")["value"]
    for name, matrix in zip(("before", "after"), spaces[1:], strict=True):
        expected = nf.neural.similarity_correlation(spaces[0], matrix)
        assert rows[name] == pytest.approx(expected)
    assert rows["after less before"] == pytest.approx(rows["after"] - rows["before"])
    assert len(pick(table, model="neural", quantity="mds_1")) == 14
    drawn = [
        ax.get_images()[0].get_array()
        for ax in figure.axes
        if ax.get_images() and ax.get_images()[0].get_array().shape == (14, 14)
    ]
    order = _spaces.order(spaces[0])
    assert len(drawn) == 3, "one order for all matrices"
    for found, matrix in zip(drawn, spaces, strict=True):
        np.testing.assert_allclose(found, matrix[np.ix_(order, order)])


def test_correlation_of_a_resample_is_that_of_its_pairs(spaces):
    first, second = spaces[0], spaces[2]
    drawn = np.array([0, 0, 3, 5, 5, 5, 6, 7, 8, 9, 9, 10, 12, 13])
    pairs = [(i, j) for k, i in enumerate(drawn) for j in drawn[k + 1 :] if i != j]
    expected = np.corrcoef(*([m[i, j] for i, j in pairs] for m in (first, second)))[
        0, 1
    ]
    means = np.bincount(drawn, minlength=14)[None] / 14
    found = quantities.similarity_correlation(first, second).statistic(means)
    assert found[0] == pytest.approx(expected)


def test_the_order_finds_a_chain_and_keeps_groups_together():
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(12)
    gap = np.abs(shuffled[:, None] - shuffled)
    found = shuffled[_spaces.order(np.exp(-gap / 4.0))]
    assert found.tolist() in ([*range(12)], [*range(11, -1, -1)])
    labels = rng.permutation(np.repeat([0, 1, 2], 5))
    noise = rng.normal(scale=0.02, size=(15, 15))
    blocks = np.where(labels[:, None] == labels, 0.7, 0.1) + noise + noise.T
    changes = np.count_nonzero(np.diff(labels[_spaces.order(blocks)]))
    assert changes == 2


def test_the_plane_keeps_distances_and_is_turned_onto_another():
    points = np.random.default_rng(0).normal(size=(9, 2))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    plane = _spaces.coordinates(points @ points.T)
    np.testing.assert_allclose(
        np.linalg.norm(plane[:, None] - plane, axis=-1),
        np.linalg.norm(points[:, None] - points, axis=-1),
        atol=1e-9,
    )
    angle = np.array([[0.6, 0.8], [0.8, -0.6]])  # rotated and mirrored
    np.testing.assert_allclose(_spaces.aligned(0.3 * plane @ angle, plane), plane)
