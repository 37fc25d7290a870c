/*!
One step of the Brendel & Bethge attack, solved exactly.

An image `x` walks along the decision boundary towards its origin `x0`. The
boundary is locally the plane `b . delta = c`, and the best step is

```text
minimise   || x + delta - x0 ||_inf
subject to b . delta = c,   0 <= x + delta <= 1,   || delta ||_2 <= r
```

The maximum norm is bounded by `e` exactly if `x + delta` lies in the box
`[max(0, x0 - e), min(1, x0 + e)]`, which grows with `e`. So the task is to
find the smallest `e` whose box meets the plane inside the ball.

1. *Plane and box alone.* The furthest the box reaches along `b` is concave
   and piecewise linear in `e`, `sum_i |b_i| min(room_i, e)` seen from `x0`.
   Newton's method from the left ends exactly, in a few passes. At that `e`
   the step is determined, and if it is no longer than `r` it is the answer.
2. *The ball binds.* The shortest step onto the plane inside the box of size
   `e` is `clip(lambda b)`; its squared length is convex and decreasing in
   `e`, and its slope is the sum of the multipliers of the walls that move.
   Newton's method on `e`, kept in a bracket, over Newton's method on
   `lambda`.
3. *No such step*: the plane is out of reach of the unit box, or even the
   shortest step onto it is longer than `r`. Then go as far in its direction
   as box and ball allow, the maximum of `sign(c) b . delta`.

Every pass is O(D) over caller-owned scratch in f64, in lanes that the
compiler turns into vector instructions. All loops are bounded; a zero or
non-finite normal is an outcome, not a hang.
*/

mod scratch;

use super::real::Real;
pub use scratch::Scratch;
use scratch::{clamp, larger, smaller};

/// A bound no problem met; the loops converge in 3 to 10 passes.
const MAX_PASSES: usize = 100;
/// Every so many passes a bracket is halved, whatever Newton says.
const BISECT_EVERY: usize = 8;
/// The step may be this much shorter than the radius where the ball binds.
const RADIUS_SLACK: f64 = 1e-6;
/// Below this `|| b ||^2` is too small to divide by.
const FLAT: f64 = 1e-200;
/// Relative width at which the search for the size ends.
const SIZE_TOLERANCE: f64 = 1e-9;

/// The step of one image. All slices have the image's length.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a, T> {
    /// The clean image `x0`, in [0, 1].
    pub origin: &'a [T],
    /// The current image `x`, in [0, 1].
    pub point: &'a [T],
    /// The normal `b` of the linearised boundary.
    pub normal: &'a [T],
    /// The wanted change `c` of the logit difference.
    pub change: f64,
    /// The longest allowed step `r`, in the Euclidean norm.
    pub radius: f64,
}

/// What the step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The nearest point to the origin on the plane within reach.
    OnPlane,
    /// The plane is out of reach: the most progress towards it.
    Towards,
    /// The normal is zero: no step.
    NoDirection,
    /// Something is NaN or infinite: no step.
    NotFinite,
}

/// Sums over one candidate step `clip(lambda b)`.
#[derive(Debug, Clone, Copy)]
struct Clipped {
    lambda: f64,
    /// `b . delta`.
    along: f64,
    /// Its slope in `lambda`: `sum b^2` of the coordinates off the walls.
    slope: f64,
    /// `|| delta ||^2`.
    length: f64,
}

/// Solves the step for the maximum norm and writes `x + delta` to `out`.
pub fn linf_step<T: Real>(
    problem: &Problem<'_, T>,
    scratch: &mut Scratch,
    out: &mut [T],
) -> Outcome {
    out.copy_from_slice(problem.point);
    let (change, radius) = (problem.change, problem.radius);
    let height = change + scratch.load(problem);
    if !(scratch.square.is_finite() && height.is_finite() && radius >= 0.0) {
        return Outcome::NotFinite;
    }
    if scratch.square < FLAT {
        return Outcome::NoDirection;
    }
    if change.abs() > radius * scratch.square.sqrt() {
        return scratch.towards(change, radius, out);
    }
    // The plane as seen from the origin is b . (x + delta - x0) = height.
    let Some(least) = scratch.least_size(height) else {
        return scratch.towards(change, radius, out);
    };
    if scratch.corner_length(height, least) <= radius * radius {
        scratch.write(out, |g, k| g.corner(height, least, k));
        return Outcome::OnPlane;
    }
    match scratch.size_in_ball(least, change, radius) {
        Some((size, at)) => {
            scratch.write(out, |g, k| g.clipped(at.lambda, size, k));
            Outcome::OnPlane
        }
        None => scratch.towards(change, radius, out),
    }
}

impl Scratch {
    /// The smallest size whose box touches the plane at `height`, or `None` if
    /// no box within [0, 1] does.
    fn least_size(&self, height: f64) -> Option<f64> {
        let (sign, height) = (height.signum(), height.abs());
        let mut size = 0.0;
        for _ in 0..MAX_PASSES {
            let [reach, slope] = self.sums(|g, k| {
                let towards = sign * g.normal[k];
                let room = if towards > 0.0 {
                    g.above[k]
                } else {
                    g.below[k]
                };
                let weight = towards.abs();
                let moving = if room > size { weight } else { 0.0 };
                [weight * smaller(room, size), moving]
            });
            let missing = height - reach;
            if missing <= 1e-14 * height {
                break;
            }
            if slope <= 0.0 {
                return (missing <= 1e-12 * height).then_some(size);
            }
            let next = size + missing / slope;
            if next <= size {
                break; // The rest is below the spacing of f64.
            }
            size = next;
        }
        Some(size)
    }

