/*!
The channel of an observer: a Gaussian over log2 of frequency.

For a center and a standard deviation, the height of the Gaussian with the least squared
error has a closed form. A grid of centers and deviations gives a start. Levenberg's and
Marquardt's method refines it, and a search that halves its steps settles it at the
limits. The result has no random part, and bad starting values cannot mislead it. Some
rows, such as values that only rise, fit many Gaussians almost equally well; limits on
the number of steps end the search at one of them.
*/

use ndarray::{Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;

use super::memory;
use super::parallel::{self, Stop};
use crate::{Error, Result};

/// Limits of the standard deviation in octaves. A narrower Gaussian between two bands
/// that are an octave apart would be arbitrarily high.
const DEVIATION: (f64, f64) = (0.25, 8.0);

/// Steps of the first grid: per octave of the center, and per doubling of the deviation.
const STEPS: f64 = 8.0;

/// The most steps of Levenberg's and Marquardt's method.
const STEPS_DAMPED: usize = 100;

/// Halvings of the steps, and the most moves with steps of one size.
const HALVINGS: usize = 24;
const MOVES: usize = 64;

/// Fits `peak * exp(-(x - center)^2 / (2 deviation^2))` to each row of `values`.
///
/// The peak is from 0 to `highest`, and the center is within the range of `x`. Returns
/// (peak, center, deviation) of each row; NaN for a row with NaN or without a value
/// above 0.
///
/// # Errors
/// [`Error::Value`] if `x` and the rows differ in length or are empty.
pub fn fit(x: ArrayView1<f64>, values: ArrayView2<f64>, highest: f64) -> Result<Array2<f64>> {
    if x.is_empty() || values.ncols() != x.len() {
        return Err(Error::value(format!(
            "values: got {} columns, expected {}, one per band, and at least one",
            values.ncols(),
            x.len()
        )));
    }
    let x: Vec<f64> = x.to_vec();
    let mut found = memory::filled("channels", &[values.nrows(), 3], f64::NAN)?;
    parallel::run(|stop| {
        let rows = found.par_chunks_exact_mut(3).enumerate();
        rows.try_for_each(|(row, found)| {
            stop.check()?;
            let y = values.row(row).to_vec();
            if y.iter().all(|value| value.is_finite()) && y.iter().any(|&value| value > 0.0) {
                found.copy_from_slice(&nearest(&x, &y, highest, stop)?);
            }
            Ok(())
        })
    })?;
    Array2::from_shape_vec((values.nrows(), 3), found)
        .map_err(|error| Error::Internal(error.to_string()))
}

/// The Gaussian with the least squared error.
fn nearest(x: &[f64], y: &[f64], highest: f64, stop: &Stop) -> Result<[f64; 3]> {
    let ends = x
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |ends, &at| {
            (ends.0.min(at), ends.1.max(at))
        });
    let log = (DEVIATION.0.log2(), DEVIATION.1.log2());
    let at = |center: f64, width: f64| {
        let (center, width) = (center.clamp(ends.0, ends.1), width.clamp(log.0, log.1));
        let (error, peak) = error(x, y, center, width.exp2(), highest);
        (error, peak, center, width)
    };
    let grid = |(low, high): (f64, f64)| {
        let count = ((high - low) * STEPS).ceil() as usize;
        (0..=count).map(move |k| low + k as f64 / STEPS)
    };
    let starts = grid(ends).flat_map(|center| grid(log).map(move |width| (center, width)));
    let mut best = starts.map(|(center, width)| at(center, width)).fold(
        (f64::INFINITY, 0.0, 0.0, 0.0),
        |best, one| {
            if one.0 < best.0 { one } else { best }
        },
    );
    let (center, width) = damped(x, y, [best.1, best.2, best.3], (ends, log), highest);
    let refined = at(center, width);
    if refined.0 < best.0 {
        best = refined;
    }
    let mut step = 1.0 / STEPS;
    for _ in 0..HALVINGS {
        stop.check()?;
        step *= 0.5;
        for _ in 0..MOVES {
            let (.., center, width) = best;
            let moves = [-step, 0.0, step].map(|dx| [-step, 0.0, step].map(|dw| (dx, dw)));
            let around = moves.as_flattened().iter();
            let around = around.map(|(dx, dw)| at(center + dx, width + dw));
            match around.min_by(|a, b| a.0.total_cmp(&b.0)) {
                Some(one) if one.0 < best.0 => best = one,
                _ => break,
            }
        }
    }
    Ok([best.1, best.2, best.3.exp2()])
}

