/*!
The Euclidean norm.

With multipliers `mu` of the ball and `lambda (1 + mu)` of the plane, the
conditions of optimality give `delta = clip(lambda b - t (x - x0))`, with
`t = 1 / (1 + mu)`. `t = 1` gives the best step without the ball, and `t = 0` gives
the shortest step onto the plane. In between, [`Pixels::follow`] finds the `t` whose
step has the radius as length.
*/

use super::path::{Family, Part};
use super::scratch::{Group, Scratch, clamp};
use super::{Aim, Clipped, Solver, Step};

pub(super) struct L2;

/// `clip(lambda b - share (x - x0))`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blend {
    lambda: f64,
    share: f64,
}

impl Solver for L2 {
    type Step = Blend;

    fn alone(scratch: &mut Scratch, aim: &Aim) -> Option<(Blend, f64)> {
        let pixels = &scratch.pixels;
        // The exact multiplier without walls: the perpendicular from the origin.
        let guess = aim.height / pixels.square;
        let share = 1.0;
        let (lambda, [_, _, length]) = pixels.onto_plane(aim.change, guess, |lambda| {
            let blend = Blend { lambda, share };
            pixels.sums(|g, k| {
                let part = blend.part(g, k);
                let b = g.normal[k];
                let slope = if part.is_free { b * b } else { 0.0 };
                [b * part.delta, slope, part.delta * part.delta]
            })
        })?;
        Some((Blend { lambda, share }, length))
    }

    fn in_ball(scratch: &mut Scratch, aim: &Aim, _: &Blend, shortest: &Clipped) -> Blend {
        scratch.pixels.follow(aim, shortest, 1.0)
    }
}

impl Family for Blend {
    fn new(lambda: f64, weight: f64) -> Self {
        let share = weight;
        Self { lambda, share }
    }

    #[inline]
    fn part(&self, group: &Group, lane: usize) -> Part {
        let offset = group.offset[lane];
        let free = self.lambda * group.normal[lane] - self.share * offset;
        let (low, high) = group.walls(f64::INFINITY, lane);
        Part {
            delta: clamp(free, low, high),
            is_free: low < free && free < high,
            pull: -offset,
        }
    }
}

impl Step for Blend {
    fn delta(&self, group: &Group, lane: usize) -> f64 {
        self.part(group, lane).delta
    }
}
