/*!
The power of each image by radius and orientation.

`P(f)` is the sum over channels of `|F(f)|^2`. Two channels of an image are transformed
as one complex plane and are not separated: a sum over a set of frequencies that is
symmetric about zero is the same for the packed plane. Discs and rings are symmetric.
The orientation weights are symmetrized.
*/

use ndarray::{Array2, ArrayView2, ArrayView4, s};
use neurofreq_fft::num_complex::Complex;
use rayon::prelude::*;

use super::fourier::{Fourier, Precision, n_pairs, pack, pair_of};
use super::parallel::{self, Stop};
use super::{memory, radial};
use crate::{Error, Result};

/// Sums over the frequencies of each image, without DC.
pub struct ImagePower {
    /// Power with `limits[b - 1] < |f| <= limits[b]`, shape (N, B).
    pub rings: Array2<f64>,
    /// Sums of `P cos(2 theta)` and `P sin(2 theta)` over all frequencies, shape (N, 2).
    /// `theta` is the angle of the frequency (x, y).
    pub axes: Array2<f64>,
}

/// The ring of each frequency and its orientation weights, by columns.
struct Grid {
    ring: Vec<usize>,
    axis: Vec<[f64; 2]>,
}

/// The power of each image in rings between rising `limits` of `|f|`.
///
/// Power beyond the last limit enters `axes` alone.
///
/// # Errors
/// [`Error::Value`] if `images` has an empty axis; [`Error::Memory`] if a result does not
/// fit.
pub fn image_power<T: Precision>(
    images: ArrayView4<T>,
    demean: bool,
    limits: &[f64],
) -> Result<ImagePower> {
    if images.is_empty() {
        return Err(Error::value(format!(
            "images: got shape {:?}, expected no empty axis",
            images.shape()
        )));
    }
    let (n_images, _, height, width) = images.dim();
    let n_columns = limits.len() + 2;
    let mut sums = memory::filled("power of images", &[n_images, n_columns], 0.0)?;
    parallel::run(|stop| {
        let plan = Fourier::<T>::new(height, width);
        let grid = Grid::new(height, width, limits, stop)?;
        let rows = sums.par_chunks_exact_mut(n_columns).enumerate();
        parallel::each(
            stop,
            rows,
            || plan.scratch(),
            |scratch, (index, sums)| {
                let image = images.slice(s![index..=index, .., .., ..]);
                for pair in 0..n_pairs(&image) {
                    let planes = pair_of(&image, pair);
                    let mean =
                        |plane: ArrayView2<T>| plane.mean().filter(|_| demean).unwrap_or(T::zero());
                    let means = (mean(planes.0), planes.1.map_or(T::zero(), mean));
                    pack(&mut scratch.tile, planes, stop, |z, p, q| {
                        *z = Complex::new(p - means.0, q - means.1);
                    })?;
                    plan.forward(scratch, stop, |offset, block| {
                        grid.add(offset, block, sums);
                    })?;
                }
                Ok(())
            },
        )
    })?;
    let sums = Array2::from_shape_vec((n_images, n_columns), sums)
        .map_err(|error| Error::Internal(error.to_string()))?;
    let (rings, axes) = sums.view().split_at(ndarray::Axis(1), limits.len());
    Ok(ImagePower {
        rings: rings.to_owned(),
        axes: axes.to_owned(),
    })
}

impl Grid {
    fn new(height: usize, width: usize, limits: &[f64], stop: &Stop) -> Result<Self> {
        let radii = radial::radii(height, width, stop)?;
        let (rows, columns) = (radial::frequencies(height), radial::frequencies(width));
        let mut ring = memory::reserved("rings", &[height, width])?;
        let mut axis = memory::reserved("orientations", &[height, width])?;
        let weights = |y: usize, x: usize| {
            let square = (rows[y] * rows[y] + columns[x] * columns[x]).max(f64::MIN_POSITIVE);
            let cosine = (columns[x] * columns[x] - rows[y] * rows[y]) / square;
            [cosine, 2.0 * rows[y] * columns[x] / square]
        };
        for x in stop.watch(0..width) {
            let x = x?;
            for y in 0..height {
                if (y, x) == (0, 0) {
                    ring.push(limits.len() + 2); // DC is in no ring
                    axis.push([0.0; 2]);
                    continue;
                }
                let inside = |&limit: &f64| !radial::is_within(radii[(y, x)], limit);
                let found = limits.partition_point(inside);
                let is_beyond = found == limits.len();
                ring.push(if is_beyond { limits.len() + 2 } else { found });
                let (one, other) = (
                    weights(y, x),
                    weights((height - y) % height, (width - x) % width),
                );
                axis.push([0.5 * (one[0] + other[0]), 0.5 * (one[1] + other[1])]);
            }
        }
        Ok(Self { ring, axis })
    }

