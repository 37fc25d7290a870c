/*!
The walk of one image along the decision boundary: rules and bookkeeping.

Pure state, no tensors. A caller asks a model for the logit difference `d` at
[`Walk::point`] (and for its gradient) and reports the answer; the walk moves
its point and remembers the nearest adversarial one. `d < 0` means
adversarial. Nothing here depends on other images, so neither does a result.

The life of a walk: a start is found (`tensor::start`), [`Walk::place`] sets
it, [`Walk::bisect`] pulls it to the boundary, [`Walk::advance`] follows the
boundary, and the best point is confirmed by one more query
([`Walk::confirm`]).
*/

use super::norm::Norm;
use super::real::Real;
use super::trust_region::{self, Outcome, Problem, Scratch};

/// Pushing a point off the boundary at confirmation: first relative push, and
/// how often it is doubled.
const FIRST_PUSH: f64 = 1e-4;
/// See [`FIRST_PUSH`]; the last push lengthens the perturbation by 1.3 %.
pub const N_PUSHES: usize = 8;

/// Where the step aims, as the change `c` of the logit difference `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overshoot {
    /// foolbox: `-o d` from outside, `-(2 - o) d` from inside.
    Foolbox,
    /// The authors' fork: always `max((o - 1) |d|, 0.001)` inside.
    Authors,
}

/// The numbers that steer a walk; defaults and meaning are documented in
/// Python.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Number of steps.
    pub steps: usize,
    /// First trust radius per pixel.
    pub lr: f64,
    /// Its factor at each decay.
    pub lr_decay: f64,
    /// Number of decays over the run.
    pub lr_num_decay: usize,
    /// Weight of the past in the boundary's normal.
    pub momentum: f64,
    /// The factor `o`.
    pub overshoot: f64,
    /// How `o` is used.
    pub overshoot_rule: Overshoot,
    /// Number of bisections between origin and start.
    pub binary_search_steps: usize,
}

impl Rules {
    /// The trust radius of a step: `lr_k D`, whatever the batch.
    #[must_use]
    pub fn radius(&self, step: usize, dimension: usize) -> f64 {
        let n_decays = ((step + 1) * self.lr_num_decay / self.steps.max(1)) as i32;
        self.lr * self.lr_decay.powi(n_decays) * dimension as f64
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

/// How a walk ended, or that it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Still under way.
    Active,
    /// All steps were taken.
    Completed,
    /// The clean image is adversarial.
    AlreadyAdversarial,
    /// No adversarial start was found.
    NoStart,
    /// The given start is not adversarial.
    BadStart,
    /// The model returned NaN or infinity.
    NotFinite,
    /// The gradient vanished.
    ZeroGradient,
    /// The final query did not confirm any point.
    Unconfirmed,
}

impl Status {
    /// The word Python sees.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completed => "completed",
            Self::AlreadyAdversarial => "already_adversarial",
            Self::NoStart => "no_start",
            Self::BadStart => "bad_start",
            Self::NotFinite => "not_finite",
            Self::ZeroGradient => "zero_gradient",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// One image on its way.
#[derive(Debug, Clone)]
pub struct Walk<T> {
    /// The clean image.
    pub origin: Vec<T>,
    /// The point to query next.
    pub point: Vec<T>,
    /// The label to leave, or the target to reach.
    pub class: i64,
    /// The position in the data set, which selects the random stream.
    pub index: u64,
    /// How the walk stands.
    pub status: Status,
    /// How often the model was asked about a point of this walk.
    pub n_queries: i64,
    /// The adversarial start; empty before [`Self::place`].
    start: Vec<T>,
    /// The nearest adversarial point, and the size of its perturbation.
    best: Option<Vec<T>>,
    size: f64,
    /// Largest size taken for clean and smallest known adversarial.
    bracket: (f64, f64),
    /// The boundary's normal, averaged over steps; empty before the first.
    normal: Vec<T>,
    /// Where the next point is written.
    next: Vec<T>,
}

impl<T: Real> Walk<T> {
    /// A walk that stands at its origin.
    #[must_use]
    pub fn new(origin: Vec<T>, class: i64, index: u64) -> Self {
        Self {
            point: origin.clone(),
            class,
            index,
            status: Status::Active,
            n_queries: 0,
            start: Vec::new(),
            best: None,
            size: f64::INFINITY,
            bracket: (0.0, 1.0),
            normal: Vec::new(),
            next: origin.clone(),
            origin,
        }
    }

    /// Whether the walk goes on.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// The nearest adversarial point, if one is known.
    #[must_use]
    pub fn best(&self) -> Option<&[T]> {
        self.best.as_deref()
    }

