/*!
Power of small planes in single precision, eight columns at a time.

This module computes the sums of [`super::spectrum`] for planes whose sides are
16, 32 or 64 pixels. For these planes, moving values between library transforms
costs more time than the transforms. Eight neighboring columns are in the lanes of
one vector, so the transform along y reads memory in its own order. Its last
butterflies have eight frequencies of eight columns in registers. These squares
are transposed in the registers, and the transform along x then has frequencies in
its lanes. Powers are added in the order in which the last butterflies return
them, see [`Lanes::position`].

A transform of length `8 R` has one radix-`R` pass and one radix-8 pass: with
`n = 8 a + b` and `k = c + R d`,

```text
X(c + R d) = sum_b W_8^(b d) W_n^(b c) sum_a W_R^(a c) x(8 a + b)
```

The processor must have AVX2 and fused multiply-add; the plan checks this.
Rotations are merged into the additions that follow them, as fused multiply-adds.
Memory limits the speed, so planes are prefetched two pairs ahead.
*/

// Vector code must be inlined into functions that are compiled for the detected processor.
#![allow(clippy::inline_always)]
// Iterators over small arrays by value are not unrolled.
#![allow(clippy::needless_range_loop)]

mod octet;

use std::array::from_fn;

use pulp::x86::V3;
use pulp::{NullaryFnOnce, Simd, f32x8};

use octet::{LINE, NOTHING, Octet, Radix, Root, Unit, ZERO};

/// Lanes of a vector.
const LANES: usize = 8;

/// The working memory of one thread.
pub struct Scratch {
    /// The result of the first pass, at `[c][b]`.
    first: [[Octet; 8]; 8],
    /// The result of the transform along y, with eight frequencies in the lanes: by
    /// groups of frequencies, then by blocks of eight columns.
    turned: Vec<[Octet; 8]>,
}

/// The plan for one plane size.
pub struct Lanes {
    unit: Unit,
    height: usize,
    width: usize,
    /// `W_n^(b c)` at `[c][b]`, for the passes along y and along x.
    roots: [[[Root; 8]; 8]; 2],
}

impl Lanes {
    /// Plans transforms for this size; `None` if the size or the processor is not supported.
    #[must_use]
    pub fn new(height: usize, width: usize) -> Option<Self> {
        let is_served = [height, width].iter().all(|n| [16, 32, 64].contains(n));
        let simd = V3::try_new().filter(|_| is_served)?;
        Some(Self {
            unit: Unit(simd),
            height,
            width,
            roots: [roots(height), roots(width)],
        })
    }

    /// Working memory for this plan.
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        Scratch {
            first: [[NOTHING; 8]; 8],
            turned: vec![[NOTHING; 8]; self.height * self.width / 64],
        }
    }

    /// Pixels in a pair of planes.
    #[must_use]
    pub fn pair_length(&self) -> usize {
        2 * self.height * self.width
    }

    /// The position at which [`Lanes::add_power`] adds the power of a frequency.
    ///
    /// With `y = c + R d`, powers are in the order `[c][x][d]`.
    #[must_use]
    pub fn position(&self, y: usize, x: usize) -> usize {
        let radix = self.height / 8;
        (y % radix * self.width + x) * LANES + y / radix
    }

    /// Adds `|F(p + iq)|^2` to `sum`; with `demean`, the means of `p` and `q` are
    /// subtracted first.
    ///
    /// `planes` are `p` and `q`, whole and contiguous. `ahead` is prefetched for a later
    /// call.
    pub fn add_power(
        &self,
        scratch: &mut Scratch,
        planes: [&[f32]; 2],
        ahead: &[f32],
        demean: bool,
        sum: &mut [f32],
    ) {
        self.unit.0.vectorize(Job {
            plan: self,
            planes: planes.map(|plane| V3::as_simd_f32s(plane).0),
            ahead,
            demean,
            scratch,
            sum: V3::as_mut_simd_f32s(sum).0,
        });
    }
}

/// `W_n^(b c)` for the passes of length `n`.
fn roots(n: usize) -> [[Root; 8]; 8] {
    let root = |turns: f64| {
        let (sin, cos) = (-std::f64::consts::TAU * turns).sin_cos();
        (cos as f32, sin as f32)
    };
    from_fn(|c| from_fn(|b| root((b * c) as f64 / n as f64)))
}

/// The transform of one pair of planes.
struct Job<'a> {
    plan: &'a Lanes,
    planes: [&'a [f32x8]; 2],
    ahead: &'a [f32],
    demean: bool,
    scratch: &'a mut Scratch,
    sum: &'a mut [f32x8],
}

