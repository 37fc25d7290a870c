/*!
JPEG compression: what the format loses, without the file.

Entropy coding loses nothing, so it is left out. The rest follows the
reference codec's defaults in whole numbers: chroma at half resolution both
ways, its accurate integer transform, and triangle interpolation on the way
back. A test holds it to the pixels of that codec. The codec crates at hand
take one chroma pixel of four instead of their mean, which is up to 59 levels
away from the published images.
*/

use super::Table;
use super::dct::{self, Block};
use super::image::Bytes;

/// Quality of the compression.
pub const JPEG: Table<i32> = [
    [80, 65, 58, 50, 40],
    [65, 58, 50, 40, 25],
    [25, 18, 15, 10, 7],
];

/// The standard's example tables, for luminance and chrominance.
#[rustfmt::skip]
const STEPS: [Block; 2] = [
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

/// Quantisation steps of luminance and chrominance.
#[derive(Clone, Debug)]
pub struct Jpeg([Block; 2]);

impl Jpeg {
    /// The steps of a quality from 1 to 100.
    pub fn new(quality: i32) -> Self {
        let percent = if quality < 50 {
            5000 / quality
        } else {
            200 - 2 * quality
        };
        let scaled = |step: i32| ((step * percent + 50) / 100).clamp(1, 255);
        Self(STEPS.map(|table| table.map(|row| row.map(scaled))))
    }

    /// Compresses and decompresses; a gray image has luminance alone.
    pub fn apply(&self, image: &mut Bytes) {
        let (height, width) = (image.height, image.width);
        let [luminance, chrominance] = &self.0;
        let Some([reds, greens, blues]) = image.colour_mut() else {
            for plane in image.planes_mut() {
                quantise(plane, width, luminance);
            }
            return;
        };
        separate(reds, greens, blues);
        quantise(reds, width, luminance);
        for plane in [greens, blues] {
            let (mut small, stride) = halve(plane, (height, width));
            quantise(&mut small, stride, chrominance);
            double(&small, stride, plane, width);
        }
        let Some([reds, greens, blues]) = image.colour_mut() else {
            return;
        };
        join(reds, greens, blues);
    }
}

/// Quantises every 8 x 8 block of a plane; the last row and column repeat
/// beyond the edge.
fn quantise(plane: &mut [u8], width: usize, steps: &Block) {
    let height = plane.len() / width;
    for top in (0..height).step_by(8) {
        for left in (0..width).step_by(8) {
            let mut block = [[0; 8]; 8];
            for (y, row) in block.iter_mut().enumerate() {
                let line = &plane[(top + y).min(height - 1) * width..][..width];
                for (x, value) in row.iter_mut().enumerate() {
                    *value = i32::from(line[(left + x).min(width - 1)]) - 128;
                }
            }
            dct::quantise(&mut block, steps);
            for (row, line) in block.iter().zip(plane.chunks_exact_mut(width).skip(top)) {
                for (value, pixel) in row.iter().zip(&mut line[left..]) {
                    *pixel = (value + 128).clamp(0, 255) as u8;
                }
            }
        }
    }
}

/// Means of 2 x 2 pixels, rounded down and up in turns, on a width of whole
/// blocks, which is returned too.
fn halve(plane: &[u8], (height, width): (usize, usize)) -> (Vec<u8>, usize) {
    let stride = width.div_ceil(16) * 8;
    let mut small = Vec::with_capacity(height.div_ceil(2) * stride);
    for y in (0..height).step_by(2) {
        let upper = &plane[y * width..][..width];
        let lower = &plane[(y + 1).min(height - 1) * width..][..width];
        small.extend((0..stride).map(|x| {
            let (left, right) = ((2 * x).min(width - 1), (2 * x + 1).min(width - 1));
            let sum = [upper[left], upper[right], lower[left], lower[right]];
            let sum: u16 = sum.iter().map(|&pixel| u16::from(pixel)).sum();
            ((sum + 1 + (x as u16 & 1)) >> 2) as u8
        }));
    }
    (small, stride)
}

/// Interpolates to twice the size: the nearest pixel has weight 3 of 4 along
/// each axis.
fn double(small: &[u8], stride: usize, plane: &mut [u8], width: usize) {
    let rows: Vec<&[u8]> = small
        .chunks_exact(stride)
        .map(|row| &row[..width.div_ceil(2)])
        .collect();
    let last = width.div_ceil(2) - 1;
    let mut sums = vec![0_i32; last + 3];
    for (y, out) in plane.chunks_exact_mut(width).enumerate() {
        let near = rows[y / 2];
        let far = if y % 2 == 0 {
            rows[(y / 2).saturating_sub(1)]
        } else {
            rows[(y / 2 + 1).min(rows.len() - 1)]
        };
        for ((sum, &near), &far) in sums[1..].iter_mut().zip(near).zip(far) {
            *sum = 3 * i32::from(near) + i32::from(far);
        }
        // The edge repeats, so every pixel has a neighbour on both sides.
        sums[0] = sums[1];
        sums[last + 2] = sums[last + 1];
        let mut pairs = out.chunks_exact_mut(2);
        for (pair, sums) in pairs.by_ref().zip(sums.windows(3)) {
            pair[0] = ((3 * sums[1] + sums[0] + 8) >> 4) as u8;
            pair[1] = ((3 * sums[1] + sums[2] + 7) >> 4) as u8;
        }
        if let [single] = pairs.into_remainder() {
            *single = ((3 * sums[last + 1] + sums[last] + 8) >> 4) as u8;
        }
    }
}

/// Red, green and blue to luminance and the two chrominances, in place.
fn separate(reds: &mut [u8], greens: &mut [u8], blues: &mut [u8]) {
    const MIDDLE: i32 = (128 << 16) + 32767;
    for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
        let (r, g, b) = (i32::from(*red), i32::from(*green), i32::from(*blue));
        *red = ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16) as u8;
        *green = ((-11059 * r - 21709 * g + 32768 * b + MIDDLE) >> 16) as u8;
        *blue = ((32768 * r - 27439 * g - 5329 * b + MIDDLE) >> 16) as u8;
    }
}

