/*!
Agreement of repeats, subjects and models: correlations of neurons and of
similarity matrices, split halves, and the noise ceiling.

For a split into halves, the trials of every image are put in random order and
assigned in pairs, one trial to each half. Only an odd last trial is left out. The
trials of a neuron that lacks some of them are assigned in the same order. Neurons
recorded together therefore keep their common noise in the same half, and two
trials are enough for a value in both halves. Each split has its own random
stream, which depends on the seed and the number of the split.

The noise ceiling is that of Nili et al. 2014: the correlation of each subject
with the mean of all subjects (upper) and with the mean of the other subjects
(lower). For Pearson, the means are over standardized entries above the diagonal.
For Spearman, the means are over ranks, and are ranked again before they are
correlated.
*/

use ndarray::{Array1, Array3, ArrayView1, ArrayView2, ArrayView3, Axis, s};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::similarity_of;
use crate::core::memory;
use crate::core::parallel::{self, Stop};
use crate::{Error, Result};

/// Splits that are computed before their results are summed in order.
const WAVE: u64 = 64;

/// Largest number of values that are sorted by one library call.
const SORTED: usize = 1 << 16;

/// Pearson correlation of every pair of columns, over rows in which both have a value.
///
/// 0 if one column is constant, NaN for fewer than two rows.
///
/// # Errors
/// If interrupted.
pub fn column_correlation(first: ArrayView2<f64>, second: ArrayView2<f64>) -> Result<Array1<f64>> {
    parallel::run(|stop| correlations(first, second, stop))
}

/// [`column_correlation`] inside the pool.
fn correlations(
    first: ArrayView2<f64>,
    second: ArrayView2<f64>,
    stop: &Stop,
) -> Result<Array1<f64>> {
    let pairs = first.columns().into_iter().zip(second.columns());
    let each = pairs.map(|(a, b)| {
        let (a, b): (Vec<f64>, Vec<f64>) = a
            .iter()
            .zip(b)
            .filter(|(a, b)| !a.is_nan() && !b.is_nan())
            .unzip();
        correlation(a, b, stop)
    });
    each.collect()
}

/// Correlation of the entries above the diagonals of two (N, N) matrices, or of the ranks
/// of these entries if `ranked`.
///
/// # Errors
/// [`Error::Value`] if all entries of a matrix are equal.
pub fn similarity_correlation(
    first: ArrayView2<f64>,
    second: ArrayView2<f64>,
    ranked: bool,
) -> Result<f64> {
    parallel::run(|stop| matrix_correlation(first, second, ranked, stop))
}

/// [`similarity_correlation`] inside the pool.
fn matrix_correlation(
    first: ArrayView2<f64>,
    second: ArrayView2<f64>,
    ranked: bool,
    stop: &Stop,
) -> Result<f64> {
    let first = standard(upper_triangle(first, stop)?, ranked, stop)?;
    let second = standard(upper_triangle(second, stop)?, ranked, stop)?;
    match (first, second) {
        (Some(first), Some(second)) => Ok(first.dot(&second)),
        _ => Err(Error::value(
            "similarity: got one value everywhere above the diagonal, expected values that differ",
        )),
    }
}

/// Split-half correlation of every neuron over images, mean over splits.
///
/// `trials` is (trials, images, neurons); NaN means that there was no such trial. A
/// neuron that is constant in one half has correlation 0 in that split.
///
/// # Errors
/// [`Error::Value`] if a neuron has fewer than two images with two trials.
pub fn split_half_neurons(
    trials: ArrayView3<f64>,
    n_splits: u64,
    seed: u64,
) -> Result<Array1<f64>> {
    let measure = |rng: &mut ChaCha8Rng, stop: &Stop| {
        let halves = halves(trials, rng, stop)?;
        let [first, second] = [0, 1].map(|half| halves.index_axis(Axis(0), half));
        correlations(first, second, stop)
    };
    let mut mean = Array1::zeros(trials.dim().2);
    over_splits(n_splits, seed, measure, |split| mean += &split)?;
    mean /= n_splits as f64;
    match mean.iter().position(|value: &f64| value.is_nan()) {
        Some(neuron) => Err(Error::value(format!(
            "trials: got fewer than two images with two trials of neuron {neuron}, expected at least two"
        ))),
        None => Ok(mean),
    }
}

