"""Bootstrap intervals: an independent oracle, coverage, and bad input."""

import numpy as np
import pytest
from scipy import stats

import neurofreq as nf
from neurofreq import intervals


def test_the_interval_of_a_mean_agrees_with_scipy():
    rng = np.random.default_rng(0)
    sample = rng.gamma(2.0, size=300)
    ours = intervals.percentile_interval(
        intervals.resampled_means(sample, n_resamples=20_000)[:, 0]
    )
    peer = stats.bootstrap(
        (sample,), np.mean, method="percentile", n_resamples=20_000, rng=rng
    ).confidence_interval
    width = peer.high - peer.low
    assert ours == pytest.approx((peer.low, peer.high), abs=0.03 * width)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(400):
        sample = rng.normal(size=100)
        means = intervals.resampled_means(sample, n_resamples=400, seed=trial)
        low, high = intervals.percentile_interval(means[:, 0])
        hits += low <= 0.0 <= high
    # 95 % of 400 is 380 with a standard deviation of 4.4.
    assert 362 <= hits <= 396


def test_results_do_not_depend_on_the_thread_count():
    rows = np.random.default_rng(2).normal(size=(200, 7))
    before = nf.num_threads()
    try:
        results = []
        for count in (1, 4):
            nf.set_num_threads(count)
            results.append(intervals.resampled_means(rows, n_resamples=100, seed=3))
    finally:
        nf.set_num_threads(before)
    np.testing.assert_array_equal(*results)


def test_undefined_resamples_are_left_out_or_end_the_interval():
    assert intervals.percentile_interval([1.0, np.nan, 1.0]) == (1.0, 1.0)
    assert np.isnan(intervals.percentile_interval([1.0, np.nan, np.nan])).all()


@pytest.mark.parametrize(
    ("values", "keywords", "message"),
    [
        ([], {}, r"values: got shape \(0, 1\)"),
        (np.ones((2, 2, 2)), {}, r"values: got shape \(2, 2, 2\)"),
        ([1.0, np.nan], {}, "values: got NaN or infinite"),
        ([1.0], {"n_resamples": 0}, "n_resamples: got 0"),
        ([1.0], {"seed": -1}, "seed: got -1"),
    ],
)
def test_bad_input_is_named(values, keywords, message):
    with pytest.raises(ValueError, match=message):
        intervals.resampled_means(values, **keywords)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_outside_zero_to_one_is_refused(level):
    with pytest.raises(ValueError, match="level: got"):
        intervals.percentile_interval([1.0, 2.0], level=level)


def test_an_empty_statistic_is_refused():
    with pytest.raises(ValueError, match="statistic: got no values"):
        intervals.percentile_interval([])
