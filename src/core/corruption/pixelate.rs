/*!
Pixelate: shrink the image by area averages, then enlarge it to its original size.
*/

// Vector code must be inlined into functions that are compiled for the detected processor.
#![allow(clippy::inline_always)]

use pulp::{Arch, NullaryFnOnce};

use super::image::Bytes;
use super::{Result, Stop, Table};
use crate::core::parallel::PIECE;

/// Size of the shrunk image, as a share of the original size.
pub const PIXELATE: Table<f64> = [
    [0.95, 0.9, 0.85, 0.75, 0.65],
    [0.9, 0.8, 0.7, 0.6, 0.5],
    [0.6, 0.5, 0.4, 0.3, 0.25],
];

/// Fractional bits of the weights. As in Pillow, which the published code uses,
/// weights are multiples of 2^-22, and levels are rounded after each axis.
const BITS: u32 = 22;

/// The same pixel of up to four planes, which are averaged together.
type Quad = [u8; 4];

/// Shrinks and enlarges, both with a box filter.
pub fn pixelate(image: &mut Bytes, share: f64, stop: &Stop) -> Result<()> {
    Arch::new().dispatch(Job { image, share, stop })
}

/// The pixelation of one image.
struct Job<'a> {
    image: &'a mut Bytes,
    share: f64,
    stop: &'a Stop,
}

impl NullaryFnOnce for Job<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn call(self) -> Result<()> {
        let stop = self.stop;
        let (height, width) = (self.image.height, self.image.width);
        let small = |size: usize| (size as f64 * self.share) as usize;
        let rows = windows(height, small(height));
        let columns = windows(width, small(width));
        // The enlarged image repeats pixels: each window has one pixel.
        let wide: Vec<usize> = windows(columns.len(), width).iter().map(|w| w.0).collect();
        let high = windows(rows.len(), height);
        let size = height * width;
        let mut quads = vec![Quad::default(); size];
        for planes in self.image.values.chunks_mut(4 * size) {
            join(planes, &mut quads, stop)?;
            let shrunk = shrink(&quads, width, (&rows, &columns), stop)?;
            let mut lines = quads.chunks_exact_mut(width);
            let mut before: (usize, &[Quad]) = (usize::MAX, &[]);
            for (&(row, ..), line) in high.iter().zip(&mut lines) {
                stop.check()?;
                if row == before.0 {
                    line.copy_from_slice(before.1);
                } else {
                    let source = &shrunk[row * columns.len()..][..columns.len()];
                    for (pixel, &column) in line.iter_mut().zip(&wide) {
                        *pixel = source[column];
                    }
                }
                before = (row, line);
            }
            separate(&quads, planes, stop)?;
        }
        Ok(())
    }
}

/// Converts planes to quads. If there are fewer than four planes, the other values
/// of a quad have no meaning.
#[inline(always)]
fn join(planes: &[u8], quads: &mut [Quad], stop: &Stop) -> Result<()> {
    let size = quads.len();
    if let [reds, greens, blues] = planes.chunks_exact(size).collect::<Vec<_>>()[..] {
        let [reds, greens, blues] = [reds, greens, blues].map(|plane| plane.chunks(PIECE));
        let values = reds.zip(greens).zip(blues);
        for (quads, ((reds, greens), blues)) in stop.pieces(quads).zip(values) {
            let values = reds.iter().zip(greens).zip(blues);
            for (quad, ((&red, &green), &blue)) in quads?.iter_mut().zip(values) {
                *quad = [red, green, blue, 0];
            }
        }
        return Ok(());
    }
    for (at, plane) in planes.chunks_exact(size).enumerate() {
        for (quads, piece) in stop.pieces(quads).zip(plane.chunks(PIECE)) {
            for (quad, &value) in quads?.iter_mut().zip(piece) {
                quad[at] = value;
            }
        }
    }
    Ok(())
}

/// Converts quads to planes.
#[inline(always)]
fn separate(quads: &[Quad], planes: &mut [u8], stop: &Stop) -> Result<()> {
    for (at, plane) in planes.chunks_exact_mut(quads.len()).enumerate() {
        for (piece, quads) in stop.pieces(plane).zip(quads.chunks(PIECE)) {
            for (value, quad) in piece?.iter_mut().zip(quads) {
                *value = quad[at];
            }
        }
    }
    Ok(())
}

/// The pixels that one output pixel averages along an axis: the first pixel, the
/// number of pixels, and the weight of each pixel.
type Window = (usize, usize, u32);

