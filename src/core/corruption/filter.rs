/*!
Symmetric linear filters: the Gaussian, and rules for the border.

A border rule chooses the pixel that replaces a position outside the line. Sums
are computed for sixteen neighboring pixels at once, which the compiler keeps in
registers.
*/

use ndarray::{Array2, ArrayView2, Axis};

use super::image::Planes;
use super::{Result, Stop};
use crate::Error;

/// Largest number of products in one call of the matrix library, which cannot be interrupted.
const PRODUCTS: usize = 1 << 28;

/// The values beyond the ends of a line `abcd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// `aaa|abcd|ddd`
    Nearest,
    /// `cba|abcd|dcb`
    Reflect,
    /// `dcb|abcd|cba`
    Mirror,
}

impl Border {
    /// The pixel in a line of `length` pixels that gives the value at position `at`.
    pub fn index(self, at: isize, length: usize) -> usize {
        let end = length as isize;
        if (0..end).contains(&at) {
            return at as usize;
        }
        let (period, turn) = match self {
            Self::Nearest => return at.clamp(0, end - 1) as usize,
            Self::Reflect => (2 * end, 2 * end - 1),
            Self::Mirror => ((2 * end - 2).max(1), 2 * end - 2),
        };
        let folded = at.rem_euclid(period);
        folded.min(turn - folded) as usize
    }

    /// Extends a line by `radius` pixels on both sides.
    pub fn pad(self, line: &[f32], radius: usize, padded: &mut Vec<f32>) {
        let (reach, length) = (radius as isize, line.len());
        padded.clear();
        padded.extend((-reach..0).map(|at| line[self.index(at, length)]));
        padded.extend_from_slice(line);
        let end = length as isize;
        padded.extend((end..end + reach).map(|at| line[self.index(at, length)]));
    }
}

/// Adds to each value a weighted sum of the source around it.
///
/// `source[radius]` is at the position of the first value. `half` holds the weights
/// at distance 0, 1, ...; the first is halved, because both sides are added.
fn add_symmetric(sums: &mut [f32], source: &[f32], radius: usize, half: &[f32]) {
    const LANES: usize = 16;
    let (tiles, rest) = sums.as_chunks_mut::<LANES>();
    for (tile, sums) in tiles.iter_mut().enumerate() {
        let centre = tile * LANES + radius;
        let mut sum = *sums;
        for (k, weight) in half.iter().enumerate() {
            let left = &source[centre - k..][..LANES];
            let right = &source[centre + k..][..LANES];
            for lane in 0..LANES {
                sum[lane] += weight * (left[lane] + right[lane]);
            }
        }
        *sums = sum;
    }
    let first = tiles.len() * LANES + radius;
    for (x, sum) in rest.iter_mut().enumerate() {
        for (k, weight) in half.iter().enumerate() {
            *sum += weight * (source[first + x - k] + source[first + x + k]);
        }
    }
}

/// A truncated and normalized Gaussian.
#[derive(Clone, Debug)]
pub struct Gaussian {
    /// Weights at distance 0, 1, ..., the first halved.
    half: Vec<f32>,
}

impl Gaussian {
    /// Truncated at `truncate` standard deviations, rounded to a whole pixel.
    pub fn new(sigma: f64, truncate: f64) -> Self {
        Self::cut(sigma, (truncate * sigma + 0.5) as usize)
    }

    /// Truncated at `radius` pixels.
    pub fn cut(sigma: f64, radius: usize) -> Self {
        let mut half: Vec<f64> = (0..=radius)
            .map(|at| {
                if at == 0 {
                    0.5
                } else {
                    (-0.5 * (at as f64 / sigma).powi(2)).exp()
                }
            })
            .collect();
        let sum = 2.0 * half.iter().sum::<f64>();
        for weight in &mut half {
            *weight /= sum;
        }
        Self {
            half: half.into_iter().map(|weight| weight as f32).collect(),
        }
    }

    /// Smooths every plane along both axes.
    pub fn smooth(&self, image: &mut Planes, border: Border, stop: &Stop) -> Result<()> {
        let (height, width) = (image.height, image.width);
        if self.half.len() == 1 {
            return Ok(());
        }
        for plane in image.planes_mut() {
            if self.half.len() > height.min(width) {
                self.smooth_folded(plane, (height, width), border, stop)?;
            } else {
                self.smooth_columns(plane, width, border, stop)?;
                self.smooth_rows(plane, width, border, stop)?;
            }
        }
        Ok(())
    }

    fn smooth_rows(
        &self,
        plane: &mut [f32],
        width: usize,
        border: Border,
        stop: &Stop,
    ) -> Result<()> {
        let radius = self.half.len() - 1;
        let mut padded = Vec::new();
        for row in plane.chunks_exact_mut(width) {
            stop.check()?;
            border.pad(row, radius, &mut padded);
            row.fill(0.0);
            add_symmetric(row, &padded, radius, &self.half);
        }
        Ok(())
    }

