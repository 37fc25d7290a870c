/*!
Descent within a ball whose size adapts: what a long budget is spent on before a walk.

A walk follows the boundary that it starts at. The descent steps against the gradient,
first by several lengths of the perturbation, then by less and less, and is pulled back
to a ball that shrinks while the point is adversarial and grows while it is not. So it
crosses from one part of the boundary to nearer ones (the fast minimum-norm attack of
Pintor et al. 2021, arXiv 2102.12827; there, steps have a fixed length and start at the
clean image).
*/

use std::f64::consts::PI;

use crate::core::attack::Walk;
use crate::core::norm::Norm;
use crate::core::real::Real;

/// The first step, and the last, as multiples of the nearest perturbation's length.
const STEPS: [f64; 2] = [5.0, 0.05];
/// The relative change of the ball at the first step, and at the last.
const RATES: [f64; 2] = [0.05, 0.001];
/// Bisections for the ball of norms without a closed form.
const N_BISECTIONS: usize = 40;

/// The descent of one image.
#[derive(Debug, Clone, Copy)]
pub struct Descent {
    n_steps: usize,
    step: usize,
    /// The size of the ball.
    limit: f64,
}

impl Descent {
    /// A descent of so many steps from a point of this size.
    #[must_use]
    pub fn new(n_steps: usize, limit: f64) -> Self {
        Self {
            n_steps,
            step: 0,
            limit,
        }
    }

    /// The steps that are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.n_steps - self.step
    }

    /// Moves the walk's point, whose difference is negative if adversarial. `length`
    /// is the Euclidean length of the nearest perturbation. Returns whether it could:
    /// there is no step without a gradient, and none beyond the last.
    pub fn next<T: Real>(
        &mut self,
        walk: &mut Walk<T>,
        (difference, gradient): (f64, &[T]),
        length: f64,
    ) -> bool {
        let slope = gradient
            .iter()
            .map(|&g| g.into() * g.into())
            .sum::<f64>()
            .sqrt();
        if self.left() == 0 || !difference.is_finite() || !slope.is_finite() || slope == 0.0 {
            return false;
        }
        let past = self.step as f64 / self.n_steps as f64;
        let share = 0.5 * (1.0 + (PI * past).cos());
        let between = |[first, last]: [f64; 2]| last + (first - last) * share;
        let rate = between(RATES);
        self.limit *= if difference < 0.0 {
            1.0 - rate
        } else {
            1.0 + rate
        };
        self.limit = self.limit.min(walk.size());
        let scale = between(STEPS) * length / slope;
        let far: Vec<T> = walk
            .point
            .iter()
            .zip(gradient)
            .map(|(&point, &g)| T::from_f64((point.into() - scale * g.into()).clamp(0.0, 1.0)))
            .collect();
        shorten(walk.norm, &walk.origin, &far, self.limit, &mut walk.point);
        self.step += 1;
        true
    }
}

/// Writes the point of the ball of size `limit` around `origin` that is nearest to
/// `far`.
fn shorten<T: Real>(norm: Norm, origin: &[T], far: &[T], limit: f64, point: &mut [T]) {
    let whole = norm.size(far, origin);
    if whole <= limit {
        point.copy_from_slice(far);
        return;
    }
    let mut fraction = limit / whole;
    if matches!(norm, Norm::L1 | Norm::L0) {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..N_BISECTIONS {
            let middle = f64::midpoint(low, high);
            norm.midpoint(origin, far, middle, point);
            let is_inside = norm.size(point, origin) <= limit;
            (low, high) = if is_inside {
                (middle, high)
            } else {
                (low, middle)
            };
        }
        fraction = low;
    }
    norm.midpoint(origin, far, fraction, point);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: [f64; 4] = [0.5; 4];

    fn shortened(norm: Norm, limit: f64) -> Vec<f64> {
        let mut point = vec![0.0; 4];
        let far = [0.9, 0.3, 0.6, 0.5];
        shorten(norm, &ORIGIN, &far, limit, &mut point);
        point
            .iter()
            .map(|x| ((x - 0.5) * 1e6).round() / 1e6)
            .collect()
    }

    #[test]
    fn the_nearest_point_of_each_ball_by_hand() {
        assert_eq!(shortened(Norm::Linf, 0.25), [0.25, -0.2, 0.1, 0.0]);
        let scale = 0.1 / 0.21_f64.sqrt();
        let exact = [0.4, -0.2, 0.1, 0.0].map(|x| (x * scale * 1e6_f64).round() / 1e6);
        assert_eq!(shortened(Norm::L2, 0.1), exact);
        assert_eq!(shortened(Norm::L1, 0.4), [0.3, -0.1, 0.0, 0.0]);
        assert_eq!(shortened(Norm::L0, 1.0), [0.4, 0.0, 0.0, 0.0]);
        assert_eq!(shortened(Norm::L0, 3.0), [0.4, -0.2, 0.1, 0.0]);
    }

    #[test]
    fn steps_follow_the_schedule_and_the_ball_adapts() {
        let mut walk = Walk::new(ORIGIN.to_vec(), Norm::L2);
        walk.point = vec![0.5, 0.5, 0.5, 0.9];
        walk.consider(-1.0);
        let mut descent = Descent::new(2, walk.size());
        let gradient = [0.0, 0.0, 0.0, 1.0];
        assert!(descent.next(&mut walk, (-1.0, &gradient), 0.4));
        // From 0.9 five lengths down, to the box, then to a ball of 0.95 x 0.4.
        assert!(
            (walk.point[3] - (0.5 - 0.38)).abs() < 1e-12,
            "{:?}",
            walk.point
        );
        assert!(descent.next(&mut walk, (1.0, &gradient), 0.4));
        let rate = f64::midpoint(0.05, 0.001);
        let limit = (0.38 * (1.0 + rate)).min(0.4);
        assert!(
            (walk.point[3] - (0.5 - limit)).abs() < 1e-12,
            "{:?}",
            walk.point
        );
        assert_eq!(descent.left(), 0);
        assert!(!descent.next(&mut walk, (1.0, &gradient), 0.4));
        let mut fresh = Descent::new(2, 0.4);
        assert!(
            !fresh.next(&mut walk, (1.0, &[0.0; 4]), 0.4),
            "no direction"
        );
        assert!(!fresh.next(&mut walk, (f64::NAN, &gradient), 0.4));
    }
}
