/*!
The number of changed pixels.

The support is the set of coordinates that may leave the origin. It determines the
step: on a support, the shortest step onto the plane is `clip(lambda b)`.

1. *Only plane and box.* Coordinates with the largest `|b_i| room_i` reach
   furthest. The smallest support that reaches the plane consists of the first of
   these coordinates. This is exact.
2. *The ball binds.* The choice of the support is combinatorial, but its Lagrangian
   dual is not. With a multiplier `nu` of the plane, a coordinate that leaves the
   origin gains `g_i(nu)`, half a squared length. The shortest step with `k` free
   coordinates has at least the length given by

   ```text
   || delta ||^2 / 2 >= sum_i (x - x0)_i^2 / 2 - (k largest g_i) + nu height
   ```

   for every `nu`. If the bound exceeds `r^2 / 2`, this `k` is excluded: no step with
   `k` coordinates fits the ball. Some larger values of `k` are excluded at the same
   time, because each further coordinate adds at most the next gain. At the first `k`
   that is not excluded, the supports with the `k` and then the `k + 1` largest gains
   are tried at the best `nu`.

The result is always a step onto the plane inside box and ball. If it has the first
`k` that was not excluded, its number of coordinates is the smallest possible. At the
best `nu`, there are two cases. Either the `k` largest gains meet the plane and give
such a step, or two coordinates tie for the last place. Then a mixture of the two
supports satisfies the bound and, by convexity, so does their union, which has
`k + 1` coordinates. The number is therefore at most one above the optimum, unless
more than two coordinates tie, as equal pixels do. In tests with eight pixels that
are copies of three, the number is at most three above the optimum.
*/

use super::rank::{Rank, value_at_rank, value_at_weight};
use super::scratch::{Group, LANES, Pixels, Scratch, clamp};
use super::{Aim, BISECT_EVERY, Clip, Clipped, MAX_PASSES, Solver};

/// Largest number of counts that are tried; usually a few are enough.
const MAX_COUNTS: usize = 200;
/// A bound must exceed the squared radius by this share to exclude a count.
const BOUND_SLACK: f64 = 1e-9;
/// Relative width at which the search for the multiplier ends.
const TOLERANCE: f64 = 1e-12;
/// Number of passes between two trials of the present support.
const TRY_EVERY: usize = 4;

pub(super) struct L0;

/// The coordinates with the `count` largest gains.
#[derive(Debug, Clone, Copy)]
struct Choice {
    nu: f64,
    /// Coordinates with gains above this limit belong to the choice ...
    limit: f64,
    /// ... and this number of coordinates with a gain equal to the limit.
    n_tied: f64,
    /// `b . (x + delta - x0)` for the best step with multiplier `nu`.
    along: f64,
    /// The slope of `along` in `nu` for a constant choice.
    slope: f64,
    /// A lower bound for the squared length of all steps with `count` free coordinates.
    bound: f64,
}

impl Solver for L0 {
    type Step = Clip;

    fn alone(scratch: &mut Scratch, aim: &Aim) -> Option<(Clip, f64)> {
        let sign = aim.height.signum();
        let reach = |g: &Group, k: usize| g.normal[k].abs() * g.room(sign, k);
        scratch.rank(|g, k| {
            let value = reach(g, k);
            Rank {
                value,
                weight: value,
            }
        });
        let limit = value_at_weight(&mut scratch.ranks, aim.height.abs())?;
        // Keep only as many of the coordinates that tie for the last place as are needed.
        let [beyond, tied] = scratch.pixels.sums(|g, k| {
            let reach = reach(g, k);
            if reach > limit {
                [reach, 0.0]
            } else {
                [0.0, if reach < limit { 0.0 } else { 1.0 }]
            }
        });
        let needed = ((aim.height.abs() - beyond) / limit)
            .ceil()
            .clamp(0.0, tied);
        scratch.keep(limit, needed, reach);
        let guess = aim.height / scratch.pixels.square;
        let at = scratch.kept.shortest(f64::INFINITY, aim.change, guess)?;
        Some((whole_box(at.lambda), at.length))
    }

    fn in_ball(scratch: &mut Scratch, aim: &Aim, _: &Clip, shortest: &Clipped) -> Clip {
        let first = scratch.kept.groups.iter().map(Group::n_roomy).sum();
        let found = scratch.fewest(aim, first, shortest.lambda);
        whole_box(found.unwrap_or_else(|| {
            scratch.keep(f64::NEG_INFINITY, 0.0, |_, _| 0.0);
            shortest.lambda
        }))
    }

    fn pixels(scratch: &Scratch) -> &Pixels {
        &scratch.kept
    }
}

fn whole_box(lambda: f64) -> Clip {
    let size = f64::INFINITY;
    Clip { lambda, size }
}

