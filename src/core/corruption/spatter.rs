/*!
Spatter: drops of water, or of mud, on the lens.
*/

use rand_distr::{Distribution, StandardNormal};

use super::edges;
use super::filter::{Border, Gaussian};
use super::image::{Planes, whole};
use super::{Result, Rng, Stop, Table};
use crate::core::parallel::PIECE;

/// The constants of one severity.
#[derive(Clone, Copy, Debug)]
pub struct Spatter {
    mean: f32,
    sd: f32,
    sigma: f64,
    threshold: f32,
    liquid: Liquid,
}

/// The liquid of the drops.
#[derive(Clone, Copy, Debug)]
enum Liquid {
    /// Water of this brightness.
    Water(f32),
    /// Mud, whose borders are smoothed with this standard deviation in pixels.
    Mud(f64),
}

/// Red, green and blue of pale turquoise and of brown, in levels.
const TURQUOISE: [f32; 3] = [175.0, 238.0, 238.0];
const BROWN: [f32; 3] = [63.0, 42.0, 20.0];

const fn water(mean: f32, sd: f32, sigma: f64, threshold: f32, brightness: f32) -> Spatter {
    Spatter {
        mean,
        sd,
        sigma,
        threshold,
        liquid: Liquid::Water(brightness),
    }
}

const fn mud(mean: f32, sd: f32, sigma: f64, threshold: f32, border: f64) -> Spatter {
    Spatter {
        mean,
        sd,
        sigma,
        threshold,
        liquid: Liquid::Mud(border),
    }
}

/// Noise (mean, sd), its smoothing (sd), threshold, and brightness or border.
pub const SPATTER: Table<Spatter> = [
    [
        water(0.62, 0.1, 0.7, 0.7, 0.5),
        water(0.65, 0.1, 0.8, 0.7, 0.5),
        water(0.65, 0.3, 1.0, 0.69, 0.5),
        mud(0.65, 0.1, 0.7, 0.69, 0.6),
        mud(0.65, 0.1, 0.5, 0.68, 0.6),
    ],
    [
        water(0.62, 0.1, 0.7, 0.7, 0.6),
        water(0.65, 0.1, 0.8, 0.7, 0.6),
        water(0.65, 0.3, 1.0, 0.69, 0.6),
        mud(0.65, 0.1, 0.7, 0.68, 0.6),
        mud(0.65, 0.1, 0.5, 0.67, 0.6),
    ],
    [
        water(0.65, 0.3, 4.0, 0.69, 0.6),
        water(0.65, 0.3, 3.0, 0.68, 0.6),
        water(0.65, 0.3, 2.0, 0.68, 0.5),
        mud(0.65, 0.3, 1.0, 0.65, 1.5),
        mud(0.67, 0.4, 1.0, 0.65, 1.5),
    ],
];

impl Spatter {
    /// Adds drops where smooth noise is above a threshold.
    pub fn apply(&self, image: &mut Planes, rng: &mut Rng, stop: &Stop) -> Result<()> {
        let (height, width) = (image.height, image.width);
        let mut drops = Planes::plane(height, width, vec![0.0; height * width]);
        for piece in stop.pieces(&mut drops.values) {
            piece?.fill_with(|| {
                let draw: f32 = StandardNormal.sample(rng);
                self.mean + self.sd * draw
            });
        }
        Gaussian::new(self.sigma, 4.0).smooth(&mut drops, Border::Nearest, stop)?;
        match self.liquid {
            Liquid::Water(brightness) => {
                let film = self.film(drops.values, width, stop)?;
                let colour = TURQUOISE.map(|level| brightness * level);
                paint(image, &film, (colour, 0.0), stop)
            }
            Liquid::Mud(sigma) => {
                for piece in stop.pieces(&mut drops.values) {
                    for drop in piece? {
                        *drop = f32::from(u8::from(*drop > self.threshold));
                    }
                }
                Gaussian::new(sigma, 4.0).smooth(&mut drops, Border::Nearest, stop)?;
                for piece in stop.pieces(&mut drops.values) {
                    for drop in piece? {
                        *drop = if *drop < 0.8 { 0.0 } else { *drop };
                    }
                }
                paint(image, &drops.values, (BROWN, 1.0), stop)
            }
        }
    }

    /// The brightness of water: the height of a drop times an embossed map of the
    /// distance to the drops' edges. The largest value is 1.
    fn film(&self, mut drops: Vec<f32>, width: usize, stop: &Stop) -> Result<Vec<f32>> {
        for piece in stop.pieces(&mut drops) {
            for drop in piece? {
                let kept = if *drop < self.threshold { 0.0 } else { *drop };
                *drop = whole(kept.min(1.0) * 255.0);
            }
        }
        let levels: Vec<u8> = drops.iter().map(|&drop| drop as u8).collect();
        let is_edge = edges::canny(&levels, width, (50, 150), stop)?;
        let distance = edges::distance(&is_edge, width, 20.0, stop)?;
        let mut relief = edges::mean_of_nine(&distance, width, stop)?;
        for piece in stop.pieces(&mut relief) {
            for level in piece? {
                *level = whole(*level + 1e-4);
            }
        }
        edges::equalise(&mut relief, stop)?;
        let emboss = [[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]];
        let mut relief = edges::weigh(&relief, width, emboss, stop)?;
        for piece in stop.pieces(&mut relief) {
            for level in piece? {
                *level = level.clamp(0.0, 255.0);
            }
        }
        let relief = edges::mean_of_nine(&relief, width, stop)?;
        for (piece, relief) in stop.pieces(&mut drops).zip(relief.chunks(PIECE)) {
            for (drop, relief) in piece?.iter_mut().zip(relief) {
                *drop *= whole(relief + 0.5);
            }
        }
        let most = drops.iter().copied().fold(0.0, f32::max);
        if most > 0.0 {
            for piece in stop.pieces(&mut drops) {
                for drop in piece? {
                    *drop /= most;
                }
            }
        }
        Ok(drops)
    }
}

/// Adds a color in proportion to `cover`, and dims the image by `opacity * cover`.
fn paint(
    image: &mut Planes,
    cover: &[f32],
    (colour, opacity): ([f32; 3], f32),
    stop: &Stop,
) -> Result<()> {
    let gray = 0.2989 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2];
    let is_colour = image.channels == 3;
    for (channel, plane) in image.planes_mut().enumerate() {
        let level = if is_colour { colour[channel] } else { gray };
        let light = level / 255.0;
        for (piece, cover) in stop.pieces(plane).zip(cover.chunks(PIECE)) {
            for (value, cover) in piece?.iter_mut().zip(cover) {
                *value = *value * (1.0 - opacity * cover) + light * cover;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // copies and whole numbers
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn water_brightens_and_mud_darkens_some_of_a_bright_image() {
        for constants in SPATTER.into_iter().flatten() {
            let mut image = Planes {
                channels: 3,
                height: 48,
                width: 40,
                values: vec![0.6; 5760],
            };
            let rng = &mut Rng::seed_from_u64(5);
            constants.apply(&mut image, rng, &Stop::default()).unwrap();
            let changed = image.values.iter().filter(|&&v| v != 0.6).count();
            assert!((100..5700).contains(&changed), "{constants:?}: {changed}");
            let is_brighter = matches!(constants.liquid, Liquid::Water(_));
            for &value in &image.values {
                assert!(if is_brighter {
                    value >= 0.6
                } else {
                    value <= 0.6
                });
            }
        }
    }
}
