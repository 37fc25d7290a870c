/*!
JPEG compression: the loss of the format, without a file.

Entropy coding is lossless, so it is left out. All other steps follow the
defaults of the reference codec in integer arithmetic: chroma at half resolution
along both axes, the accurate integer transform, and triangle interpolation of
chroma after decoding. A test compares the pixels with those of that codec.
Available codec crates take one of four chroma pixels instead of their mean,
which differs from the published images by up to 59 levels.
*/

// Vector code must be inlined into functions that are compiled for the detected processor.
#![allow(clippy::inline_always)]

use pulp::{Arch, NullaryFnOnce};

use super::dct::{self, LANES, Steps};
use super::image::Bytes;
use super::{Result, Stop, Table};

/// Quality of the compression.
pub const JPEG: Table<i32> = [
    [80, 65, 58, 50, 40],
    [65, 58, 50, 40, 25],
    [25, 18, 15, 10, 7],
];

/// The standard's example tables, for luminance and chrominance.
#[rustfmt::skip]
const STEPS: [[[i32; 8]; 8]; 2] = [
    [
        [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    [
        [17, 18, 24, 47, 99, 99, 99, 99], [18, 21, 26, 66, 99, 99, 99, 99],
        [24, 26, 56, 99, 99, 99, 99, 99], [47, 66, 99, 99, 99, 99, 99, 99],
        [99; 8], [99; 8], [99; 8], [99; 8],
    ],
];

/// Quantization steps of luminance and chrominance.
#[derive(Clone, Debug)]
pub struct Jpeg([Steps; 2]);

impl Jpeg {
    /// The steps of a quality from 1 to 100.
    pub fn new(quality: i32) -> Self {
        Self(steps(quality).map(|table| Steps::new(&table)))
    }

    /// Compresses and decompresses; a gray image has only luminance.
    pub fn apply(&self, image: &mut Bytes, stop: &Stop) -> Result<()> {
        Arch::new().dispatch(Job {
            jpeg: self,
            image,
            stop,
        })
    }
}

/// The tables of a quality.
fn steps(quality: i32) -> [[[i32; 8]; 8]; 2] {
    let percent = if quality < 50 {
        5000 / quality
    } else {
        200 - 2 * quality
    };
    let scaled = |step: i32| ((step * percent + 50) / 100).clamp(1, 255);
    STEPS.map(|table| table.map(|row| row.map(scaled)))
}

/// The compression of one image.
struct Job<'a> {
    jpeg: &'a Jpeg,
    image: &'a mut Bytes,
    stop: &'a Stop,
}

impl NullaryFnOnce for Job<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn call(self) -> Result<()> {
        let stop = self.stop;
        let (height, width) = (self.image.height, self.image.width);
        let [luminance, chrominance] = &self.jpeg.0;
        let Some(planes) = self.image.colour_mut() else {
            for plane in self.image.planes_mut() {
                let mut whole = Whole::new(height, width);
                for (line, row) in whole.rows_mut().zip(plane.chunks_exact(width)) {
                    line[..width].copy_from_slice(row);
                }
                whole.quantise((height, width), luminance, stop)?;
                for (row, line) in plane.chunks_exact_mut(width).zip(whole.rows_mut()) {
                    row.copy_from_slice(&line[..width]);
                }
            }
            return Ok(());
        };
        let mut whole = separate(&planes.each_ref().map(|plane| &**plane), width, stop)?;
        let [luma, blue, red] = &mut whole;
        luma.quantise((height, width), luminance, stop)?;
        let small = (height.div_ceil(2), blue.stride);
        blue.quantise(small, chrominance, stop)?;
        red.quantise(small, chrominance, stop)?;
        join(&whole, planes, width, stop)
    }
}

/// A plane that is padded to whole blocks.
struct Whole {
    stride: usize,
    levels: Vec<u8>,
}

impl Whole {
    /// Allocates a plane.
    #[inline(always)]
    fn new(height: usize, width: usize) -> Self {
        let stride = width.next_multiple_of(8);
        Self {
            stride,
            levels: vec![0; height.next_multiple_of(8) * stride],
        }
    }

    #[inline(always)]
    fn rows_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.levels.chunks_exact_mut(self.stride)
    }

    /// Quantizes every 8 x 8 block; the last row and column of the plane
    /// repeat beyond its edge.
    #[inline(always)]
    fn quantise(
        &mut self,
        (height, width): (usize, usize),
        steps: &Steps,
        stop: &Stop,
    ) -> Result<()> {
        for row in self.rows_mut().take(height) {
            repeat_last(row, width);
        }
        let stride = self.stride;
        let last = (height - 1) * stride..height * stride;
        for start in (height * stride..self.levels.len()).step_by(stride) {
            self.levels.copy_within(last.clone(), start);
        }
        let across = stride / 8;
        let count = self.levels.len() / 64;
        for first in (0..count).step_by(LANES) {
            stop.check()?;
            // Lanes after the last block repeat that block.
            let corners: [usize; LANES] = std::array::from_fn(|lane| {
                let at = (first + lane).min(count - 1);
                at / across * 8 * stride + at % across * 8
            });
            let mut blocks = [[[0; LANES]; 8]; 8];
            for (y, row) in blocks.iter_mut().enumerate() {
                load(row, &self.levels[y * stride..], &corners);
            }
            dct::quantise(&mut blocks, steps);
            for (y, row) in blocks.iter().enumerate() {
                store(row, &mut self.levels[y * stride..], &corners);
            }
        }
        Ok(())
    }
}

