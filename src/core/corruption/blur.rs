/*!
Motion blur and zoom blur, and the constants of the Gaussian blur.
*/

use rand::RngExt;

use super::filter::Border;
use super::image::Planes;
use super::{Result, Rng, Stop, Table};

/// Standard deviation of the Gaussian blur, in pixels.
pub const GAUSSIAN: Table<f64> = [
    [0.4, 0.6, 0.7, 0.8, 1.0],
    [0.5, 0.75, 1.0, 1.25, 1.5],
    [1.0, 2.0, 3.0, 4.0, 6.0],
];

/// Radius and standard deviation of the motion kernel, in pixels.
pub const MOTION: Table<(usize, f64)> = [
    [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)],
    [(10, 1.0), (10, 1.5), (10, 2.0), (10, 2.5), (12, 3.0)],
    [(10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0)],
];

/// Step between magnifications, and their number; the first magnification is 1.
pub const ZOOM: Table<(f64, usize)> = [
    [(0.01, 7), (0.01, 12), (0.01, 16), (0.01, 21), (0.01, 26)],
    [(0.01, 7), (0.01, 12), (0.01, 16), (0.01, 21), (0.01, 26)],
    [(0.01, 12), (0.01, 16), (0.02, 11), (0.02, 13), (0.03, 11)],
];

/// Motion blur in a random direction within 45 degrees of the horizontal.
pub fn motion(
    image: &mut Planes,
    (radius, sigma): (usize, f64),
    rng: &mut Rng,
    stop: &Stop,
) -> Result<()> {
    let angle = rng.random_range(-45.0..45.0_f64);
    streak(image, (radius, sigma), angle, stop)
}

/// Smooths with a one-sided Gaussian of `2 * radius + 1` samples along a direction.
///
/// As in `ImageMagick`, samples are at the nearest pixels and the border pixels
/// are repeated. `angle` is in degrees, clockwise from the right.
pub fn streak(
    image: &mut Planes,
    (radius, sigma): (usize, f64),
    angle: f64,
    stop: &Stop,
) -> Result<()> {
    const LANES: usize = 16;
    let (height, width) = (image.height, image.width);
    let (sin, cos) = angle.to_radians().sin_cos();
    let samples = 0..2 * radius + 1;
    let weight = |at: usize| (-0.5 * (at as f64 / sigma).powi(2)).exp();
    let sum: f64 = samples.clone().map(weight).sum();
    let nearest = |length: f64| (length - 0.5).ceil() as isize;
    let taps: Vec<(isize, isize, f32)> = samples
        .map(|at| {
            let (dy, dx) = (nearest(at as f64 * sin), nearest(at as f64 * cos));
            (dy, dx, (weight(at) / sum) as f32)
        })
        .collect();
    let reach = 2 * radius;
    let mut lines: Vec<Vec<f32>> = vec![Vec::new(); height];
    for plane in image.planes_mut() {
        for row in stop.watch(lines.iter_mut().zip(plane.chunks_exact(width))) {
            let (line, row) = row?;
            Border::Nearest.pad(row, reach, line);
            line.resize(width + 2 * reach + LANES, 0.0);
        }
        for row in stop.watch(plane.chunks_exact_mut(width).enumerate()) {
            let (y, out) = row?;
            let sources: Vec<(&[f32], f32)> = taps
                .iter()
                .map(|&(dy, dx, weight)| {
                    let line = &lines[Border::Nearest.index(y as isize + dy, height)];
                    (&line[(reach as isize + dx) as usize..], weight)
                })
                .collect();
            for (tile, out) in out.chunks_mut(LANES).enumerate() {
                let mut sum = [0.0; LANES];
                for (source, weight) in &sources {
                    let source = &source[tile * LANES..][..LANES];
                    for lane in 0..LANES {
                        sum[lane] += weight * source[lane];
                    }
                }
                out.copy_from_slice(&sum[..out.len()]);
            }
        }
    }
    Ok(())
}

