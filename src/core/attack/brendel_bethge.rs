/*!
The Brendel & Bethge attack: follow the boundary towards the clean image.

Each step solves, exactly, for the nearest point to the clean image on the
linearised boundary, within [0, 1] and a trust radius
([`crate::core::trust_region`]).
*/

use super::{Answer, Ask, Method, Stage, Status, Walk};
use crate::core::norm::Norm;
use crate::core::real::Real;
use crate::core::trust_region::{Outcome, Problem, Scratch, linf_step};

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
    /// `first` times the length of the nearest perturbation found, times
    /// `decay` whenever `patience` steps in a row bring no gain of `tolerance`;
    /// below `last` the walk has converged.
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
    /// The largest number of steps.
    pub steps: usize,
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
    step: usize,
    /// The boundary's normal, averaged over steps; empty before the first.
    normal: Vec<T>,
    /// Where the next point is written.
    next: Vec<T>,
    /// The Euclidean length of the nearest perturbation found.
    length: f64,
    /// The adaptive radius over `length`.
    share: f64,
    /// The size at the last gain, and the steps since.
    gained: (f64, usize),
}

impl<T: Real> BrendelBethge<T> {
    /// A walk that has not begun.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let share = match rules.radius {
            Radius::Adaptive { first, .. } => first,
            Radius::Published { .. } => 0.0,
        };
        Self {
            rules,
            step: 0,
            normal: Vec::new(),
            next: Vec::new(),
            length: 0.0,
            share,
            gained: (f64::INFINITY, 0),
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
                if walk.size() < self.gained.0 * (1.0 - tolerance) {
                    self.gained = (walk.size(), 0);
                }
                if self.gained.1 >= patience {
                    self.gained.1 = 0;
                    self.share *= decay;
                }
                (self.share >= last).then_some(self.share * self.length)
            }
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

impl<T: Real> Method<T> for BrendelBethge<T> {
    fn begin(&mut self, walk: &mut Walk<T>, _boundary: Vec<Vec<T>>) -> Stage {
        walk.settle();
        self.length = Norm::L2.size(&walk.point, &walk.origin);
        self.next.clone_from(&walk.point);
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
        if walk.consider(answer.difference) {
            self.length = Norm::L2.size(&walk.point, &walk.origin);
        }
        let scale = self.blend(answer.gradient);
        let Some(radius) = self.radius(walk) else {
            return Stage::Over;
        };
        let problem = Problem {
            origin: &walk.origin,
            point: &walk.point,
            normal: &self.normal,
            change: scale * self.rules.change(answer.difference),
            radius,
        };
        match linf_step(&problem, scratch, &mut self.next) {
            Outcome::OnPlane | Outcome::Towards => {
                std::mem::swap(&mut walk.point, &mut self.next);
            }
            Outcome::NoDirection => walk.finish(Status::ZeroGradient),
            Outcome::NotFinite => walk.finish(Status::NotFinite),
        }
        self.step += 1;
        if walk.is_active() && self.step < self.rules.steps {
            Stage::GoesOn
        } else {
            Stage::Over
        }
    }

    fn planned(&self) -> usize {
        self.rules.steps - self.step
    }
}
