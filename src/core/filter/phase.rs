/*!
Random changes of phase, one per frequency of an image.

A change adds an odd field to the phases, so the image stays real and each amplitude
stays the same. Coefficients that are their own mirror image (Nyquist of even sides) are
real: their change is rounded to 0 or 180 degrees. Frequency 0 is not changed.
*/

use std::f64::consts::PI;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Result;
use crate::core::memory;
use crate::core::parallel::Stop;

/// Changes of phase in radians, for columns `0..=W/2` of the unshifted grid.
pub struct Field {
    height: usize,
    width: usize,
    /// By rows, each of `W/2 + 1` values.
    pub half: Vec<f64>,
}

impl Field {
    /// Draws the changes of one image, uniformly from `-limit` to `limit` degrees.
    ///
    /// The draws depend only on the seed, the stream and the size, not on the limit.
    ///
    /// # Errors
    /// [`crate::Error::Memory`], or an interruption.
    pub fn draw(
        (height, width): (usize, usize),
        limit: f64,
        seed: u64,
        stream: u64,
        stop: &Stop,
    ) -> Result<Self> {
        let n_columns = width / 2 + 1;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let mut half = memory::filled("phases", &[height, n_columns], 0.0)?;
        for y in 0..height {
            stop.check()?;
            for x in 0..n_columns {
                let draw = 2.0 * rng.random::<f64>() - 1.0;
                let other = (height - y) % height;
                let is_mirrored = x == 0 || 2 * x == width;
                half[y * n_columns + x] = match (y, x) {
                    (0, 0) => 0.0,
                    _ if is_mirrored && other == y => turned(draw * limit),
                    _ if is_mirrored && other < y => -half[other * n_columns + x],
                    _ => (draw * limit).to_radians(),
                };
            }
        }
        Ok(Self {
            height,
            width,
            half,
        })
    }

    /// The change at a coefficient of the full grid.
    #[must_use]
    pub fn at(&self, y: usize, x: usize) -> f64 {
        let n_columns = self.width / 2 + 1;
        if x < n_columns {
            return self.half[y * n_columns + x];
        }
        let y = (self.height - y) % self.height;
        -self.half[y * n_columns + (self.width - x)]
    }
}

/// The nearer of 0 and 180 degrees, in radians.
fn turned(degrees: f64) -> f64 {
    if degrees.abs() > 90.0 { PI } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(size: (usize, usize), limit: f64, stream: u64) -> Field {
        Field::draw(size, limit, 7, stream, &Stop::default()).unwrap()
    }

    #[test]
    fn fields_are_odd_and_within_the_limit() {
        for size in [(8, 8), (7, 9), (6, 5), (1, 4), (4, 1), (1, 1)] {
            let (h, w) = size;
            let field = field(size, 60.0, 0);
            for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
                let sum = field.at(y, x) + field.at((h - y) % h, (w - x) % w);
                assert!(sum.abs() < 1e-15, "{size:?} {y} {x}");
                assert!(field.at(y, x).abs() <= PI / 3.0);
            }
        }
    }

    #[test]
    fn a_field_is_uniform_and_turns_half_of_the_mirrored_coefficients() {
        let field = field((128, 129), 180.0, 3);
        let n = field.half.len() as f64;
        let mean = field.half.iter().sum::<f64>() / n;
        let square = field.half.iter().map(|phase| phase * phase).sum::<f64>() / n;
        assert!(mean.abs() < 0.05 && (square - PI * PI / 3.0).abs() < 0.1);
        let at_nyquist = (0..200).map(|stream| self::field((2, 2), 180.0, stream).at(1, 1));
        let turned = at_nyquist.filter(|phase| phase.abs() > 3.0).count();
        assert!((70..130).contains(&turned), "{turned}");
    }

    #[test]
    fn streams_differ_and_limits_share_their_draws() {
        let (one, other) = (field((8, 8), 90.0, 0), field((8, 8), 90.0, 1));
        assert!((one.at(1, 2) - other.at(1, 2)).abs() > 1e-6);
        let wide = field((8, 8), 180.0, 0);
        assert!((2.0 * one.at(1, 2) - wide.at(1, 2)).abs() < 1e-12);
    }
}
