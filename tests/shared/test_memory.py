"""If there is not enough memory, a call raises MemoryError and the process goes on."""

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
            lambda: _neurofreq.radial_profile(np.ones((8, 8)), 10**15),
        ),
        (
            "thresholds",
            lambda: _neurofreq.radial_profile(np.ones((8, 8)), 2**62),
        ),
        (
            "resampled means",
            lambda: _neurofreq.resampled_means(np.ones((5, 1)), 10**13, 0),
        ),
        (
            "resampled means",
            lambda: _neurofreq.resampled_means(np.ones((5, 9)), 2**61, 0),
        ),
        (
            "hybrids",
            lambda: _neurofreq.hybrid_images(
                np.broadcast_to(PICTURES[:1], (10**6, 3, 64, 64)),
                np.broadcast_to(PICTURES[:1], (10**6, 3, 64, 64)),
                [0.5] * 10**5,
            ),
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_size(name, call):
    with pytest.raises(MemoryError, match=rf"{name}: got shape \[.*\], which takes"):
        call()


def test_masked_complex_and_object_arrays_are_refused_by_the_compiled_module():
    plain = np.ones((4, 4))
    for bad in (
        np.ma.masked_less(plain, 2),
        plain.astype(complex),
        plain.astype(object),
    ):
        with pytest.raises(TypeError, match="expected a plain array of float64"):
            _neurofreq.radial_profile(bad, 4)
