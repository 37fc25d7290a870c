"""Where memory does not suffice there is a MemoryError, and the process goes on."""

import numpy as np
import pytest

import neurofreq as nf
from neurofreq import _neurofreq

PICTURES = np.zeros((8, 3, 64, 64), np.float32)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        (
            "similarity",
            lambda: nf.response_similarity(np.eye(3_000_000, 2)),
        ),
        (
            "thresholds",
            lambda: nf.radial_profile(np.ones((8, 8)), n_thresholds=10**15),
        ),
        (
            "thresholds",
            lambda: nf.radial_profile(np.ones((8, 8)), n_thresholds=2**62),
        ),
        (
            "resampled means",
            lambda: nf.intervals.resampled_means(np.ones(5), n_resamples=10**13),
        ),
        (
            "resampled means",
            lambda: nf.intervals.resampled_means(np.ones((5, 9)), n_resamples=2**61),
        ),
        (
            "hybrids",
            lambda: _neurofreq.hybrid_images(
                np.broadcast_to(PICTURES[:1], (10**6, 3, 64, 64)),
                np.broadcast_to(PICTURES[:1], (10**6, 3, 64, 64)),
                [0.5] * 10**5,
            ),
        ),
        (
            "hybrids",
            lambda: _neurofreq.hybrid_images(
                np.broadcast_to(PICTURES[:1, :, :1, :1], (2**60, 3, 1, 1)),
                np.broadcast_to(PICTURES[:1, :, :1, :1], (2**60, 3, 1, 1)),
                [0.5] * 10,
            ),
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_size(name, call):
    with pytest.raises(MemoryError, match=rf"{name}: got shape \[.*\], which takes"):
        call()


def test_many_splits_need_no_memory_of_their_own():
    trials = np.random.default_rng(0).random((4, 6, 2))
    few = _neurofreq.split_half_neurons(trials, 70, 0, False)
    assert few.shape == (2,)


def test_masked_complex_and_object_arrays_are_refused_by_the_compiled_module():
    plain = np.ones((4, 4))
    for bad in (
        np.ma.masked_less(plain, 2),
        plain.astype(complex),
        plain.astype(object),
    ):
        with pytest.raises(TypeError, match="expected a plain array of float64"):
            _neurofreq.radial_profile(bad, 4)
