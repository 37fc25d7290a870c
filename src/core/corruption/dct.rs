/*!
The cosine transform of 8 x 8 pixels in integer arithmetic.

It is the factorization of Loeffler, Ligtenberg and Moschytz (1989), with
twelve multiplications per line. Constants have 13 fractional bits. Values are
rounded at the same places as in the reference JPEG codec, because the pixels
must be equal to those of that codec. Coefficients are 8 times the orthonormal
coefficients.

Eight blocks are transformed at once, one in each lane of a vector, so that
neither direction of the transform needs a transposition.
*/

// Vector code must be inlined into functions that are compiled for the detected processor.
#![allow(clippy::inline_always)]
// Iterators over small arrays by value are not unrolled.
#![allow(clippy::needless_range_loop)]

/// Blocks that are transformed at once.
pub const LANES: usize = 8;

/// The value at one position in each of eight blocks.
pub type Lanes = [i32; LANES];

/// Eight blocks of values, or of coefficients, by row and column.
pub type Blocks = [[Lanes; 8]; 8];

/// Fractional bits of the constants, and fractional bits kept between the two passes.
const BITS: i32 = 13;
const KEPT: i32 = 2;

/// Constants of the even half; of the odd half for one value, and for sums of two.
const EVEN: [i32; 3] = [4433, 6270, 15137];
const SINGLE: [i32; 4] = [2446, 16819, 25172, 12299];
const DOUBLE: [i32; 4] = [-7373, -20995, -16069, -3196];
const TURN: i32 = 9633;

/// Fractional bits of the reciprocals of quantization steps.
const SHARE: u32 = 20;

/// Quantization steps from 1 to 255, with their reciprocals in fixed point.
#[derive(Clone, Debug)]
pub struct Steps([[(i32, u32); 8]; 8]);

impl Steps {
    /// Computes the reciprocals of the steps, given by row and column.
    pub fn new(steps: &[[i32; 8]; 8]) -> Self {
        Self(steps.map(|row| row.map(|step| (step, (1_u32 << SHARE).div_ceil(step as u32)))))
    }
}

/// Transforms values around 0, rounds their coefficients to multiples of the
/// steps, and transforms them back.
#[inline(always)]
pub fn quantise(blocks: &mut Blocks, Steps(steps): &Steps) {
    for y in 0..8 {
        blocks[y] = forward(blocks[y], -KEPT, BITS - KEPT);
    }
    for x in 0..8 {
        let mut column = forward(column(blocks, x), KEPT, BITS + KEPT);
        for y in 0..8 {
            column[y] = rounded(column[y], steps[y][x]);
        }
        let column = inverse(column, BITS - KEPT);
        for y in 0..8 {
            blocks[y][x] = column[y];
        }
    }
    for y in 0..8 {
        blocks[y] = inverse(blocks[y], BITS + KEPT + 3);
    }
}

#[inline(always)]
fn column(blocks: &Blocks, x: usize) -> [Lanes; 8] {
    let mut column = [[0; LANES]; 8];
    for y in 0..8 {
        column[y] = blocks[y][x];
    }
    column
}

/// Divides coefficients by 8, and rounds them to the nearest multiple of a step;
/// halves are rounded away from 0.
///
/// Coefficients have less than 15 bits, so `eighths` has less than 12 bits. The
/// product with the reciprocal then fits 32 bits, and is exact after the shift.
#[inline(always)]
fn rounded(coefficients: Lanes, (step, share): (i32, u32)) -> Lanes {
    let mut out = [0; LANES];
    for lane in 0..LANES {
        let value = coefficients[lane];
        let eighths = (value.abs() + 4 * step) as u32 / 8;
        let size = ((eighths * share) >> SHARE) as i32 * step;
        out[lane] = if value < 0 { -size } else { size };
    }
    out
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    let mut sum = a;
    for lane in 0..LANES {
        sum[lane] += b[lane];
    }
    sum
}

#[inline(always)]
fn subtract(a: Lanes, b: Lanes) -> Lanes {
    let mut difference = a;
    for lane in 0..LANES {
        difference[lane] -= b[lane];
    }
    difference
}

/// Values have 16 bits, as in the reference codec. The conversion to 16 bits lets
/// the compiler use one instruction for eight products.
#[inline(always)]
fn times(a: Lanes, factor: i32) -> Lanes {
    let mut product = a;
    for lane in 0..LANES {
        product[lane] = i32::from(a[lane] as i16) * factor;
    }
    product
}

/// Divides by 2^bits, rounding; multiplies where `bits` is negative.
#[inline(always)]
fn scale(a: Lanes, bits: i32) -> Lanes {
    let mut scaled = a;
    for lane in 0..LANES {
        scaled[lane] = if bits < 0 {
            a[lane] << -bits
        } else {
            (a[lane] + (1 << (bits - 1))) >> bits
        };
    }
    scaled
}

/// The odd half of the transform, which both directions use: four sums of four values.
#[inline(always)]
fn odd([a, b, c, d]: [Lanes; 4]) -> [Lanes; 4] {
    let (outer, inner) = (times(add(a, d), DOUBLE[0]), times(add(b, c), DOUBLE[1]));
    let (even, odd) = (add(a, c), add(b, d));
    let turn = add(times(even, TURN), times(odd, TURN));
    let even = add(times(even, DOUBLE[2]), turn);
    let odd = add(times(odd, DOUBLE[3]), turn);
    [
        add(times(a, SINGLE[0]), add(outer, even)),
        add(times(b, SINGLE[1]), add(inner, odd)),
        add(times(c, SINGLE[2]), add(inner, even)),
        add(times(d, SINGLE[3]), add(outer, odd)),
    ]
}

