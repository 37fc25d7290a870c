"""Cycles per degree: closed forms of visual angle, and refusals."""

import math

import numpy as np
import pytest
import torch

import neurofreq as nf
from neurofreq.frequency import cycles_per_degree, pixels_per_degree


def test_one_degree_is_an_isosceles_triangle():
    # The screen covers 2 atan(n pitch / 2 distance) degrees with n pixels.
    for distance, pitch in ((570.0, 0.265), (0.3, 0.0007), (1e4, 12.0)):
        n = pixels_per_degree(distance=distance, pixel_pitch=pitch)
        angle = 2.0 * math.degrees(math.atan(n * pitch / (2.0 * distance)))
        assert angle == pytest.approx(1.0, rel=1e-12)


def test_a_grating_has_as_many_cycles_in_a_degree():
    # A grating of 0.125 cycles/pixel, counted over the 48 pixels of two degrees.
    density, frequency = 24.0, 0.125
    pixel = np.arange(4096) / 4096 * 2 * density
    wave = np.sin(2.0 * np.pi * frequency * pixel + 0.1)
    rises = np.count_nonzero((wave[:-1] < 0.0) & (wave[1:] >= 0.0))
    assert rises / 2 == cycles_per_degree(frequency, density) == 3.0


def test_nyquist_is_half_a_cycle_per_pixel():
    assert cycles_per_degree(1.0, 10.0, unit="nyquist") == 5.0
    both = [cycles_per_degree(0.3, 8.0), cycles_per_degree(0.6, 8.0, unit="nyquist")]
    assert both[0] == pytest.approx(both[1], rel=1e-15)


def test_the_frequencies_of_a_result_convert():
    images = nf.data.load_data("synthetic", n=8).images
    profile = nf.radial_profile(nf.power_spectrum(images))
    found = cycles_per_degree(profile.frequency, 32 / 4)
    np.testing.assert_allclose(found, profile.frequency * 8.0)
    assert found.shape == profile.frequency.shape
    assert found.dtype == np.float64


@pytest.mark.parametrize("kind", [list, tuple, np.asarray, torch.tensor])
def test_arrays_keep_their_shape(kind):
    found = cycles_per_degree(kind([0.0, 0.25, 0.5]), 4.0)
    np.testing.assert_array_equal(found, [0.0, 1.0, 2.0])
    assert isinstance(cycles_per_degree(0.25, 4.0), float)
    assert cycles_per_degree(np.zeros((2, 3)), 4.0).shape == (2, 3)


def test_away_from_the_center_a_degree_has_more_pixels():
    # The docstring: 3 % more at 10 degrees.
    distance, pitch = 57.0, 0.03
    edges = [distance * math.tan(math.radians(a)) / pitch for a in (9.5, 10.5)]
    center = pixels_per_degree(distance=distance, pixel_pitch=pitch)
    assert (edges[1] - edges[0]) / center == pytest.approx(1.031, abs=0.0005)


def test_a_ratio_that_overflows_is_refused():
    with pytest.raises(ValueError, match="pixel_pitch"):
        pixels_per_degree(distance=1e308, pixel_pitch=1e-308)
    with pytest.raises(ValueError, match="pixel_pitch"):
        pixels_per_degree(distance=1e-308, pixel_pitch=1e308)
