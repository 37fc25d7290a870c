/*!
The Brendel & Bethge attack: follow the boundary towards the clean image.

Each step solves, exactly, for the nearest point to the clean image on the
linearized boundary, within [0, 1] and a trust radius
([`crate::core::trust_region`]).
*/

use super::{Answer, Ask, Method, Stage, Status, Walk};
use crate::core::norm::Norm;
use crate::core::real::Real;
use crate::core::trust_region::{Outcome, Problem, Scratch, step};

/// How many times the patience a walk is given that sees nothing adversarial,
/// before it halves its way back to the nearest adversarial point.
const LENIENCE: usize = 5;

/// Where the step aims, as the change `c` of the logit difference `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overshoot {
    /// foolbox: `-o d` from outside, `-(2 - o) d` from inside.
    Foolbox,
    /// The authors' fork: always `max((o - 1) |d|, 0.001)` inside.
    Authors,
}

/// How long a step may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Radius {
    /// `first` times the length of the present perturbation, or of the nearest
    /// found where that is less, times `decay` whenever `patience` steps in a
    /// row bring no gain of `tolerance`; below `last` the walk has converged.
    Adaptive {
        /// At the first step.
        first: f64,
        /// At the last.
        last: f64,
        /// The factor at a decay.
        decay: f64,
        /// Steps without a gain before a decay.
        patience: usize,
        /// The least relative gain that counts.
        tolerance: f64,
    },
    /// Foolbox: `first D`, times `decay` at each of `n_decays` decays that are
    /// evenly spread over the steps.
    Published {
        /// Per pixel.
        first: f64,
        /// The factor at a decay.
        decay: f64,
        /// The number of decays.
        n_decays: usize,
    },
}

/// The numbers that steer a walk; defaults and meaning are documented in
/// Python.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The largest number of steps of a walk.
    pub steps: usize,
    /// Further walks after the first.
    pub restarts: usize,
    /// How long a step may be.
    pub radius: Radius,
    /// Weight of the past in the boundary's normal.
    pub momentum: f64,
    /// Whether gradients are brought to unit length before they are averaged.
    pub is_normalised: bool,
    /// The factor `o`.
    pub overshoot: f64,
    /// How `o` is used.
    pub overshoot_rule: Overshoot,
}

impl Rules {
    /// The wanted change of the logit difference.
    #[must_use]
    pub fn change(&self, difference: f64) -> f64 {
        let over = self.overshoot;
        match self.overshoot_rule {
            Overshoot::Foolbox if difference > 0.0 => -over * difference,
            Overshoot::Foolbox => -(2.0 - over) * difference,
            Overshoot::Authors => -difference - ((over - 1.0) * difference.abs()).max(0.001),
        }
    }
}

/// The state of one walk along the boundary.
#[derive(Debug)]
pub struct BrendelBethge<T> {
    rules: Rules,
    /// Boundary points to set out from, the nearest last.
    boundary: Vec<Vec<T>>,
    /// Walks that may follow the present one.
    walks_left: usize,
    step: usize,
    /// The boundary's normal, averaged over steps; empty before the first.
    normal: Vec<T>,
    /// Where the next point is written.
    next: Vec<T>,
    /// The size and the Euclidean length of the walk's nearest perturbation.
    nearest: (f64, f64),
    /// The adaptive radius over that length.
    share: f64,
    /// The size at the last gain, and the steps since.
    gained: (f64, usize),
    /// Whether no adversarial point was seen since the last decay.
    is_lost: bool,
    /// Whether it gave up searching outside and halves its way back.
    is_returning: bool,
}

