/*!
Projected gradient descent on the logit difference, within a budget.

Each run takes gradient steps that are projected back into the ball around the
clean image and into [0, 1]. The first sets out from the clean image, further
ones from random points of the ball. The adaptive step is that of APGD (Croce
and Hein 2020, section 3): momentum, and at growing numbers of steps a test
whether the run still makes progress; if not, the step is halved and the run
goes back to the best point it has seen.

Of several budgets the smallest at which the attack succeeds is sought: the
largest is tried first, since failing there spares the rest, then bisection.
Budgets that a found point lies within are never tried.
*/

mod pace;

use std::ops::Range;
use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::ball::{length, place};
use super::{Answer, Ask, Method, Settings, Stage, Status, Walk};
use crate::Result;
use crate::core::norm::Norm;
use crate::core::real::Real;
use crate::core::trust_region::Scratch;
use pace::Pace;

/// Weight of the new step against the last move (APGD's alpha).
const NEW_SHARE: f64 = 0.75;

/// How the length of steps changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepRule {
    /// Not at all.
    Constant,
    /// Halved where progress stalls.
    Adaptive,
}

/// The numbers that steer a run; documented in Python.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The largest perturbation; several, ascending, are budgets to choose
    /// from.
    pub budgets: Arc<[f64]>,
    /// Steps of a run.
    pub steps: usize,
    /// The first step over the budget; by default `2.5 / steps` if constant and
    /// 2 if adaptive.
    pub step_size: Option<f64>,
    /// How it changes.
    pub step_rule: StepRule,
    /// Further runs after the first, at each budget.
    pub restarts: usize,
    /// Whether the first adversarial point ends the runs of its budget.
    pub early_stop: bool,
}

impl Rules {
    /// The rules of these settings.
    fn from_settings(settings: &Settings) -> Result<Self> {
        let step_rules = [
            ("adaptive", StepRule::Adaptive),
            ("constant", StepRule::Constant),
        ];
        Ok(Self {
            budgets: settings.numbers("budgets")?.into(),
            steps: settings.count("steps")?,
            step_size: settings.optional("step_size", Settings::number)?,
            step_rule: settings.choice("step_rule", &step_rules)?,
            restarts: settings.count("restarts")?,
            early_stop: settings.flag("early_stop")?,
        })
    }

    /// The first step over the budget.
    fn first_step(&self) -> f64 {
        self.step_size.unwrap_or(match self.step_rule {
            StepRule::Constant => 2.5 / self.steps as f64,
            StepRule::Adaptive => 2.0,
        })
    }

    /// The most answers that bisection of `n` budgets may take.
    fn planned(&self, n: usize) -> usize {
        let n_tried = n.checked_ilog2().map_or(0, |log| log as usize + 1);
        n_tried * (1 + self.restarts) * (1 + self.steps)
    }
}

/// The state of one search.
#[derive(Debug)]
pub struct Pgd<T> {
    rules: Rules,
    /// The image's own stream.
    rng: ChaCha8Rng,
    /// The budgets that may still be the smallest that suffices.
    open: Range<usize>,
    /// The budget that is being tried.
    trial: usize,
    /// Further runs at this budget.
    runs_left: usize,
    /// Whether a point was found at this budget.
    has_found: bool,
    /// Whether any run has come to its end, instead of a vanished gradient.
    has_completed: bool,
    step: usize,
    pace: Pace,
    /// The run's point of least difference.
    best_point: Vec<T>,
    /// The gradient there.
    best_gradient: Vec<T>,
    /// The point before the present one; none at the first step and after
    /// going back.
    previous: Option<Vec<T>>,
    delta: Vec<f64>,
}

impl<T: Real> Pgd<T> {
    /// A search with the settings of `attacks.PGD`, whose `below` has an entry for
    /// each image.
    pub fn from_settings(settings: &Settings, position: usize, rng: ChaCha8Rng) -> Result<Self> {
        let below = settings.optional("below", Settings::numbers)?;
        let below = below.and_then(|below| below.get(position));
        let rules = Rules::from_settings(settings)?;
        Ok(Self::new(rules, *below.unwrap_or(&f64::INFINITY), rng))
    }

    /// A search that has not begun, for perturbations smaller than `below`.
    #[must_use]
    pub fn new(rules: Rules, below: f64, rng: ChaCha8Rng) -> Self {
        let n_below = rules.budgets.partition_point(|&budget| budget < below);
        Self {
            open: 0..n_below,
            trial: n_below.saturating_sub(1),
            rng,
            runs_left: rules.restarts,
            has_found: false,
            has_completed: false,
            step: 0,
            pace: Pace::new(rules.steps, rules.first_step()),
            best_point: Vec::new(),
            best_gradient: Vec::new(),
            previous: None,
            delta: Vec::new(),
            rules,
        }
    }

    /// Sets out on the first run at a budget.
    fn try_budget(&mut self, walk: &mut Walk<T>) {
        self.runs_left = self.rules.restarts;
        self.has_found = false;
        walk.point.clone_from(&walk.origin);
        self.set_out();
    }

    /// Ends a run; sets out on the next, at this budget or another.
    fn next_run(&mut self, walk: &mut Walk<T>) -> Stage {
        let is_enough = self.has_found && self.rules.early_stop;
        if self.runs_left > 0 && !is_enough {
            self.runs_left -= 1;
            self.scatter(walk);
            self.set_out();
            return Stage::GoesOn;
        }
        if self.has_found {
            let smaller = &self.rules.budgets[..self.trial];
            self.open.end = smaller.partition_point(|&budget| budget < walk.size());
        } else {
            self.open.start = self.trial + 1;
        }
        if !self.open.is_empty() {
            self.trial = usize::midpoint(self.open.start, self.open.end);
            self.try_budget(walk);
            return Stage::GoesOn;
        }
        if !self.has_completed {
            walk.finish(Status::ZeroGradient);
        }
        Stage::Over
    }

