/*!
Representational similarity of recorded responses, on host memory.

A recording becomes a target for training in two steps (Li et al. 2019, arXiv
1911.05072). First, repeats of some images give each neuron's signal-to-noise weight
`w = sigma / eta`, see [`reliability`]. Second, [`response_similarity`] scales the
responses to all images by these weights and computes a similarity matrix: it
subtracts the mean over images from every neuron, scales every image's vector to unit
length, and takes all inner products. [`agreement`] measures the agreement of repeats
or subjects.

Sums are in double precision for every input type. Only the Gram product, which takes
most of the time, is in the type of the input. Its upper triangle is computed in
strips of rows, in parallel, and mirrored, so that the result is exactly symmetric.
Strips depend only on the shape, so the result is bit-identical for every number of
threads.
*/

pub mod agreement;
mod product;
mod reliability;

use ndarray::{
    Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, NdFloat, Zip, s,
};
use rayon::prelude::*;

use product::product;
pub use reliability::reliability;

use super::memory;
use super::parallel::{self, Stop};
use crate::{Error, Result};

/// Smallest and largest number of rows in one strip of the Gram product. Strips with many
/// rows are fast, and many strips keep many cores busy.
const STRIP: (usize, usize) = (128, 256);

/// Largest number of products in one call of the matrix library, which cannot be interrupted.
const PRODUCTS: usize = 1 << 29;

/// Smallest number of columns in one call; with fewer, the matrix library is slow.
const FEWEST_COLUMNS: usize = 64;

/// Neurons whose means are computed together, so that their sums stay in the cache.
const BLOCK: usize = 1024;

/// A number type that the matrix product supports.
pub trait Real: NdFloat {}
impl Real for f32 {}
impl Real for f64 {}

/// Mean-subtracted cosine similarity of the rows of `responses`.
///
/// `weights` scale the columns (neurons). The diagonal is exactly 1 and every
/// entry lies in [-1, 1].
///
/// # Errors
/// [`Error::Value`] if there are fewer than two rows or no column, the number of weights
/// differs from the number of columns, a response is NaN or infinite, or an image's
/// weighted response equals the mean response, so that its direction is undefined.
/// [`Error::Memory`] if the matrix does not fit.
pub fn response_similarity<T: Real>(
    responses: ArrayView2<T>,
    weights: ArrayView1<f64>,
) -> Result<Array2<T>> {
    parallel::run(|stop| similarity_of(responses, weights, stop))
}

/// [`response_similarity`] inside the pool.
fn similarity_of<T: Real>(
    responses: ArrayView2<T>,
    weights: ArrayView1<f64>,
    stop: &Stop,
) -> Result<Array2<T>> {
    let (n_images, n_neurons) = responses.dim();
    if n_images < 2 || n_neurons == 0 {
        return Err(Error::value(format!(
            "responses: got shape ({n_images}, {n_neurons}), expected at least 2 images and 1 neuron"
        )));
    }
    if weights.len() != n_neurons {
        return Err(Error::value(format!(
            "weights: got {}, expected {n_neurons}, one per neuron",
            weights.len()
        )));
    }
    // Allocate before any work, because this matrix may be too large.
    let matrix = memory::filled("similarity", &[n_images, n_images], T::zero())?;
    let directions = unit_rows(responses, weights, stop)?;
    gram(&directions, matrix, stop)
}

/// Rows minus their common mean, weighted, scaled to unit length.
fn unit_rows<T: Real>(
    responses: ArrayView2<T>,
    weights: ArrayView1<f64>,
    stop: &Stop,
) -> Result<Array2<T>> {
    let (mean, length) = moments(responses, weights, stop)?;
    // NaN and infinity propagate to the mean, so no separate pass checks the responses.
    if !mean.iter().all(|value| value.is_finite()) {
        return Err(Error::value(
            "responses: got NaN or infinite values, expected finite ones",
        ));
    }
    // A centered row below this length is only rounding error of the subtraction.
    let floor = 16.0 * double(T::epsilon()) * length;
    let rows = memory::filled("directions", responses.shape(), T::zero())?;
    let mut rows = Array2::from_shape_vec(responses.raw_dim(), rows)
        .map_err(|error| Error::Internal(error.to_string()))?;
    let defined = Zip::from(rows.rows_mut())
        .and(responses.rows())
        .par_map_collect(|row, response| {
            stop.check().is_ok() && unit_row(row, response, mean.view(), weights, floor)
        });
    stop.check()?;
    match defined.iter().position(|is_defined| !is_defined) {
        Some(image) => Err(Error::value(format!(
            "responses: image {image} equals the mean over images, expected responses that differ from it"
        ))),
        None => Ok(rows),
    }
}

/// Mean of every column, and the root mean square length of the weighted rows.
fn moments<T: Real>(
    responses: ArrayView2<T>,
    weights: ArrayView1<f64>,
    stop: &Stop,
) -> Result<(Array1<f64>, f64)> {
    let n_images = responses.nrows() as f64;
    let mut sums = Array2::<f64>::zeros((2, responses.ncols()));
    sums.axis_chunks_iter_mut(Axis(1), BLOCK)
        .into_par_iter()
        .zip(responses.axis_chunks_iter(Axis(1), BLOCK))
        .try_for_each(|(sums, block)| {
            let (mut sum, mut square) = sums.split_at(Axis(0), 1);
            for row in block.rows() {
                stop.check()?;
                Zip::from(sum.row_mut(0))
                    .and(square.row_mut(0))
                    .and(row)
                    .for_each(|sum, square, &value| {
                        let value = double(value);
                        *sum += value;
                        *square += value * value;
                    });
            }
            Ok::<_, Error>(())
        })?;
    let length = Zip::from(weights)
        .and(sums.row(1))
        .fold(0.0, |total, weight, square| {
            total + weight * weight * square
        });
    Ok((&sums.row(0) / n_images, (length / n_images).sqrt()))
}

