/*!
Mean power spectra of batches of images.

`P(f)` is the mean over images and channels of `|F(f)|^2`, with `F` the
unnormalised transform (paper.md E). Planes go through [`super::fourier`] in
pairs and are never separated: the power of the complex planes is summed, and
symmetrised once at the end. Sums run in the precision of the images within a
chunk of pairs that stays in cache, and in double precision over chunks, whose
order is fixed: the result has the same bits for every number of threads.
*/

use ndarray::{Array2, ArrayView2, ArrayView4};
use rayon::prelude::*;
use rustfft::num_complex::Complex;

use super::fourier::{Fourier, Precision, Scratch, n_pairs, pack, pair_of};
use super::{parallel, radial};
use crate::{Error, Result};

/// Pairs summed in the precision of the images.
const PAIRS: usize = 16;

/// Bytes of chunk sums that may wait for their turn in the ordered sum.
const WAITING: usize = 8 << 20;

/// The sum over images and channels of `|F(f)|^2`, on the unshifted grid.
///
/// With `demean` each plane's mean is subtracted first, which in exact
/// arithmetic changes DC alone and here also keeps the rounding of a large
/// mean out of the other frequencies.
///
/// # Errors
/// [`Error::Value`] if `images` has an empty axis.
pub fn total_power<T: Precision>(images: ArrayView4<T>, demean: bool) -> Result<Array2<f64>> {
    let (.., height, width) = images.dim();
    if images.is_empty() {
        return Err(Error::value(format!(
            "images: got shape {:?}, expected no empty axis",
            images.shape()
        )));
    }
    let plan = Fourier::new(height, width);
    let n_pairs = n_pairs(&images);
    let chunk_sum = |scratch: &mut Scratch<T>, chunk: usize| {
        let mut sum = vec![T::zero(); height * width];
        for pair in chunk * PAIRS..n_pairs.min((chunk + 1) * PAIRS) {
            add_power(&plan, scratch, &images, pair, demean, &mut sum);
        }
        sum
    };
    let wave = (WAITING / (height * width * size_of::<T>())).max(parallel::num_threads()?);
    let n_chunks = n_pairs.div_ceil(PAIRS);
    let mut total = vec![0.0; height * width];
    for first in (0..n_chunks).step_by(wave) {
        let chunks = first..n_chunks.min(first + wave);
        let sums: Vec<Vec<T>> = parallel::install(|| {
            chunks
                .into_par_iter()
                .map_init(|| plan.scratch(), chunk_sum)
                .collect()
        })?;
        for sum in &sums {
            for (total, value) in total.iter_mut().zip(sum) {
                *total += value.to_f64().unwrap_or(f64::NAN);
            }
        }
    }
    // Sums are by columns and of packed pairs: turn and symmetrise.
    Ok(Array2::from_shape_fn((height, width), |(y, x)| {
        let mirrored = (width - x) % width * height + (height - y) % height;
        0.5 * (total[x * height + y] + total[mirrored])
    }))
}

/// Adds the power of one packed pair to `sum`, by columns.
fn add_power<T: Precision>(
    plan: &Fourier<T>,
    scratch: &mut Scratch<T>,
    images: &ArrayView4<T>,
    pair: usize,
    demean: bool,
    sum: &mut [T],
) {
    let planes = pair_of(images, pair);
    let mean = |plane: ArrayView2<T>| plane.mean().filter(|_| demean).unwrap_or(T::zero());
    let means = (mean(planes.0), planes.1.map_or(T::zero(), mean));
    pack(&mut scratch.tile, planes, |z, p, q| {
        *z = Complex::new(p - means.0, q - means.1);
    });
    plan.forward(scratch, |offset, block| {
        for (sum, z) in sum[offset..].iter_mut().zip(block) {
            *sum = *sum + z.norm_sqr();
        }
    });
}

