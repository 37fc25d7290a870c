/*!
A color texture that frost adds to an image.
*/

use crate::{Error, Result};

/// The first of two neighboring pixels that are read, and the share of the second.
pub type Read = (usize, f32);

/// A color texture.
#[derive(Clone, Debug)]
pub struct Texture {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Interleaved red, green and blue.
    pub(super) levels: Vec<u8>,
}

impl Texture {
    /// From interleaved levels.
    pub fn new(height: usize, width: usize, levels: Vec<u8>) -> Result<Self> {
        if height < 2 || width < 2 || levels.len() != 3 * height * width {
            return Err(Error::value(format!(
                "textures: got {height} by {width} pixels and {} levels, expected at least 2 by 2 of three",
                levels.len()
            )));
        }
        Ok(Self {
            height,
            width,
            levels,
        })
    }

    /// The pixels to read along an axis of `length` pixels, which is scaled by `scale`,
    /// for each of `count` pixels from `start` on.
    #[must_use]
    pub fn line(length: usize, scale: f64, start: usize, count: usize) -> Vec<Read> {
        let read = |at: usize| {
            let place = (at as f64 + 0.5) / scale - 0.5;
            let place = place.clamp(0.0, (length - 1) as f64);
            let first = (place as usize).min(length - 2);
            (first, (place - first as f64) as f32)
        };
        (start..start + count).map(read).collect()
    }
}
