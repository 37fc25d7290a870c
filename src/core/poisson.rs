/*!
The Poisson bootstrap over images, for data that pass only once.

The ordinary bootstrap ([`super::bootstrap`]) needs the values of all images at the
end. Here each image gets a Poisson(1) weight in each resample when it arrives, and
only the weighted sums are kept. The weights of image `i` are words of stream `i`
of the seed. They do not depend on the order of the images, on batches or on
processes, so sums of different processes can be added.
*/

use ndarray::{Array2, ArrayView1, ArrayView2};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::memory;
use super::parallel::{self, Stop};
use crate::{Error, Result};

/// Resamples that one thread sums at a time: the words of four blocks of `ChaCha`.
const BLOCK: usize = 64;

/// Largest weight. A Poisson(1) variable is larger with probability 6e-11, which is less
/// than one 32-bit word can resolve.
const LARGEST: usize = 12;

/// Weighted sums of the rows of `values` in `n_resamples` Poisson resamples.
///
/// Row `k` of `values` belongs to image `index[k]`, whose weight in resample `r` is made
/// from word `r` of stream `index[k]` of `seed`.
///
/// # Errors
/// [`Error::Value`] if `index` and `values` differ in length; [`Error::Memory`] if the
/// sums do not fit.
pub fn weighted_sums(
    values: ArrayView2<f64>,
    index: ArrayView1<u64>,
    n_resamples: usize,
    seed: u64,
) -> Result<Array2<f64>> {
    let (n_rows, n_columns) = values.dim();
    if index.len() != n_rows {
        return Err(Error::value(format!(
            "index: got {} images, expected {n_rows}, one per row",
            index.len()
        )));
    }
    let mut sums = memory::filled("resampled sums", &[n_resamples, n_columns], 0.0)?;
    parallel::run(|stop| {
        let blocks = sums.par_chunks_mut(BLOCK * n_columns.max(1));
        blocks
            .enumerate()
            .try_for_each(|(block, sums)| add_block(values, index, seed, block * BLOCK, sums, stop))
    })?;
    Array2::from_shape_vec((n_resamples, n_columns), sums)
        .map_err(|error| Error::Internal(error.to_string()))
}

/// Adds all rows to the sums of some resamples, of which `first` is the first.
fn add_block(
    values: ArrayView2<f64>,
    index: ArrayView1<u64>,
    seed: u64,
    first: usize,
    sums: &mut [f64],
    stop: &Stop,
) -> Result<()> {
    let limits = limits();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for (&image, row) in index.iter().zip(values.rows()) {
        stop.check()?;
        rng.set_stream(image);
        rng.set_word_pos(first as u128);
        for sums in sums.chunks_exact_mut(values.ncols().max(1)) {
            let weight = weight(rng.next_u32(), &limits);
            if weight > 0.0 {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += weight * value;
                }
            }
        }
    }
    Ok(())
}

/// `P(W <= k)` of a Poisson(1) variable, in units of 2^-32, for `k` from 0.
fn limits() -> [u32; LARGEST] {
    let (mut term, mut sum) = ((-1.0_f64).exp(), 0.0);
    std::array::from_fn(|k| {
        sum += term;
        term /= (k + 1) as f64;
        (sum * 2.0_f64.powi(32)).round() as u32
    })
}

/// The Poisson(1) variable of a uniform word, by inversion.
fn weight(word: u32, limits: &[u32; LARGEST]) -> f64 {
    limits.iter().map(|&limit| f64::from(word >= limit)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, s};
    use proptest::prelude::*;

    fn sums(values: &Array2<f64>, index: &[u64], n: usize) -> Array2<f64> {
        weighted_sums(values.view(), ArrayView1::from(index), n, 5).unwrap()
    }

    #[test]
    fn weights_have_the_poisson_distribution() {
        let n_images = 20_000;
        let index: Vec<u64> = (0..n_images).collect();
        let mut counts = [0.0; 6];
        for &image in &index {
            let one = sums(&Array2::ones((1, 1)), &[image], 4);
            for &weight in &one {
                counts[(weight as usize).min(5)] += 1.0;
            }
        }
        let total = 4.0 * n_images as f64;
        let mut expected = (-1.0_f64).exp();
        for (k, count) in counts.iter().enumerate().take(5) {
            let error = (expected * (1.0 - expected) / total).sqrt();
            assert!((count / total - expected).abs() < 4.0 * error, "weight {k}");
            expected /= (k + 1) as f64;
        }
    }

    #[test]
    fn limits_are_the_cumulative_probabilities() {
        let limits = limits();
        assert!((f64::from(limits[0]) / 2.0_f64.powi(32) - 0.367_879_441_171).abs() < 1e-9);
        assert!(limits.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(weight(0, &limits).abs() < 1e-9);
        assert!((weight(u32::MAX, &limits) - 12.0).abs() < 1e-9);
        // The mean over all words is 1: the sum of P(W > k).
        let mean: f64 = limits
            .iter()
            .map(|&l| 1.0 - f64::from(l) / 2.0_f64.powi(32))
            .sum();
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn first_resamples_do_not_depend_on_their_number() {
        let values = Array2::from_shape_fn((30, 3), |(i, j)| (i * 3 + j) as f64);
        let index: Vec<u64> = (0..30).map(|i| 7 * i + (1 << 40)).collect();
        let many = sums(&values, &index, 200);
        assert_eq!(sums(&values, &index, 70), many.slice(s![..70, ..]));
        assert_ne!(many.row(63), many.row(64));
        assert_ne!(many.row(0), many.row(64));
    }

    #[test]
    fn images_have_weights_of_their_own() {
        let ones = Array2::ones((1, 1));
        let of = |image| sums(&ones, &[image], 500).into_raw_vec_and_offset().0;
        let (first, second) = (Array1::from(of(3)), Array1::from(of(4)));
        let covariance = (&first - 1.0).dot(&(&second - 1.0)) / 500.0;
        assert!(covariance.abs() < 0.2, "{covariance}");
        assert_eq!(first.to_vec(), of(3));
    }

    #[test]
    fn lengths_must_agree() {
        let error = weighted_sums(Array2::ones((2, 1)).view(), Array1::zeros(3).view(), 1, 0);
        assert!(
            error
                .err()
                .unwrap()
                .to_string()
                .contains("got 3 images, expected 2")
        );
        assert_eq!(
            sums(&Array2::ones((0, 2)), &[], 3),
            Array2::<f64>::zeros((3, 2))
        );
    }

    proptest! {
        #[test]
        fn order_and_split_do_not_matter(n in 1_usize..40, cut in 0_usize..40, r in 1_usize..150) {
            let values = Array2::from_shape_fn((n, 2), |(i, j)| ((i * 7 + j) % 5) as f64);
            let index: Vec<u64> = (0..n as u64).map(|i| i * i).collect();
            let whole = sums(&values, &index, r);
            let cut = cut.min(n);
            let first = sums(&values.slice(s![..cut, ..]).to_owned(), &index[..cut], r);
            let second = sums(&values.slice(s![cut.., ..]).to_owned(), &index[cut..], r);
            prop_assert_eq!(&(first + second), &whole);
            let back: Vec<u64> = index.iter().rev().copied().collect();
            prop_assert_eq!(&sums(&values.slice(s![..;-1, ..]).to_owned(), &back, r), &whole);
        }
    }
}