/// Writes the direction of one row; returns `false` if the direction is undefined.
fn unit_row<T: Real>(
    mut row: ArrayViewMut1<T>,
    response: ArrayView1<T>,
    mean: ArrayView1<f64>,
    weights: ArrayView1<f64>,
    floor: f64,
) -> bool {
    let centred: Array1<f64> = Zip::from(response)
        .and(mean)
        .and(weights)
        .map_collect(|&value, mean, weight| weight * (double(value) - mean));
    let length = centred.dot(&centred).sqrt();
    if length.is_nan() || length <= floor {
        return false;
    }
    Zip::from(&mut row)
        .and(&centred)
        .for_each(|row, value| *row = single(value / length));
    true
}

/// All inner products of unit rows, written into `gram`.
fn gram<T: Real>(directions: &Array2<T>, mut gram: Vec<T>, stop: &Stop) -> Result<Array2<T>> {
    let (n, k) = directions.dim();
    let strip = (n / 16).clamp(STRIP.0, STRIP.1);
    let width = (PRODUCTS / (strip * k)).max(FEWEST_COLUMNS);
    let strips = gram.par_chunks_mut(strip * n).enumerate();
    strips.try_for_each(|(index, rows)| {
        let (start, count) = (index * strip, rows.len() / n);
        let mut rows = ArrayViewMut2::from_shape((count, n), rows)
            .map_err(|error| Error::Internal(error.to_string()))?;
        for first in (start..n).step_by(width) {
            stop.check()?;
            let columns = width.min(n - first);
            product(
                directions.slice(s![start..start + count, ..]),
                directions.slice(s![first..first + columns, ..]).t(),
                rows.slice_mut(s![.., first..first + columns]),
            )?;
        }
        rows.mapv_inplace(|value| value.max(-T::one()).min(T::one()));
        Ok::<_, Error>(())
    })?;
    let mut gram =
        Array2::from_shape_vec((n, n), gram).map_err(|error| Error::Internal(error.to_string()))?;
    for start in (0..n).step_by(strip) {
        stop.check()?;
        mirror(&mut gram, start, strip);
    }
    gram.diag_mut().fill(T::one());
    Ok(gram)
}

/// Copies the strip of rows at `start` into the strip of columns below it.
fn mirror<T: Real>(gram: &mut Array2<T>, start: usize, strip: usize) {
    let n = gram.nrows();
    let end = (start + strip).min(n);
    let (above, mut below) = gram.view_mut().split_at(Axis(0), end);
    below
        .slice_mut(s![.., start..end])
        .assign(&above.slice(s![start..end, end..]).t());
    for row in start..end {
        for column in row + 1..end {
            gram[(column, row)] = gram[(row, column)];
        }
    }
}

fn double<T: Real>(value: T) -> f64 {
    value.to_f64().unwrap_or(f64::NAN)
}

fn single<T: Real>(value: f64) -> T {
    T::from(value).unwrap_or_else(T::nan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn random(n: usize, k: usize, seed: u64) -> Array2<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Array2::from_shape_simple_fn((n, k), || rng.random_range(0.0..1.0))
    }

    /// The definition, one pair at a time.
    fn brute_force(responses: &Array2<f64>, weights: &Array1<f64>) -> Array2<f64> {
        let centred = (responses - &responses.mean_axis(Axis(0)).unwrap()) * weights;
        Array2::from_shape_fn((responses.nrows(), responses.nrows()), |(i, j)| {
            let (a, b) = (centred.row(i), centred.row(j));
            a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt()
        })
    }

    proptest! {
        #[test]
        fn strips_agree_with_the_definition(n in 2_usize..300, k in 2_usize..20, seed: u64) {
            let responses = random(n, k, seed);
            let weights = Array1::from_shape_fn(k, |j| 0.5 + j as f64);
            let ours = response_similarity(responses.view(), weights.view()).unwrap();
            let theirs = brute_force(&responses, &weights);
            prop_assert!((&ours - &theirs).iter().all(|d| d.abs() < 1e-12));
            prop_assert_eq!(&ours, &ours.t());
            prop_assert_eq!(ours.diag().to_owned(), Array1::<f64>::ones(n));
        }
    }

    #[test]
    fn single_precision_follows_double() {
        let responses = random(200, 3000, 1);
        let weights = Array1::ones(3000);
        let double = response_similarity(responses.view(), weights.view()).unwrap();
        let narrow = responses.mapv(|v| v as f32);
        let single = response_similarity(narrow.view(), weights.view()).unwrap();
        let gap = Zip::from(&double)
            .and(&single)
            .fold(0.0_f64, |gap, &d, &s| gap.max((d - f64::from(s)).abs()));
        assert!(gap < 1e-6, "gap {gap}");
    }

    #[test]
    fn an_image_without_direction_is_named() {
        let responses = array![[1.0, 2.0], [3.0, 4.0], [2.0, 3.0]];
        let error = response_similarity(responses.view(), array![1.0, 1.0].view()).unwrap_err();
        assert!(
            error.to_string().contains("image 2 equals the mean"),
            "{error}"
        );
        let equal = Array2::from_elem((3, 2), 0.1_f32);
        assert!(response_similarity(equal.view(), array![1.0, 1.0].view()).is_err());
    }
}
