/*!
Defocus blur: correlation with a disk.
*/

// Vector code must be inlined into functions that are compiled for the detected processor.
#![allow(clippy::inline_always)]

use pulp::{Arch, NullaryFnOnce};

use super::filter::{Border, Gaussian};
use super::image::Planes;
use super::{Result, Stop, Table};

/// Radius of the disk, and standard deviation of the Gaussian that smooths
/// its rim, in pixels.
pub const DEFOCUS: Table<(f64, f64)> = [
    [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)],
    [(0.5, 0.6), (1.0, 0.1), (1.5, 0.1), (2.5, 0.01), (3.0, 0.1)],
    [(3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)],
];

/// A kernel of odd size that is symmetric up and down, left and right.
///
/// Most weights of a disk are equal. The kernel therefore stores steps: the
/// difference of each weight and the weight in the next row, which is multiplied
/// by the sum of all rows up to this row. Few steps are not 0.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// For rows 0, 1, ... from the center: distances from the middle column, and the
    /// steps there. Steps at distance 0 are halved, because both sides are added.
    steps: Vec<Vec<(usize, f32)>>,
}

impl Kernel {
    /// The published defocus kernel: pixels within `radius` of the center of
    /// a grid, divided by their number, then smoothed by a Gaussian cut to 3
    /// pixels (5 for radii above 8).
    ///
    /// The grid spans 17 pixels, or the diameter for radii above 8. As in the
    /// published code, the smoothing mirrors the grid at its edge. The kernels of
    /// radius 8 and 10 therefore have the sums 1.013 and 1.010, and brighten
    /// images slightly.
    pub fn disk(radius: f64, sigma: f64) -> Result<Self> {
        let (half, reach) = if radius <= 8.0 {
            (8, 1)
        } else {
            (radius as usize, 2)
        };
        let size = 2 * half + 1;
        let distance = |at: usize| (at as f64 - half as f64).powi(2);
        let inside: Vec<bool> = (0..size * size)
            .map(|at| distance(at / size) + distance(at % size) <= radius * radius)
            .collect();
        let weight = 1.0 / inside.iter().filter(|&&inside| inside).count() as f32;
        let values = inside
            .into_iter()
            .map(|inside| f32::from(u8::from(inside)) * weight)
            .collect();
        let mut disk = Planes::plane(size, size, values);
        Gaussian::cut(sigma, reach).smooth(&mut disk, Border::Mirror, &Stop::default())?;
        let mut rows: Vec<&[f32]> = disk.values.chunks_exact(size).skip(half).collect();
        let beyond = vec![0.0; size];
        rows.push(&beyond);
        let step = |pair: &[&[f32]]| {
            let steps = pair[0][half..].iter().zip(&pair[1][half..]).enumerate();
            // Smaller steps do not change a sum, and subnormal numbers are slow.
            let steps = steps.filter(|(_, (own, next))| (**own - **next).abs() > 1e-9 * weight);
            let halved = |dx: usize, step: f32| if dx == 0 { step / 2.0 } else { step };
            steps
                .map(|(dx, (own, next))| (dx, halved(dx, own - next)))
                .collect()
        };
        let mut steps: Vec<Vec<(usize, f32)>> = rows.windows(2).map(step).collect();
        let last = steps.iter().rposition(|taps| !taps.is_empty());
        steps.truncate(last.map_or(1, |last| last + 1));
        Ok(Self { steps })
    }

    /// Correlates every plane with the kernel; the border is mirrored.
    pub fn correlate(&self, image: &mut Planes, stop: &Stop) -> Result<()> {
        Arch::new().dispatch(Correlation {
            kernel: self,
            image,
            stop,
        })
    }
}

/// A kernel, and the image to which it is applied.
struct Correlation<'a> {
    kernel: &'a Kernel,
    image: &'a mut Planes,
    stop: &'a Stop,
}

impl NullaryFnOnce for Correlation<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn call(self) -> Result<()> {
        let (height, width) = (self.image.height, self.image.width);
        let steps = &self.kernel.steps;
        let radius = steps.len() - 1;
        let mut lines: Vec<Vec<f32>> = vec![Vec::new(); height];
        // The sum of the lines at a distance of at most `dy`.
        let mut sum = Vec::new();
        for plane in self.image.planes_mut() {
            self.stop.check()?;
            for (line, row) in lines.iter_mut().zip(plane.chunks_exact(width)) {
                Border::Mirror.pad(row, radius, line);
            }
            for (y, out) in plane.chunks_exact_mut(width).enumerate() {
                self.stop.check()?;
                let line = |dy: isize| &lines[Border::Mirror.index(y as isize + dy, height)];
                sum.clone_from(&lines[y]);
                out.fill(0.0);
                add_steps(out, &sum, radius, &steps[0]);
                for (dy, taps) in steps.iter().enumerate().skip(1) {
                    let both = line(-(dy as isize)).iter().zip(line(dy as isize));
                    for (sum, (above, below)) in sum.iter_mut().zip(both) {
                        *sum += above + below;
                    }
                    add_steps(out, &sum, radius, taps);
                }
            }
        }
        Ok(())
    }
}

