/*!
Pixelate: fewer pixels by area averages, and back to the size there was.
*/

use super::Table;
use super::image::Bytes;

/// Size in between, as a share.
pub const PIXELATE: Table<f64> = [
    [0.95, 0.9, 0.85, 0.75, 0.65],
    [0.9, 0.8, 0.7, 0.6, 0.5],
    [0.6, 0.5, 0.4, 0.3, 0.25],
];

/// Weights are whole numbers over 2^22, as in the image library of the
/// published code, and levels are rounded after each axis.
const BITS: u32 = 22;

/// Shrinks and enlarges, both with a box filter.
pub fn pixelate(image: &mut Bytes, share: f64) {
    let (height, width) = (image.height, image.width);
    let small = |size: usize| (size as f64 * share) as usize;
    let (rows, columns) = (small(height), small(width));
    for plane in image.planes_mut() {
        let shrunk = resize(plane, (height, width), (rows, columns));
        let enlarged = resize(&shrunk, (rows, columns), (height, width));
        plane.copy_from_slice(&enlarged);
    }
}

/// What one output pixel averages along an axis: the first pixel, how many,
/// and the weight of each.
type Window = (usize, usize, u32);

/// Box windows from `from` pixels to `to`.
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

/// The level of a sum of levels.
fn mean(sum: u32, weight: u32) -> u8 {
    ((sum * weight + (1 << (BITS - 1))) >> BITS) as u8
}

fn resize(plane: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let columns = windows(from.1, to.1);
    let mut wide = Vec::with_capacity(from.0 * to.1);
    for row in plane.chunks_exact(from.1) {
        wide.extend(columns.iter().map(|&(first, count, weight)| {
            let pixels = &row[first..first + count];
            mean(pixels.iter().map(|&pixel| u32::from(pixel)).sum(), weight)
        }));
    }
    let mut out = Vec::with_capacity(to.0 * to.1);
    let mut sums = vec![0_u32; to.1];
    for (first, count, weight) in windows(from.0, to.0) {
        sums.fill(0);
        for row in wide.chunks_exact(to.1).skip(first).take(count) {
            for (sum, &pixel) in sums.iter_mut().zip(row) {
                *sum += u32::from(pixel);
            }
        }
        out.extend(sums.iter().map(|&sum| mean(sum, weight)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_their_mean() {
        let values: Vec<u8> = (0..=255).collect();
        let mut image = Bytes::plane(16, 16, values.clone());
        pixelate(&mut image, 0.5);
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
        pixelate(&mut same, 1.0);
        assert_eq!(same.values, values);
    }
}