/// Repeats the last of `count` levels to the end of a row.
#[inline(always)]
fn repeat_last(row: &mut [u8], count: usize) {
    let last = row[count - 1];
    row[count..].fill(last);
}

/// Reads eight levels at each corner and subtracts 128. Levels are read as 32-bit words,
/// which are then split, so that the compiler can use vectors.
#[inline(always)]
fn load(row: &mut [[i32; LANES]; 8], levels: &[u8], corners: &[usize; LANES]) {
    let mut words = [[0_u32; LANES]; 2];
    for (lane, &corner) in corners.iter().enumerate() {
        if let Some(&[a, b, c, d, e, f, g, h]) = levels[corner..].first_chunk::<8>() {
            words[0][lane] = u32::from_le_bytes([a, b, c, d]);
            words[1][lane] = u32::from_le_bytes([e, f, g, h]);
        }
    }
    for (x, values) in row.iter_mut().enumerate() {
        for (value, word) in values.iter_mut().zip(words[x / 4]) {
            *value = ((word >> (8 * (x % 4))) & 255) as i32 - 128;
        }
    }
}

/// The inverse of [`load`], clipped to 8 bits.
#[inline(always)]
fn store(row: &[[i32; LANES]; 8], levels: &mut [u8], corners: &[usize; LANES]) {
    let mut words = [[0_u32; LANES]; 2];
    for (x, values) in row.iter().enumerate() {
        for (word, value) in words[x / 4].iter_mut().zip(values) {
            *word |= ((value + 128).clamp(0, 255) as u32) << (8 * (x % 4));
        }
    }
    for (lane, &corner) in corners.iter().enumerate() {
        let (low, high) = (u64::from(words[0][lane]), u64::from(words[1][lane]));
        if let Some(eight) = levels[corner..].first_chunk_mut::<8>() {
            *eight = (low | (high << 32)).to_le_bytes();
        }
    }
}

/// Converts red, green and blue to luminance, and to the two chrominances at half
/// the size.
#[inline(always)]
fn separate(planes: &[&[u8]; 3], width: usize, stop: &Stop) -> Result<[Whole; 3]> {
    const MIDDLE: i32 = (128 << 16) + 32767;
    let height = planes[0].len() / width;
    let stride = width.next_multiple_of(16);
    let mut luma = Whole::new(height, width);
    let mut small = [(); 2].map(|()| Whole::new(height.div_ceil(2), stride / 2));
    // Two rows of each chrominance.
    let mut pair = [(); 2].map(|()| vec![0; 2 * stride]);
    for (y, line) in luma.rows_mut().take(height).enumerate() {
        stop.check()?;
        let [red, green, blue] = planes.map(|plane| &plane[y * width..][..width]);
        let [cb, cr] = &mut pair;
        let start = y % 2 * stride;
        let (cb, cr) = (&mut cb[start..][..stride], &mut cr[start..][..stride]);
        let out = line.iter_mut().zip(cb.iter_mut()).zip(cr.iter_mut());
        let pixels = red.iter().zip(green).zip(blue);
        for (((luma, cb), cr), ((&r, &g), &b)) in out.zip(pixels) {
            let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
            *luma = ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16) as u8;
            *cb = ((-11059 * r - 21709 * g + 32768 * b + MIDDLE) >> 16) as u8;
            *cr = ((32768 * r - 27439 * g - 5329 * b + MIDDLE) >> 16) as u8;
        }
        repeat_last(cb, width);
        repeat_last(cr, width);
        if y % 2 == 1 || y == height - 1 {
            for (pair, small) in pair.iter().zip(&mut small) {
                let (upper, lower) = pair.split_at(stride);
                // If the number of rows is odd, the last row is paired with itself.
                let lower = if y % 2 == 0 { upper } else { lower };
                let start = y / 2 * small.stride;
                halve(upper, lower, &mut small.levels[start..][..stride / 2]);
            }
        }
    }
    let [blue, red] = small;
    Ok([luma, blue, red])
}

/// Means of 2 x 2 pixels; halves are alternately rounded down and up.
#[inline(always)]
fn halve(upper: &[u8], lower: &[u8], small: &mut [u8]) {
    let pairs = upper
        .as_chunks::<2>()
        .0
        .iter()
        .zip(lower.as_chunks::<2>().0);
    for (x, (out, (upper, lower))) in small.iter_mut().zip(pairs).enumerate() {
        let sum = u16::from(upper[0]) + u16::from(upper[1]);
        let sum = sum + u16::from(lower[0]) + u16::from(lower[1]);
        *out = ((sum + 1 + (x as u16 & 1)) >> 2) as u8;
    }
}

