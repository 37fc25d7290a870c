"""Split halves, correlations of similarities and the noise ceiling, with oracles."""

import numpy as np
import pytest
import scipy.stats

import neurofreq as nf
from neurofreq import neural


def random_similarities(n_subjects, n, seed=0, signal=1.0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 40))
    return [
        nf.response_similarity(signal * shared + rng.normal(size=(n, 40)))
        for _ in range(n_subjects)
    ]


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_correlation_of_similarities_is_scipys(method):
    a, b = random_similarities(2, 15)
    b = np.round(b, 1)  # ties
    b = (b + b.T) / 2
    upper = np.triu_indices(15, 1)
    oracle = getattr(scipy.stats, f"{method}r")(a[upper], b[upper]).statistic
    ours = neural.similarity_correlation(a, b, method=method)
    assert ours == pytest.approx(oracle, abs=1e-12)


def ceiling_of_the_definition(rows, method):
    """Correlate each subject with the mean of all and of the others, by definition."""
    if method == "spearman":
        rows = np.array([scipy.stats.rankdata(row) for row in rows])
        correlate = scipy.stats.spearmanr
    else:
        rows = scipy.stats.zscore(rows, axis=1)
        correlate = scipy.stats.pearsonr
    rest = [np.delete(rows, k, axis=0).mean(axis=0) for k in range(len(rows))]
    low = [correlate(a, b).statistic for a, b in zip(rows, rest, strict=True)]
    high = [correlate(row, rows.mean(axis=0)).statistic for row in rows]
    return np.mean(low), np.mean(high)


@pytest.mark.parametrize("decimals", [15, 1])
@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_the_noise_ceiling_is_that_of_its_definition(method, decimals):
    subjects = [s.round(decimals) for s in random_similarities(5, 12)]  # 1: ties
    rows = [subject[np.triu_indices(12, 1)] for subject in subjects]
    low, high = ceiling_of_the_definition(rows, method)
    ceiling = neural.noise_ceiling(subjects, method=method)
    assert ceiling.lower == pytest.approx(low, abs=1e-12)
    assert ceiling.upper == pytest.approx(high, abs=1e-12)


@pytest.mark.parametrize("decimals", [15, 1])
@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_the_noise_ceiling_is_rsatoolboxs(method, decimals):
    rsatoolbox = pytest.importorskip("rsatoolbox", reason="needs rsatoolbox")
    subjects = [s.round(decimals) for s in random_similarities(4, 10, seed=3)]
    above = np.triu_indices(10, 1)
    rdms = rsatoolbox.rdm.RDMs(1.0 - np.array([s[above] for s in subjects]))
    theirs = rsatoolbox.inference.boot_noise_ceiling(
        rdms, method="corr" if method == "pearson" else method
    )
    np.testing.assert_allclose(
        neural.noise_ceiling(subjects, method=method), theirs, atol=1e-12
    )


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_the_mean_of_the_others_reaches_the_lower_bound_and_no_more(method):
    """Bounds and scores have the same scale."""
    subjects = random_similarities(3, 14, seed=5)
    above = np.triu_indices(14, 1)
    scores = []
    for k, subject in enumerate(subjects):
        rows = [s[above] for j, s in enumerate(subjects) if j != k]
        if method == "spearman":  # sums of ranks are exact, so ties stay ties
            mean = np.sum([scipy.stats.rankdata(row) for row in rows], axis=0)
        else:
            mean = np.mean(scipy.stats.zscore(rows, axis=1), axis=0)
        model = np.eye(14)
        model[above] = model.T[above] = mean / np.abs(mean).max()
        scores.append(neural.similarity_correlation(model, subject, method=method))
    lower = neural.noise_ceiling(subjects, method=method).lower
    assert lower == pytest.approx(np.mean(scores), abs=1e-12)


