/*!
The maximum norm.

The norm is at most `e` if and only if `x + delta` is in the box
`[max(0, x0 - e), min(1, x0 + e)]`, which grows with `e`. The solver finds the
smallest `e` whose box meets the plane inside the ball.

1. *Only plane and box.* As seen from `x0`, the box reaches
   `sum_i |b_i| min(room_i, e)` along `b`, which is concave and piecewise linear in
   `e`. Newton's method from the left therefore ends exactly, in a few passes. At
   that `e`, the step goes to a corner of the box.
2. *The ball binds.* The shortest step onto the plane inside the box of size `e` is
   `clip(lambda b)`. Its squared length is convex and decreasing in `e`, and the slope
   is the sum of the multipliers of the moving walls. The outer loop is Newton's
   method on `e` inside a bracket; the inner loop is Newton's method on `lambda`.
*/

use super::scratch::{Pixels, Scratch, larger, smaller};
use super::{Aim, BISECT_EVERY, Clip, Clipped, MAX_PASSES, RADIUS_SLACK, REACH_SLACK, Solver};

/// Relative width at which the search for the size ends.
const SIZE_TOLERANCE: f64 = 1e-9;

pub(super) struct Linf;

impl Solver for Linf {
    type Step = Clip;

    fn alone(scratch: &mut Scratch, aim: &Aim) -> Option<(Clip, f64)> {
        let size = scratch.pixels.least_size(aim.height)?;
        // The corner at which the box touches the plane. A coordinate with `b = 0`
        // moves only as far as the box requires.
        let lambda = aim.height.signum() * f64::MAX;
        let corner = Clip { lambda, size };
        Some((corner, scratch.pixels.length(&corner)))
    }

    fn in_ball(scratch: &mut Scratch, aim: &Aim, alone: &Clip, shortest: &Clipped) -> Clip {
        scratch.pixels.size_in_ball(aim, alone.size, shortest)
    }
}

impl Pixels {
    /// The smallest size whose box touches the plane at `height`; `None` if no box within
    /// [0, 1] touches the plane.
    fn least_size(&self, height: f64) -> Option<f64> {
        let (sign, height) = (height.signum(), height.abs());
        let mut size = 0.0;
        for _ in 0..MAX_PASSES {
            let [reach, slope] = self.sums(|g, k| {
                let room = g.room(sign, k);
                let weight = g.normal[k].abs();
                let moving = if room > size { weight } else { 0.0 };
                [weight * smaller(room, size), moving]
            });
            let missing = height - reach;
            if missing <= 1e-14 * height {
                break;
            }
            if slope <= 0.0 {
                return (missing <= REACH_SLACK * height).then_some(size);
            }
            let next = size + missing / slope;
            if next <= size {
                break; // The difference is below the resolution of f64.
            }
            size = next;
        }
        Some(size)
    }

    /// The step onto the plane inside the smallest box that allows a step within the
    /// radius. `least` is a smaller size: its box touches the plane outside the ball.
    fn size_in_ball(&self, aim: &Aim, least: f64, shortest: &Clipped) -> Clip {
        let wanted = aim.radius * aim.radius;
        let target = wanted * (1.0 - RADIUS_SLACK);
        let mut lambda = shortest.lambda;
        let mut best = Clip {
            lambda,
            size: f64::INFINITY,
        };
        let (mut low, mut high) = (least, 1.0);
        let mut is_low_tried = true;
        // Start with the smallest box that contains the present point.
        let mut size = self.present_size();
        for pass in 1..MAX_PASSES {
            if !(low <= size && size < high) || pass % BISECT_EVERY == 0 {
                size = f64::midpoint(low, high);
            }
            let found = self.shortest(size, aim.change, lambda);
            match found {
                Some(at) if at.length <= wanted => {
                    let lambda = at.lambda;
                    (high, best) = (size, Clip { lambda, size });
                    if at.length >= wanted * (1.0 - 2.0 * RADIUS_SLACK) {
                        break;
                    }
                }
                _ => (low, is_low_tried) = (size, true),
            }
            if let Some(at) = found {
                lambda = at.lambda;
                // The length is convex in the size, so a tangent gives a lower bound.
                let pressure = self.pressure(lambda, size);
                let tangent = size + (at.length - target) / (2.0 * pressure);
                if low < tangent && tangent < high {
                    (low, is_low_tried) = (tangent, false);
                }
            }
            if high - low <= SIZE_TOLERANCE * high {
                break;
            }
            size = if is_low_tried { f64::NAN } else { low };
        }
        best
    }

    /// `max |x - x0|`.
    fn present_size(&self) -> f64 {
        let offsets = self.groups.iter().flat_map(|group| group.offset);
        offsets.fold(0.0, |most, offset| larger(offset.abs(), most))
    }

    /// The decrease of half the squared length of the shortest step onto the plane per
    /// unit of `size`. It is the sum of the multipliers of the moving walls.
    fn pressure(&self, lambda: f64, size: f64) -> f64 {
        let [pressure] = self.sums(|g, k| {
            let free = lambda * g.normal[k];
            let (low, high) = g.walls(size, k);
            let push_up = if g.above[k] > size { free - high } else { 0.0 };
            let push_down = if g.below[k] > size { low - free } else { 0.0 };
            [larger(push_up, 0.0) + larger(push_down, 0.0)]
        });
        pressure
    }
}
