/*!
Frequencies of coefficients, masks and radial profiles, for arrays and tensors.

Frequencies are in cycles per pixel on the unshifted grid of the discrete
Fourier transform, so Nyquist is 0.5. Mixing frequencies of hybrid images are
in units of Nyquist, as the paper plots them: the low-pass mask of `a` keeps
`|f| <= 0.5 a`. Every comparison of a radius with a limit uses [`is_within`], so
that host arrays and tensors keep exactly the same coefficients.
*/

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, linspace};

use super::memory;
use super::parallel::{self, Stop};
use crate::{Error, Result};

/// Tolerance of [`is_within`]. A radius that is equal to its limit is inside, but the
/// last bits may differ because radii and limits are computed in different ways.
const SLACK: f64 = 1e-12;

/// Frequencies of a transform of length `n`: 0, 1/n, ..., -1/n.
#[must_use]
pub fn frequencies(n: usize) -> Vec<f64> {
    let signed = |k: usize| k as f64 - if 2 * k < n { 0.0 } else { n as f64 };
    (0..n).map(|k| signed(k) / n as f64).collect()
}

/// Whether a coefficient at `radius` belongs to the disc of radius `limit`.
#[must_use]
pub fn is_within(radius: f64, limit: f64) -> bool {
    radius <= limit * (1.0 + SLACK)
}

/// `|f|` of every coefficient on the unshifted grid.
///
/// # Errors
/// [`Error::Memory`] if the grid does not fit, or if interrupted.
pub fn radii(height: usize, width: usize, stop: &Stop) -> Result<Array2<f64>> {
    let columns = frequencies(width);
    let mut radii = memory::reserved("radii", &[height, width])?;
    for row in stop.watch(frequencies(height)) {
        let row = row?;
        radii.extend(columns.iter().map(|column| row.hypot(*column)));
    }
    Array2::from_shape_vec((height, width), radii)
        .map_err(|error| Error::Internal(error.to_string()))
}

/// The coefficients that mixing frequency `a` takes from the low image.
#[must_use]
pub fn low_pass(radii: &Array2<f64>, a: f64) -> Array2<bool> {
    radii.mapv(|radius| is_within(radius, 0.5 * a))
}

/// Where position `k` of an fftshifted axis of length `n` lies before the shift.
#[must_use]
pub fn unshifted(k: usize, n: usize) -> usize {
    (k + n.div_ceil(2)) % n
}

/// The share of power within growing radii.
pub struct Profile {
    /// Thresholds from 0 to the largest `|f|` of the grid, cycles per pixel.
    pub frequency: Array1<f64>,
    /// Share of the power (DC left out) within each threshold, 0 to 1.
    pub cumulative: Array1<f64>,
    /// Where `cumulative` crosses one half, interpolated between thresholds.
    pub half_power: f64,
}

/// The cumulative radial profile of an fftshifted power map.
///
/// The value at DC is ignored. If the total power is zero, the shares are NaN.
///
/// # Errors
/// [`Error::Value`] if `power` is empty, negative or not finite anywhere but
/// at DC, or there are fewer than two thresholds; [`Error::Memory`] if the
/// thresholds do not fit.
pub fn profile(power: ArrayView2<f64>, n_thresholds: usize) -> Result<Profile> {
    let (height, width) = power.dim();
    if power.is_empty() || n_thresholds < 2 {
        return Err(Error::value(format!(
            "power, n_thresholds: got shape ({height}, {width}) and {n_thresholds}, \
             expected a non-empty map and at least 2"
        )));
    }
    parallel::run(|stop| cumulated(power, n_thresholds, stop))
}

/// [`profile`] inside the pool.
fn cumulated(power: ArrayView2<f64>, n_thresholds: usize, stop: &Stop) -> Result<Profile> {
    let (height, width) = power.dim();
    let mut frequency: Vec<f64> = memory::reserved("thresholds", &[n_thresholds])?;
    let mut cumulative = Array1::from(memory::filled("profile", &[n_thresholds], 0.0)?);
    let radii = radii(height, width, stop)?;
    let largest = radii.fold(0.0_f64, |a, &b| a.max(b));
    frequency.extend(linspace(0.0, largest, n_thresholds));
    for ((y, x), &value) in power.indexed_iter() {
        if x == 0 {
            stop.check()?;
        }
        let at = (unshifted(y, height), unshifted(x, width));
        if at == (0, 0) {
            continue;
        }
        if !(value.is_finite() && value >= 0.0) {
            return Err(Error::value(format!(
                "power: got {value} at ({y}, {x}), expected finite values from 0 up \
                 everywhere but at DC"
            )));
        }
        let first = frequency.partition_point(|&limit| !is_within(radii[at], limit));
        if let Some(sum) = cumulative.get_mut(first) {
            *sum += value;
        }
    }
    cumulative.accumulate_axis_inplace(ndarray::Axis(0), |&before, now| *now += before);
    cumulative /= cumulative[n_thresholds - 1];
    let frequency = Array1::from(frequency);
    let half_power = crossing(frequency.view(), cumulative.view(), 0.5);
    Ok(Profile {
        frequency,
        cumulative,
        half_power,
    })
}

/// The `x` at which `curve` first rises through `level`, interpolated linearly between
/// two points; NaN if the curve never does so or contains NaN.
///
/// A curve that starts at the level rises there if its next change is upwards.
#[must_use]
#[allow(clippy::float_cmp)] // exactly at the level
pub fn crossing(x: ArrayView1<f64>, curve: ArrayView1<f64>, level: f64) -> f64 {
    if curve.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let goes_up = || curve.iter().find(|&&value| value != level) > Some(&level);
    let rises = |&k: &usize| match k {
        0 => curve[0] == level && goes_up(),
        _ => curve[k - 1] < level && curve[k] >= level,
    };
    match (0..curve.len()).find(rises) {
        None => f64::NAN,
        Some(0) => x[0],
        Some(k) => {
            let part = (level - curve[k - 1]) / (curve[k] - curve[k - 1]);
            x[k - 1] + part * (x[k] - x[k - 1])
        }
    }
}