/// Levenberg's and Marquardt's method from (peak, center, log2 of the deviation), within
/// limits of the latter two. Returns a center and a log2 of a deviation.
fn damped(
    x: &[f64],
    y: &[f64],
    start: [f64; 3],
    limits: ((f64, f64), (f64, f64)),
    highest: f64,
) -> (f64, f64) {
    let squares = |[peak, center, width]: [f64; 3]| -> f64 {
        let residual = |(&at, &value): (&f64, &f64)| {
            let away = (at - center) / width.exp2();
            (value - peak * (-0.5 * away * away).exp()).powi(2)
        };
        x.iter().zip(y).map(residual).sum()
    };
    let (mut now, mut least, mut damping) = (start, squares(start), 1e-3);
    for _ in 0..STEPS_DAMPED {
        let [peak, center, width] = now;
        let (mut matrix, mut vector) = ([[0.0; 3]; 3], [0.0; 3]);
        for (&at, &value) in x.iter().zip(y) {
            let away = (at - center) / width.exp2();
            let shape = (-0.5 * away * away).exp();
            let slope = peak * shape * away;
            let slopes = [
                shape,
                slope / width.exp2(),
                slope * away * std::f64::consts::LN_2,
            ];
            for (i, a) in slopes.into_iter().enumerate() {
                vector[i] += a * (value - peak * shape);
                for (j, b) in slopes.into_iter().enumerate() {
                    matrix[i][j] += a * b;
                }
            }
        }
        for (i, row) in matrix.iter_mut().enumerate() {
            row[i] += damping * row[i].max(1e-12);
        }
        let [dp, dc, dw] = solved(matrix, vector);
        let next = [
            (peak + dp).clamp(0.0, highest),
            (center + dc).clamp(limits.0.0, limits.0.1),
            (width + dw).clamp(limits.1.0, limits.1.1),
        ];
        let error = squares(next);
        if error < least {
            (now, least, damping) = (next, error, (damping * 0.2).max(1e-12));
        } else {
            damping *= 5.0;
        }
        if damping > 1e9 {
            break;
        }
    }
    (now[1], now[2])
}

/// The solution of three linear equations by Cramer's rule; zero if there is none.
fn solved(matrix: [[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
    let determinant = |m: &[[f64; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(&matrix);
    [0, 1, 2].map(|column| {
        let mut replaced = matrix;
        for (row, &value) in replaced.iter_mut().zip(&vector) {
            row[column] = value;
        }
        let one = determinant(&replaced) / whole;
        if one.is_finite() { one } else { 0.0 }
    })
}

/// The least squared error for a center and a deviation, and the peak that gives it.
fn error(x: &[f64], y: &[f64], center: f64, deviation: f64, highest: f64) -> (f64, f64) {
    let shape = |at: f64| (-0.5 * ((at - center) / deviation).powi(2)).exp();
    let (mut product, mut square) = (0.0, 0.0);
    for (&at, &value) in x.iter().zip(y) {
        product += shape(at) * value;
        square += shape(at) * shape(at);
    }
    let peak = if square > 0.0 { product / square } else { 0.0 };
    let peak = peak.clamp(0.0, highest);
    let error = x.iter().zip(y);
    let error = error.map(|(&at, &value)| (value - peak * shape(at)).powi(2));
    (error.sum(), peak)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, array};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_gaussian_is_found_again(peak in 0.5_f64..4.0, center in 1.0_f64..5.0, deviation in 0.4_f64..2.0) {
            let x = Array1::from_iter((0..7).map(f64::from));
            let away = |at: f64| (at - center) / deviation;
            let y = x.mapv(|at: f64| peak * f64::exp(-0.5 * away(at) * away(at)));
            let found = fit(x.view(), y.view().insert_axis(ndarray::Axis(0)), 8.0).unwrap();
            let expected: [f64; 3] = [peak, center, deviation];
            for (&found, expected) in found.iter().zip(expected) {
                prop_assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }

    #[test]
    fn the_published_human_channel_is_found() {
        // Subramanian et al. 2023, their repository: thresholds of 14 observers and their
        // fit, 4.00, 4.50 and 0.42 (the peak at its limit).
        let x = Array1::from_iter((0..7).map(f64::from));
        let found = fit(
            x.view(),
            array![[0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 0.0]].view(),
            4.0,
        )
        .unwrap();
        for (&found, expected) in found.iter().zip([4.0_f64, 4.5, 0.42]) {
            assert!((found - expected).abs() < 0.01, "{found} {expected}");
        }
    }

    #[test]
    fn rows_that_many_channels_fit_end_near_the_least_error() {
        for y in [
            vec![0.0, 0.0, 0.0, 1.0, 2.0],
            vec![2.36, 0.72, 0.0, 0.18, 1.01],
            vec![0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.2],
            vec![3.0, 1.3, 0.0, 0.6, 1.55],
        ] {
            let x: Vec<f64> = (0..y.len()).map(|i| i as f64).collect();
            let rows = ArrayView2::from_shape((1, y.len()), &y).unwrap();
            let found = fit(ArrayView1::from(&x), rows, 4.0).unwrap();
            let (found, _) = error(&x, &y, found[(0, 1)], found[(0, 2)], 4.0);
            // The least error of a grid sixteen times as fine as the first one.
            let last = *x.last().unwrap();
            let centers = (0..=500).map(|i| last * f64::from(i) / 500.0);
            let widths = (0..=500).map(|i| (-2.0 + 5.0 * f64::from(i) / 500.0).exp2());
            let all = centers.flat_map(|center| widths.clone().map(move |width| (center, width)));
            let least = all
                .map(|(center, width)| error(&x, &y, center, width, 4.0).0)
                .fold(f64::INFINITY, f64::min);
            assert!(found < least + 1e-3, "{y:?}: {found} {least}");
        }
    }

    #[test]
    fn rows_without_a_channel_are_nan() {
        let x = array![0.0, 1.0, 2.0];
        let rows = array![[0.0, 0.0, 0.0], [1.0, f64::NAN, 0.0], [0.0, 1.0, 0.0]];
        let found = fit(x.view(), rows.view(), 4.0).unwrap();
        assert!(found.row(0).iter().all(|value| value.is_nan()));
        assert!(found.row(1).iter().all(|value| value.is_nan()));
        assert!((found[(2, 1)] - 1.0).abs() < 1e-6);
        assert!(fit(x.view(), array![[1.0]].view(), 4.0).is_err());
    }
}
