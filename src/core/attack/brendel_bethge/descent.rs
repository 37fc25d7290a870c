/*!
Descent from the boundary: what a long budget is spent on before a walk.

A walk follows the boundary that it starts at. A descent leaves it, by steps of several
lengths of the perturbation at first and of less and less, and so crosses to nearer
parts. The norm chooses between two:

- [`Pull`] (l2): each step goes down a weighted sum of the perturbation's length and the
  logit difference, averaged over the steps before. The difference gains weight while
  the point is not adversarial and loses it while it is (the primal-dual gradient
  descent of Matyasko and Chau 2021, arXiv 2106.01538; there, Adam scales each pixel's
  step, and steps have a fixed length and start at the clean image).
- [`Ball`] (the other norms): each step goes down the difference, and is pulled back to a
  ball that shrinks while the point is adversarial and grows while it is not (the fast
  minimum-norm attack of Pintor et al. 2021, arXiv 2102.12827, with the same two
  deviations of step and start).
*/

use std::f64::consts::PI;

use crate::core::attack::Walk;
use crate::core::norm::Norm;
use crate::core::real::Real;

/// The steps of a descent.
#[derive(Debug)]
pub struct Descent<T> {
    n_steps: usize,
    step: usize,
    /// Chosen at the first step.
    rule: Option<Rule<T>>,
}

/// How it steps.
#[derive(Debug)]
enum Rule<T> {
    Ball(Ball),
    Pull(Pull<T>),
}

impl<T: Real> Rule<T> {
    /// The rule for the norm of a walk that stands at its start, with this slope.
    fn of(walk: &Walk<T>, n_steps: usize, slope: f64) -> Self {
        match walk.norm {
            Norm::L2 => Self::Pull(Pull::new(walk.point.len(), n_steps, slope)),
            Norm::Linf | Norm::L1 | Norm::L0 => Self::Ball(Ball { limit: walk.size() }),
        }
    }
}

