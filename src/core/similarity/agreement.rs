/*!
How far repeats, subjects and models agree: correlations of neurons and of
similarity matrices, split halves, and the noise ceiling.

A split half leaves out no trial but an odd last one. For every image the
trials are put in a random order and dealt in pairs, one to each half; a
neuron without some of these trials deals its own in the same order. So
neurons recorded together keep their common noise in the same half, and two
trials suffice for a value in both halves. Each split draws from a stream of
its own, named by the seed and the split.

The noise ceiling is that of Nili et al. 2014: the correlation of each subject
with the mean of all (upper) and with the mean of the others (lower). Pearson's
means are over standardised entries above the diagonal. Spearman's means are
over ranks, and are ranked again before they are correlated.
*/

use ndarray::{Array1, Array3, ArrayView1, ArrayView2, ArrayView3, Axis, Zip, s};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::response_similarity;
use crate::core::parallel;
use crate::{Error, Result};

/// Pearson correlation of every pair of columns over rows where both have a
/// value; 0 where one of them never differs, NaN below two rows.
#[must_use]
pub fn column_correlation(first: ArrayView2<f64>, second: ArrayView2<f64>) -> Array1<f64> {
    Zip::from(first.columns())
        .and(second.columns())
        .map_collect(|a, b| {
            let (a, b): (Vec<f64>, Vec<f64>) = a
                .iter()
                .zip(b)
                .filter(|(a, b)| !a.is_nan() && !b.is_nan())
                .unzip();
            correlation(&a, &b)
        })
}

/// Correlation of the entries above the diagonals of two (N, N) matrices, of
/// their ranks if `ranked`.
///
/// # Errors
/// [`Error::Value`] if one of them has the same value everywhere.
pub fn similarity_correlation(
    first: ArrayView2<f64>,
    second: ArrayView2<f64>,
    ranked: bool,
) -> Result<f64> {
    let first = standard(upper_triangle(first), ranked);
    let second = standard(upper_triangle(second), ranked);
    match (first, second) {
        (Some(first), Some(second)) => Ok(first.dot(&second)),
        _ => Err(Error::value(
            "similarity: got one value everywhere above the diagonal, expected values that differ",
        )),
    }
}

