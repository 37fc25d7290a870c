"""Similarity and reliability of responses: oracles, recordings, bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurofreq as nf


def brute_force(responses, weights):
    centred = (responses - responses.mean(axis=0)) * weights
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit @ unit.T


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 300),
    k=st.integers(2, 40),
    dtype=st.sampled_from([np.float32, np.float64]),
    offset=st.sampled_from([0.0, 100.0]),
    seed=st.integers(0, 1000),
)
def test_response_similarity_agrees_with_numpy(n, k, dtype, offset, seed):
    rng = np.random.default_rng(seed)
    responses = (rng.gamma(2.0, size=(n, k)) + offset).astype(dtype)
    weights = rng.uniform(0.1, 3.0, size=k)
    ours = nf.response_similarity(responses, weights=weights)
    assert ours.dtype == dtype
    expected = brute_force(responses.astype(np.float64), weights)
    bound = 1e-5 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(ours, expected, rtol=0, atol=bound)
    np.testing.assert_array_equal(ours, ours.T)
    np.testing.assert_array_equal(ours.diagonal(), 1.0)
    assert np.abs(ours).max() <= 1.0


def test_weights_of_zero_remove_a_neuron_and_scale_does_not_matter():
    responses = np.random.default_rng(0).normal(size=(20, 5))
    weights = np.array([1.0, 0.0, 2.0, 0.5, 0.0])
    kept = weights > 0
    np.testing.assert_allclose(
        nf.response_similarity(responses, weights=7 * weights),
        nf.response_similarity(responses[:, kept], weights=weights[kept]),
        atol=1e-14,
    )


def test_integers_lists_and_strides_are_accepted():
    counts = np.random.default_rng(0).poisson(4.0, (30, 12))
    expected = nf.response_similarity(counts.astype(float))
    np.testing.assert_array_equal(nf.response_similarity(counts), expected)
    np.testing.assert_array_equal(nf.response_similarity(counts.tolist()), expected)
    transposed = np.asfortranarray(counts.astype(np.float64))
    np.testing.assert_array_equal(nf.response_similarity(transposed), expected)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 8), st.integers(2, 8), st.integers(1, 6)),
    seed=st.integers(0, 1000),
)
def test_reliability_agrees_with_numpy(shape, seed):
    trials = np.random.default_rng(seed).poisson(3.0, shape) * 1.0
    trials[..., 0] = 0.0  # never fires
    expected = np.zeros(shape[2])
    sigma = trials.mean(axis=0).std(axis=0, ddof=1)
    eta = np.sqrt(trials.var(axis=0, ddof=1).mean(axis=0))
    if ((eta == 0) & (sigma > 0)).any():
        with pytest.raises(ValueError, match="never differ"):
            nf.reliability(trials)
        return
    np.divide(sigma, eta, out=expected, where=eta > 0)
    np.testing.assert_allclose(nf.reliability(trials), expected, rtol=1e-12, atol=1e-12)


def test_missing_trials_do_not_count():
    trials = np.random.default_rng(0).normal(size=(6, 5, 2))
    trials[4:, :, 0] = np.nan  # neuron 0: four trials
    trials[:, 3, 1] = np.nan  # neuron 1: no trial of image 3
    weights = nf.reliability(trials)
    np.testing.assert_allclose(weights[0], nf.reliability(trials[:4, :, :1])[0])
    seen = np.delete(trials, 3, axis=1)
    np.testing.assert_allclose(weights[1], nf.reliability(seen[..., 1:])[0])


R = np.arange(12.0).reshape(4, 3) ** 2


@pytest.mark.parametrize(
    ("responses", "weights", "message"),
    [
        (R[0], None, r"responses: got shape \(3,\), expected \(N, K\)"),
        (R[:1], None, r"got shape \(1, 3\), expected at least 2 images"),
        (R[:, :0], None, "expected at least 2 images and 1 neuron"),
        (R * np.nan, None, "responses: got NaN"),
        (np.full((3, 4), 0.1), None, "image 0 equals the mean over images"),
        (R, [1.0, 2.0], "weights: got 2, expected 3"),
        (R, [[1.0, 1.0, 1.0]], r"weights: got shape \(1, 3\)"),
        (R, [1.0, -1.0, 1.0], "weights: expected finite values"),
        (R, [1.0, np.nan, 1.0], "weights: expected finite values"),
        (R, [0.0, 0.0, 0.0], "weights: got only zeros"),
    ],
)
def test_bad_responses_are_named(responses, weights, message):
    with pytest.raises(ValueError, match=message):
        nf.response_similarity(responses, weights=weights)


T = np.random.default_rng(0).normal(size=(3, 4, 2))


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        (T[0], "trials: got shape"),
        (T[:1], "image 0 has a single trial of neuron 0"),
        (T[:, :1], "got 1 images with trials of neuron 0"),
        (T * np.nan, "got 0 images with trials of neuron 0"),
        (np.where(T[0, 1, 1] == T, np.inf, T), "infinite responses of neuron 1"),
        (np.tile(T[:1], (3, 1, 1)), "neuron 0 never differ"),
    ],
)
def test_bad_trials_are_named(trials, message):
    with pytest.raises(ValueError, match=message):
        nf.reliability(trials)


@pytest.mark.data
@pytest.mark.parametrize(("region", "known"), [(1, 0.46), (2, 0.24), (3, 0.57)])
def test_mouse_v1_recordings_give_the_known_split_half_correlation(
    data_dir, region, known
):
    with np.load(data_dir / "neural" / "mouse_v1_antolik2016.npz") as file:
        trials = file[f"region{region}_trials"].astype(np.float64)
    weights = nf.reliability(trials)
    assert np.isfinite(weights).all()
    assert (weights > 0.0).all()
    target = nf.response_similarity(trials.mean(axis=0), weights=weights)
    np.testing.assert_array_equal(target, target.T)
    np.testing.assert_array_equal(target.diagonal(), 1.0)
    upper = np.triu_indices(len(target), 1)

    def halves(prepare):
        even, odd = (
            nf.response_similarity(prepare(trials[start::2].mean(axis=0)))[upper]
            for start in (0, 1)
        )
        return np.corrcoef(even, odd)[0, 1]

    def correlation_distance(mean):
        """Standardize neurons, so that the cosine is a correlation."""
        z = (mean - mean.mean(axis=0)) / mean.std(axis=0)
        return z - z.mean(axis=1, keepdims=True)

    assert halves(correlation_distance) == pytest.approx(known, abs=0.006)
    # Weights by reliability increase the agreement of the halves.
    assert halves(lambda mean: weights * mean) > known
