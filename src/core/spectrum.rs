/*!
Mean power spectra of batches of images.

`P(f)` is the mean over images and channels of `|F(f)|^2`, where `F` is the
unnormalized transform (Li et al. 2023, Fig 4a). Planes are transformed in pairs and
are not separated: the power of the complex planes is summed, and the sum is
symmetrized once at the end. [`super::lanes`] transforms small planes in single
precision if the processor supports it, and [`super::fourier`] transforms all other
planes. Sums within a chunk of pairs are in the precision of the images. Sums over
chunks are in double precision and in a fixed order, so the result is bit-identical
for every number of threads.
*/

use ndarray::{Array2, ArrayView2, ArrayView4};
use neurofreq_fft::num_complex::Complex;
use rayon::prelude::*;

use super::fourier::{Fourier, Precision, Scratch, n_pairs, pack, pair_of};
#[cfg(target_arch = "x86_64")]
use super::lanes::{self, Lanes};
use super::parallel::{self, Stop};
use super::{memory, radial};
use crate::{Error, Result};

/// Pairs in a chunk, which is summed in the precision of the images.
const PAIRS: usize = 16;

/// Pairs of pixels in a block of chunks, which one thread sums at a time.
const BLOCK: usize = 1 << 18;

/// Bytes of block sums that are computed before they are summed in order.
const WAITING: usize = 8 << 20;

/// The sum over images and channels of `|F(f)|^2`, on the unshifted grid.
///
/// With `demean`, each plane's mean is subtracted first. In exact arithmetic this changes
/// only DC. In floating point it also keeps the rounding error of a large mean out of the
/// other frequencies.
///
/// # Errors
/// [`Error::Value`] if `images` has an empty axis.
pub fn total_power<T: Pixel>(images: ArrayView4<T>, demean: bool) -> Result<Array2<f64>> {
    if images.is_empty() {
        return Err(Error::value(format!(
            "images: got shape {:?}, expected no empty axis",
            images.shape()
        )));
    }
    T::total(images, demean)
}

/// A precision, and its transforms.
pub trait Pixel: Precision {
    /// [`total_power`] of a batch without empty axes.
    fn total(images: ArrayView4<Self>, demean: bool) -> Result<Array2<f64>> {
        let (.., height, width) = images.dim();
        total_by(&Fourier::new(height, width), images, demean)
    }
}

impl Pixel for f64 {}

impl Pixel for f32 {
    #[cfg(target_arch = "x86_64")]
    fn total(images: ArrayView4<Self>, demean: bool) -> Result<Array2<f64>> {
        let (.., height, width) = images.dim();
        match Lanes::new(height, width) {
            Some(plan) => total_by(&plan, images, demean),
            None => total_by(&Fourier::new(height, width), images, demean),
        }
    }
}

/// Planned transforms that add the power of pairs of planes.
trait Power<T>: Sync {
    /// The working memory of one thread.
    type Scratch;

    fn scratch(&self) -> Result<Self::Scratch>;

    /// Adds the power of a packed pair to `sum`; `pair` is its index, and whether to demean.
    fn add(
        &self,
        scratch: &mut Self::Scratch,
        images: &ArrayView4<T>,
        pair: (usize, bool),
        sum: &mut [T],
        stop: &Stop,
    ) -> Result<()>;

    /// The position of a frequency in `sum`.
    fn position(&self, y: usize, x: usize) -> usize;
}

fn total_by<T: Precision, P: Power<T>>(
    plan: &P,
    images: ArrayView4<T>,
    demean: bool,
) -> Result<Array2<f64>> {
    let (.., height, width) = images.dim();
    let (n_pairs, size) = (n_pairs(&images), height * width);
    let n_chunks = (BLOCK / (PAIRS * size)).max(1);
    let make = || -> Result<(P::Scratch, Vec<T>)> {
        Ok((
            plan.scratch()?,
            memory::filled("power", &[size], T::zero())?,
        ))
    };
    let block_sum = |memory: &mut Option<(P::Scratch, Vec<T>)>, block: usize, stop: &Stop| {
        let (scratch, sum) = match memory {
            Some(memory) => memory,
            None => memory.insert(make()?),
        };
        let mut total = memory::filled("power", &[size], 0.0)?;
        for chunk in block * n_chunks..(block + 1) * n_chunks {
            sum.fill(T::zero());
            for pair in n_pairs.min(chunk * PAIRS)..n_pairs.min((chunk + 1) * PAIRS) {
                stop.check()?;
                plan.add(scratch, &images, (pair, demean), sum, stop)?;
            }
            for (total, sum) in total.iter_mut().zip(&*sum) {
                *total += sum.to_f64().unwrap_or(f64::NAN);
            }
        }
        Ok(total)
    };
    let n_blocks = n_pairs.div_ceil(n_chunks * PAIRS);
    parallel::run(|stop| {
        let wave = (WAITING / (size * size_of::<f64>())).max(rayon::current_num_threads());
        let mut total = memory::filled("power", &[size], 0.0)?;
        for first in (0..n_blocks).step_by(wave) {
            let blocks = (first..n_blocks.min(first + wave)).into_par_iter();
            let sums: Vec<Vec<f64>> = blocks
                .map_init(|| None, |memory, block| block_sum(memory, block, stop))
                .collect::<Result<_>>()?;
            for sum in &sums {
                for (total, value) in total.iter_mut().zip(sum) {
                    *total += value;
                }
            }
        }
        // The sums are over packed pairs, so they must be symmetrized.
        let at = |y: usize, x: usize| total[plan.position(y, x)];
        by_rows((height, width), stop, |y, x| {
            0.5 * (at(y, x) + at((height - y) % height, (width - x) % width))
        })
    })
}

