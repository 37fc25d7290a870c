/*!
Representational similarity of recorded responses, on host memory.

A recording becomes a target for training in two steps (paper.md A1). The
repeats of a few images say how much of each neuron's variance is signal:
`w = sigma / eta`, see [`reliability`]. The responses to all images, scaled by
these weights, become a similarity matrix: subtract the mean over images from
every neuron, scale every image's vector to unit length, and take all inner
products, see [`response_similarity`].

Sums run in double precision whatever the type of the input; only the Gram
product, which is nearly all of the work, runs in the input's own type. Its
upper triangle is computed in strips of rows, in parallel, and mirrored, so
the result is exactly symmetric.
*/

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayView3, Axis, NdFloat, Zip, s};
use rayon::prelude::*;

use super::parallel;
use crate::{Error, Result};

/// Rows of one strip of the Gram product: 128 rows keep every core busy from
/// a thousand images on, and are enough for the matrix product to run at speed.
const STRIP: usize = 128;

/// Mean-subtracted cosine similarity of the rows of `responses`.
///
/// `weights` scale the columns (neurons). The diagonal is exactly 1 and every
/// entry lies in [-1, 1].
///
/// # Errors
/// [`Error::Value`] if there are fewer than two rows or no column, the number
/// of weights differs from that of columns, or an image's weighted response
/// equals the mean response, in which case its direction is undefined.
pub fn response_similarity<T: NdFloat>(
    responses: ArrayView2<T>,
    weights: ArrayView1<f64>,
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
    let directions = unit_rows(responses, weights)?;
    parallel::install(|| gram(&directions))
}

/// Signal-to-noise weight `sigma / eta` of every neuron.
///
/// `trials` is (trials, images, neurons); NaN means that there was no such
/// trial. `sigma^2` is the variance over images of the mean over repeats,
/// `eta^2` the mean over images of the variance over repeats; both variances
/// divide by one less than the count. Images without any trial of a neuron do
/// not count for that neuron. A neuron whose responses never differ has
/// weight 0.
///
/// # Errors
/// [`Error::Value`] if a neuron has fewer than two images, an image with a
/// single repeat, infinite values, or repeats that never differ although the
/// images do.
pub fn reliability<T: NdFloat>(trials: ArrayView3<T>) -> Result<Array1<f64>> {
    let weights = parallel::install(|| {
        (0..trials.dim().2)
            .into_par_iter()
            .map(|neuron| neuron_weight(trials.index_axis(Axis(2), neuron), neuron))
            .collect::<Result<Vec<f64>>>()
    })??;
    Ok(Array1::from(weights))
}

/// Rows minus their common mean, weighted, scaled to unit length.
fn unit_rows<T: NdFloat>(responses: ArrayView2<T>, weights: ArrayView1<f64>) -> Result<Array2<T>> {
    let n_images = responses.nrows() as f64;
    let mut mean = Array1::<f64>::zeros(responses.ncols());
    let mut square = 0.0;
    for row in responses.rows() {
        Zip::from(&mut mean)
            .and(row)
            .and(weights)
            .for_each(|mean, &value, &weight| {
                *mean += double(value) / n_images;
                square += (weight * double(value)).powi(2) / n_images;
            });
    }
    // Below this length a centred row is rounding error of the subtraction.
    let floor = 16.0 * double(T::epsilon()) * square.sqrt();
    let mut rows = Array2::zeros(responses.raw_dim());
    let undefined = parallel::install(|| {
        Zip::from(rows.rows_mut())
            .and(responses.rows())
            .par_map_collect(|row, response| unit_row(row, response, &mean, weights, floor))
    })?;
    match undefined.iter().position(|is_defined| !is_defined) {
        Some(image) => Err(Error::value(format!(
            "responses: image {image} equals the mean over images, expected responses that differ from it"
        ))),
        None => Ok(rows),
    }
}

/// Writes one direction; `false` where there is none.
fn unit_row<T: NdFloat>(
    row: ndarray::ArrayViewMut1<T>,
    response: ArrayView1<T>,
    mean: &Array1<f64>,
    weights: ArrayView1<f64>,
    floor: f64,
) -> bool {
    let centred = |value: T, mean: f64, weight: f64| weight * (double(value) - mean);
    let mut square = 0.0;
    Zip::from(response)
        .and(mean)
        .and(weights)
        .for_each(|&value, &mean, &weight| {
            square += centred(value, mean, weight).powi(2);
        });
    let length = square.sqrt();
    if length.is_nan() || length <= floor {
        return false;
    }
    Zip::from(row)
        .and(response)
        .and(mean)
        .and(weights)
        .for_each(|row, &value, &mean, &weight| {
            *row = single(centred(value, mean, weight) / length);
        });
    true
}