impl Scratch {
    /// Finds the smallest number of coordinates, at least `count`, that allow a step onto
    /// the plane inside the ball. Keeps them, and returns the step's multiplier.
    fn fewest(&mut self, aim: &Aim, mut count: usize, mut nu: f64) -> Option<f64> {
        let wanted = aim.radius * aim.radius;
        for _ in 0..MAX_COUNTS {
            let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
            let mut ruled_out = None;
            for pass in 1..MAX_PASSES {
                let choice = self.choose(aim, count, nu);
                if choice.bound > wanted * (1.0 + BOUND_SLACK) {
                    ruled_out = Some(choice);
                    break;
                }
                let missing = aim.height - choice.along;
                let is_met = missing.abs() <= 1e-12 * self.pixels.sum;
                if missing > 0.0 {
                    low = nu;
                } else {
                    high = nu;
                }
                let is_last = is_met || high - low <= TOLERANCE * nu.abs();
                let is_tried = is_last || pass % TRY_EVERY == 0;
                if is_tried && let Some(lambda) = self.try_choice(aim, &choice) {
                    return Some(lambda);
                }
                if is_last {
                    break;
                }
                nu = next_multiplier((low, high), nu, missing, choice.slope, pass);
            }
            if let Some(choice) = ruled_out {
                // Each further coordinate lowers the bound by at most `2 limit`.
                let lacking = (choice.bound - wanted) / (2.0 * choice.limit);
                count += lacking.ceil().clamp(1.0, self.gains.len() as f64) as usize;
            } else {
                count += 1;
                let choice = self.choose(aim, count, nu);
                if let Some(lambda) = self.try_choice(aim, &choice) {
                    return Some(lambda);
                }
            }
            if count > self.gains.len() {
                break;
            }
        }
        None
    }

    /// Chooses the coordinates with the `count` largest gains for the multiplier `nu`.
    fn choose(&mut self, aim: &Aim, count: usize, nu: f64) -> Choice {
        let groups = self.pixels.groups.iter();
        self.gains.clear();
        self.gains
            .extend(groups.flat_map(|g| std::array::from_fn::<_, LANES, _>(|k| g.gain(nu, k))));
        let limit = value_at_rank(&mut self.gains, count);
        let [all, n, along, slope, gain, n_at, along_at, slope_at] = self.pixels.sums(|g, k| {
            let (b, offset) = (g.normal[k], g.offset[k]);
            let (low, high) = g.walls(f64::INFINITY, k);
            let free = nu * b;
            let part = b * (offset + clamp(free, low, high));
            let slope = if low < free && free < high {
                b * b
            } else {
                0.0
            };
            let gain = g.gain(nu, k);
            let above = if gain > limit { 1.0 } else { 0.0 };
            let at = if gain < limit { 0.0 } else { 1.0 - above };
            [
                offset * offset,
                above,
                above * part,
                above * slope,
                above * gain,
                at,
                at * part,
                at * slope,
            ]
        });
        let n_tied = (count as f64 - n).clamp(0.0, n_at);
        let share = if n_at > 0.0 { n_tied / n_at } else { 0.0 };
        Choice {
            nu,
            limit,
            n_tied,
            along: along + share * along_at,
            slope: slope + share * slope_at,
            bound: all + 2.0 * (nu * aim.height - gain - n_tied * limit),
        }
    }

    /// Keeps a choice. Returns the multiplier of the shortest step onto the plane if this
    /// step is within the ball.
    fn try_choice(&mut self, aim: &Aim, choice: &Choice) -> Option<f64> {
        self.keep(choice.limit, choice.n_tied, |g, k| g.gain(choice.nu, k));
        let sign = aim.height.signum();
        let [reach] = self.kept.sums(|g, k| [g.normal[k].abs() * g.room(sign, k)]);
        if reach < aim.height.abs() {
            return None;
        }
        let at = self.kept.shortest(f64::INFINITY, aim.change, choice.nu)?;
        (at.length <= aim.radius * aim.radius).then_some(at.lambda)
    }

    /// Keeps the coordinates with a value above `limit`, and the first `n_tied` with a
    /// value equal to `limit`. All other coordinates have no room to move.
    fn keep(&mut self, limit: f64, n_tied: f64, value: impl Fn(&Group, usize) -> f64) {
        let Self { pixels, kept, .. } = self;
        kept.groups.clone_from(&pixels.groups);
        (kept.sum, kept.square) = (pixels.sum, pixels.square);
        let mut left = n_tied;
        for group in &mut kept.groups {
            for k in 0..LANES {
                let value = value(group, k);
                if value > limit {
                    continue;
                }
                if value >= limit && left > 0.0 {
                    left -= 1.0;
                    continue;
                }
                (group.below[k], group.above[k]) = (0.0, 0.0);
            }
        }
    }
}

/// The next multiplier, by Newton's step inside a bracket. The choice grows with the
/// multiplier, so the slope is too flat. If Newton's step leaves the bracket, and
/// regularly, the middle of the bracket is used.
fn next_multiplier((low, high): (f64, f64), nu: f64, missing: f64, slope: f64, pass: usize) -> f64 {
    let newton = nu + missing / slope;
    if low < newton && newton < high && !pass.is_multiple_of(BISECT_EVERY) {
        newton
    } else if low.is_finite() && high.is_finite() {
        f64::midpoint(low, high)
    } else {
        nu + missing.signum() * (nu.abs() + 1e-6) * 4.0
    }
}

impl Group {
    /// The largest decrease of `length^2 / 2 - nu height` if coordinate `k` leaves the
    /// origin.
    #[inline]
    fn gain(&self, nu: f64, k: usize) -> f64 {
        let (low, high) = self.walls(f64::INFINITY, k);
        let (offset, along) = (self.offset[k], nu * self.normal[k]);
        let delta = clamp(along, low, high);
        // offset^2 / 2 - delta^2 / 2 + along (offset + delta), in a form without
        // cancellation if delta is close to -offset.
        (offset + delta) * (0.5 * (offset - delta) + along)
    }

    /// The number of coordinates with room to move.
    fn n_roomy(&self) -> usize {
        (0..LANES)
            .filter(|&k| self.below[k] + self.above[k] > 0.0)
            .count()
    }
}
