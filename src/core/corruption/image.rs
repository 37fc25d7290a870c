/*!
The planar image on which the kernels work, and its conversion from and to a
batch of any pixel type and layout.

Color images with channels last are the common case. They are converted in one
pass for all three planes, with the vector instructions of the processor.
*/

// Vector code must be inlined into functions that are compiled for the detected processor.
#![allow(clippy::inline_always)]

use ndarray::{ArrayView3, ArrayViewMut3, Axis};
use pulp::{Arch, NullaryFnOnce};

use super::{Result, Stop};
use crate::core::parallel::PIECE;

/// A planar image: `channels` planes of `height` rows of `width` values.
#[derive(Clone, Debug, PartialEq)]
pub struct Image<T> {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub values: Vec<T>,
}

/// The image on which most kernels work: black is 0, white is 1.
pub type Planes = Image<f32>;

/// The image for kernels that are defined on 8 bits.
pub type Bytes = Image<u8>;

impl<T: Copy + Default> Image<T> {
    /// An image with one plane, given row by row.
    pub fn plane(height: usize, width: usize, values: Vec<T>) -> Self {
        Self {
            channels: 1,
            height,
            width,
            values,
        }
    }

    /// The planes one after another.
    pub fn planes_mut(&mut self) -> impl Iterator<Item = &mut [T]> {
        self.values.chunks_exact_mut(self.height * self.width)
    }

    /// The three planes of a color image; none for any other channel count.
    pub fn colour_mut(&mut self) -> Option<[&mut [T]; 3]> {
        if self.channels != 3 {
            return None;
        }
        let (red, rest) = self.values.split_at_mut(self.height * self.width);
        let (green, blue) = rest.split_at_mut(self.height * self.width);
        Some([red, green, blue])
    }

