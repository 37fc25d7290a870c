/*!
One step of the Brendel & Bethge attack, for four norms.

An image `x` walks along the decision boundary towards its origin `x0`. The
boundary is locally the plane `b . delta = c`, and the best step is

```text
minimize   || x + delta - x0 ||_p
subject to b . delta = c,   0 <= x + delta <= 1,   || delta ||_2 <= r
```

[`solve`] tries three cases in this order, for all norms:

1. *Only plane and box.* The best step without the ball is the answer if it is not
   longer than `r`.
2. *The ball binds.* The shortest step onto the plane inside the box is
   `clip(lambda b)`. If it is inside the ball, the norm's solver finds the best step
   onto the plane inside box and ball.
3. *No step onto the plane.* The box does not reach the plane, or even the shortest
   step onto the plane is longer than `r`. The answer is then the step inside box and
   ball with the largest `sign(c) b . delta`.

`linf`, `l2` and `l1` are convex, and are solved up to rounding and the tolerances
below. `l0` counts pixels. Its solution is at most one pixel above the optimum, except
for ties, and mostly equal to it (see `l0`).

Every pass is O(D) in f64. It uses memory of the caller, and lanes that the compiler
turns into vector instructions. All loops are bounded. A normal that is zero or not
finite has its own outcome.
*/

mod batch;
mod l0;
mod l1;
mod l2;
mod linf;
mod path;
mod rank;
mod scratch;

use super::norm::Norm;
use super::real::Real;
pub use batch::Batch;
pub use scratch::Scratch;
use scratch::{Group, Pixels, clamp};

/// Largest number of passes. No known problem needs so many: loops converge in 3 to 10.
const MAX_PASSES: usize = 100;
/// After every so many passes, a bracket is halved instead of a Newton step.
const BISECT_EVERY: usize = 8;
/// If the ball binds, the step may be shorter than the radius by this share.
const RADIUS_SLACK: f64 = 1e-6;
/// Below this limit, `|| b ||^2` is too small to divide by.
const FLAT: f64 = 1e-200;
/// The plane counts as reached if the box misses it by at most this share.
const REACH_SLACK: f64 = 1e-12;

/// The step of one image. All slices have the image's length.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a, T> {
    /// The clean image `x0`, in [0, 1].
    pub origin: &'a [T],
    /// The current image `x`, in [0, 1].
    pub point: &'a [T],
    /// The normal `b` of the linearized boundary.
    pub normal: &'a [T],
    /// The required change `c` of the logit difference.
    pub change: f64,
    /// The longest allowed step `r`, in the Euclidean norm.
    pub radius: f64,
}

/// The kind of the step that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A step onto the plane, to the reachable point that is nearest to the origin.
    OnPlane,
    /// The plane is out of reach: the step goes as far towards it as possible.
    Towards,
    /// The normal is zero: no step.
    NoDirection,
    /// An input is NaN or infinite: no step.
    NotFinite,
}

/// The plane and the radius of a step.
#[derive(Debug, Clone, Copy)]
struct Aim {
    /// `c`, the height of the plane as seen from the point.
    change: f64,
    /// The height of the plane as seen from the origin:
    /// `b . (x + delta - x0)`.
    height: f64,
    /// `r`.
    radius: f64,
}

/// A rule that gives the move of each coordinate.
trait Step {
    fn delta(&self, group: &Group, lane: usize) -> f64;
}

/// The part of the solution that depends on the norm.
trait Solver {
    type Step: Step;

    /// The best step without the ball, and its squared length; `None` if the
    /// box does not reach the plane.
    fn alone(scratch: &mut Scratch, aim: &Aim) -> Option<(Self::Step, f64)>;

    /// The best step inside the ball, if the step of `alone` is too long. `shortest` is
    /// the shortest step onto the plane, which is inside the ball.
    fn in_ball(
        scratch: &mut Scratch,
        aim: &Aim,
        alone: &Self::Step,
        shortest: &Clipped,
    ) -> Self::Step;

    /// The pixels to which the step's rule applies.
    fn pixels(scratch: &Scratch) -> &Pixels {
        &scratch.pixels
    }
}

/// Solves the step for a norm and writes `x + delta` to `out`.
pub fn step<T: Real>(
    norm: Norm,
    problem: &Problem<'_, T>,
    scratch: &mut Scratch,
    out: &mut [T],
) -> Outcome {
    match norm {
        Norm::Linf => solve::<linf::Linf, T>(problem, scratch, out),
        Norm::L2 => solve::<l2::L2, T>(problem, scratch, out),
        Norm::L1 => solve::<l1::L1, T>(problem, scratch, out),
        Norm::L0 => solve::<l0::L0, T>(problem, scratch, out),
    }
}