/// Transforms one line. Sums are shifted right by `plain` bits, and products by `turned`.
#[inline(always)]
fn forward(v: [Lanes; 8], plain: i32, turned: i32) -> [Lanes; 8] {
    let (a, b) = (add(v[0], v[7]), add(v[1], v[6]));
    let (c, d) = (add(v[2], v[5]), add(v[3], v[4]));
    let odd = odd([
        subtract(v[3], v[4]),
        subtract(v[2], v[5]),
        subtract(v[1], v[6]),
        subtract(v[0], v[7]),
    ]);
    let (c, d) = (subtract(b, c), subtract(a, d));
    let (a, b) = (subtract(add(a, a), d), subtract(add(b, b), c));
    let turn = times(add(c, d), EVEN[0]);
    [
        scale(add(a, b), plain),
        scale(odd[3], turned),
        scale(add(turn, times(d, EVEN[1])), turned),
        scale(odd[2], turned),
        scale(subtract(a, b), plain),
        scale(odd[1], turned),
        scale(subtract(turn, times(c, EVEN[2])), turned),
        scale(odd[0], turned),
    ]
}

/// Transforms one line back; all values are shifted right by `bits`.
#[inline(always)]
fn inverse(v: [Lanes; 8], bits: i32) -> [Lanes; 8] {
    let turn = times(add(v[2], v[6]), EVEN[0]);
    let c = subtract(turn, times(v[6], EVEN[2]));
    let d = add(turn, times(v[2], EVEN[1]));
    let (a, b) = (
        scale(add(v[0], v[4]), -BITS),
        scale(subtract(v[0], v[4]), -BITS),
    );
    let even = [add(a, d), add(b, c), subtract(b, c), subtract(a, d)];
    let odd = odd([v[7], v[5], v[3], v[1]]);
    let mut out = v;
    for k in 0..4 {
        out[k] = scale(add(even[k], odd[3 - k]), bits);
        out[7 - k] = scale(subtract(even[k], odd[3 - k]), bits);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::array::from_fn;
    use std::f64::consts::PI;

    /// Eight unrelated blocks.
    fn sample(seed: usize) -> Blocks {
        from_fn(|y| {
            from_fn(|x| {
                from_fn(|lane| {
                    let seed = 8 * seed + lane;
                    ((y * 31 + x * 47 + y * x * seed + seed) * 97 % 256) as i32 - 128
                })
            })
        })
    }

    fn coefficient(blocks: &Blocks, lane: usize, v: usize, u: usize) -> f64 {
        let basis = |at: usize, k: usize| {
            let scale = if k == 0 { 0.125_f64.sqrt() } else { 0.5 };
            scale * ((2 * at + 1) as f64 * k as f64 * PI / 16.0).cos()
        };
        let mut sum = 0.0;
        for (y, row) in blocks.iter().enumerate() {
            for (x, values) in row.iter().enumerate() {
                sum += basis(y, v) * basis(x, u) * f64::from(values[lane]);
            }
        }
        sum
    }

    #[test]
    fn coefficients_are_those_of_the_definition() {
        for seed in 0..3 {
            let blocks = sample(seed);
            let rows = blocks.map(|row| forward(row, -KEPT, BITS - KEPT));
            for u in 0..8 {
                let ours = forward(column(&rows, u), KEPT, BITS + KEPT);
                for (v, values) in ours.iter().enumerate() {
                    for (lane, &value) in values.iter().enumerate() {
                        let expected = 8.0 * coefficient(&blocks, lane, v, u);
                        assert!((f64::from(value) - expected).abs() < 2.0, "{v} {u}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_coefficient_is_rounded_to_the_nearest_multiple() {
        for step in 1..=255 {
            let Steps(steps) = Steps::new(&[[step; 8]; 8]);
            for first in (-9000..9000).step_by(LANES) {
                let values: Lanes = from_fn(|lane| first + lane as i32);
                for (got, value) in rounded(values, steps[0][0]).into_iter().zip(values) {
                    let count = (value.abs() + 4 * step) / (8 * step);
                    assert_eq!(got, value.signum() * count * step, "{value} {step}");
                }
            }
        }
    }

    #[test]
    fn steps_of_one_keep_the_block_and_wide_ones_its_mean() {
        for seed in 0..3 {
            let before = sample(seed);
            let mut blocks = before;
            quantise(&mut blocks, &Steps::new(&[[1; 8]; 8]));
            let pairs = blocks.as_flattened().iter().zip(before.as_flattened());
            for (value, before) in pairs {
                for (value, before) in value.iter().zip(before) {
                    assert!((value - before).abs() <= 2);
                }
            }
            let mut blocks = before;
            let mut steps = [[30_000; 8]; 8];
            steps[0][0] = 1;
            quantise(&mut blocks, &Steps::new(&steps));
            for lane in 0..LANES {
                let mean = coefficient(&before, lane, 0, 0) / 8.0;
                let values = blocks.as_flattened().iter().map(|values| values[lane]);
                assert!(
                    values
                        .into_iter()
                        .all(|v| (f64::from(v) - mean).abs() <= 1.0)
                );
            }
        }
    }
}