/// Split-half correlation of every neuron over images, mean over splits.
///
/// `trials` is (trials, images, neurons), NaN where there was none. A neuron
/// whose half never differs has correlation 0 in that split.
///
/// # Errors
/// [`Error::Value`] if a neuron has fewer than two images with two trials.
pub fn split_half_neurons(
    trials: ArrayView3<f64>,
    n_splits: u64,
    seed: u64,
) -> Result<Array1<f64>> {
    let each = over_splits(n_splits, seed, |rng| {
        let halves = halves(trials, rng);
        Ok(column_correlation(
            halves.index_axis(Axis(0), 0),
            halves.index_axis(Axis(0), 1),
        ))
    })?;
    let mut mean = Array1::zeros(trials.dim().2);
    for split in &each {
        mean += split;
    }
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
/// half has no similarity, as in [`response_similarity`].
pub fn split_half_similarity(
    trials: ArrayView3<f64>,
    weights: ArrayView1<f64>,
    n_splits: u64,
    seed: u64,
) -> Result<f64> {
    let few = halves(trials, &mut stream(seed, 0));
    if let Some(((_, image, neuron), _)) = few.indexed_iter().find(|(_, value)| value.is_nan()) {
        return Err(Error::value(format!(
            "trials: got fewer than two trials of image {image} and neuron {neuron}, expected at least two"
        )));
    }
    let each = over_splits(n_splits, seed, |rng| {
        let halves = halves(trials, rng);
        let first = response_similarity(halves.index_axis(Axis(0), 0), weights)?;
        let second = response_similarity(halves.index_axis(Axis(0), 1), weights)?;
        similarity_correlation(first.view(), second.view(), false)
    })?;
    Ok(each.iter().sum::<f64>() / n_splits as f64)
}

/// What twice the trials would correlate, by Spearman and Brown.
#[must_use]
pub fn spearman_brown(half: f64) -> f64 {
    2.0 * half / (1.0 + half)
}

/// Lower and upper noise ceiling of (subjects, N, N) similarity matrices.
///
/// # Errors
/// [`Error::Value`] for fewer than two subjects, or one whose similarities are
/// all the same.
pub fn noise_ceiling(subjects: ArrayView3<f64>, ranked: bool) -> Result<(f64, f64)> {
    let n_subjects = subjects.len_of(Axis(0));
    if n_subjects < 2 {
        return Err(Error::value(format!(
            "similarities: got {n_subjects} subjects, expected at least two"
        )));
    }
    let mut subject_entries = Vec::with_capacity(n_subjects);
    for (subject, matrix) in subjects.outer_iter().enumerate() {
        let values = upper_triangle(matrix);
        // Sums of ranks are exact, so that tied sums stay tied.
        let ranks = ranked.then(|| Array1::from(ranks(&values)));
        let standard = standard(values, ranked).ok_or_else(|| {
            Error::value(format!(
                "similarities: got one value everywhere in matrix {subject}, expected values that differ"
            ))
        })?;
        subject_entries.push((ranks.unwrap_or_else(|| standard.clone()), standard));
    }
    let mut sum = Array1::<f64>::zeros(subject_entries[0].0.len());
    for (summand, _) in &subject_entries {
        sum += summand;
    }
    // A sum of one value everywhere has correlation 0.
    let with = |one: &Array1<f64>, other: &Array1<f64>| {
        standard(other.to_vec(), ranked).map_or(0.0, |other| one.dot(&other))
    };
    let (mut lower, mut upper) = (0.0, 0.0);
    for (summand, standard) in &subject_entries {
        lower += with(standard, &(&sum - summand));
        upper += with(standard, &sum);
    }
    Ok((lower / n_subjects as f64, upper / n_subjects as f64))
}

/// Runs `measure` on every split in parallel, each with its own stream.
fn over_splits<T: Send>(
    n_splits: u64,
    seed: u64,
    measure: impl Fn(&mut ChaCha8Rng) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    parallel::install(|| {
        (0..n_splits)
            .into_par_iter()
            .map(|split| measure(&mut stream(seed, split)))
            .collect()
    })?
}

fn stream(seed: u64, split: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(split);
    rng
}

/// Means of both halves, (2, images, neurons); NaN below two trials.
fn halves(trials: ArrayView3<f64>, rng: &mut ChaCha8Rng) -> Array3<f64> {
    let (n_trials, n_images, n_neurons) = trials.dim();
    let mut halves = Array3::zeros((2, n_images, n_neurons));
    let mut order: Vec<usize> = (0..n_trials).collect();
    for image in 0..n_images {
        order.shuffle(rng);
        let mut waiting = vec![f64::NAN; n_neurons];
        let mut pairs = vec![0.0; n_neurons];
        for &trial in &order {
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
        // No pair: 0 / 0 is the NaN that says so.
        let mut image = halves.slice_mut(s![.., image, ..]);
        image /= &ArrayView1::from(&pairs);
    }
    halves
}

/// Entries above the diagonal, row by row.
fn upper_triangle(matrix: ArrayView2<f64>) -> Vec<f64> {
    matrix
        .rows()
        .into_iter()
        .enumerate()
        .flat_map(|(row, values)| values.to_vec().split_off(row + 1))
        .collect()
}

/// Values, or their ranks, of mean 0 and length 1; `None` where none differs.
fn standard(values: Vec<f64>, ranked: bool) -> Option<Array1<f64>> {
    let values = Array1::from(if ranked { ranks(&values) } else { values });
    let first = *values.first()?;
    // Shifted by the first value: equal values have length exactly 0.
    let shifted = values - first;
    let centred = &shifted - shifted.mean()?;
    let length = centred.dot(&centred).sqrt();
    (length > 0.0).then(|| centred / length)
}

/// Pearson correlation; 0 where one side never differs, NaN below two values.
fn correlation(first: &[f64], second: &[f64]) -> f64 {
    if first.len() < 2 {
        return f64::NAN;
    }
    match (
        standard(first.to_vec(), false),
        standard(second.to_vec(), false),
    ) {
        (Some(first), Some(second)) => first.dot(&second),
        _ => 0.0,
    }
}

/// Ranks from 0; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    // Sorted: the next one is not above this one only where it is the same.
    for tied in order.chunk_by(|&a, &b| values[b] <= values[a]) {
        let rank = start as f64 + (tied.len() - 1) as f64 / 2.0;
        for &index in tied {
            ranks[index] = rank;
        }
        start += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests;
