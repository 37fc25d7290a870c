/*!
The cosine transform of 8 x 8 pixels in whole numbers.

The factorisation of Loeffler, Ligtenberg and Moschytz (1989), twelve
multiplications per line, with constants of 13 fractional bits and rounding
where the reference JPEG codec rounds: its pixels are the definition here.
Coefficients are 8 times the orthonormal ones.
*/

/// Rows of values, or of coefficients.
pub type Block = [Lanes; 8];

/// One row: eight lines are transformed at once, a lane each.
type Lanes = [i32; 8];

/// Fractional bits of the constants, and those kept between the two passes.
const BITS: i32 = 13;
const KEPT: i32 = 2;

/// Rotations of the even half, and of the odd half: of one value, of two.
const EVEN: [i32; 3] = [4433, 6270, 15137];
const SINGLE: [i32; 4] = [2446, 16819, 25172, 12299];
const DOUBLE: [i32; 4] = [-7373, -20995, -16069, -3196];
const TURN: i32 = 9633;

/// Replaces values around 0 by what is left of them when their coefficients
/// are rounded to multiples of `steps`.
pub fn quantise(block: &mut Block, steps: &Block) {
    *block = transposed(block);
    forward(block, -KEPT, BITS - KEPT);
    *block = transposed(block);
    forward(block, KEPT, BITS + KEPT);
    for (row, steps) in block.iter_mut().zip(steps) {
        for (value, &step) in row.iter_mut().zip(steps) {
            let divisor = 8 * step;
            // The half keeps the quotient of whole numbers off the next one.
            let size = (value.abs() + divisor / 2) as f32 + 0.5;
            let count = (size * (1.0 / divisor as f32)) as i32;
            *value = value.signum() * count * step;
        }
    }
    inverse(block, BITS - KEPT);
    *block = transposed(block);
    inverse(block, BITS + KEPT + 3);
    *block = transposed(block);
}

fn transposed(block: &Block) -> Block {
    std::array::from_fn(|x| std::array::from_fn(|y| block[y][x]))
}

fn add(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane] + b[lane])
}

fn subtract(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane] - b[lane])
}

/// Values have 16 bits, as in the reference codec; said so, the product takes
/// one instruction for eight.
fn times(a: Lanes, factor: i32) -> Lanes {
    std::array::from_fn(|lane| i32::from(a[lane] as i16) * factor)
}

/// Divides by 2^bits, rounding; multiplies where `bits` is negative.
fn scale(a: Lanes, bits: i32) -> Lanes {
    std::array::from_fn(|lane| {
        if bits < 0 {
            a[lane] << -bits
        } else {
            (a[lane] + (1 << (bits - 1))) >> bits
        }
    })
}

/// The odd half, which both directions share: four values to four sums.
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

/// Transforms the eight columns; the two sums lose `plain` bits, the products
/// `turned`.
fn forward(v: &mut Block, plain: i32, turned: i32) {
    let sum: [Lanes; 4] = std::array::from_fn(|k| add(v[k], v[7 - k]));
    let odd = odd(std::array::from_fn(|k| subtract(v[3 - k], v[4 + k])));
    let (a, b) = (add(sum[0], sum[3]), add(sum[1], sum[2]));
    let (c, d) = (subtract(sum[1], sum[2]), subtract(sum[0], sum[3]));
    let turn = times(add(c, d), EVEN[0]);
    v[0] = scale(add(a, b), plain);
    v[4] = scale(subtract(a, b), plain);
    v[2] = scale(add(turn, times(d, EVEN[1])), turned);
    v[6] = scale(subtract(turn, times(c, EVEN[2])), turned);
    for (k, odd) in [7, 5, 3, 1].into_iter().zip(odd) {
        v[k] = scale(odd, turned);
    }
}

/// Transforms the eight columns back; all lose `bits`.
fn inverse(v: &mut Block, bits: i32) {
    let turn = times(add(v[2], v[6]), EVEN[0]);
    let c = subtract(turn, times(v[6], EVEN[2]));
    let d = add(turn, times(v[2], EVEN[1]));
    let (a, b) = (
        scale(add(v[0], v[4]), -BITS),
        scale(subtract(v[0], v[4]), -BITS),
    );
    let even = [add(a, d), add(b, c), subtract(b, c), subtract(a, d)];
    let odd = odd([v[7], v[5], v[3], v[1]]);
    for (k, even) in even.into_iter().enumerate() {
        v[k] = scale(add(even, odd[3 - k]), bits);
        v[7 - k] = scale(subtract(even, odd[3 - k]), bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    fn sample(seed: usize) -> Block {
        std::array::from_fn(|y| {
            std::array::from_fn(|x| {
                ((y * 31 + x * 47 + y * x * seed + seed) * 97 % 256) as i32 - 128
            })
        })
    }

    fn coefficient(block: &Block, v: usize, u: usize) -> f64 {
        let basis = |at: usize, k: usize| {
            let scale = if k == 0 { 0.125_f64.sqrt() } else { 0.5 };
            scale * ((2 * at + 1) as f64 * k as f64 * PI / 16.0).cos()
        };
        let mut sum = 0.0;
        for (y, row) in block.iter().enumerate() {
            for (x, &value) in row.iter().enumerate() {
                sum += basis(y, v) * basis(x, u) * f64::from(value);
            }
        }
        sum
    }

    #[test]
    fn coefficients_are_those_of_the_definition() {
        for seed in 0..20 {
            let block = sample(seed);
            let mut ours = transposed(&block);
            forward(&mut ours, -KEPT, BITS - KEPT);
            ours = transposed(&ours);
            forward(&mut ours, KEPT, BITS + KEPT);
            for (v, row) in ours.iter().enumerate() {
                for (u, &value) in row.iter().enumerate() {
                    let expected = 8.0 * coefficient(&block, v, u);
                    assert!((f64::from(value) - expected).abs() < 2.0, "{v} {u}");
                }
            }
        }
    }

    #[test]
    fn steps_of_one_keep_the_block_and_wide_ones_its_mean() {
        for seed in 0..20 {
            let mut block = sample(seed);
            quantise(&mut block, &[[1; 8]; 8]);
            for (row, before) in block.iter().zip(sample(seed)) {
                for (value, before) in row.iter().zip(before) {
                    assert!((value - before).abs() <= 2);
                }
            }
            let mut block = sample(seed);
            let mut steps = [[30_000; 8]; 8];
            steps[0][0] = 1;
            quantise(&mut block, &steps);
            let mean = coefficient(&sample(seed), 0, 0) / 8.0;
            assert!(
                block
                    .iter()
                    .flatten()
                    .all(|&v| (f64::from(v) - mean).abs() <= 1.0)
            );
        }
    }
}