/// The way back of [`separate`].
fn join(reds: &mut [u8], greens: &mut [u8], blues: &mut [u8]) {
    for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
        let y = i32::from(*red);
        let (cb, cr) = (i32::from(*green) - 128, i32::from(*blue) - 128);
        let level = |change: i32| (y + ((change + 32768) >> 16)).clamp(0, 255) as u8;
        *red = level(91881 * cr);
        *green = level(-22554 * cb - 46802 * cr);
        *blue = level(116_130 * cb);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_scale_as_the_standard_library_does() {
        assert_eq!(Jpeg::new(50).0, STEPS);
        assert_eq!(Jpeg::new(100).0[0], [[1; 8]; 8]);
        // 25: twice the table, cut at 255; 80: 40 %.
        assert_eq!(Jpeg::new(25).0[0][4][5], 218);
        assert_eq!(Jpeg::new(80).0[0][0][0], 6);
        assert_eq!(Jpeg::new(7).0[1][7][7], 255);
    }

    #[test]
    fn flat_images_survive_within_the_step_of_their_mean() {
        for quality in JPEG.into_iter().flatten() {
            let jpeg = Jpeg::new(quality);
            let mut image = Bytes::plane(17, 21, vec![137; 357]);
            jpeg.apply(&mut image);
            let step = jpeg.0[0][0][0];
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
        let (small, stride) = halve(&ramp, (20, 30));
        assert_eq!(stride, 16);
        let mut back = vec![0; 600];
        double(&small, stride, &mut back, 30);
        for at in (0..600).filter(|at| (2..28).contains(&(at % 30)) && (2..18).contains(&(at / 30)))
        {
            assert!(ramp[at].abs_diff(back[at]) <= 1);
        }
    }
}