impl<T: Real> Descent<T> {
    /// A descent of so many steps.
    #[must_use]
    pub fn new(n_steps: usize) -> Self {
        Self {
            n_steps,
            step: 0,
            rule: None,
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
    pub fn next(
        &mut self,
        walk: &mut Walk<T>,
        (difference, gradient): (f64, &[T]),
        length: f64,
    ) -> bool {
        let slope = euclidean(gradient);
        if self.left() == 0 || !difference.is_finite() || !slope.is_finite() || slope == 0.0 {
            return false;
        }
        let past = self.step as f64 / self.n_steps as f64;
        match self
            .rule
            .get_or_insert_with(|| Rule::of(walk, self.n_steps, slope))
        {
            Rule::Ball(ball) => ball.next(walk, (difference, gradient), length / slope, past),
            Rule::Pull(pull) => pull.next(walk, (difference, gradient), length, past),
        }
        self.step += 1;
        true
    }
}

/// A ball whose size adapts.
#[derive(Debug)]
struct Ball {
    /// Its size.
    limit: f64,
}

impl Ball {
    /// The first step, and the last, as multiples of the nearest perturbation's length.
    const STEPS: [f64; 2] = [5.0, 0.05];
    /// The relative change of the ball at the first step, and at the last.
    const RATES: [f64; 2] = [0.05, 0.001];

    /// Moves the point by a multiple of `unit` gradients, within the ball. `past` is the
    /// share of the steps that are over.
    fn next<T: Real>(
        &mut self,
        walk: &mut Walk<T>,
        (difference, gradient): (f64, &[T]),
        unit: f64,
        past: f64,
    ) {
        let share = 0.5 * (1.0 + (PI * past).cos());
        let between = |[first, last]: [f64; 2]| last + (first - last) * share;
        let rate = between(Self::RATES);
        self.limit *= if difference < 0.0 {
            1.0 - rate
        } else {
            1.0 + rate
        };
        self.limit = self.limit.min(walk.size());
        let scale = between(Self::STEPS) * unit;
        let far: Vec<T> = walk
            .point
            .iter()
            .zip(gradient)
            .map(|(&point, &g)| T::from_f64((point.into() - scale * g.into()).clamp(0.0, 1.0)))
            .collect();
        shorten(walk.norm, &walk.origin, &far, self.limit, &mut walk.point);
    }
}

/// A pull to the clean image and one to the other class, of adapting weight.
#[derive(Debug)]
struct Pull<T> {
    /// The average of the pulls so far.
    average: Vec<T>,
    /// The logarithm of the ratio between the weights of the difference and the length.
    log_ratio: f64,
    /// The weight of the difference, averaged over steps; the length has the rest.
    weight: f64,
    /// All steps of the descent.
    n_steps: f64,
    /// What brings the first gradient to unit length.
    scale: f64,
}

impl<T: Real> Pull<T> {
    /// The first step, and the last, as multiples of the nearest perturbation's length.
    const STEPS: [f64; 2] = [5.0, 0.02];
    /// The change of the logarithm of the ratio at the first step, and at the last, times
    /// the number of steps.
    const RATES: [f64; 2] = [60.0, 6.0];
    /// At first the difference counts this much more.
    const FIRST_RATIO: f64 = 30.0;
    /// The largest ratio, and the inverse of the smallest.
    const LARGEST_RATIO: f64 = 1e6;
    /// The share of the past in the average pull.
    const MOMENTUM: f64 = 0.9;
    /// The share of the steps over which the weight is averaged.
    const WINDOW: f64 = 1.0 / 30.0;

    fn new(n_pixels: usize, n_steps: usize, slope: f64) -> Self {
        Self {
            n_steps: n_steps as f64,
            scale: slope.recip(),
            average: vec![T::from_f64(0.0); n_pixels],
            log_ratio: Self::FIRST_RATIO.ln(),
            weight: logistic(Self::FIRST_RATIO.ln()),
        }
    }

    /// Moves the point by a multiple of `length`. `past` is the share of the steps that
    /// are over.
    fn next(
        &mut self,
        walk: &mut Walk<T>,
        (difference, gradient): (f64, &[T]),
        length: f64,
        past: f64,
    ) {
        let here = Norm::L2.size(&walk.point, &walk.origin);
        let back = if here > 0.0 {
            (1.0 - self.weight) / here
        } else {
            0.0
        };
        // The slope of the softplus of the difference, which fades inside.
        let down = self.weight * self.scale * logistic(difference);
        let pairs = walk.point.iter().zip(&walk.origin).zip(gradient);
        for (average, ((&point, &origin), &g)) in self.average.iter_mut().zip(pairs) {
            let pull = back * (point.into() - origin.into()) + down * g.into();
            let mixed = Self::MOMENTUM * (*average).into() + (1.0 - Self::MOMENTUM) * pull;
            *average = T::from_f64(mixed);
        }
        let slope = euclidean(&self.average);
        if slope > 0.0 {
            let [first, last] = Self::STEPS;
            let scale = first * (last / first).powf(past) * length / slope;
            for (point, &pull) in walk.point.iter_mut().zip(&self.average) {
                let moved = (*point).into() - scale * pull.into();
                *point = T::from_f64(moved.clamp(0.0, 1.0));
            }
        }
        let [first, last] = Self::RATES;
        let rate = (first + (last - first) * past) / self.n_steps;
        let limit = Self::LARGEST_RATIO.ln();
        let change = if difference < 0.0 { -rate } else { rate };
        self.log_ratio = (self.log_ratio + change).clamp(-limit, limit);
        let now = logistic(self.log_ratio);
        let fresh = 1.0 / (Self::WINDOW * self.n_steps).max(1.0);
        self.weight += fresh * (now - self.weight);
    }
}

/// `1 / (1 + exp(-x))`.
fn logistic(x: f64) -> f64 {
    (1.0 + (-x).exp()).recip()
}

/// The Euclidean length.
fn euclidean<T: Real>(values: &[T]) -> f64 {
    let squares = values.iter().map(|&value| value.into() * value.into());
    squares.sum::<f64>().sqrt()
}

/// Bisections for the ball of norms without a closed form.
const N_BISECTIONS: usize = 40;

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

    /// A walk at an adversarial point, 0.4 from its origin along the last pixel.
    fn walk(norm: Norm) -> Walk<f64> {
        let mut walk = Walk::new(ORIGIN.to_vec(), norm);
        walk.point = vec![0.5, 0.5, 0.5, 0.9];
        walk.consider(-1.0);
        walk
    }

    #[test]
    fn steps_follow_the_schedule_and_the_ball_adapts() {
        let mut walk = walk(Norm::Linf);
        let mut descent = Descent::new(2);
        let gradient = [0.0, 0.0, 0.0, 1.0];
        assert!(descent.next(&mut walk, (-1.0, &gradient), 0.4));
        // From 0.9 five lengths down, to the box, then to a ball of 0.95 x 0.4.
        let last = walk.point[3];
        assert!((last - (0.5 - 0.38)).abs() < 1e-12, "{last}");
        assert!(descent.next(&mut walk, (1.0, &gradient), 0.4));
        let rate = f64::midpoint(0.05, 0.001);
        let limit = (0.38 * (1.0 + rate)).min(0.4);
        let last = walk.point[3];
        assert!((last - (0.5 - limit)).abs() < 1e-12, "{last}");
        assert_eq!(descent.left(), 0);
        assert!(!descent.next(&mut walk, (1.0, &gradient), 0.4));
    }

    #[test]
    fn there_is_no_step_without_a_direction() {
        for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
            let mut walk = walk(norm);
            let mut descent = Descent::new(2);
            assert!(!descent.next(&mut walk, (1.0, &[0.0; 4]), 0.4));
            assert!(!descent.next(&mut walk, (f64::NAN, &[0.1; 4]), 0.4));
            assert!(!descent.next(&mut walk, (1.0, &[f64::NAN; 4]), 0.4));
            assert_eq!(descent.left(), 2);
        }
    }

    #[test]
    fn the_first_pull_by_hand() {
        let mut walk = walk(Norm::L2);
        let mut descent = Descent::new(1);
        // Half of the gradient at a difference of 0, and the rest of the weight back.
        assert!(descent.next(&mut walk, (0.0, &[0.0, 0.0, 2.0, 0.0]), 0.01));
        let (down, back) = (15.0 / 31.0, 1.0 / 31.0);
        let slope = f64::hypot(down, back);
        let expected = [
            0.5,
            0.5,
            0.5 - 0.05 * down / slope,
            0.9 - 0.05 * back / slope,
        ];
        for (found, expected) in walk.point.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{:?}", walk.point);
        }
    }

    #[test]
    fn the_nearest_point_of_a_plane_is_found() {
        // From beyond the plane 3 a + 4 b = 1, far from its nearest point (.12, .16).
        let mut walk = Walk::new(vec![0.0; 2], Norm::L2);
        walk.point = vec![1.0 / 3.0, 0.0];
        walk.consider(-1e-9);
        let mut descent = Descent::new(300);
        loop {
            let difference = 1.0 - 3.0 * walk.point[0] - 4.0 * walk.point[1];
            walk.consider(difference);
            let length = walk.size();
            if !descent.next(&mut walk, (difference, &[-3.0, -4.0]), length) {
                break;
            }
        }
        assert!((walk.size() - 0.2).abs() < 0.002, "{}", walk.size());
    }
}
