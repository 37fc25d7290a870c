/*!
Frost: a photograph of ice, or a generated texture, is added to the image.
*/

// Vector code must be inlined into functions that are compiled for the detected processor.
#![allow(clippy::inline_always)]

use std::sync::Arc;

use pulp::{Arch, NullaryFnOnce};
use rand::RngExt;

use super::image::{Planes, whole};
use super::texture::{Read, Texture};
use super::{Parameters, Rng, Stop, Table, ice};
use crate::Result;

/// Weights of the image and of the texture.
pub const FROST: Table<(f32, f32)> = [
    [
        (1.0, 0.2),
        (1.0, 0.3),
        (0.9, 0.4),
        (0.85, 0.4),
        (0.75, 0.45),
    ],
    [
        (1.0, 0.3),
        (0.9, 0.4),
        (0.8, 0.45),
        (0.75, 0.5),
        (0.7, 0.55),
    ],
    [(1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)],
];

/// Factor by which each published parameter set scales the textures.
const SCALE: [f64; 3] = [0.2, 0.3, 1.0];

/// Frost of one severity.
#[derive(Clone, Debug)]
pub struct Frost {
    weights: (f32, f32),
    scale: f64,
    textures: Arc<Vec<Texture>>,
}

impl Frost {
    /// Frost with the given textures, or with generated textures.
    pub fn new(
        (parameters, level): (Parameters, usize),
        textures: Option<Arc<Vec<Texture>>>,
    ) -> Result<Self> {
        let set = parameters as usize;
        Ok(Self {
            weights: FROST[set][level],
            scale: SCALE[set],
            textures: textures.map_or_else(ice::textures, Ok)?,
        })
    }

    /// Adds a random window of a random texture. A texture that is too small is
    /// enlarged until its sides are at least 1.1 times those of the image.
    pub fn apply(&self, image: &mut Planes, rng: &mut Rng, stop: &Stop) -> Result<()> {
        let (height, width) = (image.height, image.width);
        let texture = &self.textures[rng.random_range(0..self.textures.len())];
        let sizes = |scale: f64| {
            let scaled = |length: usize| (length as f64 * scale).round() as usize;
            (scaled(texture.height), scaled(texture.width))
        };
        let (rows, columns) = sizes(self.scale);
        let scale = if rows > height && columns > width {
            self.scale
        } else {
            let short = height as f64 / texture.height as f64;
            1.1 * short.max(width as f64 / texture.width as f64)
        };
        let (rows, columns) = sizes(scale);
        let top = rng.random_range(0..rows - height);
        let left = rng.random_range(0..columns - width);
        let is_whole = (scale - 1.0).abs() < f64::EPSILON;
        if let (true, Some(planes)) = (is_whole, image.colour_mut()) {
            return Arch::new().dispatch(Window {
                levels: &texture.levels[3 * (top * texture.width + left)..],
                stride: 3 * texture.width,
                width,
                planes,
                weights: self.weights,
                stop,
            });
        }
        let rows = Texture::line(texture.height, scale, top, height);
        let columns = Texture::line(texture.width, scale, left, width);
        self.blend(image, texture, [&rows, &columns], stop)
    }