/// Split-half correlation of the similarity matrix, mean over splits.
///
/// # Errors
/// [`Error::Value`] if an image has fewer than two trials of a neuron, or a
/// half has no similarity, as in [`super::response_similarity`].
pub fn split_half_similarity(
    trials: ArrayView3<f64>,
    weights: ArrayView1<f64>,
    n_splits: u64,
    seed: u64,
) -> Result<f64> {
    let few = parallel::run(|stop| halves(trials, &mut stream(seed, 0), stop))?;
    if let Some(((_, image, neuron), _)) = few.indexed_iter().find(|(_, value)| value.is_nan()) {
        return Err(Error::value(format!(
            "trials: got fewer than two trials of image {image} and neuron {neuron}, expected at least two"
        )));
    }
    drop(few);
    let measure = |rng: &mut ChaCha8Rng, stop: &Stop| {
        let halves = halves(trials, rng, stop)?;
        let [first, second] = [0, 1].map(|half| halves.index_axis(Axis(0), half));
        let first = similarity_of(first, weights, stop)?;
        let second = similarity_of(second, weights, stop)?;
        matrix_correlation(first.view(), second.view(), false, stop)
    };
    let mut sum = 0.0;
    over_splits(n_splits, seed, measure, |split| sum += split)?;
    Ok(sum / n_splits as f64)
}

/// The expected correlation for twice the number of trials (Spearman-Brown).
#[must_use]
pub fn spearman_brown(half: f64) -> f64 {
    2.0 * half / (1.0 + half)
}

/// Lower and upper noise ceiling of (subjects, N, N) similarity matrices.
///
/// # Errors
/// [`Error::Value`] for fewer than two subjects, or a subject whose similarities are all
/// equal.
pub fn noise_ceiling(subjects: ArrayView3<f64>, ranked: bool) -> Result<(f64, f64)> {
    parallel::run(|stop| ceiling(subjects, ranked, stop))
}

/// [`noise_ceiling`] inside the pool.
fn ceiling(subjects: ArrayView3<f64>, ranked: bool, stop: &Stop) -> Result<(f64, f64)> {
    let n_subjects = subjects.len_of(Axis(0));
    if n_subjects < 2 {
        return Err(Error::value(format!(
            "similarities: got {n_subjects} subjects, expected at least two"
        )));
    }
    let mut subject_entries = Vec::with_capacity(n_subjects);
    for (subject, matrix) in subjects.outer_iter().enumerate() {
        let values = upper_triangle(matrix, stop)?;
        // Sum ranks, not standardized ranks: sums of ranks are exact, so ties stay ties.
        let summand = if ranked {
            Some(Array1::from(ranks(&values, stop)?))
        } else {
            None
        };
        let standard = standard(values, ranked, stop)?.ok_or_else(|| {
            Error::value(format!(
                "similarities: got one value everywhere in matrix {subject}, expected values that differ"
            ))
        })?;
        subject_entries.push((summand.unwrap_or_else(|| standard.clone()), standard));
    }
    let mut sum = Array1::<f64>::zeros(subject_entries[0].0.len());
    for (summand, _) in &subject_entries {
        stop.check()?;
        sum += summand;
    }
    // A constant sum has correlation 0.
    let with = |one: &Array1<f64>, other: &Array1<f64>| -> Result<f64> {
        let other = standard(other.to_vec(), ranked, stop)?;
        Ok(other.map_or(0.0, |other| one.dot(&other)))
    };
    let (mut lower, mut upper) = (0.0, 0.0);
    for (summand, standard) in &subject_entries {
        lower += with(standard, &(&sum - summand))?;
        upper += with(standard, &sum)?;
    }
    Ok((lower / n_subjects as f64, upper / n_subjects as f64))
}

/// Runs `measure` on every split in parallel, each with its own random stream, and passes
/// the results to `add` in the order of the splits.
fn over_splits<T: Send>(
    n_splits: u64,
    seed: u64,
    measure: impl Fn(&mut ChaCha8Rng, &Stop) -> Result<T> + Sync,
    mut add: impl FnMut(T) + Send,
) -> Result<()> {
    parallel::run(|stop| {
        let mut first = 0;
        while first < n_splits {
            let wave = first..n_splits.min(first + WAVE);
            let results: Vec<T> = wave
                .into_par_iter()
                .map(|split| measure(&mut stream(seed, split), stop))
                .collect::<Result<_>>()?;
            results.into_iter().for_each(&mut add);
            first += WAVE;
        }
        Ok(())
    })
}

fn stream(seed: u64, split: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(split);
    rng
}

