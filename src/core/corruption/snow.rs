/*!
Snow: magnified noise with motion blur is added to a whitened image.
*/

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::blur::{Magnified, streak};
use super::image::{Planes, gray, whole};
use super::{Result, Rng, Stop, Table};
use crate::core::parallel::PIECE;

/// The constants of one severity.
#[derive(Clone, Copy, Debug)]
pub struct Snow {
    mean: f32,
    sd: f32,
    magnification: f64,
    threshold: f32,
    radius: usize,
    sigma: f64,
    /// Weight of the image in the mean of the image and its whitened copy.
    rest: f32,
}

const fn snow(noise: (f32, f32), flakes: (f64, f32), wind: (usize, f64), rest: f32) -> Snow {
    Snow {
        mean: noise.0,
        sd: noise.1,
        magnification: flakes.0,
        threshold: flakes.1,
        radius: wind.0,
        sigma: wind.1,
        rest,
    }
}

/// Noise (mean, sd), flakes (magnification, threshold), wind (radius, sd), rest.
pub const SNOW: Table<Snow> = [
    [
        snow((0.1, 0.2), (1.0, 0.6), (8, 3.0), 0.95),
        snow((0.1, 0.2), (1.0, 0.5), (10, 4.0), 0.9),
        snow((0.15, 0.3), (1.75, 0.55), (10, 4.0), 0.9),
        snow((0.25, 0.3), (2.25, 0.6), (12, 6.0), 0.85),
        snow((0.3, 0.3), (1.25, 0.65), (14, 12.0), 0.8),
    ],
    [
        snow((0.1, 0.2), (1.0, 0.6), (8, 3.0), 0.8),
        snow((0.1, 0.2), (1.0, 0.5), (10, 4.0), 0.8),
        snow((0.15, 0.3), (1.75, 0.55), (10, 4.0), 0.7),
        snow((0.25, 0.3), (2.25, 0.6), (12, 6.0), 0.65),
        snow((0.3, 0.3), (1.25, 0.65), (14, 12.0), 0.6),
    ],
    [
        snow((0.1, 0.3), (3.0, 0.5), (10, 4.0), 0.8),
        snow((0.2, 0.3), (2.0, 0.5), (12, 4.0), 0.7),
        snow((0.55, 0.3), (4.0, 0.9), (12, 8.0), 0.7),
        snow((0.55, 0.3), (4.5, 0.85), (12, 8.0), 0.65),
        snow((0.55, 0.3), (2.5, 0.85), (12, 12.0), 0.55),
    ],
];

impl Snow {
    /// Whitens the image, and adds the flakes twice: unchanged, and rotated by 180
    /// degrees.
    pub fn apply(&self, image: &mut Planes, rng: &mut Rng, stop: &Stop) -> Result<()> {
        let flakes = self.flakes((image.height, image.width), rng, stop)?;
        self.whiten(image, stop)?;
        for plane in image.planes_mut() {
            let both = flakes.chunks(PIECE).zip(flakes.rchunks(PIECE));
            for (piece, (flakes, turned)) in stop.pieces(plane).zip(both) {
                let both = flakes.iter().zip(turned.iter().rev());
                for (value, (flake, turned)) in piece?.iter_mut().zip(both) {
                    *value += flake + turned;
                }
            }
        }
        Ok(())
    }

    /// A plane of flakes, rounded to whole levels before and after the motion blur.
    fn flakes(
        &self,
        (height, width): (usize, usize),
        rng: &mut Rng,
        stop: &Stop,
    ) -> Result<Vec<f32>> {
        let mut noise = vec![0.0; height * width];
        for piece in stop.pieces(&mut noise) {
            piece?.fill_with(|| {
                let draw: f32 = StandardNormal.sample(rng);
                self.mean + self.sd * draw
            });
        }
        let mut flakes = vec![0.0; noise.len()];
        Magnified::new(height, width, self.magnification).add_to(&mut flakes, &noise, stop)?;
        for piece in stop.pieces(&mut flakes) {
            for flake in piece? {
                let kept = if *flake < self.threshold { 0.0 } else { *flake };
                *flake = whole(kept.min(1.0) * 255.0) / 255.0;
            }
        }
        let mut flakes = Planes::plane(height, width, flakes);
        let angle = rng.random_range(-135.0..-45.0_f64);
        streak(&mut flakes, (self.radius, self.sigma), angle, stop)?;
        for piece in stop.pieces(&mut flakes.values) {
            for flake in piece? {
                *flake = whole(*flake * 255.0 + 0.5) / 255.0;
            }
        }
        Ok(flakes.values)
    }

    /// Mixes each value with 1.5 times the luminance plus 0.5 if that is larger.
    fn whiten(&self, image: &mut Planes, stop: &Stop) -> Result<()> {
        let rest = self.rest;
        let mix = |value: f32, gray: f32| rest * value + (1.0 - rest) * value.max(1.5 * gray + 0.5);
        if image.channels != 3 {
            for piece in stop.pieces(&mut image.values) {
                let own = piece?.iter_mut();
                own.for_each(|value| *value = mix(*value, *value));
            }
            return Ok(());
        }
        for piece in image.colour_pieces(stop) {
            let [reds, greens, blues] = piece?;
            for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
                let gray = gray(*red, *green, *blue);
                (*red, *green, *blue) = (mix(*red, gray), mix(*green, gray), mix(*blue, gray));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn snow_only_brightens_and_is_the_same_turned() {
        for constants in SNOW.into_iter().flatten() {
            for (height, width) in [(16, 16), (32, 21)] {
                let mut image = Planes::plane(height, width, vec![0.3; height * width]);
                let rng = &mut Rng::seed_from_u64(7);
                constants.apply(&mut image, rng, &Stop::default()).unwrap();
                assert!(image.values.iter().all(|&v| v >= 0.3));
                for (value, turned) in image.values.iter().zip(image.values.iter().rev()) {
                    assert!((value - turned).abs() < 1e-6);
                }
            }
        }
    }
}
