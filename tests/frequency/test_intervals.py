"""Bootstrap intervals: an independent oracle, coverage, and bad input."""

import numpy as np
import pytest
from scipy import stats

import neurofreq as nf
from neurofreq import intervals
from neurofreq.measured import quantities


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
    # Expected: 380 of 400 (95 %), with a standard deviation of 4.4.
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


def test_infinite_resamples_are_ordered_like_others():
    inf = np.inf
    values = np.concatenate([np.arange(95.0), np.full(5, inf)])
    assert intervals.percentile_interval(values) == (2.0, inf)
    assert intervals.percentile_interval(-values) == (-inf, -2.0)
    assert intervals.percentile_interval([inf, inf]) == (inf, inf)
    assert intervals.percentile_interval([-inf, inf]) == (-inf, inf)
    assert intervals.percentile_interval([1.0, inf, np.nan]) == (1.0, inf)


def brute_force(sizes, share):
    """Draw the same resamples, and take the quantile of each from its sorted sizes."""
    n = len(sizes)
    counts = np.rint(n * intervals.resampled_means(np.eye(n))).astype(int)
    drawn = np.stack([np.sort(np.repeat(sizes, count)) for count in counts])
    above = int(share * n)  # an integer here, so take the mean of two sizes
    return 0.5 * (drawn[:, above - 1] + drawn[:, above])


def bounds(resampled):
    ordered = np.sort(resampled[~np.isnan(resampled)])
    last = len(ordered) - 1
    return ordered[int(0.025 * last)], ordered[int(np.ceil(0.975 * last))]


@pytest.mark.parametrize("n_found", [24, 21, 20, 19, 3])
@pytest.mark.parametrize("share", [0.5, 0.75])
def test_a_quantile_of_sizes_reaches_into_those_not_found(n_found, share):
    rng = np.random.default_rng(n_found)
    n = 40
    sizes = np.where(np.arange(n) < n_found, rng.gamma(2.0, size=n), np.inf)
    ours = quantities.median_size(sizes, share)
    expected = brute_force(sizes, share)
    np.testing.assert_allclose(ours.resampled(), expected)
    found = ours.estimate()
    middle = np.sort(sizes)[int(share * n) - 1 : int(share * n) + 1]
    assert found.value == pytest.approx(0.5 * middle.sum())
    assert (found.low, found.high) == pytest.approx(bounds(expected))
    assert found.high == np.inf
    # Difference from a model without failures: the resamples are paired.
    other = rng.gamma(2.0, size=n)
    less = quantities.median_size(other).minus(ours)
    paired = brute_force(other, 0.5) - expected
    assert (less.low, less.high) == pytest.approx(bounds(paired))
    assert less.low == -np.inf


def test_a_difference_of_two_infinite_medians_is_undefined():
    sizes = np.array([0.1, np.inf, np.inf, np.inf, np.inf, np.inf])
    median = quantities.median_size(sizes)
    assert np.isnan(median.minus(median).value)
    assert np.isnan([median.minus(median).low, median.minus(median).high]).all()