    fn corner_length(&self, height: f64, size: f64) -> f64 {
        let [length] = self.sums(|g, k| [g.corner(height, size, k).powi(2)]);
        length
    }

    /// The smallest size whose box holds a step onto the plane no longer than
    /// `radius`, with that step; `None` if even the unit box holds none.
    /// `least` is a size whose box touches the plane but too far away.
    fn size_in_ball(&self, least: f64, change: f64, radius: f64) -> Option<(f64, Clipped)> {
        let wanted = radius * radius;
        let aim = wanted * (1.0 - RADIUS_SLACK);
        let free = self.onto_plane(f64::INFINITY, change, change / self.square)?;
        if free.length > wanted {
            return None;
        }
        let mut best = (f64::INFINITY, free);
        let (mut low, mut high) = (least, 1.0);
        let (mut is_low_tried, mut lambda) = (true, free.lambda);
        // At the present size the box holds the present point.
        let mut size = self.present_size();
        for pass in 1..MAX_PASSES {
            if !(low <= size && size < high) || pass % BISECT_EVERY == 0 {
                size = f64::midpoint(low, high);
            }
            let found = self.onto_plane(size, change, lambda);
            match found {
                Some(at) if at.length <= wanted => {
                    (high, best) = (size, (size, at));
                    if at.length >= wanted * (1.0 - 2.0 * RADIUS_SLACK) {
                        break;
                    }
                }
                _ => (low, is_low_tried) = (size, true),
            }
            if let Some(at) = found {
                lambda = at.lambda;
                // The length is convex in the size: no tangent is above it.
                let pressure = self.pressure(lambda, size);
                let tangent = size + (at.length - aim) / (2.0 * pressure);
                if low < tangent && tangent < high {
                    (low, is_low_tried) = (tangent, false);
                }
            }
            if high - low <= SIZE_TOLERANCE * high {
                break;
            }
            size = if is_low_tried { f64::NAN } else { low };
        }
        Some(best)
    }

    /// The shortest step onto the plane inside the box of `size`, or `None`
    /// if the box does not reach it. Starts from the guess `lambda`.
    fn onto_plane(&self, size: f64, change: f64, mut lambda: f64) -> Option<Clipped> {
        let close = self.closeness(change);
        let unit = (change.abs() + self.square.sqrt() * 1e-3) / self.square;
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        for pass in 1..MAX_PASSES {
            let at = self.clip(lambda, size);
            let missing = change - at.along;
            if missing.abs() <= close {
                return Some(at);
            }
            if missing > 0.0 {
                low = lambda;
            } else {
                high = lambda;
            }
            // With few coordinates off the walls Newton's step may be wild.
            let reach = 15.0 * (lambda.abs() + unit);
            let newton = lambda + (missing / at.slope).clamp(-reach, reach);
            lambda = if low < newton && newton < high && pass % BISECT_EVERY != 0 {
                newton
            } else if low * high > 0.0 && (low * high).is_finite() {
                low.signum() * (low * high).sqrt()
            } else if low.is_finite() && high.is_finite() {
                f64::midpoint(low, high)
            } else {
                lambda + missing.signum() * reach
            };
        }
        None
    }

    /// How near the plane counts as on it.
    fn closeness(&self, change: f64) -> f64 {
        1e-10 * change.abs() + 1e-14 * self.sum
    }

    /// The step `clip(lambda b)` inside the box of `size`, as its sums.
    fn clip(&self, lambda: f64, size: f64) -> Clipped {
        let [along, slope, length] = self.sums(|g, k| {
            let b = g.normal[k];
            let (low, high) = g.walls(size, k);
            let free = lambda * b;
            let delta = clamp(free, low, high);
            let slope = if low < free && free < high {
                b * b
            } else {
                0.0
            };
            [b * delta, slope, delta * delta]
        });
        Clipped {
            lambda,
            along,
            slope,
            length,
        }
    }

    /// By how much half the squared length of `clip(lambda b)`, kept on the
    /// plane, falls per unit of `size`: the multipliers of the moving walls.
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

    /// The most progress in the direction of `change` inside box and ball.
    ///
    /// `clip(lambda b)` is shorter than its unclipped self, so the `lambda`
    /// that would fill the ball without walls is a lower bound; correcting it
    /// by the coordinates still off the walls climbs to the answer.
    fn towards<T: Real>(&self, change: f64, radius: f64, out: &mut [T]) -> Outcome {
        let sign = change.signum();
        let wanted = radius * radius;
        let mut lambda = radius / self.square.sqrt();
        for _ in 0..MAX_PASSES {
            let at = self.clip(sign * lambda, f64::INFINITY);
            let missing = wanted - at.length;
            if missing <= RADIUS_SLACK * wanted || at.slope <= 0.0 {
                break;
            }
            lambda = (lambda * lambda + missing / at.slope).sqrt();
        }
        self.write(out, |g, k| g.clipped(sign * lambda, f64::INFINITY, k));
        Outcome::Towards
    }
}

#[cfg(test)]
mod tests;
