/*!
The Brendel & Bethge attack: follow the boundary towards the clean image, after a
[`descent`] where the budget is long.

Each step solves, exactly, for the nearest point to the clean image on the
linearized boundary, within [0, 1] and a trust radius
([`crate::core::trust_region`]).
*/

pub mod descent;

use super::{Answer, Ask, Method, Settings, Stage, Status, Walk};
use crate::Result;
use crate::core::norm::Norm;
use crate::core::real::Real;
use crate::core::trust_region::{Outcome, Problem, Scratch, step};
use descent::Descent;

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
    /// The steps of a descent before the first walk.
    pub descent: usize,
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
    /// The rules of these settings.
    fn from_settings(settings: &Settings) -> Result<Self> {
        let radii = [("adaptive", false), ("published", true)];
        let radius = if settings.choice("radius", &radii)? {
            Radius::Published {
                first: settings.number("first_radius")?,
                decay: settings.number("decay")?,
                n_decays: settings.count("n_decays")?,
            }
        } else {
            Radius::Adaptive {
                first: settings.number("first_radius")?,
                last: settings.number("last_radius")?,
                decay: settings.number("decay")?,
                patience: settings.count("patience")?,
                tolerance: settings.number("tolerance")?,
            }
        };
        let overshoots = [
            ("foolbox", Overshoot::Foolbox),
            ("authors", Overshoot::Authors),
        ];
        Ok(Self {
            steps: settings.count("steps")?,
            restarts: settings.count("restarts")?,
            descent: settings.count("descent")?,
            radius,
            momentum: settings.number("momentum")?,
            is_normalised: settings.flag("normalise")?,
            overshoot: settings.number("overshoot")?,
            overshoot_rule: settings.choice("overshoot_rule", &overshoots)?,
        })
    }

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

/// How large a perturbation is.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// In the norm of the attack.
    size: f64,
    /// The Euclidean length.
    length: f64,
}

impl Extent {
    /// The extent of the present perturbation.
    fn of<T: Real>(walk: &Walk<T>) -> Self {
        let size = |norm: Norm| norm.size(&walk.point, &walk.origin);
        Self {
            size: size(walk.norm),
            length: size(Norm::L2),
        }
    }
}

/// The state of one walk along the boundary.
#[derive(Debug)]
pub struct BrendelBethge<T> {
    rules: Rules,
    /// Boundary points to set out from, the nearest last.
    boundary: Vec<Vec<T>>,
    /// The descent, while it lasts.
    descent: Option<Descent<T>>,
    /// Walks that may follow the present one.
    walks_left: usize,
    step: usize,
    /// The boundary's normal, averaged over steps; empty before the first.
    normal: Vec<T>,
    /// Where the next point is written.
    next: Vec<T>,
    /// The walk's nearest perturbation.
    nearest: Extent,
    /// The adaptive radius over its length.
    share: f64,
    /// The size at the last gain.
    gained_size: f64,
    /// Steps since the last gain or decay.
    steps_without_gain: usize,
    /// Whether no adversarial point was seen since the last decay.
    is_lost: bool,
    /// Whether it gave up searching outside and halves its way back.
    is_returning: bool,
}

impl<T: Real> BrendelBethge<T> {
    /// A walk with the settings of `attacks.BrendelBethge`.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        Ok(Self::new(Rules::from_settings(settings)?))
    }

    /// A walk that has not begun.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            boundary: Vec::new(),
            descent: (rules.descent > 0).then(|| Descent::new(rules.descent)),
            walks_left: rules.restarts,
            step: 0,
            normal: Vec::new(),
            next: Vec::new(),
            nearest: Extent {
                size: f64::INFINITY,
                length: 0.0,
            },
            share: 0.0,
            gained_size: f64::INFINITY,
            steps_without_gain: 0,
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
        self.set_out_from(walk);
    }

    /// Sets out from the present point.
    fn set_out_from(&mut self, walk: &Walk<T>) {
        self.step = 0;
        self.normal.clear();
        self.next.clone_from(&walk.point);
        self.nearest = Extent::of(walk);
        self.gained_size = f64::INFINITY;
        self.steps_without_gain = 0;
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
                self.steps_without_gain += 1;
                let nearest = self.nearest;
                if nearest.size < self.gained_size * (1.0 - tolerance) {
                    self.gained_size = nearest.size;
                    self.steps_without_gain = 0;
                }
                // Outside, the walk may be on its way to a nearer part of the
                // boundary: it is given more time.
                let lenience = if self.is_lost { LENIENCE } else { 1 };
                if self.steps_without_gain >= lenience * patience {
                    self.steps_without_gain = 0;
                    self.share *= decay;
                    self.is_returning = self.is_lost && self.share >= last;
                    self.is_lost = true;
                }
                // Outside it may be far nearer than where it came from.
                let length = Norm::L2.size(&walk.point, &walk.origin);
                let length = length.max(last * nearest.length).min(nearest.length);
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
        if size < self.nearest.size {
            let before = self.nearest.length;
            self.nearest = Extent::of(walk);
            if let Radius::Adaptive { first, .. } = self.rules.radius
                && self.is_lost
                && self.nearest.length < before
            {
                self.share = (self.share * before / self.nearest.length).min(first);
            }
        }
        self.is_lost = false;
        if self.is_returning {
            self.is_returning = false;
            self.normal.clear();
            self.steps_without_gain = 0;
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
        if let Some(descent) = &mut self.descent {
            let here = (answer.difference, answer.gradient);
            if descent.next(walk, here, self.nearest.length) {
                return Stage::GoesOn;
            }
            self.descent = None;
            if walk.settle() {
                self.set_out_from(walk);
                return Stage::GoesOn;
            }
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
        let descent = self
            .descent
            .as_ref()
            .map_or(0, |descent| 1 + descent.left());
        descent + (1 + self.rules.steps) * (1 + self.walks_left) - self.step
    }
}

#[cfg(test)]
mod tests;
