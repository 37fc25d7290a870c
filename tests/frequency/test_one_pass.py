"""Accumulators with intervals: any order, several processes, files, and coverage."""

import multiprocessing

import numpy as np
import pytest
import torch
from helpers import coverage

import neurofreq as nf
from neurofreq.frequency import HybridAccumulator
from neurofreq.intervals import PoissonBootstrap

N = 60
GRID = [0.0, 0.2, 0.4, 0.6]


def pixels():
    scale = np.random.default_rng(1).uniform(0.5, 2.0, size=(N, 1, 1, 1))
    return scale * np.random.default_rng(0).normal(size=(N, 3, 12, 10))


def spectrum(n_resamples=100):
    return nf.SpectrumAccumulator(12, 10, n_resamples=n_resamples, seed=3)


def answers():
    draws = np.random.default_rng(2).normal(0.3, 0.2, size=(N, 1))
    return draws < np.array(GRID)


def part(rows):
    """Return accumulators of some images, as another process makes them."""
    low = answers()[rows]
    return (
        spectrum().update(pixels()[rows], rows),
        HybridAccumulator(GRID, n_resamples=100, seed=3).update(rows, low, ~low),
    )


def parts(rows, folder):
    for one in part(rows):
        one.save(folder / f"{type(one).__name__}{rows[0]}.npz")


def test_order_batches_and_processes_do_not_matter(tmp_path):
    whole = part(np.arange(N))
    context = multiprocessing.get_context("spawn")
    chunks = np.array_split(np.random.default_rng(4).permutation(N), 2)
    started = [context.Process(target=parts, args=(c, tmp_path)) for c in chunks]
    for one in started:
        one.start()
    for one in started:
        one.join(100)
    kinds = (nf.SpectrumAccumulator, HybridAccumulator)
    for kind, expected in zip(kinds, whole, strict=True):
        first, second = (
            kind.load(tmp_path / f"{kind.__name__}{chunk[0]}.npz") for chunk in chunks
        )
        merged = second.merge(first)
        assert merged.count == expected.count
        for name, value in expected.state().items():
            exact = kind is HybridAccumulator
            np.testing.assert_allclose(
                merged.state()[name], value, rtol=0.0 if exact else 1e-12, err_msg=name
            )


def test_the_mean_and_its_profile_are_those_without_resamples():
    rows = np.arange(N)
    found = spectrum().update(pixels()[40:], rows[40:]).update(pixels()[:40], rows[:40])
    power = nf.power_spectrum(pixels())
    np.testing.assert_allclose(found.power, power, rtol=1e-12, equal_nan=True)
    profile, curve = nf.radial_profile(power), found.profile()
    np.testing.assert_allclose(curve.y, profile.cumulative, atol=1e-12)
    np.testing.assert_allclose(curve.x, profile.frequency)
    assert curve.mark == pytest.approx(profile.half_power, abs=1e-12)
    assert np.all(np.array(curve.low) <= np.array(curve.high) + 1e-12)
    half = found.half_power()
    assert half.low < half.value < half.high
    assert half.n == N


def test_intervals_are_as_wide_as_those_of_the_ordinary_bootstrap():
    images, rows = pixels(), np.arange(N)
    half = spectrum(2000).update(images, rows).half_power()
    grid = nf.radial_profile(np.ones((12, 10))).frequency
    each = np.array(
        [
            nf.radial_profile(power).cumulative * np.nansum(power)
            for power in (nf.power_spectrum(one[None]) for one in images)
        ]
    )
    drawn = nf.intervals.resampled_means(each, n_resamples=2000)
    shares = drawn / drawn[:, -1:]
    crossings = [np.interp(0.5, row, grid) for row in shares]
    low, high = nf.intervals.percentile_interval(crossings)
    assert half.high - half.low == pytest.approx(high - low, rel=0.1)
    assert half.low == pytest.approx(low, abs=0.1 * (high - low))


def test_tensors_and_single_precision_are_taken():
    images, rows = pixels().astype(np.float32), np.arange(N)
    found = spectrum().update(torch.from_numpy(images), rows)
    expected = spectrum().update(images, rows)
    assert found.half_power() == expected.half_power()