    /// Reports the difference at the clean image.
    pub fn inspect(&mut self, difference: f64) {
        if !difference.is_finite() {
            self.status = Status::NotFinite;
        } else if difference < 0.0 {
            self.status = Status::AlreadyAdversarial;
            self.keep();
        }
    }

    /// Takes the present point, found adversarial, as the start of a
    /// bisection, and moves to its first point.
    pub fn place(&mut self) {
        self.start.clone_from(&self.point);
        self.keep();
        self.bracket = (0.0, self.size);
        self.halve();
    }

    /// Reports the difference at a bisection point and moves to the next.
    pub fn bisect(&mut self, difference: f64) {
        let middle = f64::midpoint(self.bracket.0, self.bracket.1);
        if difference < 0.0 {
            self.keep();
            self.bracket.1 = middle;
        } else {
            self.bracket.0 = middle;
        }
        self.halve();
    }

    /// Returns to the best point.
    pub fn settle(&mut self) {
        if let Some(best) = &self.best {
            self.point.clone_from(best);
        }
    }

    /// Reports difference and gradient at the present point and takes step
    /// number `step`.
    pub fn advance(
        &mut self,
        difference: f64,
        gradient: &[T],
        (rules, step): (&Rules, usize),
        scratch: &mut Scratch,
    ) {
        if difference < 0.0 && self.present_size() < self.size {
            self.keep();
        }
        self.blend(gradient, rules.momentum);
        let problem = Problem {
            origin: &self.origin,
            point: &self.point,
            normal: &self.normal,
            change: rules.change(difference),
            radius: rules.radius(step, self.origin.len()),
        };
        match trust_region::step(Norm::Linf, &problem, scratch, &mut self.next) {
            Outcome::OnPlane | Outcome::Towards => {
                std::mem::swap(&mut self.point, &mut self.next);
            }
            Outcome::NoDirection => self.status = Status::ZeroGradient,
            Outcome::NotFinite => self.status = Status::NotFinite,
        }
    }

    /// Reports the difference at the best point, asked for once more. Where
    /// the model's rounding moved the point back, it is pushed outwards a
    /// little more at each `attempt`, and returns to the start at the last.
    ///
    /// Returns whether the question is settled.
    pub fn confirm(&mut self, difference: f64, attempt: usize) -> bool {
        if difference < 0.0 {
            self.keep();
            return true;
        }
        match attempt {
            0..N_PUSHES => self.push(FIRST_PUSH * f64::from(1_u32 << attempt)),
            N_PUSHES => self.point.clone_from(&self.start),
            _ => {
                self.best = None;
                self.status = Status::Unconfirmed;
                return true;
            }
        }
        false
    }

    /// Takes the present point as the best.
    fn keep(&mut self) {
        self.size = self.present_size();
        match &mut self.best {
            Some(best) => best.clone_from(&self.point),
            None => self.best = Some(self.point.clone()),
        }
    }

    fn present_size(&self) -> f64 {
        let pixels = self.point.iter().zip(&self.origin);
        pixels.fold(0.0, |most: f64, (&x, &origin)| {
            most.max((x.into() - origin.into()).abs())
        })
    }

    /// Moves to the middle of the bracket: the start's perturbation, clipped.
    fn halve(&mut self) {
        let size = f64::midpoint(self.bracket.0, self.bracket.1);
        let pixels = self.origin.iter().zip(&self.start);
        for (point, (&origin, &start)) in self.point.iter_mut().zip(pixels) {
            let delta = (start.into() - origin.into()).clamp(-size, size);
            *point = T::from_f64(origin.into() + delta);
        }
    }

    /// Lengthens the best perturbation by a relative `amount`.
    fn push(&mut self, amount: f64) {
        let best = self.best.as_ref().unwrap_or(&self.origin);
        for (point, (&origin, &best)) in self.point.iter_mut().zip(self.origin.iter().zip(best)) {
            let delta = (1.0 + amount) * (best.into() - origin.into());
            *point = T::from_f64((origin.into() + delta).clamp(0.0, 1.0));
        }
    }

    /// The moving average of the gradients; the first is taken as it is.
    fn blend(&mut self, gradient: &[T], momentum: f64) {
        if self.normal.is_empty() {
            self.normal.extend_from_slice(gradient);
            return;
        }
        for (normal, &now) in self.normal.iter_mut().zip(gradient) {
            *normal = T::from_f64((1.0 - momentum) * now.into() + momentum * (*normal).into());
        }
    }
}

#[cfg(test)]
mod tests;