/// Means of both halves, (2, images, neurons); NaN for fewer than two trials.
fn halves(trials: ArrayView3<f64>, rng: &mut ChaCha8Rng, stop: &Stop) -> Result<Array3<f64>> {
    let (n_trials, n_images, n_neurons) = trials.dim();
    let shape = [2, n_images, n_neurons];
    let mut halves = Array3::from_shape_vec(shape, memory::filled("halves", &shape, 0.0)?)
        .map_err(|error| Error::Internal(error.to_string()))?;
    let mut order: Vec<usize> = (0..n_trials).collect();
    for image in 0..n_images {
        order.shuffle(rng);
        let mut waiting = vec![f64::NAN; n_neurons];
        let mut pairs = vec![0.0; n_neurons];
        for &trial in &order {
            stop.check()?;
            for neuron in 0..n_neurons {
                let value = trials[(trial, image, neuron)];
                if value.is_nan() {
                } else if waiting[neuron].is_nan() {
                    waiting[neuron] = value;
                } else {
                    halves[(0, image, neuron)] += waiting[neuron];
                    halves[(1, image, neuron)] += value;
                    pairs[neuron] += 1.0;
                    waiting[neuron] = f64::NAN;
                }
            }
        }
        // Without a pair, this is 0 / 0 = NaN.
        let mut image = halves.slice_mut(s![.., image, ..]);
        image /= &ArrayView1::from(&pairs);
    }
    Ok(halves)
}

/// Entries above the diagonal, row by row.
fn upper_triangle(matrix: ArrayView2<f64>, stop: &Stop) -> Result<Vec<f64>> {
    let n = matrix.nrows();
    let mut entries = memory::reserved("similarity", &[n, n.div_ceil(2)])?;
    for row in stop.watch(matrix.rows().into_iter().enumerate()) {
        let (row, values) = row?;
        entries.extend(values.iter().skip(row + 1));
    }
    Ok(entries)
}

/// Values, or their ranks, with mean 0 and length 1; `None` if all values are equal.
fn standard(values: Vec<f64>, ranked: bool, stop: &Stop) -> Result<Option<Array1<f64>>> {
    stop.check()?;
    let values = Array1::from(if ranked {
        ranks(&values, stop)?
    } else {
        values
    });
    let Some(&first) = values.first() else {
        return Ok(None);
    };
    // Subtract the first value, so that equal values have length exactly 0.
    let mut centred = values - first;
    let mean = centred.mean().unwrap_or(f64::NAN);
    stop.check()?;
    centred -= mean;
    let length = centred.dot(&centred).sqrt();
    stop.check()?;
    Ok((length > 0.0).then(|| centred / length))
}

/// Pearson correlation; 0 if one side is constant, NaN for fewer than two values.
fn correlation(first: Vec<f64>, second: Vec<f64>, stop: &Stop) -> Result<f64> {
    if first.len() < 2 {
        return Ok(f64::NAN);
    }
    let first = standard(first, false, stop)?;
    let second = standard(second, false, stop)?;
    Ok(match (first, second) {
        (Some(first), Some(second)) => first.dot(&second),
        _ => 0.0,
    })
}

/// Ranks from 0; equal values share the mean of their ranks.
fn ranks(values: &[f64], stop: &Stop) -> Result<Vec<f64>> {
    let mut order: Vec<(f64, usize)> = memory::reserved("ranks", &[values.len()])?;
    order.extend(values.iter().copied().zip(0..));
    sort(&mut order, stop)?;
    let mut ranks = memory::filled("ranks", &[values.len()], 0.0)?;
    let mut start = 0;
    // Values are sorted, so a next value that is not larger is equal.
    for tied in order.chunk_by(|a, b| b.0 <= a.0) {
        stop.check()?;
        let rank = start as f64 + (tied.len() - 1) as f64 / 2.0;
        for &(_, index) in tied {
            ranks[index] = rank;
        }
        start += tied.len();
    }
    Ok(ranks)
}

/// Sorts by value: splits at the median, and sorts both halves in parallel.
fn sort(values: &mut [(f64, usize)], stop: &Stop) -> Result<()> {
    stop.check()?;
    if values.len() <= SORTED {
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        return Ok(());
    }
    let middle = values.len() / 2;
    values.select_nth_unstable_by(middle, |a, b| a.0.total_cmp(&b.0));
    let (below, above) = values.split_at_mut(middle);
    let (below, above) = rayon::join(|| sort(below, stop), || sort(above, stop));
    below.and(above)
}

#[cfg(test)]
mod tests;
