/*!
The memory of a solve, and its passes, for the solvers of all norms.

Coordinates are in groups of eight, so that the compiler turns a pass into vector
instructions. They are f64 for every pixel type.
*/

use pulp::{Arch, NullaryFnOnce};

use super::Problem;
use super::rank::Rank;
use crate::core::real::Real;

/// Coordinates per lane group; groups are padded with idle coordinates.
pub(super) const LANES: usize = 8;
type Lanes = [f64; LANES];

/// The memory of one solve, reused between calls.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) pixels: Pixels,
    /// `l0`: the same pixels; coordinates outside the support have no room to move.
    pub(super) kept: Pixels,
    /// `l1`, `l0`: the values and weights from which the largest are chosen.
    pub(super) ranks: Vec<Rank>,
    /// `l0`: the gains from which the largest are chosen.
    pub(super) gains: Vec<f64>,
}

/// The coordinates of a problem.
#[derive(Debug, Default)]
pub(super) struct Pixels {
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
    /// `1 - x0`, the room above the origin.
    pub(super) above: Lanes,
}

/// Sums over all coordinates, compiled for each vector width.
struct Pass<'a, F, const N: usize> {
    groups: &'a [Group],
    terms: F,
}

impl<F: Fn(&Group, usize) -> [f64; N], const N: usize> NullaryFnOnce for Pass<'_, F, N> {
    type Output = [f64; N];

    // If not inlined, this would be compiled for the oldest supported processor.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn call(self) -> [f64; N] {
        let mut totals = [[0.0; LANES]; N];
        for group in self.groups {
            for k in 0..LANES {
                for (total, term) in totals.iter_mut().zip((self.terms)(group, k)) {
                    total[k] += term;
                }
            }
        }
        totals.map(|lanes| lanes.iter().sum())
    }
}

impl Scratch {
    /// Fills `ranks`, with one element per coordinate.
    pub(super) fn rank(&mut self, rank: impl Fn(&Group, usize) -> Rank) {
        let rank = &rank;
        let groups = self.pixels.groups.iter();
        self.ranks.clear();
        self.ranks
            .extend(groups.flat_map(|g| std::array::from_fn::<_, LANES, _>(|k| rank(g, k))));
    }
}

impl Pixels {
    /// Reads the problem, and returns `b . (x - x0)`.
    pub(super) fn load<T: Real>(&mut self, problem: &Problem<'_, T>) -> f64 {
        let (origins, origin) = problem.origin.as_chunks();
        let (points, point) = problem.point.as_chunks();
        let (normals, normal) = problem.normal.as_chunks();
        let whole = origins.iter().zip(points).zip(normals);
        self.groups.clear();
        self.groups
            .extend(whole.map(|((origin, point), normal)| Group::new(origin, point, normal)));
        if !normal.is_empty() {
            // Zeros fill the last group; they never move.
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

    /// Sums `terms(group, lane)` over all coordinates, with the widest vectors of the
    /// processor.
    #[inline]
    pub(super) fn sums<const N: usize>(
        &self,
        terms: impl Fn(&Group, usize) -> [f64; N],
    ) -> [f64; N] {
        let groups = &self.groups;
        Arch::new().dispatch(Pass { groups, terms })
    }

    /// Writes `x + delta` to `out`, clipped to [0, 1] because of rounding. A coordinate
    /// that returns to its origin gets exactly the origin's value.
    pub(super) fn write<T: Real>(
        &self,
        origin: &[T],
        out: &mut [T],
        delta: impl Fn(&Group, usize) -> f64,
    ) {
        let chunks = out.chunks_mut(LANES).zip(origin.chunks(LANES));
        for ((pixels, origins), group) in chunks.zip(&self.groups) {
            for (k, (pixel, &origin)) in pixels.iter_mut().zip(origins).enumerate() {
                let moved = origin.into() + (group.offset[k] + delta(group, k));
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

    /// The smallest and the largest move of a coordinate inside the box of `size`.
    #[inline]
    pub(super) fn walls(&self, size: f64, k: usize) -> (f64, f64) {
        let offset = self.offset[k];
        let low = -smaller(self.below[k], size) - offset;
        (low, smaller(self.above[k], size) - offset)
    }

    /// The room of a coordinate, from the origin, in the direction in which
    /// `sign * b . (x - x0)` grows.
    #[inline]
    pub(super) fn room(&self, sign: f64, k: usize) -> f64 {
        if sign * self.normal[k] > 0.0 {
            self.above[k]
        } else {
            self.below[k]
        }
    }
}

/// The minimum as one instruction; unlike `f64::min`, NaN has no special case.
#[inline]
pub(super) fn smaller(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// The maximum as one instruction.
#[inline]
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

#[inline]
pub(super) fn clamp(value: f64, low: f64, high: f64) -> f64 {
    larger(low, smaller(value, high))
}