/// All inner products of unit rows.
fn gram<T: NdFloat>(directions: &Array2<T>) -> Array2<T> {
    let n = directions.nrows();
    let mut gram = Array2::zeros((n, n));
    gram.axis_chunks_iter_mut(Axis(0), STRIP)
        .into_par_iter()
        .enumerate()
        .for_each(|(strip, rows)| {
            let start = strip * STRIP;
            let left = directions.slice(s![start..start + rows.nrows(), ..]);
            let right = directions.slice(s![start.., ..]);
            let mut upper = rows.slice_move(s![.., start..]);
            general_mat_mul(T::one(), &left, &right.t(), T::zero(), &mut upper);
            upper.mapv_inplace(|value| value.max(-T::one()).min(T::one()));
        });
    for start in (0..n).step_by(STRIP) {
        mirror(&mut gram, start);
    }
    gram.diag_mut().fill(T::one());
    gram
}

/// Copies the strip of rows at `start` into the strip of columns below it.
fn mirror<T: NdFloat>(gram: &mut Array2<T>, start: usize) {
    let n = gram.nrows();
    let end = (start + STRIP).min(n);
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

/// `sigma / eta` of one neuron from its (trials, images) responses.
fn neuron_weight<T: NdFloat>(trials: ArrayView2<T>, neuron: usize) -> Result<f64> {
    let mut means = Vec::with_capacity(trials.ncols());
    let mut noise = 0.0;
    for (image, repeats) in trials.columns().into_iter().enumerate() {
        let values: Vec<f64> = repeats
            .iter()
            .map(|&v| double(v))
            .filter(|v| !v.is_nan())
            .collect();
        if values.len() == 1 {
            return Err(Error::value(format!(
                "trials: image {image} has a single trial of neuron {neuron}, \
                 expected at least two, or none (NaN)"
            )));
        }
        if let Some((mean, variance)) = mean_and_variance(&values) {
            means.push(mean);
            noise += variance;
        }
    }
    let Some((_, signal)) = mean_and_variance(&means) else {
        return Err(Error::value(format!(
            "trials: got {} images with trials of neuron {neuron}, expected at least two",
            means.len()
        )));
    };
    let noise = noise / means.len() as f64;
    if !(signal.is_finite() && noise.is_finite()) {
        return Err(Error::value(format!(
            "trials: got infinite responses of neuron {neuron}, expected finite ones or NaN"
        )));
    }
    if noise == 0.0 && signal > 0.0 {
        return Err(Error::value(format!(
            "trials: the repeats of neuron {neuron} never differ, expected trial-to-trial noise"
        )));
    }
    Ok(if signal > 0.0 {
        (signal / noise).sqrt()
    } else {
        0.0
    })
}

/// Mean and variance (divisor n - 1); `None` for fewer than two values.
fn mean_and_variance(values: &[f64]) -> Option<(f64, f64)> {
    let (&first, rest) = values.split_first()?;
    if rest.is_empty() {
        return None;
    }
    // Shifted by the first value: equal values have variance exactly 0.
    let n = values.len() as f64;
    let shift = rest.iter().map(|value| value - first).sum::<f64>() / n;
    let spread: f64 = values
        .iter()
        .map(|value| (value - first - shift).powi(2))
        .sum();
    Some((first + shift, spread / (n - 1.0)))
}

fn double<T: NdFloat>(value: T) -> f64 {
    value.to_f64().unwrap_or(f64::NAN)
}

fn single<T: NdFloat>(value: f64) -> T {
    T::from(value).unwrap_or_else(T::nan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};
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

    #[test]
    fn reliability_is_signal_over_noise() {
        let nan = f64::NAN;
        // Neuron 0: means 1, 3, 5, variances 2, 2, 2. Neuron 1 is silent.
        // Neuron 2 misses one trial of image 0 and all of image 1.
        let trials: Array3<f64> = array![
            [[0.0, 0.0, 1.0], [2.0, 0.0, nan], [4.0, 0.0, 6.0]],
            [[2.0, 0.0, nan], [4.0, 0.0, nan], [6.0, 0.0, 2.0]],
            [[1.0, 0.0, 3.0], [3.0, 0.0, nan], [5.0, 0.0, 4.0]],
        ];
        let weights = reliability(trials.view()).unwrap();
        assert!((weights[0] - 2.0).abs() < 1e-12, "{weights}");
        assert!(weights[1].abs() < f64::MIN_POSITIVE);
        // Means 2 and 4 (variance 2), variances 2 and 4 (mean 3).
        assert!(
            (weights[2] - (2.0_f64 / 3.0).sqrt()).abs() < 1e-12,
            "{weights}"
        );
    }

    #[test]
    fn unusable_trials_are_named() {
        let message = |trials: Array3<f64>| reliability(trials.view()).unwrap_err().to_string();
        let single = message(array![[[1.0], [2.0]], [[1.5], [f64::NAN]]]);
        assert!(
            single.contains("image 1 has a single trial of neuron 0"),
            "{single}"
        );
        let exact = message(array![[[1.0], [2.0]], [[1.0], [2.0]]]);
        assert!(exact.contains("neuron 0 never differ"), "{exact}");
        let few = message(array![[[1.0]], [[2.0]]]);
        assert!(few.contains("got 1 images"), "{few}");
        let infinite = message(array![[[1.0], [f64::INFINITY]], [[2.0], [2.0]]]);
        assert!(infinite.contains("infinite"), "{infinite}");
    }
}
