/*!
The trade-off between step length and perturbation size, for `l2` and `l1`.

If the ball binds, the answer minimizes `|| delta ||^2 / 2 + weight * size` on plane
and box, for some weight. As the weight grows from zero, the minimizer moves from the
shortest step towards the smallest perturbation, on a path of straight pieces:
coordinates off the walls move with `delta' = lambda' b + pull`. On each piece, the
squared length is a parabola in the weight, which one pass of sums determines. A
Newton method that uses these parabolas instead of tangents is therefore exact when
it reaches the right piece. A bracket makes it safe.
*/

use super::scratch::{Group, Pixels};
use super::{Aim, BISECT_EVERY, Clipped, MAX_PASSES, Step};

/// The search aims at a squared length that is below the squared radius by this share. The
/// share is small, because the parabola is exact up to rounding.
const SLACK: f64 = 1e-9;
/// Relative width at which the search for the weight ends.
const TOLERANCE: f64 = 1e-13;
/// The smallest weight from which the search grows if the parabola gives no next weight.
const FIRST_WEIGHT: f64 = 1e-3;

/// One coordinate of a step on the path.
pub(super) struct Part {
    pub(super) delta: f64,
    /// Whether the coordinate moves with `lambda` and the weight.
    pub(super) is_free: bool,
    /// The move of a free coordinate per unit of weight, at constant `lambda`.
    pub(super) pull: f64,
}

/// A family of steps, with the multiplier `lambda` of the plane and a weight of the size.
pub(super) trait Family: Step {
    fn new(lambda: f64, weight: f64) -> Self;
    fn part(&self, group: &Group, lane: usize) -> Part;
}

/// `b . delta`, its slope in `lambda`, and the squared length; then the sums of `b pull`,
/// `pull^2`, `delta b` and `delta pull` over the free coordinates.
type Sums = [f64; 7];

impl Pixels {
    /// The step of the family that is on the plane and has the radius as length. The
    /// weight is at most `most`; the length grows with the weight.
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
                // The multiplier also changes with the weight.
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

/// The increase of the weight at which the squared length is `target`, if the present
/// piece of the path continues, and the change of `lambda` per unit of weight.
fn tangent(sums: &Sums, target: f64) -> (f64, f64) {
    let &[_, slope, length, cross, pull, normal_part, pull_part] = sums;
    let turn = if slope > 0.0 { -cross / slope } else { 0.0 };
    // length + 2 rise ahead + bend ahead^2 = target
    let rise = pull_part + turn * normal_part;
    let bend = pull + turn * cross;
    let missing = target - length;
    // This form of the root has no cancellation.
    let ahead = missing / (rise + (rise * rise + bend * missing).sqrt());
    (ahead, turn)
}