/// A map of `value(y, x)`, with a check for interruption before each row.
fn by_rows(
    (height, width): (usize, usize),
    stop: &Stop,
    value: impl Fn(usize, usize) -> f64,
) -> Result<Array2<f64>> {
    let mut values = memory::reserved("power", &[height, width])?;
    for y in stop.watch(0..height) {
        let y = y?;
        values.extend((0..width).map(|x| value(y, x)));
    }
    Array2::from_shape_vec((height, width), values)
        .map_err(|error| Error::Internal(error.to_string()))
}

impl<T: Precision> Power<T> for Fourier<T> {
    type Scratch = Scratch<T>;

    fn scratch(&self) -> Result<Scratch<T>> {
        self.scratch()
    }

    fn add(
        &self,
        scratch: &mut Scratch<T>,
        images: &ArrayView4<T>,
        (pair, demean): (usize, bool),
        sum: &mut [T],
        stop: &Stop,
    ) -> Result<()> {
        let planes = pair_of(images, pair);
        let mean = |plane: ArrayView2<T>| plane.mean().filter(|_| demean).unwrap_or(T::zero());
        let means = (mean(planes.0), planes.1.map_or(T::zero(), mean));
        pack(&mut scratch.tile, planes, stop, |z, p, q| {
            *z = Complex::new(p - means.0, q - means.1);
        })?;
        self.forward(scratch, stop, |offset, block| {
            for (sum, z) in sum[offset..].iter_mut().zip(block) {
                *sum = *sum + z.norm_sqr();
            }
        })
    }

    fn position(&self, y: usize, x: usize) -> usize {
        self.column(x) + y
    }
}

#[cfg(target_arch = "x86_64")]
impl Power<f32> for Lanes {
    /// The memory of the transform, and a copy of both planes if they are not contiguous.
    type Scratch = (lanes::Scratch, Vec<f32>);

    fn scratch(&self) -> Result<Self::Scratch> {
        Ok((self.scratch(), vec![0.0; self.pair_length()]))
    }

    fn add(
        &self,
        (scratch, copy): &mut Self::Scratch,
        images: &ArrayView4<f32>,
        (pair, demean): (usize, bool),
        sum: &mut [f32],
        _: &Stop,
    ) -> Result<()> {
        let length = copy.len();
        let whole = images.as_slice().unwrap_or_default();
        let pairs = |pair: usize| whole.get(pair * length..(pair + 1) * length);
        let planes = pairs(pair).unwrap_or_else(|| {
            let (first, second) = copy.split_at_mut(length / 2);
            let (p, q) = pair_of(images, pair);
            first.iter_mut().zip(p).for_each(|(to, &from)| *to = from);
            match q {
                Some(q) => second.iter_mut().zip(q).for_each(|(to, &from)| *to = from),
                None => second.fill(0.0),
            }
            copy
        });
        let (p, q) = planes.split_at(length / 2);
        let ahead = pairs(pair + 2).unwrap_or_default();
        self.add_power(scratch, [p, q], ahead, demean, sum);
        Ok(())
    }

    fn position(&self, y: usize, x: usize) -> usize {
        self.position(y, x)
    }
}

/// The mean of `count` summed spectra, fftshifted, with NaN at DC.
///
/// # Errors
/// [`Error::Memory`] if the map does not fit.
pub fn mean_power(total: ArrayView2<f64>, count: u64) -> Result<Array2<f64>> {
    let (height, width) = total.dim();
    let mut power = parallel::run(|stop| {
        by_rows((height, width), stop, |y, x| {
            total[(radial::unshifted(y, height), radial::unshifted(x, width))] / count as f64
        })
    })?;
    power[(height / 2, width / 2)] = f64::NAN;
    Ok(power)
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
            // Parseval: the sum of powers is the energy times the plane size.
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
    fn small_planes_agree_with_library_transforms() {
        for height in [16, 32, 64] {
            for width in [16, 32, 64] {
                // An odd number of planes, with means far from zero.
                let images = noise((3, 3, height, width), 4).mapv(|v| (v + 3.0) as f32);
                let wide = images.mapv(f64::from);
                for demean in [false, true] {
                    let expected = total_power(wide.view(), demean).unwrap();
                    let found = total_power(images.view(), demean).unwrap();
                    let scale = expected.fold(0.0_f64, |a, &b| a.max(b));
                    for (a, b) in found.iter().zip(&expected) {
                        assert!((a - b).abs() <= 1e-6 * scale, "{height} {width} {a} {b}");
                    }
                    let strided = images.slice(s![.., .., ..;-1, ..;-1]);
                    let turned = total_power(strided, demean).unwrap();
                    for (a, b) in turned.iter().zip(&expected) {
                        assert!((a - b).abs() <= 1e-6 * scale, "strided: {a} {b}");
                    }
                }
            }
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
            let power = mean_power(Array2::ones(shape).view(), 2).unwrap();
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
