/*!
Hybrid images: low frequencies of one image, high frequencies of another.

The paper's hybrid is `clip(IFFT(M F_low + (1 - M) F_high))` with `M` the
closed disc `|f| <= 0.5 a` (Li et al. 2023, Fig 3a). By linearity it equals
`clip(high + IFFT(M FFT(low - high)))`. A pair of images therefore needs one
forward transform, and one inverse transform per mixing frequency. An image that
is mixed with itself is returned bit for bit, and the inverse transform skips the
columns outside the disc. Discs are nested, so discs with equal numbers of
coefficients are equal and are computed once. A disc that keeps all coefficients
returns the low image itself.
*/

use std::collections::HashMap;

use ndarray::{
    Array2, ArrayView2, ArrayView4, ArrayViewMut2, ArrayViewMut3, ArrayViewMut4, ArrayViewMut5,
    Axis, Zip,
};
use neurofreq_fft::num_complex::Complex;
use neurofreq_fft::num_traits::Zero;
use rayon::prelude::*;

use super::fourier::{Fourier, Pair, Precision, Scratch, around_zero, pack, pair_of};
use super::parallel::{self, Stop};
use super::{memory, radial};
use crate::{Error, Result};

/// Values in the planes of one task: large, so that threads write long stretches of memory.
const TASK: usize = 1 << 15;

/// The coefficients that come from the low image at one mixing frequency.
struct Disc {
    /// Number of coefficients.
    count: usize,
    /// Number of columns with coefficients.
    n_columns: usize,
    /// Number of coefficients in each column.
    heights: Vec<usize>,
}

impl Disc {
    fn new(radii: &Array2<f64>, a: f64, stop: &Stop) -> Result<Self> {
        let mut heights = vec![0; radii.ncols()];
        for row in stop.watch(radii.rows()) {
            for (height, &radius) in heights.iter_mut().zip(row?) {
                *height += usize::from(radial::is_within(radius, 0.5 * a));
            }
        }
        Ok(Self {
            count: heights.iter().sum(),
            n_columns: heights.iter().filter(|&&height| height > 0).count(),
            heights,
        })
    }

    /// Copies column `x` of a spectrum that is stored by columns; zero outside the disc.
    fn cut<T: Precision>(&self, spectrum: &[Complex<T>], x: usize, column: &mut [Complex<T>]) {
        let height = column.len();
        let source = &spectrum[x * height..][..height];
        let (top, bottom) = around_zero(self.heights[x], height);
        column[..top].copy_from_slice(&source[..top]);
        column[top..bottom].fill(Complex::zero());
        column[bottom..].copy_from_slice(&source[bottom..]);
    }
}

/// Mixes every pair at every frequency, given in units of Nyquist, into
/// `hybrids` (frequencies, images, channels, height, width).
///
/// # Errors
/// [`Error::Value`] if shapes disagree, an axis is empty, or a frequency is
/// negative or not finite.
pub fn mix<T: Precision>(
    low: ArrayView4<T>,
    high: ArrayView4<T>,
    frequencies: &[f64],
    hybrids: ArrayViewMut5<T>,
) -> Result<()> {
    let (n_images, n_channels, height, width) = low.dim();
    let n_planes = n_images * n_channels;
    if low.dim() != high.dim() || low.is_empty() {
        return Err(Error::value(format!(
            "high: got shape {:?}, expected that of low, {:?}, and no empty axis",
            high.shape(),
            low.shape()
        )));
    }
    check_frequencies(frequencies)?;
    let mut hybrids = hybrids
        .into_shape_with_order((frequencies.len(), n_planes, height, width))
        .map_err(|error| Error::Internal(format!("hybrids: {error}")))?;
    let pairs = (TASK / (2 * height * width)).max(1);
    parallel::run(|stop| {
        let mixer = Mixer::new((height, width), frequencies, stop)?;
        let tasks = hybrids.axis_chunks_iter_mut(Axis(1), 2 * pairs);
        let tasks = tasks.into_par_iter().enumerate();
        let mix = |scratch: &mut Working<T>, (task, mut hybrids): (usize, ArrayViewMut4<T>)| {
            for (k, out) in hybrids.axis_chunks_iter_mut(Axis(1), 2).enumerate() {
                let pair = task * pairs + k;
                let images = [pair_of(&low, pair), pair_of(&high, pair)];
                mixer.mix_pair(scratch, images, out, stop)?;
            }
            Ok(())
        };
        parallel::each(stop, tasks, || mixer.scratch(), mix)
    })
}

