/*!
Generated textures of ice, for frost without photographs.

A texture shows fern crystals over fractal clouds. Each texture has the mean
color, the spread of brightness and the balance of coarse and fine detail of one
of the five published photographs, because these properties determine the effect
of the corruption.
*/

use std::sync::{Arc, OnceLock};

use rand::{RngExt, SeedableRng};

use super::filter::{Border, Gaussian};
use super::fog::plasma;
use super::image::Planes;
use super::texture::Texture;
use super::{Result, Rng, Stop};

/// Height and width, a power of two as the clouds require.
const SIZE: usize = 512;

/// Mean red, green and blue, standard deviation of brightness, the crystals' share of
/// the variance, the number of crystals, and the largest length of a crystal.
struct Look {
    colour: [f32; 3],
    spread: f32,
    crystals: f32,
    count: usize,
    length: f32,
}

const fn look(colour: [f32; 3], spread: f32, crystals: f32, count: usize, length: f32) -> Look {
    Look {
        colour,
        spread,
        crystals,
        count,
        length,
    }
}

const LOOKS: [Look; 5] = [
    look([0.31, 0.59, 0.65], 0.07, 0.5, 900, 60.0),
    look([0.79, 0.81, 0.84], 0.09, 0.7, 700, 60.0),
    look([0.79, 0.81, 0.84], 0.09, 0.7, 700, 60.0),
    look([0.54, 0.60, 0.65], 0.11, 0.6, 900, 30.0),
    look([0.44, 0.48, 0.53], 0.17, 0.6, 800, 70.0),
];

/// The five textures, drawn once per process.
pub fn textures() -> Result<Arc<Vec<Texture>>> {
    static DRAWN: OnceLock<Arc<Vec<Texture>>> = OnceLock::new();
    if let Some(drawn) = DRAWN.get() {
        return Ok(Arc::clone(drawn));
    }
    let looks = LOOKS.iter().zip(0..);
    let drawn = looks.map(|(look, seed)| draw(look, seed));
    let drawn = drawn.collect::<Result<Vec<Texture>>>()?;
    Ok(Arc::clone(DRAWN.get_or_init(|| Arc::new(drawn))))
}

/// Draws one texture. This is fast, so it cannot be interrupted.
fn draw(look: &Look, seed: u64) -> Result<Texture> {
    let stop = &Stop::default();
    let mut rng = Rng::seed_from_u64(seed);
    let clouds = standardised(plasma(SIZE, 2.0, &mut rng, stop)?);
    let mut canvas = Canvas(vec![0.0; SIZE * SIZE]);
    for _ in 0..look.count {
        canvas.fern(look.length, &mut rng);
    }
    let mut crystals = Planes::plane(SIZE, SIZE, canvas.0);
    Gaussian::new(0.8, 3.0).smooth(&mut crystals, Border::Nearest, stop)?;
    let crystals = standardised(crystals.values);
    let (coarse, fine) = ((1.0 - look.crystals).sqrt(), look.crystals.sqrt());
    let pixels = clouds.iter().zip(&crystals);
    let levels = pixels.flat_map(|(cloud, crystal)| {
        let shade = look.spread * (coarse * cloud + fine * crystal);
        look.colour.map(|mean| ((mean + shade) * 255.0 + 0.5) as u8)
    });
    Ok(Texture {
        height: SIZE,
        width: SIZE,
        levels: levels.collect(),
    })
}

/// Scales values to mean 0 and variance 1.
fn standardised(mut values: Vec<f32>) -> Vec<f32> {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let square: f32 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let scale = (count / square).sqrt();
    for value in &mut values {
        *value = (*value - mean) * scale;
    }
    values
}

/// A periodic plane to draw on.
struct Canvas(Vec<f32>);

impl Canvas {
    /// Draws a stem with barbs at 60 degrees, which are shorter towards the tip.
    fn fern(&mut self, longest: f32, rng: &mut Rng) {
        let root = [0, 1].map(|_| rng.random::<f32>() * SIZE as f32);
        let angle = rng.random::<f32>() * std::f32::consts::TAU;
        let length = longest * (0.3 + 0.7 * rng.random::<f32>());
        let shine = 0.3 + 0.7 * rng.random::<f32>();
        let gap = 3.0 + 3.0 * rng.random::<f32>();
        self.needle(root, angle, length, shine);
        let mut along = gap;
        while along < length {
            let (sin, cos) = angle.sin_cos();
            let knot = [root[0] + along * sin, root[1] + along * cos];
            let barb = 0.4 * (length - along);
            for turn in [-1.0, 1.0] {
                let turn = turn * std::f32::consts::FRAC_PI_3;
                self.needle(knot, angle + turn, barb, 0.7 * shine);
            }
            along += gap;
        }
    }

    /// Draws a line that fades out.
    fn needle(&mut self, root: [f32; 2], angle: f32, length: f32, shine: f32) {
        let (sin, cos) = angle.sin_cos();
        for at in 0..length as usize {
            let along = at as f32;
            let place = |start: f32, pace: f32| {
                (start + along * pace).round().rem_euclid(SIZE as f32) as usize % SIZE
            };
            let (y, x) = (place(root[0], sin), place(root[1], cos));
            self.0[y * SIZE + x] += shine * (1.0 - along / length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_textures_have_their_colour() {
        let [first, again] = [(); 2].map(|()| textures().unwrap());
        assert_eq!(first.len(), LOOKS.len());
        assert!(Arc::ptr_eq(&first, &again));
        for (index, look) in LOOKS.iter().enumerate() {
            let levels = draw(look, index as u64).unwrap().levels;
            for (channel, mean) in look.colour.iter().enumerate() {
                let one = levels.iter().skip(channel).step_by(3);
                let sum: f32 = one.map(|&level| f32::from(level) / 255.0).sum();
                // The brightest crystals are clipped at white.
                assert!((sum / (SIZE * SIZE) as f32 - mean).abs() < 0.03);
            }
        }
    }
}