    /// The three planes of a color image in pieces, with a check for interruption
    /// before each; nothing for any other channel count.
    pub fn colour_pieces<'s>(
        &'s mut self,
        stop: &'s Stop,
    ) -> impl Iterator<Item = Result<[&'s mut [T]; 3]>> {
        let planes = self.colour_mut().into_iter();
        stop.watch(planes.flat_map(|planes| {
            let [reds, greens, blues] = planes.map(|plane| plane.chunks_mut(PIECE));
            let pieces = reds.zip(greens).zip(blues);
            pieces.map(|((red, green), blue)| [red, green, blue])
        }))
    }

    /// Reads a (C, H, W) view, converting each value.
    pub fn read<S: Copy>(
        view: ArrayView3<S>,
        stop: &Stop,
        convert: impl Fn(S) -> T,
    ) -> Result<Self> {
        let (channels, height, width) = view.dim();
        let values = vec![T::default(); view.len()];
        let mut image = Self {
            channels,
            height,
            width,
            values,
        };
        let last = view.view().permuted_axes([1, 2, 0]);
        if let (Some(source), 2..) = (last.as_slice(), channels) {
            if channels == 3 {
                let pixels = source.as_chunks::<3>().0.chunks(PIECE);
                for (pixels, planes) in pixels.zip(image.colour_pieces(stop)) {
                    Arch::new().dispatch(Separate {
                        pixels,
                        planes: planes?,
                        convert: &convert,
                    });
                }
                return Ok(image);
            }
            for (channel, plane) in image.planes_mut().enumerate() {
                let pixels = source.chunks(channels * PIECE);
                for (piece, pixels) in stop.pieces(plane).zip(pixels) {
                    let pixels = pixels.chunks_exact(channels);
                    for (value, pixel) in piece?.iter_mut().zip(pixels) {
                        *value = convert(pixel[channel]);
                    }
                }
            }
        } else {
            let rows = (PIECE / width).max(1);
            for (plane, source) in image.planes_mut().zip(view.outer_iter()) {
                let out = stop.watch(plane.chunks_mut(rows * width));
                for (out, source) in out.zip(source.axis_chunks_iter(Axis(0), rows)) {
                    Arch::new().dispatch(Each {
                        source: source.iter(),
                        out: out?.iter_mut(),
                        convert: |&value: &S| convert(value),
                    });
                }
            }
        }
        Ok(image)
    }

    /// Writes into a (C, H, W) view, converting each value.
    pub fn write<S: Copy>(
        &self,
        mut view: ArrayViewMut3<S>,
        stop: &Stop,
        convert: impl Fn(T) -> S,
    ) -> Result<()> {
        let (channels, width) = (self.channels, self.width);
        let planes = self.values.chunks_exact(self.height * width);
        let mut last = view.view_mut().permuted_axes([1, 2, 0]);
        match (last.as_slice_mut(), channels) {
            (Some(out), 3) => {
                let mut pieces = planes.map(|plane| plane.chunks(PIECE)).collect::<Vec<_>>();
                for pixels in stop.pieces(out.as_chunks_mut::<3>().0) {
                    let mut planes = pieces.iter_mut().map(Iterator::next);
                    Arch::new().dispatch(Join {
                        planes: [(); 3].map(|()| planes.next().flatten().unwrap_or_default()),
                        pixels: pixels?,
                        convert: &convert,
                    });
                }
            }
            (Some(out), 2..) => {
                for (channel, plane) in planes.enumerate() {
                    let out = stop.watch(out.chunks_mut(channels * PIECE));
                    for (out, piece) in out.zip(plane.chunks(PIECE)) {
                        for (out, &value) in out?.chunks_exact_mut(channels).zip(piece) {
                            out[channel] = convert(value);
                        }
                    }
                }
            }
            _ => {
                let rows = (PIECE / width).max(1);
                for (plane, mut out) in planes.zip(view.outer_iter_mut()) {
                    let source = stop.watch(plane.chunks(rows * width));
                    for (source, mut out) in source.zip(out.axis_chunks_iter_mut(Axis(0), rows)) {
                        Arch::new().dispatch(Each {
                            source: source?.iter(),
                            out: out.iter_mut(),
                            convert: |&value: &T| convert(value),
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Converts values one by one, for any memory order.
struct Each<I, O, F> {
    source: I,
    out: O,
    convert: F,
}

impl<'a, S, T, I, O, F> NullaryFnOnce for Each<I, O, F>
where
    T: 'a,
    I: Iterator<Item = S>,
    O: Iterator<Item = &'a mut T>,
    F: Fn(S) -> T,
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (out, value) in self.out.zip(self.source) {
            *out = (self.convert)(value);
        }
    }
}

/// Converts color pixels to planes.
struct Separate<'a, S, T, F> {
    pixels: &'a [[S; 3]],
    planes: [&'a mut [T]; 3],
    convert: F,
}

impl<S: Copy, T, F: Fn(S) -> T> NullaryFnOnce for Separate<'_, S, T, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let [reds, greens, blues] = self.planes;
        let values = reds.iter_mut().zip(greens).zip(blues);
        for (&[r, g, b], ((red, green), blue)) in self.pixels.iter().zip(values) {
            *red = (self.convert)(r);
            *green = (self.convert)(g);
            *blue = (self.convert)(b);
        }
    }
}

/// Converts planes to color pixels.
struct Join<'a, S, T, F> {
    planes: [&'a [T]; 3],
    pixels: &'a mut [[S; 3]],
    convert: F,
}

impl<S: Copy, T: Copy, F: Fn(T) -> S> NullaryFnOnce for Join<'_, S, T, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let [reds, greens, blues] = self.planes;
        let values = reds.iter().zip(greens).zip(blues);
        for (pixel, ((&red, &green), &blue)) in self.pixels.iter_mut().zip(values) {
            pixel[0] = (self.convert)(red);
            pixel[1] = (self.convert)(green);
            pixel[2] = (self.convert)(blue);
        }
    }
}

/// Truncates a value that is not negative. The standard function is a slow call on
/// older processors, and this function is called for every pixel.
pub fn whole(value: f32) -> f32 {
    (value as i32) as f32
}

/// Luminance, with the weights of the published code.
pub fn gray(red: f32, green: f32, blue: f32) -> f32 {
    0.299 * red + 0.587 * green + 0.114 * blue
}

/// A pixel type and its meaning in [0, 1].
pub trait Pixel: Copy + Default + Send + Sync {
    /// The value in [0, 1].
    fn to_unit(self) -> f32;
    /// Converts a value to a pixel, after clipping it to [0, 1].
    fn from_unit(value: f32) -> Self;
    /// As [`Pixel::from_unit`], but rounds to the nearest level.
    fn nearest(value: f32) -> Self;
    /// The nearest of 256 levels.
    fn to_byte(self) -> u8;
    /// The pixel of a level.
    fn from_byte(level: u8) -> Self;
}

impl Pixel for u8 {
    #[inline(always)]
    fn to_unit(self) -> f32 {
        f32::from(self) / 255.0
    }

    /// Truncates, as the published code does. A 500th of a level is added first, so
    /// that rounding in single precision does not turn a whole level into the one below.
    #[inline(always)]
    fn from_unit(value: f32) -> Self {
        (value * 255.0 + 0.002) as Self
    }

    #[inline(always)]
    fn nearest(value: f32) -> Self {
        (value * 255.0 + 0.5) as Self
    }

    fn to_byte(self) -> u8 {
        self
    }

    fn from_byte(level: u8) -> Self {
        level
    }
}

impl Pixel for f32 {
    #[inline(always)]
    fn to_unit(self) -> f32 {
        self
    }

    #[inline(always)]
    fn from_unit(value: f32) -> Self {
        value.clamp(0.0, 1.0)
    }

    #[inline(always)]
    fn nearest(value: f32) -> Self {
        Self::from_unit(value)
    }

    fn to_byte(self) -> u8 {
        (self * 255.0 + 0.5) as u8
    }

    fn from_byte(level: u8) -> Self {
        Self::from(level) / 255.0
    }
}

impl Pixel for f64 {
    #[inline(always)]
    fn to_unit(self) -> f32 {
        self as f32
    }

    #[inline(always)]
    fn from_unit(value: f32) -> Self {
        value.clamp(0.0, 1.0).into()
    }

    #[inline(always)]
    fn nearest(value: f32) -> Self {
        Self::from_unit(value)
    }

    fn to_byte(self) -> u8 {
        (self * 255.0 + 0.5) as u8
    }

    fn from_byte(level: u8) -> Self {
        Self::from(level) / 255.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, s};

    #[test]
    fn every_layout_is_read_and_written_back() {
        let array = Array3::from_shape_fn((3, 5, 4), |(c, y, x)| (c * 50 + y * 7 + x) as u8);
        let expected: Vec<u8> = array.iter().copied().collect();
        let last = array
            .view()
            .permuted_axes([1, 2, 0])
            .as_standard_layout()
            .into_owned();
        let wide = ndarray::concatenate![ndarray::Axis(2), array, array];
        for view in [
            array.view(),
            last.view().permuted_axes([2, 0, 1]),
            wide.slice(s![.., .., 4..]),
        ] {
            let stop = &Stop::default();
            let image = Image::read(view, stop, |v| v).unwrap();
            assert_eq!(image.values, expected);
            let mut back = view.to_owned();
            back.fill(0);
            image.write(back.view_mut(), stop, |v| v).unwrap();
            assert_eq!(back, array);
        }
    }

    #[test]
    fn levels_survive_the_way_to_the_unit_and_back() {
        for level in 0..=255_u8 {
            assert_eq!(u8::from_unit(level.to_unit()), level);
            assert_eq!(f32::from_byte(level).to_byte(), level);
            assert_eq!(f64::from_byte(level).to_byte(), level);
        }
        assert_eq!(u8::from_unit(-0.3), 0);
        assert_eq!(u8::from_unit(1.7), 255);
        assert_eq!(u8::from_unit(99.9 / 255.0), 99);
        assert_eq!(u8::nearest(99.4 / 255.0), 99);
        assert_eq!(u8::nearest(99.6 / 255.0), 100);
    }
}
