/*!
Elastic transform: a random affine map, then a smooth random displacement.
*/

use rand::RngExt;

use super::filter::{Border, Gaussian};
use super::image::Planes;
use super::{Result, Rng, Stop, Table};

/// Size of the displacement, standard deviation of the Gaussian that smooths the
/// displacement, and largest shift of the affine map's three corners, in pixels.
/// As in the published code, they are multiples of 32, 64 and 244 pixels.
pub const ELASTIC: Table<(f32, f64, f64)> = [
    in_pixels(
        32.0,
        [
            (0.0, 0.0, 0.08),
            (0.05, 0.2, 0.07),
            (0.08, 0.06, 0.06),
            (0.1, 0.04, 0.05),
            (0.1, 0.03, 0.03),
        ],
    ),
    in_pixels(
        64.0,
        [
            (0.0, 0.0, 0.08),
            (0.05, 0.3, 0.06),
            (0.1, 0.08, 0.06),
            (0.1, 0.03, 0.03),
            (0.16, 0.03, 0.02),
        ],
    ),
    in_pixels(
        244.0,
        [
            (2.0, 0.7, 0.1),
            (2.0, 0.08, 0.2),
            (0.05, 0.01, 0.02),
            (0.07, 0.01, 0.02),
            (0.12, 0.01, 0.02),
        ],
    ),
];

const fn in_pixels(unit: f64, shares: [(f64, f64, f64); 5]) -> [(f32, f64, f64); 5] {
    let mut table = [(0.0, 0.0, 0.0); 5];
    let mut at = 0;
    while at < 5 {
        let (size, sigma, reach) = shares[at];
        table[at] = ((unit * size) as f32, unit * sigma, unit * reach);
        at += 1;
    }
    table
}

/// Applies the affine map, then the displacement.
pub fn elastic(
    image: &mut Planes,
    (size, sigma, reach): (f32, f64, f64),
    rng: &mut Rng,
    stop: &Stop,
) -> Result<()> {
    let map = Affine::random(image.height, image.width, reach, rng);
    resample(image, Border::Mirror, stop, |y, x, _| {
        map.source(y as f64, x as f64)
    })?;
    let (height, width) = (image.height, image.width);
    let mut field = || -> Result<Vec<f32>> {
        let mut field = Planes::plane(height, width, vec![0.0; height * width]);
        for piece in stop.pieces(&mut field.values) {
            piece?.fill_with(|| 2.0 * rng.random::<f32>() - 1.0);
        }
        Gaussian::new(sigma, 3.0).smooth(&mut field, Border::Reflect, stop)?;
        Ok(field.values)
    };
    let (dx, dy) = (field()?, field()?);
    resample(image, Border::Reflect, stop, |y, x, at| {
        let (dy, dx) = (size * dy[at], size * dx[at]);
        (y as f64 + f64::from(dy), x as f64 + f64::from(dx))
    })
}

/// An affine map from a target's (row, column) to the (row, column) that is read.
struct Affine {
    row: [f64; 3],
    column: [f64; 3],
}

impl Affine {
    /// The inverse of the map that shifts three corners of a centered square by up
    /// to `reach` pixels at random.
    fn random(height: usize, width: usize, reach: f64, rng: &mut Rng) -> Self {
        let centre = ((height / 2) as f64, (width / 2) as f64);
        let half = (height.min(width) / 3) as f64;
        let corners = [(half, half), (-half, half), (-half, -half)]
            .map(|(dy, dx)| (centre.0 + dy, centre.1 + dx));
        let moved = corners.map(|(y, x)| {
            let dx = rng.random_range(-reach..reach);
            (y + rng.random_range(-reach..reach), x + dx)
        });
        let minus = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0, a.1 - b.1);
        let (u, v) = (minus(moved[0], moved[1]), minus(moved[2], moved[1]));
        let (from_u, from_v) = (minus(corners[0], corners[1]), minus(corners[2], corners[1]));
        let determinant = u.0 * v.1 - u.1 * v.0;
        let solve = |a: f64, b: f64, origin: f64| {
            let y = (a * v.1 - b * u.1) / determinant;
            let x = (b * u.0 - a * v.0) / determinant;
            [y, x, origin - y * moved[1].0 - x * moved[1].1]
        };
        Self {
            row: solve(from_u.0, from_v.0, corners[1].0),
            column: solve(from_u.1, from_v.1, corners[1].1),
        }
    }

    fn source(&self, y: f64, x: f64) -> (f64, f64) {
        let at = |line: &[f64; 3]| line[0] * y + line[1] * x + line[2];
        (at(&self.row), at(&self.column))
    }
}