def test_two_trials_split_in_one_way():
    """With two trials, every split correlates the two trials."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(1, 400, 3)) * [3.0, 1.0, 0.0]
    trials = signal + rng.normal(size=(2, 400, 3))
    half = neural.split_half(trials, spearman_brown=False, n_splits=20)
    direct = [np.corrcoef(trials[0, :, k], trials[1, :, k])[0, 1] for k in range(3)]
    np.testing.assert_allclose(half, direct, atol=0.02)
    full = neural.split_half(trials, n_splits=20)
    np.testing.assert_allclose(full, 2 * half / (1 + half), atol=1e-12)


def test_reliability_of_the_similarity_predicts_that_of_twice_the_trials():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(1, 60, 30))
    trials = signal + 3.0 * rng.normal(size=(20, 60, 30))
    few = neural.split_half(trials[:10], level="similarity", n_splits=30)
    twice = neural.split_half(
        trials, level="similarity", n_splits=30, spearman_brown=False
    )
    assert few == pytest.approx(twice, abs=0.06)
    assert 0.1 < few < 0.9


def test_splits_depend_on_seed_alone():
    trials = np.random.default_rng(0).poisson(3.0, (7, 40, 5)) * 1.0
    before = nf.num_threads()
    try:
        values = []
        for threads in (1, 3):
            nf.set_num_threads(threads)
            values.append(neural.split_half(trials, seed=2))
    finally:
        nf.set_num_threads(before)
    np.testing.assert_array_equal(*values)
    assert not np.array_equal(values[0], neural.split_half(trials, seed=3))


def test_a_silent_neuron_has_reliability_zero_and_gaps_are_skipped():
    trials = np.random.default_rng(0).normal(size=(6, 10, 2))
    trials[..., 1] = 0.0
    trials[:, 4, 0] = np.nan
    trials[1:, 5, 0] = np.nan
    both = neural.split_half(trials)
    assert both[1] == 0.0
    seen = np.delete(trials, [4, 5], axis=1)
    assert np.isfinite(both[0])
    # The draws differ from those of fewer images, so only the level agrees.
    assert both[0] == pytest.approx(neural.split_half(seen)[0], abs=0.3)


def test_halves_that_disagree_wholly_have_no_corrected_value():
    half = np.random.default_rng(0).normal(size=(1, 3, 2))
    trials = np.concatenate([half, -half])
    plain = neural.split_half(trials, n_splits=1, spearman_brown=False)
    np.testing.assert_allclose(plain, -1.0)
    assert np.isnan(neural.split_half(trials, n_splits=1)).all()


T = np.random.default_rng(0).normal(size=(4, 6, 2))
A, B = random_similarities(2, 6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: neural.split_half(T[0]), "trials: got shape"),
        (
            lambda: neural.split_half(T / 0.0),
            "trials: got infinite responses of neuron 0",
        ),
        (lambda: neural.split_half(T, level="image"), "level: got 'image'"),
        (lambda: neural.split_half(T, n_splits=0), "n_splits: got 0"),
        (lambda: neural.split_half(T, weights=[1.0, 1.0]), "weights: got some"),
        (
            lambda: neural.split_half(T, level="similarity", weights=[-1.0, 1.0]),
            "weights: expected finite values, none below 0",
        ),
        (
            lambda: neural.split_half(T, level="similarity", weights=[0.0, 0.0]),
            "weights: got only zeros",
        ),
        (lambda: neural.split_half(T[:1]), "fewer than two images with two trials"),
        (
            lambda: neural.split_half(T[:1], level="similarity"),
            "fewer than two trials of image 0 and neuron 0",
        ),
        (lambda: neural.similarity_correlation(A, B[:4, :4]), "second: got shape"),
        (lambda: neural.similarity_correlation(A, np.ones((6, 6))), "one value every"),
        (lambda: neural.similarity_correlation(A, 2 * B), "second: got values in"),
        (lambda: neural.similarity_correlation(A, B, method="x"), "method: got 'x'"),
        (lambda: neural.noise_ceiling([A]), "got 1 subjects, expected at least two"),
        (lambda: neural.noise_ceiling([A, B[:4, :4]]), "similarities: got shapes"),
        (lambda: neural.noise_ceiling([A, np.ones((6, 6))]), "in matrix 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with np.errstate(divide="ignore"), pytest.raises(ValueError, match=message):
        call()
