/*!
The bootstrap over images.

Every number of a report is a function of means over images (accuracies,
success curves, spectra), so one kernel is enough for all intervals. It
resamples the rows of an (images x quantities) matrix with replacement and
returns the mean of each resample. The caller then computes the statistic of
each resample.
*/

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::memory;
use super::parallel::{self, Stop};
use crate::{Error, Result};

/// Draws between two checks for interruption.
const DRAWS: usize = 1 << 16;

/// Variance of ranks (in units of their number) below which all values are equal.
const FLAT: f64 = 1e-14;

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

/// Spearman's rank correlation of `x` and `y`: its value, and its value in `n_resamples`
/// resamples of the pairs. NaN if all values of one side are equal.
///
/// Resamples are those of [`resampled_means`]. Ranks are computed again in each resample,
/// with mean ranks for equal values.
///
/// # Errors
/// [`Error::Value`] if `x` and `y` differ in length or are empty; [`Error::Memory`] if
/// the resamples do not fit.
pub fn resampled_spearman(
    x: ArrayView1<f64>,
    y: ArrayView1<f64>,
    n_resamples: usize,
    seed: u64,
) -> Result<(f64, Array1<f64>)> {
    if x.len() != y.len() || x.is_empty() {
        return Err(Error::value(format!(
            "x, y: got {} and {} values, expected as many, and at least one",
            x.len(),
            y.len()
        )));
    }
    let mut found = memory::filled("resamples", &[n_resamples], 0.0)?;
    let (first, second) = (Ties::new(x), Ties::new(y));
    let of =
        |counts: &Array1<f64>| correlation(&first.ranks(counts), &second.ranks(counts), counts);
    parallel::run(|stop| {
        found
            .par_iter_mut()
            .enumerate()
            .try_for_each(|(stream, found)| {
                *found = of(&draw_counts(x.len(), seed, stream as u64, stop)?);
                Ok(())
            })
    })?;
    let whole = of(&Array1::from_elem(x.len(), 1.0 / x.len() as f64));
    Ok((whole, Array1::from(found)))
}

/// The order of some values, in groups of equal values.
struct Ties(Vec<Vec<usize>>);

impl Ties {
    #[allow(clippy::float_cmp)] // equal values share a rank
    fn new(values: ArrayView1<f64>) -> Self {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let groups = order.chunk_by(|&a, &b| values[a] == values[b]);
        Self(groups.map(<[usize]>::to_vec).collect())
    }

    /// The mean rank of each value, in units of the sum of `weights`.
    fn ranks(&self, weights: &Array1<f64>) -> Array1<f64> {
        let (mut ranks, mut below) = (Array1::zeros(weights.len()), 0.0);
        for group in &self.0 {
            let weight: f64 = group.iter().map(|&i| weights[i]).sum();
            for &i in group {
                ranks[i] = below + 0.5 * weight;
            }
            below += weight;
        }
        ranks
    }
}

/// The weighted Pearson correlation; `weights` sum to 1.
fn correlation(x: &Array1<f64>, y: &Array1<f64>, weights: &Array1<f64>) -> f64 {
    let centered = |values: &Array1<f64>| values - values.dot(weights);
    let (x, y) = (centered(x), centered(y));
    let sum = |a: &Array1<f64>, b: &Array1<f64>| (a * b).dot(weights);
    let (xx, yy) = (sum(&x, &x), sum(&y, &y));
    if xx < FLAT || yy < FLAT {
        return f64::NAN;
    }
    (sum(&x, &y) / (xx * yy).sqrt()).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn spearman_is_pearson_of_mean_ranks() {
        let x = array![1.0, 2.0, 2.0, 5.0, 3.0];
        let y = array![2.0, 1.0, 4.0, 4.0, 3.0];
        // Ranks 1, 2.5, 2.5, 5, 4 and 2, 1, 4.5, 4.5, 3, with means of 3.
        let (a, b): (Array1<f64>, Array1<f64>) = (
            array![-2.0, -0.5, -0.5, 2.0, 1.0],
            array![-1.0, -2.0, 1.5, 1.5, 0.0],
        );
        let expected = a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt();
        let (found, resamples) = resampled_spearman(x.view(), y.view(), 3, 1).unwrap();
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        // The first resample, with its draws as rows.
        let counts = draw_counts(5, 1, 0, &Stop::default()).unwrap();
        let rows = |v: &Array1<f64>| -> Array1<f64> {
            let of = |i: usize| vec![v[i]; (counts[i] * 5.0).round() as usize];
            (0..5).flat_map(of).collect()
        };
        let (drawn, _) = resampled_spearman(rows(&x).view(), rows(&y).view(), 1, 0).unwrap();
        assert!((drawn - resamples[0]).abs() < 1e-12, "{drawn} {resamples}");
    }

    #[test]
    fn equal_values_have_no_correlation() {
        let (x, y) = (array![1.0, 1.0, 1.0], array![1.0, 2.0, 3.0]);
        assert!(
            resampled_spearman(x.view(), y.view(), 2, 0)
                .unwrap()
                .0
                .is_nan()
        );
        assert!(resampled_spearman(x.view(), array![1.0].view(), 2, 0).is_err());
        let (one, _) = resampled_spearman(y.view(), (&y * 2.0).view(), 0, 0).unwrap();
        assert!((one - 1.0).abs() < 1e-12);
    }

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