fn check_frequencies(frequencies: &[f64]) -> Result<()> {
    match frequencies.iter().find(|a| !(a.is_finite() && **a >= 0.0)) {
        Some(bad) => Err(Error::value(format!(
            "frequency: got {bad}, expected a finite mixing frequency from 0 up"
        ))),
        None => Ok(()),
    }
}

/// The plan of the transforms and the discs, for all pairs.
struct Mixer<T: Precision> {
    fourier: Fourier<T>,
    discs: Vec<Disc>,
    /// For every disc, the index of the first disc that is equal to it.
    equal: Vec<usize>,
}

/// The working memory of one thread: transforms, and a spectrum by columns.
struct Working<T> {
    transform: Scratch<T>,
    spectrum: Vec<Complex<T>>,
}

impl<T: Precision> Mixer<T> {
    fn new((height, width): (usize, usize), frequencies: &[f64], stop: &Stop) -> Result<Self> {
        let radii = radial::radii(height, width, stop)?;
        let discs = frequencies.par_iter().map(|&a| Disc::new(&radii, a, stop));
        let discs: Vec<Disc> = discs.collect::<Result<_>>()?;
        let mut first = HashMap::new();
        let numbered = discs.iter().enumerate();
        Ok(Self {
            fourier: Fourier::new(height, width),
            equal: numbered
                .map(|(f, disc)| *first.entry(disc.count).or_insert(f))
                .collect(),
            discs,
        })
    }

    fn scratch(&self) -> Result<Working<T>> {
        let transform = self.fourier.scratch()?;
        let size = transform.tile.len();
        Ok(Working {
            spectrum: memory::filled("spectrum", &[size], Complex::zero())?,
            transform,
        })
    }

    /// Mixes a pair of planes at every frequency; `hybrids` is (frequencies,
    /// 1 or 2 planes, height, width).
    fn mix_pair(
        &self,
        working: &mut Working<T>,
        [low, high]: [Pair<T>; 2],
        mut hybrids: ArrayViewMut4<T>,
        stop: &Stop,
    ) -> Result<()> {
        self.load(working, [low, high], stop)?;
        for (f, (disc, &equal)) in self.discs.iter().zip(&self.equal).enumerate() {
            stop.check()?;
            let (done, mut rest) = hybrids.view_mut().split_at(Axis(0), f);
            let mut out = rest.index_axis_mut(Axis(0), 0);
            if equal < f {
                out.assign(&done.index_axis(Axis(0), equal));
            } else if disc.count == working.spectrum.len() {
                each_plane(out, low, |mut out, low, _| out.assign(&low));
            } else {
                let Working {
                    transform,
                    spectrum,
                } = &mut *working;
                self.fourier
                    .inverse(transform, disc.n_columns, stop, |x, column| {
                        disc.cut(spectrum, x, column);
                    })?;
                each_plane(out, high, |out, high, second| {
                    add(out, high, &transform.tile, second);
                });
            }
        }
        Ok(())
    }

    /// Computes the scaled spectrum of low - high.
    fn load(&self, working: &mut Working<T>, [low, high]: [Pair<T>; 2], stop: &Stop) -> Result<()> {
        let Working {
            transform,
            spectrum,
        } = working;
        pack(&mut transform.tile, low, stop, |z, p, q| {
            *z = Complex::new(p, q);
        })?;
        pack(&mut transform.tile, high, stop, |z, p, q| {
            *z = *z - Complex::new(p, q);
        })?;
        let scale = T::from(spectrum.len()).unwrap_or(T::one()).recip();
        self.fourier.forward(transform, stop, |offset, block| {
            for (kept, z) in spectrum[offset..].iter_mut().zip(block) {
                *kept = z.scale(scale);
            }
        })
    }
}

/// Calls `work(out, plane, is_second)` for the one or two planes of a pair.
fn each_plane<T: Precision>(
    mut out: ArrayViewMut3<T>,
    (first, second): Pair<T>,
    work: impl Fn(ArrayViewMut2<T>, ArrayView2<T>, bool),
) {
    work(out.index_axis_mut(Axis(0), 0), first, false);
    if let Some(second) = second {
        work(out.index_axis_mut(Axis(0), 1), second, true);
    }
}

/// Writes `clip(high + low-passed difference)`. The difference is the real part of the
/// tile, or the imaginary part for the `second` plane.
fn add<T: Precision>(
    out: ArrayViewMut2<T>,
    high: ArrayView2<T>,
    tile: &[Complex<T>],
    second: bool,
) {
    let Ok(tile) = ArrayView2::from_shape(high.dim(), tile) else {
        return;
    };
    let zip = Zip::from(out).and(high).and(tile);
    if second {
        zip.for_each(|out, &high, z| *out = clip(high + z.im));
    } else {
        zip.for_each(|out, &high, z| *out = clip(high + z.re));
    }
}

