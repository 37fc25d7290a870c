/*!
The trade between length and size, for the Euclidean norm and the sum norm.

Where the ball binds, the answer minimizes `|| delta ||^2 / 2 + weight * size`
on plane and box for some weight. As the weight grows from zero, the minimizer
moves from the shortest step towards the smallest perturbation, on a path of
straight pieces: coordinates off the walls move at `delta' = lambda' b + pull`.
On each piece the squared length is a parabola in the weight, known from the
sums of one pass, so Newton's method with parabolas for tangents ends exactly
once it meets the right piece. A bracket guards it.
*/

use super::scratch::{Group, Pixels};
use super::{Aim, BISECT_EVERY, Clipped, MAX_PASSES, Step};

/// The step may be this much shorter than the radius, squared: the parabola
/// is exact, and so is the end, but for rounding.
const SLACK: f64 = 1e-9;
/// Relative width at which the search for the weight ends.
const TOLERANCE: f64 = 1e-13;
/// Where the parabola has no advice, the weight grows from here.
const FIRST_WEIGHT: f64 = 1e-3;

/// One coordinate of a step on the path.
pub(super) struct Part {
    pub(super) delta: f64,
    /// Whether it moves with `lambda` and weight.
    pub(super) is_free: bool,
    /// The speed of a free coordinate per unit of weight, `lambda` held.
    pub(super) pull: f64,
}

/// A family of steps with a multiplier of the plane, `lambda`, and a weight of
/// the size.
pub(super) trait Family: Step {
    fn new(lambda: f64, weight: f64) -> Self;
    fn part(&self, group: &Group, lane: usize) -> Part;
}

/// `b . delta`, its slope in `lambda`, the squared length; over the free
/// coordinates the sums of `b pull`, `pull^2`, `delta b`, `delta pull`.
type Sums = [f64; 7];

impl Pixels {
    /// The member of the family on the plane whose length is the radius, for
    /// a weight up to `most`; the length grows with the weight.
    pub(super) fn follow<F: Family>(&self, aim: &Aim, shortest: &Clipped, most: f64) -> F {
        let wanted = aim.radius * aim.radius;
        let (mut low, mut high) = (0.0, most);
        let (mut weight, mut lambda) = (0.0, shortest.lambda);
        let mut best = F::new(lambda, weight);
        for pass in 1..MAX_PASSES {
            let family = |lambda| self.family(&F::new(lambda, weight));
            let mut next = f64::NAN;
            if let Some((at, sums)) = self.onto_plane(aim.change, lambda, family) {
                if sums[2] <= wanted {
                    (low, best) = (weight, F::new(at, weight));
                    if sums[2] >= wanted * (1.0 - 2.0 * SLACK) {
                        break;
                    }
                } else {
                    high = weight;
                }
                let (ahead, turn) = tangent(&sums, wanted * (1.0 - SLACK));
                next = weight + ahead;
                // The multiplier moves along, too.
                lambda = at + turn * ahead;
                if !lambda.is_finite() {
                    lambda = at;
                }
            } else {
                high = weight;
            }
            if high.is_finite() && high - low <= TOLERANCE * high {
                break;
            }
            if !(low < next && next < high) || pass % BISECT_EVERY == 0 {
                next = if high.is_finite() {
                    f64::midpoint(low, high)
                } else {
                    4.0 * low.max(FIRST_WEIGHT)
                };
            }
            weight = next;
        }
        best
    }

    fn family(&self, member: &impl Family) -> Sums {
        self.sums(|g, k| {
            let Part {
                delta,
                is_free,
                pull,
            } = member.part(g, k);
            let b = g.normal[k];
            let (free, pull) = if is_free { (b, pull) } else { (0.0, 0.0) };
            [
                b * delta,
                free * free,
                delta * delta,
                free * pull,
                pull * pull,
                delta * free,
                delta * pull,
            ]
        })
    }
}

/// How far ahead the weight is at which the squared length is `target`, if the
/// present piece of the path goes on for ever, and how fast `lambda` turns.
fn tangent(sums: &Sums, target: f64) -> (f64, f64) {
    let &[_, slope, length, cross, pull, normal_part, pull_part] = sums;
    let turn = if slope > 0.0 { -cross / slope } else { 0.0 };
    // length + 2 rise ahead + bend ahead^2 = target
    let rise = pull_part + turn * normal_part;
    let bend = pull + turn * cross;
    let missing = target - length;
    // This form of the root does not cancel.
    let ahead = missing / (rise + (rise * rise + bend * missing).sqrt());
    (ahead, turn)
}
