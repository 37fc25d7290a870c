/*!
The sum norm.

1. *Only plane and box*: a fractional knapsack. From the origin, coordinates with
   the largest `|b|` move first, each to its wall, until the plane is reached. A
   weighted selection finds the last `|b|` in O(D). Coordinates with exactly this
   `|b|` may share the rest in any way, because the sum is the same. The shortest
   step is chosen.
2. *The ball binds.* With multipliers scaled to the length, the answer is
   `x0 + clip(soft(x - x0 + lambda b, weight))`, where `soft` shrinks towards zero by
   `weight`. At weight 0, this is the shortest step; for a large weight, it is the
   answer of case 1. [`Pixels::follow`] finds the weight whose step has the radius as
   length.
*/

use super::path::{Family, Part};
use super::rank::{Rank, value_at_weight};
use super::scratch::{Group, Scratch, clamp};
use super::{Aim, Clipped, Solver, Step};

pub(super) struct L1;

#[derive(Debug, Clone, Copy)]
pub(super) enum Sparse {
    Filled(Filled),
    Shrunk(Shrunk),
}

/// A step that moves coordinates with `|b|` above a limit to their walls, coordinates
/// below the limit to the origin, and coordinates at the limit by `clip(lambda b)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    lambda: f64,
    limit: f64,
    /// The sign of the plane's height as seen from the origin.
    sign: f64,
}

/// `clip(soft(x - x0 + lambda b, weight))`, as a step from `x`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shrunk {
    lambda: f64,
    weight: f64,
}

impl Solver for L1 {
    type Step = Sparse;

    fn alone(scratch: &mut Scratch, aim: &Aim) -> Option<(Sparse, f64)> {
        let sign = aim.height.signum();
        scratch.rank(|g, k| {
            let value = g.normal[k].abs();
            let weight = value * g.room(sign, k);
            Rank { value, weight }
        });
        let limit = value_at_weight(&mut scratch.ranks, aim.height.abs())?;
        let filled = |lambda| Filled {
            lambda,
            limit,
            sign,
        };
        // The guess is exact if one coordinate is at the limit and meets no wall.
        let [fixed, square] = scratch.pixels.sums(|g, k| {
            let (b, (low, high)) = (g.normal[k], filled(0.0).walls(g, k));
            if low < high {
                [0.0, b * b]
            } else {
                [b * low, 0.0]
            }
        });
        let rest = aim.change - fixed;
        let guess = if square > 0.0 { rest / square } else { 0.0 };
        let (lambda, [_, _, length]) = scratch.pixels.onto_plane(aim.change, guess, |lambda| {
            let filled = filled(lambda);
            scratch.pixels.sums(|g, k| {
                let b = g.normal[k];
                let (low, high) = filled.walls(g, k);
                let delta = clamp(lambda * b, low, high);
                let slope = if low < lambda * b && lambda * b < high {
                    b * b
                } else {
                    0.0
                };
                [b * delta, slope, delta * delta]
            })
        })?;
        Some((Sparse::Filled(filled(lambda)), length))
    }

    fn in_ball(scratch: &mut Scratch, aim: &Aim, _: &Sparse, shortest: &Clipped) -> Sparse {
        Sparse::Shrunk(scratch.pixels.follow(aim, shortest, f64::INFINITY))
    }
}

impl Filled {
    /// The smallest and the largest move of a coordinate.
    #[inline]
    fn walls(&self, group: &Group, lane: usize) -> (f64, f64) {
        let (b, offset) = (group.normal[lane], group.offset[lane]);
        let is_up = self.sign * b > 0.0;
        let full = if is_up {
            group.above[lane]
        } else {
            -group.below[lane]
        };
        let full = if b.abs() >= self.limit { full } else { 0.0 };
        let least = if b.abs() > self.limit { full } else { 0.0 };
        let (low, high) = if is_up { (least, full) } else { (full, least) };
        (low - offset, high - offset)
    }
}

impl Step for Filled {
    #[inline]
    fn delta(&self, group: &Group, lane: usize) -> f64 {
        let (low, high) = self.walls(group, lane);
        clamp(self.lambda * group.normal[lane], low, high)
    }
}

impl Family for Shrunk {
    fn new(lambda: f64, weight: f64) -> Self {
        Self { lambda, weight }
    }

    #[inline]
    fn part(&self, group: &Group, lane: usize) -> Part {
        let offset = group.offset[lane];
        let along = self.lambda * group.normal[lane];
        let (low, high) = group.walls(f64::INFINITY, lane);
        let pull = if offset + along > 0.0 { -1.0 } else { 1.0 };
        let shrunk = along + self.weight * pull;
        let is_out = (offset + along).abs() > self.weight;
        let moved = clamp(shrunk, low, high);
        Part {
            delta: if is_out { moved } else { -offset },
            is_free: is_out && low < shrunk && shrunk < high,
            pull,
        }
    }
}

impl Step for Shrunk {
    fn delta(&self, group: &Group, lane: usize) -> f64 {
        self.part(group, lane).delta
    }
}

impl Step for Sparse {
    fn delta(&self, group: &Group, lane: usize) -> f64 {
        match self {
            Self::Filled(step) => step.delta(group, lane),
            Self::Shrunk(step) => step.delta(group, lane),
        }
    }
}