    fn smooth_columns(
        &self,
        plane: &mut [f32],
        width: usize,
        border: Border,
        stop: &Stop,
    ) -> Result<()> {
        const LANES: usize = 16;
        let height = plane.len() / width;
        let source = plane.to_vec();
        let rows: Vec<&[f32]> = source.chunks_exact(width).collect();
        for (y, out) in plane.chunks_exact_mut(width).enumerate() {
            stop.check()?;
            let at = |offset: isize| rows[border.index(y as isize + offset, height)];
            let pairs: Vec<_> = (0..self.half.len() as isize)
                .map(|k| (at(-k), at(k)))
                .collect();
            let (tiles, rest) = out.as_chunks_mut::<LANES>();
            let first = tiles.len() * LANES;
            for (tile, out) in tiles.iter_mut().enumerate() {
                let mut sum = [0.0; LANES];
                for (weight, (above, below)) in self.half.iter().zip(&pairs) {
                    let above = &above[tile * LANES..][..LANES];
                    let below = &below[tile * LANES..][..LANES];
                    for lane in 0..LANES {
                        sum[lane] += weight * (above[lane] + below[lane]);
                    }
                }
                *out = sum;
            }
            for (x, out) in rest.iter_mut().enumerate() {
                let taps = self.half.iter().zip(&pairs);
                *out = taps
                    .map(|(weight, (above, below))| weight * (above[first + x] + below[first + x]))
                    .sum();
            }
        }
        Ok(())
    }

    /// Smooths with one matrix per axis, for kernels that are longer than a side.
    fn smooth_folded(
        &self,
        plane: &mut [f32],
        (height, width): (usize, usize),
        border: Border,
        stop: &Stop,
    ) -> Result<()> {
        let source = plane.to_vec();
        let source = ArrayView2::from_shape((height, width), &source)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let (down, across) = (self.matrix(height, border), self.matrix(width, border));
        let count = (PRODUCTS / (width * (height + width))).max(1);
        let blocks = plane.chunks_mut(count * width);
        for block in stop.watch(blocks.zip(down.axis_chunks_iter(Axis(0), count))) {
            let (out, rows) = block?;
            let smoothed = rows.dot(&source).dot(&across.t());
            out.iter_mut()
                .zip(&smoothed)
                .for_each(|(out, value)| *out = *value);
        }
        Ok(())
    }

    fn matrix(&self, length: usize, border: Border) -> Array2<f32> {
        let mut matrix = Array2::zeros((length, length));
        for at in 0..length {
            for (k, weight) in self.half.iter().enumerate() {
                for offset in [-(k as isize), k as isize] {
                    matrix[(at, border.index(at as isize + offset, length))] += weight;
                }
            }
        }
        matrix
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn borders_are_as_drawn() {
        let line = |border: Border, length| -> Vec<usize> {
            (-3..length as isize + 3)
                .map(|at| border.index(at, length))
                .collect()
        };
        assert_eq!(line(Border::Nearest, 4), [0, 0, 0, 0, 1, 2, 3, 3, 3, 3]);
        assert_eq!(line(Border::Reflect, 4), [2, 1, 0, 0, 1, 2, 3, 3, 2, 1]);
        assert_eq!(line(Border::Mirror, 4), [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert_eq!(line(Border::Mirror, 2), [1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(line(Border::Reflect, 2), [1, 1, 0, 0, 1, 1, 0, 0]);
        assert_eq!(line(Border::Mirror, 1), [0; 7]);
    }

    proptest! {
        #[test]
        fn smoothing_is_the_double_sum(
            height in 2..40_usize,
            width in 2..40_usize,
            sigma in 0.2..9.0_f64,
            rule in 0..3_usize,
            seed in 0..1000_u32,
        ) {
            let border = [Border::Nearest, Border::Reflect, Border::Mirror][rule];
            let pixel = |y: usize, x: usize| {
                let mixed = (y as u32 * 31 + x as u32 * 17 + seed).wrapping_mul(2_654_435_761);
                (mixed >> 8) as f32 / 16_777_216.0
            };
            let values: Vec<f32> =
                (0..height * width).map(|at| pixel(at / width, at % width)).collect();
            let mut image = Planes::plane(height, width, values.clone());
            Gaussian::new(sigma, 3.0).smooth(&mut image, border, &Stop::default()).unwrap();
            let reach = (3.0 * sigma + 0.5) as isize;
            let weight = |k: isize| (-0.5 * (k as f64 / sigma).powi(2)).exp();
            let sum: f64 = (-reach..=reach).map(weight).sum();
            for (y, x) in [(0, 0), (height - 1, width / 2), (height / 2, width - 1)] {
                let mut expected = 0.0;
                for dy in -reach..=reach {
                    for dx in -reach..=reach {
                        let row = border.index(y as isize + dy, height);
                        let column = border.index(x as isize + dx, width);
                        let value = f64::from(values[row * width + column]);
                        expected += weight(dy) * weight(dx) / sum / sum * value;
                    }
                }
                let got = f64::from(image.values[y * width + x]);
                prop_assert!((got - expected).abs() < 2e-6, "{got} {expected}");
            }
        }
    }
}