    /// Adds the power of a block of columns to the sums of an image: rings, then axes.
    fn add<T: Precision>(&self, offset: usize, block: &[Complex<T>], sums: &mut [f64]) {
        let n_rings = sums.len() - 2;
        let mut axes = [0.0; 2];
        let places = self.ring[offset..].iter().zip(&self.axis[offset..]);
        for (z, (&ring, axis)) in block.iter().zip(places) {
            let power = z.norm_sqr().to_f64().unwrap_or(f64::NAN);
            if ring < n_rings {
                sums[ring] += power;
            }
            axes[0] += power * axis[0];
            axes[1] += power * axis[1];
        }
        sums[n_rings] += axes[0];
        sums[n_rings + 1] += axes[1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::spectrum::total_power;
    use ndarray::Array4;
    use rand::{RngExt, SeedableRng};

    fn noise(shape: (usize, usize, usize, usize)) -> Array4<f64> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        Array4::from_shape_simple_fn(shape, || rng.random_range(-1.0..1.0))
    }

    fn grating(height: usize, width: usize, (ky, kx): (f64, f64)) -> Array4<f64> {
        Array4::from_shape_fn((1, 1, height, width), |(_, _, y, x)| {
            let turns = ky * y as f64 / height as f64 + kx * x as f64 / width as f64;
            (std::f64::consts::TAU * turns).cos()
        })
    }

    #[test]
    fn rings_are_those_of_the_power_map() {
        for shape in [(3, 3, 8, 9), (2, 2, 7, 6), (1, 1, 1, 5), (2, 4, 16, 16)] {
            let images = noise(shape);
            let limits = [0.1, 0.25, 0.5, 1.0];
            let found = image_power(images.view(), true, &limits).unwrap();
            let radii = radial::radii(shape.2, shape.3, &Stop::default()).unwrap();
            for index in 0..shape.0 {
                let one = images.slice(s![index..=index, .., .., ..]);
                let power = total_power(one, true).unwrap();
                let (mut rings, mut axes) = ([0.0; 4], [0.0; 2]);
                for ((y, x), &value) in power.indexed_iter().skip(1) {
                    let ring = limits
                        .iter()
                        .position(|&l| radial::is_within(radii[(y, x)], l));
                    rings[ring.unwrap()] += value;
                    let angle = f64::atan2(
                        radial::frequencies(shape.2)[y],
                        radial::frequencies(shape.3)[x],
                    );
                    axes[0] += value * (2.0 * angle).cos();
                    axes[1] += value * (2.0 * angle).sin();
                }
                for (a, b) in found.rings.row(index).iter().zip(rings) {
                    assert!((a - b).abs() < 1e-9 * (1.0 + b), "{shape:?} {a} {b}");
                }
                for (a, b) in found.axes.row(index).iter().zip(axes) {
                    assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{shape:?} {a} {b}");
                }
            }
        }
    }

    #[test]
    fn a_grating_is_in_one_ring_and_on_one_axis() {
        // Both coefficients have (H W / 2)^2, so the power is (H W)^2 / 2.
        let images = grating(16, 16, (3.0, 4.0));
        let limits = [0.2, 5.0 / 16.0, 0.75];
        let found = image_power(images.view(), false, &limits).unwrap();
        let whole = 256.0_f64.powi(2) / 2.0;
        for (a, b) in found.rings.iter().zip([0.0, whole, 0.0]) {
            assert!((a - b).abs() < 1e-6);
        }
        // cos(2 theta) = (16 - 9) / 25 and sin(2 theta) = 24 / 25.
        for (a, b) in found.axes.iter().zip([7.0 / 25.0, 24.0 / 25.0]) {
            assert!((a / whole - b).abs() < 1e-9);
        }
    }

    #[test]
    fn single_precision_agrees_and_dc_is_left_out() {
        let images = noise((2, 3, 12, 10));
        let exact = image_power(images.view(), true, &[0.3, 1.0]).unwrap();
        let single = images.mapv(|v| v as f32 + 3.0);
        let found = image_power(single.view(), true, &[0.3, 1.0]).unwrap();
        for (a, b) in found.rings.iter().zip(&exact.rings) {
            assert!((a - b).abs() < 1e-3 * b);
        }
        let flat = image_power(Array4::<f32>::ones((1, 1, 4, 4)).view(), false, &[1.0]).unwrap();
        assert!(flat.rings[(0, 0)].abs() < 1e-9);
        assert!(image_power(Array4::<f32>::ones((0, 1, 4, 4)).view(), false, &[1.0]).is_err());
    }
}
