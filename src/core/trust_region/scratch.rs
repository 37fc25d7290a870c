/*!
The memory of a solve and its passes: what the solvers of all norms share.

Coordinates lie in groups of eight, so that a pass becomes vector
instructions, in f64 whatever the pixels are.
*/

use super::Problem;
use crate::core::real::Real;

/// Coordinates per lane group; groups are padded with idle coordinates.
const LANES: usize = 8;
type Lanes = [f64; LANES];

/// The memory of one solve, reused between calls.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) groups: Vec<Group>,
    /// `sum |b|`.
    pub(super) sum: f64,
    /// `sum b^2`.
    pub(super) square: f64,
}

/// Eight coordinates.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Group {
    /// `b`.
    pub(super) normal: Lanes,
    /// `x - x0`.
    pub(super) offset: Lanes,
    /// `x0 - 0`, the room below the origin.
    pub(super) below: Lanes,
    /// `1 - x0`, the room above it.
    pub(super) above: Lanes,
}

impl Scratch {
    /// Takes the problem in, and returns `b . (x - x0)`.
    pub(super) fn load<T: Real>(&mut self, problem: &Problem<'_, T>) -> f64 {
        let (origins, origin) = problem.origin.as_chunks();
        let (points, point) = problem.point.as_chunks();
        let (normals, normal) = problem.normal.as_chunks();
        let whole = origins.iter().zip(points).zip(normals);
        self.groups.clear();
        self.groups
            .extend(whole.map(|((origin, point), normal)| Group::new(origin, point, normal)));
        if !normal.is_empty() {
            // Idle coordinates fill the last group.
            let fill = |rest: &[T]| std::array::from_fn(|k| *rest.get(k).unwrap_or(&T::ZERO));
            let (origin, point, normal) = (fill(origin), fill(point), fill(normal));
            self.groups.push(Group::new(&origin, &point, &normal));
        }
        let [sum, square, along] = self.sums(|g, k| {
            let b = g.normal[k];
            [b.abs(), b * b, b * g.offset[k]]
        });
        (self.sum, self.square) = (sum, square);
        along
    }

    /// `max |x - x0|`.
    pub(super) fn present_size(&self) -> f64 {
        let offsets = self.groups.iter().flat_map(|group| group.offset);
        offsets.fold(0.0, |most, offset| larger(offset.abs(), most))
    }

    /// Sums of `terms(group, lane)` over all coordinates.
    #[inline]
    pub(super) fn sums<const N: usize>(
        &self,
        terms: impl Fn(&Group, usize) -> [f64; N],
    ) -> [f64; N] {
        let mut totals = [[0.0; LANES]; N];
        for group in &self.groups {
            for k in 0..LANES {
                for (total, term) in totals.iter_mut().zip(terms(group, k)) {
                    total[k] += term;
                }
            }
        }
        totals.map(|lanes| lanes.iter().sum())
    }

    /// Adds `delta` to `out`, kept in [0, 1] against rounding.
    pub(super) fn write<T: Real>(&self, out: &mut [T], delta: impl Fn(&Group, usize) -> f64) {
        for (pixels, group) in out.chunks_mut(LANES).zip(&self.groups) {
            for (k, pixel) in pixels.iter_mut().enumerate() {
                let moved = (*pixel).into() + delta(group, k);
                *pixel = T::from_f64(clamp(moved, 0.0, 1.0));
            }
        }
    }
}

impl Group {
    #[inline]
    fn new<T: Real>(origin: &[T; LANES], point: &[T; LANES], normal: &[T; LANES]) -> Self {
        let origin: Lanes = origin.map(Into::into);
        let point: Lanes = point.map(Into::into);
        Self {
            normal: normal.map(Into::into),
            offset: std::array::from_fn(|k| point[k] - origin[k]),
            below: origin.map(|x| larger(x, 0.0)),
            above: origin.map(|x| larger(1.0 - x, 0.0)),
        }
    }

    /// How far a coordinate may move inside the box of `size`.
    #[inline]
    pub(super) fn walls(&self, size: f64, k: usize) -> (f64, f64) {
        let offset = self.offset[k];
        let low = -smaller(self.below[k], size) - offset;
        (low, smaller(self.above[k], size) - offset)
    }

    /// The step to the corner of the box at which it touches the plane. A
    /// coordinate without a part in `b` moves only as far as the box forces.
    pub(super) fn corner(&self, height: f64, size: f64, k: usize) -> f64 {
        let (low, high) = self.walls(size, k);
        let side = self.normal[k] * height.signum();
        if side > 0.0 {
            high
        } else if side < 0.0 {
            low
        } else {
            clamp(0.0, low, high)
        }
    }

    pub(super) fn clipped(&self, lambda: f64, size: f64, k: usize) -> f64 {
        let (low, high) = self.walls(size, k);
        clamp(lambda * self.normal[k], low, high)
    }
}

/// As the processor's minimum: unlike `f64::min`, no special case for NaN.
#[inline]
pub(super) fn smaller(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// As the processor's maximum.
#[inline]
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

#[inline]
pub(super) fn clamp(value: f64, low: f64, high: f64) -> f64 {
    larger(low, smaller(value, high))
}
