/*!
Glass blur: smoothing, local displacement of pixels, smoothing.
*/

use rand::RngExt;

use super::filter::{Border, Gaussian};
use super::image::{Planes, whole};
use super::{Result, Rng, Stop, Table};

/// Standard deviation of the smoothing, greatest displacement, and rounds.
pub const GLASS: Table<(f64, usize, usize)> = [
    [
        (0.05, 1, 1),
        (0.25, 1, 1),
        (0.4, 1, 1),
        (0.25, 1, 2),
        (0.4, 1, 2),
    ],
    [
        (0.1, 1, 1),
        (0.5, 1, 1),
        (0.6, 1, 2),
        (0.7, 2, 1),
        (0.9, 2, 2),
    ],
    [
        (0.7, 1, 2),
        (0.9, 2, 1),
        (1.0, 2, 3),
        (1.1, 3, 2),
        (1.5, 4, 2),
    ],
];

/// Smooths, displaces and smooths again.
///
/// As in the published code, pixels are not swapped: each pixel takes the value of a
/// random partner, and the partner keeps its value. Pixels are visited from the last
/// to the first. The partner is up to `reach` pixels before or `reach - 1` after.
/// Values are truncated to whole levels after the first smoothing.
pub fn glass(
    image: &mut Planes,
    (sigma, reach, rounds): (f64, usize, usize),
    rng: &mut Rng,
    stop: &Stop,
) -> Result<()> {
    let (height, width) = (image.height, image.width);
    let gaussian = Gaussian::new(sigma, 4.0);
    gaussian.smooth(image, Border::Nearest, stop)?;
    for piece in stop.pieces(&mut image.values) {
        for value in piece? {
            *value = whole(*value * 255.0 + 0.002) / 255.0;
        }
    }
    let size = height * width;
    let choices = 2 * reach as u32;
    for _ in 0..rounds {
        for y in stop.watch((reach + 1..=height - reach).rev()) {
            let y = y?;
            for x in (reach + 1..=width - reach).rev() {
                // The halves of one draw give both steps. Their bias is less than
                // one part in ten million.
                let draw: u64 = rng.random();
                let step = |bits: u64| (((bits & 0xffff_ffff) * u64::from(choices)) >> 32) as usize;
                let from = (y + step(draw) - reach) * width + x + step(draw >> 32) - reach;
                let to = y * width + x;
                for plane in image.values.chunks_exact_mut(size) {
                    plane[to] = plane[from];
                }
            }
        }
    }
    gaussian.smooth(image, Border::Nearest, stop)
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // copies
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn pixels_move_and_the_rim_stays() {
        let values: Vec<f32> = (0..256).map(|at| at as f32 / 255.0).collect();
        let before = Planes::plane(16, 16, values);
        let mut after = before.clone();
        // Without smoothing, only the displacement changes the image.
        let rng = &mut Rng::seed_from_u64(3);
        glass(&mut after, (0.05, 2, 1), rng, &Stop::default()).unwrap();
        let mut moved = 0;
        for (at, value) in after.values.iter().enumerate() {
            let (y, x) = (at / 16, at % 16);
            let is_rim = y < 3 || x < 3 || y > 14 || x > 14;
            assert!(before.values.contains(value));
            assert!(!is_rim || *value == before.values[at]);
            moved += usize::from(*value != before.values[at]);
        }
        // 12 x 12 pixels have a random partner; for one in 16, it is the pixel itself.
        assert!((120..=144).contains(&moved), "{moved}");
    }
}