    fn blend(
        &self,
        image: &mut Planes,
        texture: &Texture,
        [rows, columns]: [&[Read]; 2],
        stop: &Stop,
    ) -> Result<()> {
        let (own, ice) = (self.weights.0, self.weights.1 / 255.0);
        let size = rows.len() * columns.len();
        let is_colour = image.channels == 3;
        let stride = 3 * texture.width;
        let mut line = vec![0.0_f32; 3 * texture.width];
        for row in stop.watch(rows.iter().enumerate()) {
            let (y, &(row, down)) = row?;
            let pixels = texture.levels[row * stride..][..2 * stride].split_at(stride);
            let span = 3 * columns[0].0..3 * (columns[columns.len() - 1].0 + 2);
            for at in span {
                let (above, below) = (f32::from(pixels.0[at]), f32::from(pixels.1[at]));
                line[at] = above + down * (below - above);
            }
            for (x, &(column, right)) in columns.iter().enumerate() {
                let level = |channel: usize| {
                    let (a, b) = (line[3 * column + channel], line[3 * column + 3 + channel]);
                    whole(a + right * (b - a) + 0.5)
                };
                let [red, green, blue] = [level(0), level(1), level(2)];
                let at = y * columns.len() + x;
                if is_colour {
                    for (channel, level) in [red, green, blue].into_iter().enumerate() {
                        let value = &mut image.values[channel * size + at];
                        *value = own * *value + ice * level;
                    }
                } else {
                    let gray = 0.2989 * red + 0.587 * green + 0.114 * blue;
                    for plane in image.values.chunks_exact_mut(size) {
                        plane[at] = own * plane[at] + ice * gray;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Adds a window of an unscaled texture to a color image: a faster [`Frost::blend`]
/// for the case without interpolation.
struct Window<'a> {
    levels: &'a [u8],
    stride: usize,
    width: usize,
    planes: [&'a mut [f32]; 3],
    weights: (f32, f32),
    stop: &'a Stop,
}

impl NullaryFnOnce for Window<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn call(self) -> Result<()> {
        let (own, ice) = (self.weights.0, self.weights.1 / 255.0);
        let add = |value: &mut f32, level: u8| *value = own * *value + ice * f32::from(level);
        let [reds, greens, blues] = self.planes.map(|plane| plane.chunks_exact_mut(self.width));
        for (((reds, greens), blues), levels) in reds
            .zip(greens)
            .zip(blues)
            .zip(self.levels.chunks(self.stride))
        {
            self.stop.check()?;
            let values = reds.iter_mut().zip(greens).zip(blues);
            for (pixel, ((red, green), blue)) in levels.as_chunks::<3>().0.iter().zip(values) {
                add(red, pixel[0]);
                add(green, pixel[1]);
                add(blue, pixel[2]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // copies and whole numbers
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// A texture whose red is the row and whose green is the column.
    fn places() -> Arc<Vec<Texture>> {
        let levels = (0..60 * 80).flat_map(|at| [(at / 80) as u8, (at % 80) as u8, 9]);
        Arc::new(vec![Texture::new(60, 80, levels.collect()).unwrap()])
    }

    #[test]
    fn at_full_size_a_window_is_added_as_it_is() {
        let frost = Frost::new((Parameters::ImageNet, 0), Some(places())).unwrap();
        let mut image = Planes {
            channels: 3,
            height: 20,
            width: 30,
            values: vec![0.0; 1800],
        };
        let rng = &mut Rng::seed_from_u64(1);
        frost.apply(&mut image, rng, &Stop::default()).unwrap();
        let level = |channel: usize, at: usize| image.values[channel * 600 + at] * 255.0 / 0.4;
        let (top, left) = (level(0, 0), level(1, 0));
        assert!((0.0..40.0).contains(&top) && (0.0..50.0).contains(&left));
        for at in 0..600 {
            assert!((level(0, at) - top - (at / 30) as f32).abs() < 1e-3);
            assert!((level(1, at) - left - (at % 30) as f32).abs() < 1e-3);
            assert!((level(2, at) - 9.0).abs() < 1e-3);
        }
    }

    #[test]
    fn a_whole_window_is_what_interpolation_comes_to() {
        let (textures, stop) = (ice::textures().unwrap(), &Stop::default());
        let frost = Frost::new((Parameters::ImageNet, 3), None).unwrap();
        let (height, width, size) = (30, 45, 30 * 45);
        let mut image = Planes {
            channels: 3,
            height,
            width,
            values: (0..3 * size).map(|at| (at % 101) as f32 / 101.0).collect(),
        };
        let mut expected = image.clone();
        let rng = &mut Rng::seed_from_u64(8);
        frost.apply(&mut image, rng, &Stop::default()).unwrap();
        let rng = &mut Rng::seed_from_u64(8);
        let texture = &textures[rng.random_range(0..textures.len())];
        let top = rng.random_range(0..texture.height - height);
        let left = rng.random_range(0..texture.width - width);
        let rows = Texture::line(texture.height, 1.0, top, height);
        let columns = Texture::line(texture.width, 1.0, left, width);
        let lines = [&rows[..], &columns[..]];
        frost.blend(&mut expected, texture, lines, stop).unwrap();
        assert_eq!(image, expected);
    }

    #[test]
    fn small_textures_are_enlarged_and_gray_images_get_gray_ice() {
        let frost = Frost::new((Parameters::Cifar, 4), Some(places())).unwrap();
        let mut image = Planes::plane(16, 64, vec![0.5; 1024]);
        let rng = &mut Rng::seed_from_u64(1);
        frost.apply(&mut image, rng, &Stop::default()).unwrap();
        let first = image.values[0];
        assert!(image.values.iter().all(|&v| v >= 0.375));
        assert!(image.values[63] > first && image.values[15 * 64] > first);
    }

    #[test]
    fn textures_of_wrong_size_are_named() {
        let message = Texture::new(2, 2, vec![0; 11]).unwrap_err().to_string();
        assert!(message.contains("2 by 2 pixels and 11 levels"), "{message}");
    }
}