    fn set_out(&mut self) {
        self.step = 0;
        self.pace = Pace::new(self.rules.steps, self.rules.first_step());
        self.previous = None;
    }

    /// Moves to a random point, uniform in the ball but for the bounds.
    fn scatter(&mut self, walk: &mut Walk<T>) {
        let budget = self.rules.budgets[self.trial];
        let rng = &mut self.rng;
        if walk.norm == Norm::Linf {
            self.delta
                .fill_with(|| budget * rng.random_range(-1.0..=1.0));
        } else {
            self.delta.fill_with(|| rng.sample(StandardNormal));
            let radius = rng.random::<f64>().powf(1.0 / self.delta.len() as f64);
            let factor = budget * radius / length(&self.delta);
            self.delta.iter_mut().for_each(|change| *change *= factor);
        }
        let delta = &mut self.delta;
        place(walk.norm, budget, &walk.origin, delta, &mut walk.point);
    }

    /// Notes a gain, or takes walk and gradient back to the best point where
    /// the run has stalled.
    fn follow_pace(&mut self, walk: &mut Walk<T>, difference: f64, gradient: &mut Vec<T>) {
        if self.pace.is_least(difference) {
            self.best_point.clone_from(&walk.point);
            self.best_gradient.clone_from(gradient);
        }
        if self.pace.stalls(self.step) {
            walk.point.clone_from(&self.best_point);
            gradient.clone_from(&self.best_gradient);
            self.previous = None;
        }
    }

    /// One projected step down the gradient, with momentum if adaptive.
    fn descend(&mut self, walk: &mut Walk<T>, gradient: &[T]) {
        let budget = self.rules.budgets[self.trial];
        let step = self.pace.step * budget;
        let here = walk.point.clone();
        let square: f64 = gradient.iter().map(|&g| g.into() * g.into()).sum();
        let steepness = square.sqrt();
        let pixels = here.iter().zip(&walk.origin).zip(gradient);
        for (delta, ((&x, &origin), &slope)) in self.delta.iter_mut().zip(pixels) {
            let slope: f64 = slope.into();
            let direction = match walk.norm {
                Norm::Linf if slope == 0.0 => 0.0,
                Norm::Linf => slope.signum(),
                _ => slope / steepness,
            };
            *delta = x.into() - origin.into() - step * direction;
        }
        let delta = &mut self.delta;
        place(walk.norm, budget, &walk.origin, delta, &mut walk.point);
        if let Some(previous) = &self.previous {
            let points = here.iter().zip(previous).zip(&walk.point);
            let pixels = points.zip(&walk.origin);
            for (delta, (((&x, &before), &next), &origin)) in delta.iter_mut().zip(pixels) {
                let (x, next): (f64, f64) = (x.into(), next.into());
                let moved = NEW_SHARE * (next - x) + (1.0 - NEW_SHARE) * (x - before.into());
                *delta = x + moved - origin.into();
            }
            place(walk.norm, budget, &walk.origin, delta, &mut walk.point);
        }
        self.previous = (self.rules.step_rule == StepRule::Adaptive).then_some(here);
    }
}

impl<T: Real> Method<T> for Pgd<T> {
    fn begin(&mut self, walk: &mut Walk<T>, _boundary: Vec<Vec<T>>) -> Stage {
        self.delta.resize(walk.origin.len(), 0.0);
        if self.open.is_empty() {
            return Stage::Over;
        }
        self.try_budget(walk);
        Stage::GoesOn
    }

    fn ask(&self) -> Ask {
        if self.step < self.rules.steps {
            Ask::Gradient
        } else {
            Ask::Value
        }
    }

    fn answer(
        &mut self,
        walk: &mut Walk<T>,
        answer: Answer<'_, T>,
        _scratch: &mut Scratch,
    ) -> Stage {
        let Answer {
            difference,
            gradient,
            ..
        } = answer;
        let square: f64 = gradient.iter().map(|&g| g.into() * g.into()).sum();
        if !difference.is_finite() || !square.is_finite() {
            walk.finish(Status::NotFinite);
            return Stage::Over;
        }
        if walk.consider(difference).is_some() {
            self.has_found = true;
            walk.limit = self.rules.budgets[self.trial];
        }
        let is_enough = self.has_found && self.rules.early_stop;
        if is_enough || self.step == self.rules.steps {
            self.has_completed = true;
            return self.next_run(walk);
        }
        if square == 0.0 {
            return self.next_run(walk);
        }
        let mut gradient = gradient.to_vec();
        if self.rules.step_rule == StepRule::Adaptive {
            self.follow_pace(walk, difference, &mut gradient);
        }
        self.descend(walk, &gradient);
        self.step += 1;
        Stage::GoesOn
    }

    fn planned(&self) -> usize {
        if self.open.is_empty() {
            return 0;
        }
        let present = (1 + self.rules.steps) * (1 + self.runs_left) - self.step;
        let n_below = self.trial - self.open.start;
        let n_above = self.open.end - self.trial - 1;
        present + self.rules.planned(n_below.max(n_above))
    }
}

#[cfg(test)]
mod tests;