/// [`crossing`] of every row of `curves`.
///
/// # Errors
/// [`Error::Value`] if `x` and the rows differ in length or are empty.
pub fn crossings(x: ArrayView1<f64>, curves: ArrayView2<f64>, level: f64) -> Result<Array1<f64>> {
    if x.is_empty() || curves.ncols() != x.len() {
        return Err(Error::value(format!(
            "curves: got {} columns, expected {}, one per x, and at least one",
            curves.ncols(),
            x.len()
        )));
    }
    parallel::run(|stop| {
        let rows = curves.rows().into_iter();
        let each = rows.map(|row| stop.check().map(|()| crossing(x, row, level)));
        each.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn frequencies_are_those_of_numpy() {
        assert_eq!(frequencies(4), [0.0, 0.25, -0.5, -0.25]);
        assert_eq!(frequencies(5), [0.0, 0.2, 0.4, -0.4, -0.2]);
        assert_eq!(frequencies(1), [0.0]);
    }

    #[test]
    fn the_mask_is_a_closed_disc() {
        let radii = radii(32, 32, &Stop::default()).unwrap();
        let kept = |a: f64| low_pass(&radii, a).iter().filter(|&&keep| keep).count();
        assert_eq!(kept(0.0), 1);
        assert_eq!(kept(1.0 / 16.0), 5);
        assert_eq!(kept(2.0_f64.sqrt()), 1024);
        let full = low_pass(&radii, 1.0);
        for ((y, x), &keep) in full.indexed_iter() {
            assert_eq!(keep, is_within(radii[(y, x)], 0.5));
        }
        assert!(full[(16, 0)] && !full[(16, 16)]);
        // 3-4-5 triangles have exactly the limit as radius, but floats are rounded.
        assert!(low_pass(&radii, 10.0 / 32.0)[(3, 4)]);
    }

    #[test]
    fn the_profile_of_flat_power_counts_cells() {
        let profile = profile(Array2::ones((32, 32)).view(), 25).unwrap();
        assert!(
            (profile.half_power - 0.396).abs() < 5e-4,
            "{}",
            profile.half_power
        );
        assert!(profile.cumulative[0].abs() < 1e-15);
        assert!((profile.cumulative[24] - 1.0).abs() < 1e-15);
    }

    #[test]
    fn a_single_frequency_jumps_at_its_threshold() {
        let mut power = Array2::zeros((32, 32));
        power[[16, 16]] = f64::NAN;
        power[[16, 20]] = 1.0;
        let profile = profile(power.view(), 25).unwrap();
        for (&t, &share) in profile.frequency.iter().zip(&profile.cumulative) {
            let expected = if is_within(0.125, t) { 1.0 } else { 0.0 };
            assert!((share - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn bad_power_is_named_and_none_gives_nan() {
        let mut power = Array2::ones((4, 4));
        power[[0, 1]] = -1.0;
        let message = profile(power.view(), 25).err().unwrap().to_string();
        assert!(message.contains("got -1 at (0, 1)"), "{message}");
        let nothing = profile(Array2::zeros((4, 4)).view(), 25).unwrap();
        assert!(nothing.half_power.is_nan());
        assert!(profile(Array2::ones((4, 4)).view(), 1).is_err());
    }

    #[test]
    fn crossings_rise_through_the_level() {
        let x = array![0.0, 1.0, 2.0, 3.0];
        let curves = array![
            [-1.0, 1.0, 2.0, 3.0],
            [1.0, 2.0, 3.0, 4.0],
            [-3.0, -2.0, -1.0, 0.0],
            [0.0, 0.0, 1.0, 1.0],
            [-1.0, f64::NAN, 1.0, 1.0],
            [2.0, -1.0, 3.0, 3.0],
            [0.0, 0.0, 0.0, 0.0],
            [0.0, -1.0, 1.0, 1.0],
        ];
        let found = crossings(x.view(), curves.view(), 0.0).unwrap();
        let expected = [0.5, f64::NAN, 3.0, 0.0, f64::NAN, 1.25, f64::NAN, 1.5];
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.total_cmp(&expected).is_eq() || (found - expected).abs() < 1e-15);
        }
        assert!(crossings(x.view(), array![[1.0]].view(), 0.0).is_err());
    }

    proptest! {
        #[test]
        fn radii_are_even_and_shifts_are_inverse(h in 1_usize..40, w in 1_usize..40) {
            let radii = radii(h, w, &Stop::default()).unwrap();
            for ((y, x), &radius) in radii.indexed_iter() {
                let mirrored = radii[((h - y) % h, (w - x) % w)];
                prop_assert!((radius - mirrored).abs() < 1e-15);
            }
            prop_assert_eq!(unshifted(h / 2, h), 0);
        }

        #[test]
        fn masks_are_nested(h in 1_usize..20, w in 1_usize..20, a in 0.0..1.5, b in 0.0..1.5) {
            let radii = radii(h, w, &Stop::default()).unwrap();
            let (small, large) = (low_pass(&radii, f64::min(a, b)), low_pass(&radii, f64::max(a, b)));
            prop_assert!(small.iter().zip(&large).all(|(s, l)| !s || *l));
            prop_assert!(small[(0, 0)]);
        }
    }
}