/// The mean of `count` summed spectra, fftshifted, with NaN at DC.
#[must_use]
pub fn mean_power(total: ArrayView2<f64>, count: u64) -> Array2<f64> {
    let (height, width) = total.dim();
    let mut power = Array2::from_shape_fn((height, width), |(y, x)| {
        total[(radial::unshifted(y, height), radial::unshifted(x, width))] / count as f64
    });
    power[(height / 2, width / 2)] = f64::NAN;
    power
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array4, s};
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};

    fn noise(shape: (usize, usize, usize, usize), seed: u64) -> Array4<f64> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        Array4::from_shape_simple_fn(shape, || rng.random_range(-1.0..1.0))
    }

    /// The definition, one coefficient at a time.
    fn naive(images: &Array4<f64>) -> Array2<f64> {
        let (n, c, h, w) = images.dim();
        Array2::from_shape_fn((h, w), |(ky, kx)| {
            let mut sum = 0.0;
            for (i, j) in (0..n).flat_map(|i| (0..c).map(move |j| (i, j))) {
                let (mut re, mut im) = (0.0, 0.0);
                for ((y, x), &value) in images.slice(s![i, j, .., ..]).indexed_iter() {
                    let turns = (ky * y) as f64 / h as f64 + (kx * x) as f64 / w as f64;
                    let (sin, cos) = (-std::f64::consts::TAU * turns).sin_cos();
                    re += value * cos;
                    im += value * sin;
                }
                sum += re * re + im * im;
            }
            sum
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn equals_the_naive_transform(
            n in 1_usize..4, c in 1_usize..4, h in 1_usize..20, w in 1_usize..20, seed: u64,
        ) {
            let images = noise((n, c, h, w), seed);
            let expected = naive(&images);
            let found = total_power(images.view(), false).unwrap();
            let scale = expected.sum();
            for (a, b) in found.iter().zip(&expected) {
                prop_assert!((a - b).abs() <= 1e-14 * scale, "{a} {b}");
            }
            let single = total_power(images.mapv(|v| v as f32).view(), false).unwrap();
            for (a, b) in single.iter().zip(&expected) {
                prop_assert!((a - b).abs() <= 1e-6 * scale, "{a} {b}");
            }
            // Parseval: the powers sum to the energy times the plane size.
            let energy = images.mapv(|v| v * v).sum() * (h * w) as f64;
            prop_assert!((found.sum() - energy).abs() <= 1e-12 * energy);
        }

        #[test]
        fn views_of_any_stride_are_read_as_they_look(seed: u64) {
            let images = noise((6, 2, 9, 14), seed);
            let view = images.slice(s![..;2, .., ..;-1, ..;3]);
            let copy = view.to_owned();
            let (a, b) = (total_power(view, true).unwrap(), total_power(copy.view(), true).unwrap());
            prop_assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }

    #[test]
    fn sums_of_many_chunks_and_waves_add_up() {
        let one = noise((1, 1, 256, 256), 3).mapv(|v| v as f32);
        let many = one.broadcast((1500, 1, 256, 256)).unwrap();
        let expected = total_power(one.view(), true).unwrap() * 1500.0;
        let found = total_power(many, true).unwrap();
        let scale = expected.fold(0.0_f64, |a, &b| a.max(b));
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() <= 1e-6 * scale, "{a} {b}");
        }
    }

    #[test]
    fn demeaning_changes_dc_alone() {
        let images = noise((5, 3, 8, 7), 1) + 3.0;
        let mut with = total_power(images.view(), true).unwrap();
        let mut without = total_power(images.view(), false).unwrap();
        assert!(with[(0, 0)] < 1e-20 && without[(0, 0)] > 1e3);
        (with[(0, 0)], without[(0, 0)]) = (0.0, 0.0);
        assert!(
            with.iter()
                .zip(&without)
                .all(|(a, b)| (a - b).abs() < 1e-10)
        );
    }

    #[test]
    fn dc_is_nan_in_the_middle() {
        for shape in [(4, 6), (5, 7), (1, 1)] {
            let power = mean_power(Array2::ones(shape).view(), 2);
            for (at, value) in power.indexed_iter() {
                assert_eq!(value.is_nan(), at == (shape.0 / 2, shape.1 / 2));
            }
        }
    }

    #[test]
    fn an_empty_batch_is_refused() {
        let images = Array4::<f32>::zeros((0, 3, 8, 8));
        let message = total_power(images.view(), true).unwrap_err().to_string();
        assert!(message.contains("[0, 3, 8, 8]"), "{message}");
    }
}