fn solve<S: Solver, T: Real>(
    problem: &Problem<'_, T>,
    scratch: &mut Scratch,
    out: &mut [T],
) -> Outcome {
    out.copy_from_slice(problem.point);
    let (change, radius) = (problem.change, problem.radius);
    let height = change + scratch.pixels.load(problem);
    let square = scratch.pixels.square;
    if !(square.is_finite() && height.is_finite() && radius >= 0.0) {
        return Outcome::NotFinite;
    }
    if square < FLAT {
        return Outcome::NoDirection;
    }
    let aim = Aim {
        change,
        height,
        radius,
    };
    let Some(found) = on_plane::<S>(scratch, &aim) else {
        let step = scratch.pixels.towards(&aim);
        scratch
            .pixels
            .write(problem.origin, out, |g, k| step.delta(g, k));
        return Outcome::Towards;
    };
    S::pixels(scratch).write(problem.origin, out, |g, k| found.delta(g, k));
    Outcome::OnPlane
}

/// The first two cases; `None` if no step reaches the plane.
fn on_plane<S: Solver>(scratch: &mut Scratch, aim: &Aim) -> Option<S::Step> {
    let wanted = aim.radius * aim.radius;
    if aim.change.abs() > aim.radius * scratch.pixels.square.sqrt() {
        return None;
    }
    let (step, length) = S::alone(scratch, aim)?;
    if length <= wanted {
        return Some(step);
    }
    let guess = aim.change / scratch.pixels.square;
    let shortest = scratch.pixels.shortest(f64::INFINITY, aim.change, guess)?;
    (shortest.length <= wanted).then(|| S::in_ball(scratch, aim, &step, &shortest))
}

/// The rule `clip(lambda b)` inside the box of `size` around the origin.
#[derive(Debug, Clone, Copy)]
struct Clip {
    lambda: f64,
    size: f64,
}

impl Step for Clip {
    #[inline]
    fn delta(&self, group: &Group, lane: usize) -> f64 {
        let (low, high) = group.walls(self.size, lane);
        clamp(self.lambda * group.normal[lane], low, high)
    }
}

/// A step `clip(lambda b)`.
#[derive(Debug, Clone, Copy)]
struct Clipped {
    lambda: f64,
    /// `|| delta ||^2`.
    length: f64,
}

impl Pixels {
    /// The shortest step onto the plane inside the box of `size`, or `None`
    /// if the box does not reach it. Starts from the guess `lambda`.
    fn shortest(&self, size: f64, change: f64, lambda: f64) -> Option<Clipped> {
        let clip = |lambda| self.clip(lambda, size);
        let (lambda, [_, _, length]) = self.onto_plane(change, lambda, clip)?;
        Some(Clipped { lambda, length })
    }

    /// The multiplier `lambda` at which a family of steps meets the plane, and the
    /// family's sums at this `lambda`. The first sum is `b . delta`, which grows with
    /// `lambda`, and the second is its slope. `None` if no step meets the plane.
    fn onto_plane<const N: usize>(
        &self,
        change: f64,
        mut lambda: f64,
        sums: impl Fn(f64) -> [f64; N],
    ) -> Option<(f64, [f64; N])> {
        // A step this close to the plane counts as on the plane.
        let close = 1e-10 * change.abs() + 1e-14 * self.sum;
        let unit = (change.abs() + self.square.sqrt() * 1e-3) / self.square;
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        for pass in 1..MAX_PASSES {
            let at = sums(lambda);
            let missing = change - at[0];
            if missing.abs() <= close {
                return Some((lambda, at));
            }
            if missing > 0.0 {
                low = lambda;
            } else {
                high = lambda;
            }
            // If few coordinates are off the walls, Newton's step may be far too long.
            let reach = 15.0 * (lambda.abs() + unit);
            let newton = lambda + (missing / at[1]).clamp(-reach, reach);
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

    /// Sums of the step `clip(lambda b)` inside the box of `size`:
    /// `b . delta`, its slope in `lambda`, the squared length.
    fn clip(&self, lambda: f64, size: f64) -> [f64; 3] {
        self.sums(|g, k| {
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
        })
    }

    /// The squared length of a step.
    fn length(&self, step: &impl Step) -> f64 {
        let [length] = self.sums(|g, k| [step.delta(g, k).powi(2)]);
        length
    }

    /// The step inside box and ball that goes furthest in the direction of the change.
    ///
    /// Clipping shortens `lambda b`, so the `lambda` that fills the ball without walls
    /// is a lower bound. Each pass raises `lambda` by the length that the coordinates
    /// off the walls can still add, until the step fills the ball.
    fn towards(&self, aim: &Aim) -> Clip {
        let (sign, size) = (aim.change.signum(), f64::INFINITY);
        let wanted = aim.radius * aim.radius;
        let mut lambda = aim.radius / self.square.sqrt();
        for _ in 0..MAX_PASSES {
            let [_, slope, length] = self.clip(sign * lambda, size);
            let missing = wanted - length;
            if missing <= RADIUS_SLACK * wanted || slope <= 0.0 {
                break;
            }
            lambda = (lambda * lambda + missing / slope).sqrt();
        }
        Clip {
            lambda: sign * lambda,
            size,
        }
    }
}

#[cfg(test)]
mod tests;