/// Replaces the image by the mean of its magnified centers and the image, counted twice.
pub fn zoom(image: &mut Planes, (step, count): (f64, usize), stop: &Stop) -> Result<()> {
    let (height, width) = (image.height, image.width);
    // The published code uses NumPy's `arange`, which computes its step in this way.
    let step = (1.0 + step) - 1.0;
    let layers: Vec<Magnified> = (1..count)
        .map(|at| Magnified::new(height, width, 1.0 + at as f64 * step))
        .collect();
    let share = 1.0 / (count + 1) as f32;
    for plane in image.planes_mut() {
        let mut sum: Vec<f32> = plane.iter().map(|value| 2.0 * value).collect();
        for layer in &layers {
            layer.add_to(&mut sum, plane, stop)?;
        }
        plane
            .iter_mut()
            .zip(sum)
            .for_each(|(out, sum)| *out = sum * share);
    }
    Ok(())
}

/// The center of a plane, magnified to the plane's size by interpolation.
pub struct Magnified {
    rows: Vec<(usize, f32)>,
    columns: Vec<(usize, f32)>,
}

impl Magnified {
    /// Finds the pixels to read for each row and column.
    pub fn new(height: usize, width: usize, factor: f64) -> Self {
        Self {
            rows: Self::line(height, factor),
            columns: Self::line(width, factor),
        }
    }

    /// The first pixel to read, and the share of the next pixel, along one axis.
    /// The smallest center that fills the magnified line is stretched from its
    /// first to its last pixel. Excess pixels are cut off on both sides.
    fn line(length: usize, factor: f64) -> Vec<(usize, f32)> {
        let centre = (length as f64 / factor).ceil() as usize;
        let first = (length - centre) / 2;
        let stretched = (centre as f64 * factor).round_ties_even() as usize;
        let cut = (stretched - length) / 2;
        let pace = (centre - 1) as f64 / (stretched - 1) as f64;
        (cut..cut + length)
            .map(|at| {
                let place = at as f64 * pace;
                let whole = (place as usize).min(centre - 2);
                (first + whole, (place - whole as f64) as f32)
            })
            .collect()
    }

    /// Adds the magnified plane to `sum`.
    pub fn add_to(&self, sum: &mut [f32], plane: &[f32], stop: &Stop) -> Result<()> {
        let width = self.columns.len();
        let mut line = vec![0.0; width];
        for row in stop.watch(sum.chunks_exact_mut(width).zip(&self.rows)) {
            let (sum, &(y, share)) = row?;
            let (above, below) = plane[y * width..][..2 * width].split_at(width);
            for (line, (above, below)) in line.iter_mut().zip(above.iter().zip(below)) {
                *line = above + share * (below - above);
            }
            for (sum, &(x, share)) in sum.iter_mut().zip(&self.columns) {
                *sum += line[x] + share * (line[x + 1] - line[x]);
            }
        }
        Ok(())
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
    fn a_point_leaves_a_streak_on_one_side() {
        let mut image = point(33);
        streak(&mut image, (5, 2.0), 0.0, &Stop::default()).unwrap();
        let row = &image.values[16 * 33..17 * 33];
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        // Each pixel reads pixels to its right, so the point spreads to the left.
        assert!(row[16] > row[15] && row[15] > row[6] && row[6] > 0.0);
        assert!(row[17..].iter().chain(&row[..6]).all(|&v| v == 0.0));
        let mut image = point(33);
        streak(&mut image, (5, 2.0), 90.0, &Stop::default()).unwrap();
        let down: Vec<f32> = (0..33).map(|y| image.values[y * 33 + 16]).collect();
        assert!(down[16] > down[15] && down[6] > 0.0 && down[5] == 0.0);
    }

    #[test]
    fn constants_survive_motion_and_zoom() {
        for constants in MOTION.into_iter().flatten() {
            let mut image = Planes::plane(16, 19, vec![0.25; 304]);
            streak(&mut image, constants, -38.0, &Stop::default()).unwrap();
            assert!(image.values.iter().all(|v| (v - 0.25).abs() < 1e-6));
        }
        for constants in ZOOM.into_iter().flatten() {
            let mut image = Planes::plane(16, 19, vec![0.25; 304]);
            zoom(&mut image, constants, &Stop::default()).unwrap();
            assert!(image.values.iter().all(|v| (v - 0.25).abs() < 1e-6));
        }
    }
}
