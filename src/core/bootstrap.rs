/*!
The bootstrap over images.

Every number of a report is a function of means over images (accuracies,
success curves, spectra), so one kernel is enough for all intervals. It
resamples the rows of an (images x quantities) matrix with replacement and
returns the mean of each resample. The caller then computes the statistic of
each resample.
*/

use ndarray::{Array1, Array2, ArrayView2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::memory;
use super::parallel::{self, Stop};
use crate::{Error, Result};

/// Draws between two checks for interruption.
const DRAWS: usize = 1 << 16;

/// Means of `n_resamples` bootstrap resamples of the rows of `values`.
///
/// Resample `b` draws from stream `b` of `seed`. The result therefore does not
/// depend on the number of threads, and its first rows do not depend on
/// `n_resamples`.
///
/// # Errors
/// [`Error::Value`] if `values` has no row or `n_resamples` is 0;
/// [`Error::Memory`] if the means do not fit.
pub fn resampled_means(
    values: ArrayView2<f64>,
    n_resamples: usize,
    seed: u64,
) -> Result<Array2<f64>> {
    if values.nrows() == 0 || n_resamples == 0 {
        return Err(Error::value(format!(
            "values, n_resamples: got {} rows and {n_resamples} resamples, expected at least 1 of each",
            values.nrows()
        )));
    }
    let (n_rows, n_columns) = values.dim();
    let mut means = memory::filled("resampled means", &[n_resamples, n_columns], 0.0)?;
    parallel::run(|stop| {
        let rows = means.par_chunks_exact_mut(n_columns.max(1));
        rows.enumerate().try_for_each(|(stream, mean)| {
            let counts = draw_counts(n_rows, seed, stream as u64, stop)?;
            for (mean, column) in mean.iter_mut().zip(values.columns()) {
                stop.check()?;
                *mean = column.dot(&counts);
            }
            Ok(())
        })
    })?;
    Array2::from_shape_vec((n_resamples, n_columns), means)
        .map_err(|error| Error::Internal(error.to_string()))
}

/// How often each of `n` rows is drawn, as a fraction of the `n` draws.
fn draw_counts(n: usize, seed: u64, stream: u64, stop: &Stop) -> Result<Array1<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut counts = Array1::zeros(n);
    for draw in 0..n {
        if draw % DRAWS == 0 {
            stop.check()?;
        }
        counts[rng.random_range(0..n)] += 1.0;
    }
    Ok(counts / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_spread_is_the_standard_error() {
        let values = Array2::from_shape_fn((400, 1), |(i, _)| (i % 2) as f64);
        let means = resampled_means(values.view(), 4000, 7).unwrap();
        let (mean, sd) = (means.mean().unwrap(), means.std(0.0));
        assert!((mean - 0.5).abs() < 0.002, "mean {mean}");
        // sqrt(p (1 - p) / n) = 0.025; 4000 draws give the sd with an error of 1 %.
        assert!((sd - 0.025).abs() < 0.001, "sd {sd}");
    }

    #[test]
    fn columns_of_one_resample_share_their_draws() {
        let values = Array2::from_shape_fn((30, 2), |(i, j)| i as f64 * (j as f64 + 1.0));
        let means = resampled_means(values.view(), 50, 0).unwrap();
        for row in means.rows() {
            assert!((2.0 * row[0] - row[1]).abs() < 1e-12);
        }
        let fewer = resampled_means(values.view(), 20, 0).unwrap();
        assert_eq!(fewer, means.slice(ndarray::s![..20, ..]));
    }

    #[test]
    fn no_rows_are_refused() {
        assert!(resampled_means(Array2::zeros((0, 3)).view(), 10, 0).is_err());
        let one = resampled_means(array![[4.0]].view(), 3, 0).unwrap();
        assert_eq!(one, array![[4.0], [4.0], [4.0]]);
    }
}