/// Box windows that resize `from` pixels to `to` pixels.
fn windows(from: usize, to: usize) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let reach = 0.5 * scale.max(1.0);
    let window = |at: usize| {
        let centre = (at as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let is_inside = |pixel: &usize| {
            let distance = (*pixel as f64 - centre + 0.5) / scale.max(1.0);
            distance > -0.5 && distance <= 0.5
        };
        let mut inside = (first..end).filter(is_inside);
        let first = inside.next().unwrap_or(first);
        let count = 1 + inside.count();
        let weight = (f64::from(1 << BITS) / count as f64 + 0.5) as u32;
        (first, count, weight)
    };
    (0..to).map(window).collect()
}

/// The mean level, from a sum of levels.
#[inline(always)]
fn mean(sum: u32, weight: u32) -> u8 {
    ((sum * weight + (1 << (BITS - 1))) >> BITS) as u8
}

/// Averages along the rows, then along the columns.
#[inline(always)]
fn shrink(
    quads: &[Quad],
    width: usize,
    (rows, columns): (&[Window], &[Window]),
    stop: &Stop,
) -> Result<Vec<Quad>> {
    let mut narrow = Vec::with_capacity(quads.len() / width * columns.len());
    for row in quads.chunks_exact(width) {
        stop.check()?;
        narrow.extend(columns.iter().map(|&(first, count, weight)| {
            let mut sums = [0_u32; 4];
            for pixel in &row[first..first + count] {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += u32::from(value);
                }
            }
            sums.map(|sum| mean(sum, weight))
        }));
    }
    let length = 4 * columns.len();
    let mut shrunk = vec![Quad::default(); rows.len() * columns.len()];
    let mut sums = vec![0_u16; length];
    let lines = shrunk.as_flattened_mut().chunks_exact_mut(length);
    for (line, &(first, count, weight)) in lines.zip(rows) {
        stop.check()?;
        sums.fill(0);
        let levels = narrow.as_flattened().chunks_exact(length);
        for row in levels.skip(first).take(count) {
            for (sum, &level) in sums.iter_mut().zip(row) {
                *sum += u16::from(level);
            }
        }
        for (level, &sum) in line.iter_mut().zip(&sums) {
            *level = mean(sum.into(), weight);
        }
    }
    Ok(shrunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_their_mean() {
        let values: Vec<u8> = (0..=255).collect();
        let mut image = Bytes::plane(16, 16, values.clone());
        pixelate(&mut image, 0.5, &Stop::default()).unwrap();
        for y in 0..16 {
            for x in 0..16 {
                let corner = (y / 2 * 2) * 16 + x / 2 * 2;
                let block = [0, 1, 16, 17].map(|offset| u32::from(values[corner + offset]));
                let mean = f64::from(block.iter().sum::<u32>()) / 4.0;
                let got = f64::from(image.values[y * 16 + x]);
                // Two roundings, one per axis.
                assert!((got - mean).abs() <= 1.0, "{got} {mean}");
            }
        }
        let mut same = Bytes::plane(16, 16, values.clone());
        pixelate(&mut same, 1.0, &Stop::default()).unwrap();
        assert_eq!(same.values, values);
    }

    #[test]
    fn an_enlarged_pixel_is_the_mean_of_one() {
        for size in 16..700 {
            for share in PIXELATE.into_iter().flatten() {
                let small = (size as f64 * share) as usize;
                assert!(windows(small, size).iter().all(|&(_, count, _)| count == 1));
            }
        }
    }

    #[test]
    fn any_number_of_planes_is_treated_one_by_one() {
        let (height, width) = (19, 23);
        let values: Vec<u8> = (0..6 * height * width)
            .map(|at| (at * at / 7 % 251) as u8)
            .collect();
        let plane = |index: usize| {
            let size = height * width;
            Bytes::plane(height, width, values[index * size..][..size].to_vec())
        };
        for channels in 1..=6 {
            let mut image = Bytes {
                channels,
                height,
                width,
                values: values[..channels * height * width].to_vec(),
            };
            pixelate(&mut image, 0.6, &Stop::default()).unwrap();
            for (index, got) in image.planes_mut().enumerate() {
                let mut alone = plane(index);
                pixelate(&mut alone, 0.6, &Stop::default()).unwrap();
                assert_eq!(got, alone.values, "{index} of {channels}");
            }
        }
    }
}