/// Clips to [0, 1]; this form compiles to minimum and maximum instructions.
fn clip<T: Precision>(value: T) -> T {
    let value = if value > T::zero() { value } else { T::zero() };
    if value < T::one() { value } else { T::one() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array4, Array5, s};
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};

    fn images(shape: (usize, usize, usize, usize), seed: u64) -> Array4<f64> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        Array4::from_shape_simple_fn(shape, || rng.random())
    }

    fn hybrids<T: Precision>(low: &Array4<T>, high: &Array4<T>, frequencies: &[f64]) -> Array5<T> {
        let (n, c, h, w) = low.dim();
        let mut out = Array5::zeros((frequencies.len(), n, c, h, w));
        mix(low.view(), high.view(), frequencies, out.view_mut()).unwrap();
        out
    }

    /// The definition: a direct sum over the kept coefficients of one plane.
    fn naive(low: ArrayView2<f64>, high: ArrayView2<f64>, a: f64) -> Array2<f64> {
        let (h, w) = low.dim();
        let radii = radial::radii(h, w, &Stop::default()).unwrap();
        let mask = radial::low_pass(&radii, a);
        let turn = |k: (usize, usize), at: (usize, usize)| {
            let turns = (k.0 * at.0) as f64 / h as f64 + (k.1 * at.1) as f64 / w as f64;
            Complex::cis(std::f64::consts::TAU * turns)
        };
        let mut out = Array2::<Complex<f64>>::zeros((h, w));
        for (k, &keep) in mask.indexed_iter() {
            let source = if keep { low } else { high };
            let coefficient: Complex<f64> = source
                .indexed_iter()
                .map(|(at, &v)| turn(k, at).conj() * v)
                .sum();
            for (at, out) in out.indexed_iter_mut() {
                *out += coefficient * turn(k, at) / (h * w) as f64;
            }
        }
        out.mapv(|z| z.re.clamp(0.0, 1.0))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn equals_the_definition(
            n in 1_usize..4, c in 1_usize..4, h in 1_usize..13, w in 1_usize..13,
            a in 0.0..1.6, b in 0.0..1.6, seed: u64,
        ) {
            let (low, high) = (images((n, c, h, w), seed), images((n, c, h, w), !seed));
            let frequencies = [a, b, a, 2.0, 0.0];
            let found = hybrids(&low, &high, &frequencies);
            let single = hybrids(
                &low.mapv(|v| v as f32), &high.mapv(|v| v as f32), &frequencies,
            );
            for (f, &a) in frequencies.iter().enumerate() {
                for (i, j) in (0..n).flat_map(|i| (0..c).map(move |j| (i, j))) {
                    let plane = s![i, j, .., ..];
                    let expected = naive(low.slice(plane), high.slice(plane), a);
                    for (at, &value) in expected.indexed_iter() {
                        let at = (f, i, j, at.0, at.1);
                        prop_assert!((found[at] - value).abs() < 1e-13);
                        prop_assert!((f64::from(single[at]) - value).abs() < 1e-6);
                    }
                }
            }
        }

        #[test]
        fn an_image_mixed_with_itself_is_itself(h in 1_usize..40, w in 1_usize..40, a in 0.0..2.0) {
            let same = images((1, 2, h, w), 5).mapv(|v| v as f32);
            let found = hybrids(&same, &same, &[a]);
            prop_assert_eq!(found.index_axis(Axis(0), 0), same);
        }
    }

    #[test]
    fn beyond_the_corner_the_low_image_returns_bit_for_bit() {
        let (low, high) = (images((3, 1, 32, 32), 0), images((3, 1, 32, 32), 1));
        let found = hybrids(&low, &high, &[2.0_f64.sqrt()]);
        assert_eq!(found.index_axis(Axis(0), 0), low);
    }

    #[test]
    fn bad_frequencies_and_shapes_are_named() {
        let (low, high) = (images((1, 1, 4, 4), 0), images((2, 1, 4, 4), 1));
        let mut out = Array5::zeros((1, 1, 1, 4, 4));
        let error = mix(low.view(), high.view(), &[0.5], out.view_mut()).unwrap_err();
        assert!(
            error.to_string().contains("got shape [2, 1, 4, 4]"),
            "{error}"
        );
        let error = mix(low.view(), low.view(), &[-0.5], out.view_mut()).unwrap_err();
        assert!(error.to_string().contains("got -0.5"), "{error}");
    }
}