impl<T: Real> BrendelBethge<T> {
    /// A walk that has not begun.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            boundary: Vec::new(),
            walks_left: rules.restarts,
            step: 0,
            normal: Vec::new(),
            next: Vec::new(),
            nearest: (f64::INFINITY, 0.0),
            share: 0.0,
            gained: (f64::INFINITY, 0),
            is_lost: true,
            is_returning: false,
        }
    }

    /// Sets out from the next boundary point, or else from the best.
    fn set_out(&mut self, walk: &mut Walk<T>) {
        match self.boundary.pop() {
            Some(point) => walk.point = point,
            None => _ = walk.settle(),
        }
        self.step = 0;
        self.normal.clear();
        self.next.clone_from(&walk.point);
        self.nearest = measured(walk);
        self.gained = (f64::INFINITY, 0);
        self.is_lost = true;
        self.is_returning = false;
        if let Radius::Adaptive { first, .. } = self.rules.radius {
            self.share = first;
        }
    }

    /// The trust radius of the present step; none once the walk has converged.
    fn radius(&mut self, walk: &Walk<T>) -> Option<f64> {
        match self.rules.radius {
            Radius::Published {
                first,
                decay,
                n_decays,
            } => {
                let n_decays = ((self.step + 1) * n_decays / self.rules.steps) as i32;
                Some(first * decay.powi(n_decays) * walk.origin.len() as f64)
            }
            Radius::Adaptive {
                last,
                decay,
                patience,
                tolerance,
                ..
            } => {
                self.gained.1 += 1;
                let (size, nearest) = self.nearest;
                if size < self.gained.0 * (1.0 - tolerance) {
                    self.gained = (size, 0);
                }
                // Outside, the walk may be on its way to a nearer part of the
                // boundary: it is given more time.
                let lenience = if self.is_lost { LENIENCE } else { 1 };
                if self.gained.1 >= lenience * patience {
                    self.gained.1 = 0;
                    self.share *= decay;
                    self.is_returning = self.is_lost && self.share >= last;
                    self.is_lost = true;
                }
                // Outside it may be far nearer than where it came from.
                let length = Norm::L2.size(&walk.point, &walk.origin);
                let length = length.max(last * nearest).min(nearest);
                (self.share >= last).then_some(self.share * length)
            }
        }
    }

    /// Notes that the present point is adversarial, of some `size`.
    ///
    /// A walk that comes back from outside at a much nearer point is at the
    /// beginning there: it keeps the radius that found it, not the share. Where
    /// it had to be led back, the normal of where it was lost is forgotten.
    fn found(&mut self, walk: &Walk<T>, size: f64) {
        if size < self.nearest.0 {
            let before = self.nearest.1;
            self.nearest = measured(walk);
            if let Radius::Adaptive { first, .. } = self.rules.radius
                && self.is_lost
                && self.nearest.1 < before
            {
                self.share = (self.share * before / self.nearest.1).min(first);
            }
        }
        self.is_lost = false;
        if self.is_returning {
            self.is_returning = false;
            self.normal.clear();
            self.gained.1 = 0;
        }
    }

    /// Averages the gradient into the normal, and returns the factor that
    /// brings the logit difference to the gradient's scale.
    fn blend(&mut self, gradient: &[T]) -> f64 {
        let square: f64 = gradient.iter().map(|&g| g.into() * g.into()).sum();
        let scale = if self.rules.is_normalised && square > 0.0 {
            square.sqrt().recip()
        } else {
            1.0
        };
        let scaled = |&now: &T| scale * now.into();
        if self.normal.is_empty() {
            self.normal
                .extend(gradient.iter().map(|now| T::from_f64(scaled(now))));
        } else {
            let past = self.rules.momentum;
            for (normal, now) in self.normal.iter_mut().zip(gradient) {
                *normal = T::from_f64((1.0 - past) * scaled(now) + past * (*normal).into());
            }
        }
        scale
    }
}

/// Size and Euclidean length of the present perturbation.
fn measured<T: Real>(walk: &Walk<T>) -> (f64, f64) {
    let size = |norm: Norm| norm.size(&walk.point, &walk.origin);
    (size(walk.norm), size(Norm::L2))
}

impl<T: Real> Method<T> for BrendelBethge<T> {
    fn begin(&mut self, walk: &mut Walk<T>, boundary: Vec<Vec<T>>) -> Stage {
        self.boundary = boundary;
        self.boundary.reverse();
        self.set_out(walk);
        Stage::GoesOn
    }

    fn ask(&self) -> Ask {
        Ask::Gradient
    }

