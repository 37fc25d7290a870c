/*!
Butterflies of eight complex numbers at a time, one in each lane.
*/

use std::arch::x86_64::__m256;
use std::f32::consts::FRAC_1_SQRT_2;

use pulp::x86::V3;
use pulp::{Simd, cast, f32x8};

/// Pixels in a cache line.
pub const LINE: usize = 16;

/// Cosine and sine.
pub type Root = (f32, f32);

/// Eight complex numbers.
#[derive(Clone, Copy)]
pub struct Octet {
    /// Real parts.
    pub re: f32x8,
    /// Imaginary parts.
    pub im: f32x8,
}

/// Zero in all lanes.
pub const ZERO: f32x8 = f32x8(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
/// See [`ZERO`].
pub const NOTHING: Octet = Octet { re: ZERO, im: ZERO };

/// The arithmetic of octets, on a processor with the needed instructions.
#[derive(Clone, Copy)]
pub struct Unit(pub V3);

/// The first pass: a transform of `R` octets.
pub trait Radix<const R: usize> {
    /// The unnormalized forward transform.
    fn dft(self, x: [Octet; R]) -> [Octet; R];
}

impl Radix<2> for Unit {
    #[inline(always)]
    fn dft(self, [a, b]: [Octet; 2]) -> [Octet; 2] {
        [self.add(a, b), self.sub(a, b)]
    }
}

impl Radix<4> for Unit {
    #[inline(always)]
    fn dft(self, [a, b, c, d]: [Octet; 4]) -> [Octet; 4] {
        let even = (self.add(a, c), self.sub(a, c));
        let odd = (self.add(b, d), self.sub(b, d));
        self.cross(even, odd)
    }
}

impl Radix<8> for Unit {
    #[inline(always)]
    fn dft(self, [a, b, c, d, e, f, g, h]: [Octet; 8]) -> [Octet; 8] {
        self.join(self.dft([a, c, e, g]), self.dft([b, d, f, h]))
    }
}

impl Unit {
    /// The second pass: multiplies each octet by its root, then transforms the eight
    /// octets. The roots of group 0 are 1.
    #[inline(always)]
    pub fn second(self, group: usize, x: &[Octet; 8], roots: &[Root; 8]) -> [Octet; 8] {
        if group == 0 {
            return self.dft(*x);
        }
        let even = self.cross(
            self.butterfly(x[0], x[4], roots[4]),
            self.butterfly(self.rotate(x[2], roots[2]), x[6], roots[6]),
        );
        let odd = self.cross(
            self.butterfly(self.rotate(x[1], roots[1]), x[5], roots[5]),
            self.butterfly(self.rotate(x[3], roots[3]), x[7], roots[7]),
        );
        self.join(even, odd)
    }

    /// The last stage of a transform of four, from the sums and differences of the even
    /// and odd elements.
    #[inline(always)]
    fn cross(self, even: (Octet, Octet), odd: (Octet, Octet)) -> [Octet; 4] {
        let (b, d) = self.quarter(even.1, odd.1);
        [self.add(even.0, odd.0), b, self.sub(even.0, odd.0), d]
    }

    /// The last stage of a transform of eight, from the transforms of the even and the odd
    /// elements.
    #[inline(always)]
    fn join(self, even: [Octet; 4], odd: [Octet; 4]) -> [Octet; 8] {
        const HALF: f32 = FRAC_1_SQRT_2;
        let (a, e) = (self.add(even[0], odd[0]), self.sub(even[0], odd[0]));
        let (b, f) = self.butterfly(even[1], odd[1], (HALF, -HALF));
        let (c, g) = self.quarter(even[2], odd[2]);
        let (d, h) = self.butterfly(even[3], odd[3], (-HALF, -HALF));
        [a, b, c, d, e, f, g, h]
    }

    /// `a - i b` and `a + i b`.
    #[inline(always)]
    fn quarter(self, a: Octet, b: Octet) -> (Octet, Octet) {
        let Self(simd) = self;
        let minus = Octet {
            re: simd.add_f32s(a.re, b.im),
            im: simd.sub_f32s(a.im, b.re),
        };
        let plus = Octet {
            re: simd.sub_f32s(a.re, b.im),
            im: simd.add_f32s(a.im, b.re),
        };
        (minus, plus)
    }

    #[inline(always)]
    fn add(self, a: Octet, b: Octet) -> Octet {
        Octet {
            re: self.0.add_f32s(a.re, b.re),
            im: self.0.add_f32s(a.im, b.im),
        }
    }

    #[inline(always)]
    fn sub(self, a: Octet, b: Octet) -> Octet {
        Octet {
            re: self.0.sub_f32s(a.re, b.re),
            im: self.0.sub_f32s(a.im, b.im),
        }
    }

    /// `a w`.
    #[inline(always)]
    fn rotate(self, a: Octet, w: Root) -> Octet {
        let Self(simd) = self;
        let (cos, sin) = (simd.splat_f32s(w.0), simd.splat_f32s(w.1));
        Octet {
            re: self.minus(a.im, sin, simd.mul_f32s(a.re, cos)),
            im: simd.mul_add_f32s(a.re, sin, simd.mul_f32s(a.im, cos)),
        }
    }

    /// `a + b w` and `a - b w`.
    #[inline(always)]
    fn butterfly(self, a: Octet, b: Octet, w: Root) -> (Octet, Octet) {
        let Self(simd) = self;
        let (cos, sin) = (simd.splat_f32s(w.0), simd.splat_f32s(w.1));
        let plus = Octet {
            re: self.minus(b.im, sin, simd.mul_add_f32s(b.re, cos, a.re)),
            im: simd.mul_add_f32s(b.re, sin, simd.mul_add_f32s(b.im, cos, a.im)),
        };
        let minus = Octet {
            re: simd.mul_add_f32s(b.im, sin, self.minus(b.re, cos, a.re)),
            im: self.minus(b.re, sin, self.minus(b.im, cos, a.im)),
        };
        (plus, minus)
    }

    /// `c - a b`.
    #[inline(always)]
    fn minus(self, a: f32x8, b: f32x8, c: f32x8) -> f32x8 {
        cast(self.0.fma._mm256_fnmadd_ps(cast(a), cast(b), cast(c)))
    }

    /// Prefetches cache lines of the next planes into the second-level cache.
    #[inline(always)]
    pub fn fetch(self, ahead: &[f32], first: usize, count: usize) {
        const SECOND_LEVEL: i32 = 2;
        for line in first..first + count {
            if let Some(pixel) = ahead.get(line * LINE) {
                let address = std::ptr::from_ref(pixel).cast();
                self.0.sse._mm_prefetch::<SECOND_LEVEL>(address);
            }
        }
    }

    /// `sum + |a|^2`.
    #[inline(always)]
    pub fn add_power(self, a: Octet, sum: f32x8) -> f32x8 {
        let with_re = self.0.mul_add_f32s(a.re, a.re, sum);
        self.0.mul_add_f32s(a.im, a.im, with_re)
    }

    /// Exchanges lanes and positions: octet `i` of the result has lane `i` of each octet.
    #[inline(always)]
    pub fn turn(self, rows: &[Octet; 8]) -> [Octet; 8] {
        let re = self.transpose(rows.map(|row| row.re));
        let im = self.transpose(rows.map(|row| row.im));
        let mut turned = [NOTHING; 8];
        for i in 0..8 {
            (turned[i].re, turned[i].im) = (re[i], im[i]);
        }
        turned
    }

    /// Transposes a square of eight vectors.
    #[inline(always)]
    fn transpose(self, [a, b, c, d, e, f, g, h]: [f32x8; 8]) -> [f32x8; 8] {
        let [top, bottom] = [self.turn_half(a, b, c, d), self.turn_half(e, f, g, h)];
        let avx = self.0.avx;
        let mut turned = [ZERO; 8];
        for i in 0..4 {
            turned[i] = cast(avx._mm256_permute2f128_ps::<0x20>(top[i], bottom[i]));
            turned[i + 4] = cast(avx._mm256_permute2f128_ps::<0x31>(top[i], bottom[i]));
        }
        turned
    }

    /// Vector `i` of the result has columns `i` and `i + 4` of four rows in its halves.
    #[inline(always)]
    fn turn_half(self, a: f32x8, b: f32x8, c: f32x8, d: f32x8) -> [__m256; 4] {
        let avx = self.0.avx;
        let low = avx._mm256_unpacklo_ps(cast(a), cast(b));
        let high = avx._mm256_unpackhi_ps(cast(a), cast(b));
        let next_low = avx._mm256_unpacklo_ps(cast(c), cast(d));
        let next_high = avx._mm256_unpackhi_ps(cast(c), cast(d));
        [
            avx._mm256_shuffle_ps::<0x44>(low, next_low),
            avx._mm256_shuffle_ps::<0xEE>(low, next_low),
            avx._mm256_shuffle_ps::<0x44>(high, next_high),
            avx._mm256_shuffle_ps::<0xEE>(high, next_high),
        ]
    }
}