/// Replaces each pixel by the value at its source (row, column), interpolated
/// between the four pixels around the source.
fn resample(
    image: &mut Planes,
    border: Border,
    stop: &Stop,
    source: impl Fn(usize, usize, usize) -> (f64, f64),
) -> Result<()> {
    let (height, width) = (image.height, image.width);
    let mut places: Vec<([usize; 4], f32, f32)> = Vec::with_capacity(height * width);
    for row in stop.watch(0..height) {
        let first = row? * width;
        places.extend((first..first + width).map(|at| {
            let (y, x) = source(at / width, at % width, at);
            let (top, left) = (floor(y), floor(x));
            let row = |offset| border.index(top + offset, height) * width;
            let column = |offset| border.index(left + offset, width);
            let (upper, lower, first, second) = (row(0), row(1), column(0), column(1));
            let corners = [upper + first, upper + second, lower + first, lower + second];
            (corners, (y - top as f64) as f32, (x - left as f64) as f32)
        }));
    }
    for plane in image.planes_mut() {
        let before = plane.to_vec();
        for (row, places) in stop
            .watch(plane.chunks_mut(width))
            .zip(places.chunks(width))
        {
            for (out, (corners, down, right)) in row?.iter_mut().zip(places) {
                let [a, b, c, d] = corners.map(|corner| before[corner]);
                let (upper, lower) = (a + right * (b - a), c + right * (d - c));
                *out = upper + down * (lower - upper);
            }
        }
    }
    Ok(())
}

/// Rounds down; the standard function is a slow call on older processors.
fn floor(value: f64) -> isize {
    let cut = value as isize;
    cut - isize::from(value < cut as f64)
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // copies and whole numbers
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_map_takes_the_corners_where_it_was_told() {
        let map = Affine::random(40, 64, 3.0, &mut Rng::seed_from_u64(4));
        // The moved corners are drawn again from the same stream.
        let mut rng = Rng::seed_from_u64(4);
        for (y, x) in [(33.0, 45.0), (7.0, 45.0), (7.0, 19.0)] {
            let dx = rng.random_range(-3.0..3.0);
            let dy = rng.random_range(-3.0..3.0);
            let (row, column) = map.source(y + dy, x + dx);
            assert!((row - y).abs() < 1e-9 && (column - x).abs() < 1e-9);
        }
    }

    #[test]
    fn whole_steps_shift_and_half_steps_average() {
        let values: Vec<f32> = (0..20).map(|at| (at * at) as f32).collect();
        let before = Planes::plane(4, 5, values);
        let mut shifted = before.clone();
        let stop = &Stop::default();
        resample(&mut shifted, Border::Mirror, stop, |y, x, _| {
            (y as f64 + 1.0, x as f64 - 2.0)
        })
        .unwrap();
        assert_eq!(shifted.values[2], before.values[5]);
        // Column -2 is column 2, and row 4 is row 2.
        assert_eq!(shifted.values[3 * 5], before.values[2 * 5 + 2]);
        let mut halved = before.clone();
        resample(&mut halved, Border::Reflect, stop, |y, x, _| {
            (y as f64 + 0.5, x as f64)
        })
        .unwrap();
        assert_eq!(halved.values[0], f32::midpoint(0.0, 25.0));
        assert_eq!(halved.values[15], before.values[15]);
    }
}