/// Adds weighted pairs of source values at equal distances on both sides of each
/// value. `source[radius]` is at the position of the first value.
#[inline(always)]
fn add_steps(out: &mut [f32], source: &[f32], radius: usize, taps: &[(usize, f32)]) {
    const LANES: usize = 16;
    let (tiles, rest) = out.as_chunks_mut::<LANES>();
    for (tile, out) in tiles.iter_mut().enumerate() {
        let centre = tile * LANES + radius;
        let mut sum = *out;
        for &(dx, weight) in taps {
            let left = &source[centre - dx..][..LANES];
            let right = &source[centre + dx..][..LANES];
            for lane in 0..LANES {
                sum[lane] += weight * (left[lane] + right[lane]);
            }
        }
        *out = sum;
    }
    let first = tiles.len() * LANES + radius;
    for (x, out) in rest.iter_mut().enumerate() {
        for &(dx, weight) in taps {
            *out += weight * (source[first + x - dx] + source[first + x + dx]);
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // copies and whole numbers
mod tests {
    use super::*;

    fn point(size: usize) -> Planes {
        let mut image = Planes::plane(size, size, vec![0.0; size * size]);
        image.values[size / 2 * size + size / 2] = 1.0;
        image
    }

    #[test]
    fn a_point_becomes_the_kernel() {
        let mut image = point(31);
        let kernel = Kernel::disk(3.0, 0.1).unwrap();
        kernel.correlate(&mut image, &Stop::default()).unwrap();
        let inside = image.values.iter().filter(|&&v| v > 1e-6).count();
        // 29 lattice points lie within 3 pixels of the center.
        assert_eq!(inside, 29);
        assert!((image.values.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((image.values[15 * 31 + 18] - 1.0 / 29.0).abs() < 1e-7);
        assert_eq!(image.values[12 * 31 + 15], image.values[15 * 31 + 12]);
    }

    /// The published kernel, smoothed by a sum over all of its pixels.
    fn disk(radius: f64, sigma: f64) -> Vec<Vec<f64>> {
        let (half, reach) = if radius <= 8.0 { (8, 1) } else { (10, 2) };
        let size = 2 * half + 1;
        let is_inside = |y: usize, x: usize| {
            let square = |at: usize| (at as f64 - f64::from(half as u32)).powi(2);
            square(y) + square(x) <= radius * radius
        };
        let places = (0..size).flat_map(|y| (0..size).map(move |x| (y, x)));
        let count = places.filter(|&(y, x)| is_inside(y, x)).count() as f64;
        let bell = |k: isize| (-0.5 * (k as f64 / sigma).powi(2)).exp();
        let sum: f64 = (-reach..=reach).map(bell).sum();
        let smoothed = |y: usize, x: usize| {
            let mut total = 0.0;
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    let row = Border::Mirror.index(y as isize + dy, size);
                    let column = Border::Mirror.index(x as isize + dx, size);
                    if is_inside(row, column) {
                        total += bell(dy) * bell(dx) / (sum * sum * count);
                    }
                }
            }
            total
        };
        (0..size)
            .map(|y| (0..size).map(|x| smoothed(y, x)).collect())
            .collect()
    }

    #[test]
    fn defocus_is_the_double_sum() {
        let (height, width) = (24, 37);
        let values: Vec<f32> = (0..height * width)
            .map(|at| (at * at * 37 % 1009) as f32 / 1009.0)
            .collect();
        for (radius, sigma) in DEFOCUS.into_iter().flatten() {
            let mut image = Planes::plane(height, width, values.clone());
            let kernel = Kernel::disk(radius, sigma).unwrap();
            kernel.correlate(&mut image, &Stop::default()).unwrap();
            let kernel = disk(radius, sigma);
            let half = (kernel.len() / 2) as isize;
            for (y, x) in [(0, 0), (3, 36), (11, 18), (23, 5), (12, 33)] {
                let mut expected = 0.0;
                for (dy, row) in kernel.iter().enumerate() {
                    for (dx, weight) in row.iter().enumerate() {
                        let row = Border::Mirror.index(y + dy as isize - half, height);
                        let column = Border::Mirror.index(x + dx as isize - half, width);
                        expected += weight * f64::from(values[row * width + column]);
                    }
                }
                let got = f64::from(image.values[y as usize * width + x as usize]);
                assert!((got - expected).abs() < 1e-6, "{radius}: {got} {expected}");
            }
        }
    }

    #[test]
    fn kernels_sum_to_one_or_as_published() {
        for (radius, sigma) in DEFOCUS.into_iter().flatten() {
            let mut image = Planes::plane(24, 40, vec![0.5; 960]);
            let kernel = Kernel::disk(radius, sigma).unwrap();
            kernel.correlate(&mut image, &Stop::default()).unwrap();
            let excess = 2.0 * image.values[3 * 40 + 7] - 1.0;
            let expected = if radius < 8.0 {
                -1e-6..1e-6
            } else {
                0.009..0.014
            };
            assert!(expected.contains(&excess), "{radius}: {excess}");
        }
    }
}