    fn answer(
        &mut self,
        walk: &mut Walk<T>,
        answer: Answer<'_, T>,
        scratch: &mut Scratch,
    ) -> Stage {
        if let Some(size) = walk.consider(answer.difference) {
            self.found(walk, size);
        }
        let scale = self.blend(answer.gradient);
        let radius = self.radius(walk);
        let may_step = self.step < self.rules.steps;
        if self.is_returning && may_step && answer.difference.is_finite() {
            walk.halve();
            self.step += 1;
            return Stage::GoesOn;
        }
        if let Some(radius) = radius.filter(|_| may_step) {
            let problem = Problem {
                origin: &walk.origin,
                point: &walk.point,
                normal: &self.normal,
                change: scale * self.rules.change(answer.difference),
                radius,
            };
            match step(walk.norm, &problem, scratch, &mut self.next) {
                Outcome::OnPlane | Outcome::Towards => {
                    std::mem::swap(&mut walk.point, &mut self.next);
                    self.step += 1;
                    return Stage::GoesOn;
                }
                Outcome::NoDirection => walk.finish(Status::ZeroGradient),
                Outcome::NotFinite => walk.finish(Status::NotFinite),
            }
        } else if self.walks_left > 0 {
            self.walks_left -= 1;
            self.set_out(walk);
            return Stage::GoesOn;
        }
        Stage::Over
    }

    fn planned(&self) -> usize {
        (1 + self.rules.steps) * (1 + self.walks_left) - self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            steps: 100,
            restarts: 0,
            radius: Radius::Adaptive {
                first: 4.0,
                last: 0.01,
                decay: 0.5,
                patience: 1,
                tolerance: 1e-3,
            },
            momentum: 0.5,
            is_normalised: true,
            overshoot: 1.1,
            overshoot_rule: Overshoot::Foolbox,
        }
    }

    #[test]
    fn a_lost_walk_halves_its_way_back() {
        let start = vec![0.8, 0.6];
        let mut walk = Walk::new(vec![0.0; 2], Norm::Linf);
        let mut attack = BrendelBethge::new(rules());
        attack.begin(&mut walk, vec![start.clone()]);
        let mut scratch = Scratch::default();
        let mut answer = |attack: &mut BrendelBethge<f64>, walk: &mut Walk<f64>, difference| {
            let gradient: &[f64] = if difference > 0.0 {
                &[0.6, -0.8]
            } else {
                &[0.0, -1.0]
            };
            let answer = Answer {
                difference,
                gradient,
            };
            assert_eq!(attack.answer(walk, answer, &mut scratch), Stage::GoesOn);
        };
        answer(&mut attack, &mut walk, -1.0);
        // Lost from the next decay on, and lenient until the one after it.
        let lost = (0..20).take_while(|_| {
            answer(&mut attack, &mut walk, 1.0);
            !attack.is_returning
        });
        assert!((LENIENCE..2 * LENIENCE).contains(&lost.count()));
        for _ in 0..3 {
            let before = walk.point.clone();
            answer(&mut attack, &mut walk, 1.0);
            let half = |i: usize| 0.5 * (before[i] + start[i]);
            assert_eq!(walk.point, [half(0), half(1)]);
        }
        let share = attack.share;
        answer(&mut attack, &mut walk, -1.0);
        assert!(!attack.is_returning && attack.share > share, "nearer");
        assert_eq!(attack.normal, [0.0, -1.0], "nothing of where it was lost");
    }

    #[test]
    fn a_walk_that_comes_back_nearer_goes_on_with_its_radius() {
        let mut walk = Walk::new(vec![0.0; 2], Norm::Linf);
        let mut attack = BrendelBethge::new(rules());
        attack.begin(&mut walk, vec![vec![0.8, 0.6]]);
        walk.point = vec![0.06, 0.08];
        let outside: Vec<f64> = (0..30).map_while(|_| attack.radius(&walk)).collect();
        // A share of where it stands, halved after five steps without a gain.
        assert!((outside[0] - 0.4).abs() < 1e-12, "{outside:?}");
        assert!((outside[29] - 0.4 / 32.0).abs() < 1e-12, "{outside:?}");
        attack.found(&walk, 0.08);
        // Ten times nearer than where it came from, with ten times the share.
        let inside = attack.radius(&walk).unwrap();
        assert!((inside - 4.0 / 32.0).abs() < 1e-12, "{inside}");
        walk.point = vec![0.0; 2];
        let least = attack.radius(&walk).unwrap();
        assert!(least > 0.0, "at the clean image it can still move");
    }
}
