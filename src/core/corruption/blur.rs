/*!
Blur: correlation with a kernel.

Borders are mirrored about the edge pixel, which is not repeated (`dcb|abcd|cba`),
as in the image library the published benchmarks were made with.
*/

use ndarray::{Array2, ArrayViewMut2, Axis};

use super::{Planes, Table};

/// Radius of the disk, and standard deviation of the Gaussian that smooths
/// its rim, in pixels.
pub const DEFOCUS: Table<(f64, f64)> = [
    [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)],
    [(0.5, 0.6), (1.0, 0.1), (1.5, 0.1), (2.5, 0.01), (3.0, 0.1)],
    [(3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)],
];

/// A square kernel of odd size, reduced to its runs of non-zero weights.
#[derive(Clone, Debug)]
pub struct Kernel {
    radius: usize,
    /// Weights of each row that has any: row offset, first column offset.
    runs: Vec<(usize, usize, Vec<f64>)>,
}

impl Kernel {
    /// The published defocus kernel: pixels within `radius` of the centre of
    /// a grid, divided by their number, then smoothed by a Gaussian cut to 3
    /// pixels (5 for radii above 8).
    ///
    /// The grid spans 17 pixels, or the diameter for radii above 8. Mirroring
    /// at its edge is published behaviour too, and makes the kernels of radius
    /// 8 and 10 sum to 1.013 and 1.010: those blurs brighten slightly.
    pub fn disk(radius: f64, sigma: f64) -> Self {
        let half = if radius <= 8.0 { 8 } else { radius as usize };
        let reach = if radius <= 8.0 { 1 } else { 2 };
        let centre = half as f64;
        let mut disk = Array2::from_shape_fn((2 * half + 1, 2 * half + 1), |(y, x)| {
            let square = (y as f64 - centre).powi(2) + (x as f64 - centre).powi(2);
            f64::from(u8::from(square <= radius * radius))
        });
        disk /= disk.sum();
        let mut planes = disk.insert_axis(Axis(0));
        gaussian(sigma, reach).correlate(&mut planes);
        Self::new(&planes.remove_axis(Axis(0)))
    }

    /// A kernel of odd height and width from all of its weights.
    pub fn new(weights: &Array2<f64>) -> Self {
        let runs = weights.outer_iter().enumerate().filter_map(|(y, row)| {
            let first = row.iter().position(|&weight| weight != 0.0)?;
            let last = row.iter().rposition(|&weight| weight != 0.0)?;
            Some((
                y,
                first,
                row.iter().take(last + 1).skip(first).copied().collect(),
            ))
        });
        Self {
            radius: weights.nrows() / 2,
            runs: runs.collect(),
        }
    }

    /// Correlates every plane of an image with the kernel.
    pub fn correlate(&self, image: &mut Planes) {
        for plane in image.axis_iter_mut(Axis(0)) {
            self.correlate_plane(plane);
        }
    }

    fn correlate_plane(&self, mut plane: ArrayViewMut2<f64>) {
        let (height, width) = plane.dim();
        let padded = self.padded(&plane);
        let mut sum = vec![0.0; width];
        for y in 0..height {
            sum.fill(0.0);
            for (dy, first, weights) in &self.runs {
                let row = padded.row(y + dy);
                let source = row.as_slice().unwrap_or_default();
                for (dx, weight) in weights.iter().enumerate() {
                    let shifted = &source[first + dx..first + dx + width];
                    for (sum, value) in sum.iter_mut().zip(shifted) {
                        *sum += weight * value;
                    }
                }
            }
            plane
                .row_mut(y)
                .iter_mut()
                .zip(&sum)
                .for_each(|(out, sum)| *out = *sum);
        }
    }

    fn padded(&self, plane: &ArrayViewMut2<f64>) -> Array2<f64> {
        let (height, width) = plane.dim();
        let shape = (height + 2 * self.radius, width + 2 * self.radius);
        Array2::from_shape_fn(shape, |(y, x)| {
            plane[(
                mirror(y, self.radius, height),
                mirror(x, self.radius, width),
            )]
        })
    }
}

/// A normalised Gaussian on `2 * reach + 1` pixels in both directions.
fn gaussian(sigma: f64, reach: usize) -> Kernel {
    let size = 2 * reach + 1;
    let weight = |at: usize| (-0.5 * ((at as f64 - reach as f64) / sigma).powi(2)).exp();
    let sum: f64 = (0..size).map(weight).sum();
    Kernel::new(&Array2::from_shape_fn((size, size), |(y, x)| {
        weight(y) * weight(x) / (sum * sum)
    }))
}

/// Index into a line of `length` pixels padded by `radius` on both sides.
fn mirror(at: usize, radius: usize, length: usize) -> usize {
    let period = 2 * (length - 1);
    let folded = (at + radius * (period - 1)) % period;
    folded.min(period - folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirroring_does_not_repeat_the_edge() {
        let padded: Vec<usize> = (0..10).map(|at| mirror(at, 3, 4)).collect();
        assert_eq!(padded, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        let twice: Vec<usize> = (0..12).map(|at| mirror(at, 5, 2)).collect();
        assert_eq!(twice, [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn a_point_becomes_the_kernel() {
        let mut image = Planes::zeros((1, 31, 31));
        image[(0, 15, 15)] = 1.0;
        Kernel::disk(3.0, 0.1).correlate(&mut image);
        let inside = image.iter().filter(|&&v| v > 1e-9).count();
        // 29 lattice points lie within 3 pixels of the centre.
        assert_eq!(inside, 29);
        assert!((image.sum() - 1.0).abs() < 1e-12);
        assert!((image[(0, 15, 18)] - 1.0 / 29.0).abs() < 1e-12);
        assert!((image[(0, 12, 15)] - image[(0, 15, 12)]).abs() < 1e-15);
    }

    #[test]
    fn kernels_sum_to_one_or_as_published() {
        for (radius, sigma) in DEFOCUS.into_iter().flatten() {
            let mut image = Planes::from_elem((2, 24, 40), 0.5);
            Kernel::disk(radius, sigma).correlate(&mut image);
            let excess = 2.0 * image[(1, 3, 7)] - 1.0;
            let expected = if radius < 8.0 {
                0.0..1e-9
            } else {
                0.009..0.014
            };
            assert!(expected.contains(&(excess + 1e-12)), "{radius}: {excess}");
        }
    }
}