def test_a_hybrid_curve_is_that_of_all_answers():
    low = answers()
    high = ~low & (np.arange(N) % 3 > 0)[:, None]
    rows = np.arange(N)
    found = HybridAccumulator(GRID, n_resamples=500)
    for pairing in (low, np.roll(low, 1, axis=0)):
        found.update(rows, pairing, high)
    both = np.concatenate([low, np.roll(low, 1, axis=0)])
    np.testing.assert_allclose(found.p_low, both.mean(axis=0))
    np.testing.assert_allclose(found.p_high, high.mean(axis=0))
    curve = found.difference()
    np.testing.assert_allclose(curve.y, found.p_low - found.p_high)
    reversal = found.reversal_frequency()
    assert reversal.value == pytest.approx(np.interp(0.0, curve.y, GRID))
    assert (reversal.low, reversal.high) == curve.mark_interval
    assert found.count == reversal.n == 2 * N


def test_pairings_of_one_image_share_their_weights():
    one, twice = PoissonBootstrap(1), PoissonBootstrap(1)
    one.update([7], [[2.0]])
    twice.update([7], [[1.0]]).update([7], [[1.0]])
    np.testing.assert_array_equal(one.resampled, twice.resampled)
    other = PoissonBootstrap(1).update([8], [[2.0]])
    assert not np.array_equal(one.resampled, other.resampled)


@pytest.mark.parametrize("make", coverage.CASES.values(), ids=coverage.CASES)
def test_intervals_cover_the_known_value(make):
    n = 300
    hits = sum(
        make(np.random.default_rng(seed), n_images=150, n_resamples=300, seed=seed)
        for seed in range(n)
    )
    # 95 % of 300, with an error of 1.3 %, and intervals of 150 images are a bit short.
    assert 0.905 <= hits / n <= 0.985


def refused(call, text):
    with pytest.raises((TypeError, ValueError), match=text):
        call()


def test_bad_updates_add_nothing():
    one = spectrum().update(pixels(), np.arange(N))
    before = one.state()
    images = pixels()
    refused(lambda: one.update(images), "index: got none, expected the position")
    refused(lambda: one.update(images, np.arange(3)), r"index: got shape \(3,\)")
    refused(lambda: one.update(images, -np.arange(N)), "index: got -59")
    refused(lambda: one.update(images, np.arange(N) / 1.0), "of float64")
    refused(lambda: one.update(images * np.nan, np.arange(N)), "NaN")
    for name, value in one.state().items():
        np.testing.assert_array_equal(value, before[name])
    plain = nf.SpectrumAccumulator(12, 10)
    refused(plain.half_power, "half_power: got no resamples")
    refused(lambda: one.merge(plain), "expected \\(12, 10, True, 25, 100, 3\\)")
    refused(lambda: one.merge(spectrum(99)), "99")
    refused(spectrum().half_power, "got no images yet")
    hybrid = HybridAccumulator(GRID)
    low = answers()
    rows = np.arange(N)
    refused(lambda: hybrid.update(rows, low[:, :2], low), r"low: got shape \(60, 2\)")
    refused(lambda: hybrid.update(rows, low, low[:3]), r"high: got shape \(3, 4\)")
    refused(lambda: hybrid.update(rows, low * 1, low), "low: got .* of int64")
    refused(lambda: hybrid.merge(HybridAccumulator()), "other: got frequencies")
    refused(lambda: hybrid.merge(one), "other: got SpectrumAccumulator")
    assert hybrid.count == 0


def test_files_are_exact_and_checked(tmp_path):
    path = tmp_path / "kept.npz"
    for one in part(np.arange(N)):
        one.save(path)
        again = type(one).load(path)
        for name, value in one.state().items():
            np.testing.assert_array_equal(again.state()[name], value)
        assert repr(again) == repr(one)
        refused(lambda: PoissonBootstrap.load(path), "expected PoissonBootstrap")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        refused(lambda again=again: again.load(path), str(path))
    state = PoissonBootstrap(2).state()
    refused(lambda: PoissonBootstrap.from_state({"sums": [1.0]}), "got no")
    state["resampled"] = np.zeros((3, 3))
    refused(lambda: PoissonBootstrap.from_state(state), "expected \\(K,\\) and")


def test_sums_that_overflow_and_statistics_of_another_shape_are_refused():
    boot = nf.intervals.PoissonBootstrap(1, n_resamples=5).update([0], [[1e308]])
    with pytest.raises(ValueError, match="values: got values whose sums overflow"):
        boot.update([1, 2], [[1e308], [1e308]])
    assert (boot.count, boot.sums.tolist()) == (1, [1e308])
    for wrong in (lambda sums: sums, lambda sums: 1.0):
        with pytest.raises(
            ValueError, match=r"statistic: got shape .*, expected \(1,\)"
        ):
            boot.estimate(wrong)