/// The inverse of [`separate`].
#[inline(always)]
fn join(
    [luma, blue, red]: &[Whole; 3],
    planes: [&mut [u8]; 3],
    width: usize,
    stop: &Stop,
) -> Result<()> {
    let count = width.div_ceil(2);
    let rows = (planes[0].len() / width).div_ceil(2);
    let mut sums = vec![0; count + 2];
    let mut large = [(); 2].map(|()| vec![0; 2 * count]);
    let lines = luma.levels.chunks_exact(luma.stride);
    let [reds, greens, blues] = planes.map(|plane| plane.chunks_exact_mut(width));
    for (y, (((red_out, green_out), blue_out), luma)) in
        reds.zip(greens).zip(blues).zip(lines).enumerate()
    {
        stop.check()?;
        let near = y / 2;
        let far = if y % 2 == 0 {
            near.saturating_sub(1)
        } else {
            (near + 1).min(rows - 1)
        };
        for (small, large) in [blue, red].into_iter().zip(&mut large) {
            let [near, far] = [near, far].map(|y| &small.levels[y * small.stride..][..count]);
            double(near, far, &mut sums, large);
        }
        let out = red_out.iter_mut().zip(green_out).zip(blue_out);
        let chroma = large[0].iter().zip(&large[1]);
        for (((red, green), blue), (&y, (&cb, &cr))) in out.zip(luma.iter().zip(chroma)) {
            let y = i32::from(y);
            let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
            let level = |change: i32| (y + ((change + 32768) >> 16)).clamp(0, 255) as u8;
            *red = level(91881 * cr);
            *green = level(-22554 * cb - 46802 * cr);
            *blue = level(116_130 * cb);
        }
    }
    Ok(())
}

/// Interpolates one row at twice the size: the nearest pixel has weight 3/4 along each
/// axis, and the edge pixels are repeated. `sums` has two more elements than a row.
#[inline(always)]
fn double(near: &[u8], far: &[u8], sums: &mut [u16], large: &mut [u8]) {
    let count = near.len();
    for ((sum, &near), &far) in sums[1..].iter_mut().zip(near).zip(far) {
        *sum = 3 * u16::from(near) + u16::from(far);
    }
    sums[0] = sums[1];
    sums[count + 1] = sums[count];
    let (left, own, right) = (&sums[..count], &sums[1..=count], &sums[2..]);
    let around = left.iter().zip(own).zip(right);
    for (pair, ((left, own), right)) in large.as_chunks_mut::<2>().0.iter_mut().zip(around) {
        pair[0] = ((3 * own + left + 8) >> 4) as u8;
        pair[1] = ((3 * own + right + 7) >> 4) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_scale_as_the_standard_library_does() {
        assert_eq!(steps(50), STEPS);
        assert_eq!(steps(100)[0], [[1; 8]; 8]);
        // Quality 25: twice the table, clipped at 255. Quality 80: 40 % of the table.
        assert_eq!(steps(25)[0][4][5], 218);
        assert_eq!(steps(80)[0][0][0], 6);
        assert_eq!(steps(7)[1][7][7], 255);
    }

    #[test]
    fn flat_images_survive_within_the_step_of_their_mean() {
        for quality in JPEG.into_iter().flatten() {
            let jpeg = Jpeg::new(quality);
            let mut image = Bytes::plane(17, 21, vec![137; 357]);
            jpeg.apply(&mut image, &Stop::default()).unwrap();
            let step = steps(quality)[0][0][0];
            for &pixel in &image.values {
                let away = (i32::from(pixel) - 137).abs();
                assert!(away <= step / 16 + 1, "{quality}: {pixel}");
            }
        }
    }

    #[test]
    fn halving_and_doubling_a_ramp_keeps_it() {
        let ramp: Vec<u8> = (0..20 * 30)
            .map(|at| (3 * (at % 30) + at / 30) as u8)
            .collect();
        // For gray pixels, luminance is the level and chrominance is neutral.
        let mut small = separate(&[&ramp, &ramp, &ramp], 30, &Stop::default()).unwrap();
        assert_eq!(small.each_ref().map(|plane| plane.stride), [32, 16, 16]);
        for (line, row) in small[0].rows_mut().zip(ramp.chunks_exact(30)) {
            assert_eq!(&line[..30], row);
            line.fill(128);
        }
        for rows in ramp.chunks_exact(60).enumerate() {
            let (upper, lower) = rows.1.split_at(30);
            for plane in &mut small[1..] {
                assert!(plane.levels[rows.0 * 16..][..15].iter().all(|&v| v == 128));
                halve(upper, lower, &mut plane.levels[rows.0 * 16..][..15]);
            }
        }
        let mut back = [(); 3].map(|()| vec![0; 600]);
        let planes = back.each_mut().map(|plane| &mut plane[..]);
        join(&small, planes, 30, &Stop::default()).unwrap();
        for at in (0..600).filter(|at| (2..28).contains(&(at % 30)) && (2..18).contains(&(at / 30)))
        {
            // 1.402 is the weight of the second chrominance in red.
            let red = 128.0 + 1.402 * (f64::from(ramp[at]) - 128.0);
            assert!((f64::from(back[0][at]) - red.max(0.0)).abs() <= 2.0);
        }
    }
}