/// A plane of `8 Y` rows with `X` vectors each; row `8 a + b` is at `[a][b]`.
type Plane<const Y: usize, const X: usize> = [[[f32x8; X]; 8]; Y];

impl NullaryFnOnce for Job<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        match (self.plan.height, self.plan.width) {
            (16, 16) => self.transform::<2, 2>(),
            (16, 32) => self.transform::<2, 4>(),
            (16, _) => self.transform::<2, 8>(),
            (32, 16) => self.transform::<4, 2>(),
            (32, 32) => self.transform::<4, 4>(),
            (32, _) => self.transform::<4, 8>(),
            (_, 16) => self.transform::<8, 2>(),
            (_, 32) => self.transform::<8, 4>(),
            _ => self.transform::<8, 8>(),
        }
    }
}

impl Job<'_> {
    #[inline(always)]
    fn transform<const Y: usize, const X: usize>(mut self)
    where
        Unit: Radix<Y> + Radix<X>,
    {
        self.along_y::<Y, X>();
        self.along_x::<Y, X>();
    }

    /// Transforms along y in blocks of eight columns, and transposes the results.
    #[inline(always)]
    fn along_y<const Y: usize, const X: usize>(&mut self)
    where
        Unit: Radix<Y>,
    {
        let unit = self.plan.unit;
        let means = self.planes.map(|plane| self.mean(plane));
        let [p, q]: [Option<&Plane<Y, X>>; 2] = self.planes.map(shaped);
        let Scratch { first, turned } = &mut *self.scratch;
        let (Some(p), Some(q), Some(turned)) =
            (p, q, turned.as_chunks_mut::<X>().0.first_chunk_mut::<Y>())
        else {
            return;
        };
        for block in 0..X {
            for b in 0..8 {
                let lines = 8 * Y / LINE;
                unit.fetch(self.ahead, (8 * block + b) * lines, lines);
                let mut x = [NOTHING; Y];
                for a in 0..Y {
                    x[a].re = unit.0.sub_f32s(p[a][b][block], means[0]);
                    x[a].im = unit.0.sub_f32s(q[a][b][block], means[1]);
                }
                let y = unit.dft(x);
                for c in 0..Y {
                    first[c][b] = y[c];
                }
            }
            for c in 0..Y {
                let y = unit.second(c, &first[c], &self.plan.roots[0][c]);
                turned[c][block] = unit.turn(&y);
            }
        }
    }

    /// Transforms along x and adds the powers.
    #[inline(always)]
    fn along_x<const Y: usize, const X: usize>(&mut self)
    where
        Unit: Radix<X>,
    {
        let unit = self.plan.unit;
        let half = self.ahead.len() / (2 * LINE);
        let Scratch { first, turned } = &mut *self.scratch;
        let rows = turned.as_chunks::<X>().0;
        let sums = self.sum.as_chunks_mut::<X>().0.as_chunks_mut::<8>().0;
        for (group, (row, sum)) in rows.iter().zip(sums).enumerate() {
            for b in 0..8 {
                let lines = 8 * X / LINE;
                unit.fetch(self.ahead, half + (8 * group + b) * lines, lines);
                let y = unit.dft(from_fn(|a| row[a][b]));
                for c in 0..X {
                    first[c][b] = y[c];
                }
            }
            for c in 0..X {
                let y = unit.second(c, &first[c], &self.plan.roots[1][c]);
                for d in 0..8 {
                    sum[d][c] = unit.add_power(y[d], sum[d][c]);
                }
            }
        }
    }

    /// The mean of a plane in all lanes; zero without `demean`.
    #[inline(always)]
    fn mean(&self, plane: &[f32x8]) -> f32x8 {
        let Unit(simd) = self.plan.unit;
        if !self.demean {
            return ZERO;
        }
        let mut sums = [ZERO; 4];
        for four in plane.chunks_exact(4) {
            for (sum, &value) in sums.iter_mut().zip(four) {
                *sum = simd.add_f32s(*sum, value);
            }
        }
        let [a, b, c, d] = sums;
        let sum = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
        simd.splat_f32s(simd.reduce_sum_f32s(sum) / (LANES * plane.len()) as f32)
    }
}

/// A plane by rows; `None` if it is too small.
#[inline(always)]
fn shaped<const Y: usize, const X: usize>(plane: &[f32x8]) -> Option<&Plane<Y, X>> {
    let rows = plane.as_chunks::<X>().0.as_chunks::<8>().0;
    rows.first_chunk()
}
