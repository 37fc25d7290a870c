/*!
Projected gradient descent on the logit difference, within a budget.

Each run takes gradient steps that are projected back into the ball around the
clean image and into [0, 1]. The first sets out from the clean image, further
ones from random points of the ball. The adaptive step is that of APGD (Croce
and Hein 2020, section 3): momentum, and at growing numbers of steps a test
whether the run still makes progress; if not, the step is halved and the run
goes back to the best point it has seen.
*/

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::ball::{length, place};
use super::{Answer, Ask, Method, Stage, Status, Walk};
use crate::core::norm::Norm;
use crate::core::real::Real;
use crate::core::trust_region::Scratch;

/// Weight of the new step against the last move (APGD's alpha).
const NEW_SHARE: f64 = 0.75;
/// The share of steps that must bring a gain (APGD's rho).
const GAINING: f64 = 0.75;
/// The first period between two tests, how much shorter each next one is, and
/// the shortest; in hundredths of all steps.
const PERIODS: [usize; 3] = [22, 3, 6];

/// How the length of steps changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepRule {
    /// Not at all.
    Constant,
    /// Halved where progress stalls.
    Adaptive,
}

/// The numbers that steer a run; documented in Python.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The largest perturbation.
    pub epsilon: f64,
    /// Steps of a run.
    pub steps: usize,
    /// The first step over `epsilon`; by default `2.5 / steps` if constant and
    /// 2 if adaptive.
    pub step_size: Option<f64>,
    /// How it changes.
    pub step_rule: StepRule,
    /// Further runs after the first.
    pub restarts: usize,
    /// Whether the first adversarial point ends the search.
    pub early_stop: bool,
}

impl Rules {
    fn first_step(&self) -> f64 {
        let share = self.step_size.unwrap_or(match self.step_rule {
            StepRule::Constant => 2.5 / self.steps as f64,
            StepRule::Adaptive => 2.0,
        });
        share * self.epsilon
    }
}

/// The state of one search.
#[derive(Debug)]
pub struct Pgd<T> {
    rules: Rules,
    /// The image's own stream.
    rng: ChaCha8Rng,
    runs_left: usize,
    /// Whether a run has come to its end, instead of a vanished gradient.
    has_completed: bool,
    step: usize,
    pace: Pace,
    /// The run's point of least difference, and the gradient there.
    best: (Vec<T>, Vec<T>),
    /// The point before the present one; none at the first step and after
    /// going back.
    previous: Option<Vec<T>>,
    delta: Vec<f64>,
}

impl<T: Real> Pgd<T> {
    /// A search that has not begun.
    #[must_use]
    pub fn new(rules: Rules, rng: ChaCha8Rng) -> Self {
        Self {
            rules,
            rng,
            runs_left: rules.restarts,
            has_completed: false,
            step: 0,
            pace: Pace::new(&rules),
            best: (Vec::new(), Vec::new()),
            previous: None,
            delta: Vec::new(),
        }
    }

    /// Ends a run; sets out on the next if there is one.
    fn next_run(&mut self, walk: &mut Walk<T>) -> Stage {
        if self.runs_left == 0 {
            if !self.has_completed {
                walk.finish(Status::ZeroGradient);
            }
            return Stage::Over;
        }
        self.runs_left -= 1;
        self.step = 0;
        self.pace = Pace::new(&self.rules);
        self.previous = None;
        self.scatter(walk);
        Stage::GoesOn
    }

    /// Moves to a random point, uniform in the ball but for the bounds.
    fn scatter(&mut self, walk: &mut Walk<T>) {
        let (epsilon, rng) = (self.rules.epsilon, &mut self.rng);
        if walk.norm == Norm::Linf {
            self.delta
                .fill_with(|| epsilon * rng.random_range(-1.0..=1.0));
        } else {
            self.delta.fill_with(|| rng.sample(StandardNormal));
            let radius = rng.random::<f64>().powf(1.0 / self.delta.len() as f64);
            let factor = epsilon * radius / length(&self.delta);
            self.delta.iter_mut().for_each(|change| *change *= factor);
        }
        place(
            walk.norm,
            epsilon,
            &walk.origin,
            &mut self.delta,
            &mut walk.point,
        );
    }

    /// Notes a gain, or goes back where the run has stalled; returns the
    /// gradient at the point the walk then stands at.
    fn follow_pace(&mut self, walk: &mut Walk<T>, difference: f64, gradient: &mut Vec<T>) {
        if self.pace.is_least(difference) {
            self.best.0.clone_from(&walk.point);
            self.best.1.clone_from(gradient);
        }
        if self.pace.stalls(self.step) {
            walk.point.clone_from(&self.best.0);
            gradient.clone_from(&self.best.1);
            self.previous = None;
        }
    }

    /// One projected step down the gradient, with momentum if adaptive.
    fn descend(&mut self, walk: &mut Walk<T>, gradient: &[T]) {
        let epsilon = self.rules.epsilon;
        let step = self.pace.step;
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
        place(walk.norm, epsilon, &walk.origin, delta, &mut walk.point);
        if let Some(previous) = &self.previous {
            let points = here.iter().zip(previous).zip(&walk.point);
            let pixels = points.zip(&walk.origin);
            for (delta, (((&x, &before), &next), &origin)) in delta.iter_mut().zip(pixels) {
                let (x, next): (f64, f64) = (x.into(), next.into());
                let moved = NEW_SHARE * (next - x) + (1.0 - NEW_SHARE) * (x - before.into());
                *delta = x + moved - origin.into();
            }
            place(walk.norm, epsilon, &walk.origin, delta, &mut walk.point);
        }
        self.previous = (self.rules.step_rule == StepRule::Adaptive).then_some(here);
    }
}

impl<T: Real> Method<T> for Pgd<T> {
    fn begin(&mut self, walk: &mut Walk<T>, _boundary: Vec<Vec<T>>) -> Stage {
        walk.limit = self.rules.epsilon;
        walk.point.clone_from(&walk.origin);
        self.delta.resize(walk.origin.len(), 0.0);
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
        } = answer;
        let square: f64 = gradient.iter().map(|&g| g.into() * g.into()).sum();
        if !difference.is_finite() || !square.is_finite() {
            walk.finish(Status::NotFinite);
            return Stage::Over;
        }
        if walk.consider(difference).is_some() && self.rules.early_stop {
            return Stage::Over;
        }
        if self.step == self.rules.steps {
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
        (1 + self.rules.steps) * (1 + self.runs_left) - self.step
    }
}

/// The length of steps, and the progress it is judged by.
#[derive(Debug)]
struct Pace {
    steps: usize,
    /// The present step.
    step: f64,
    /// When progress was judged last and will be next, in hundredths.
    judged: (usize, usize),
    last: f64,
    n_gains: usize,
    least: f64,
    /// At the last judgement: the least difference, and whether it halved.
    then: (f64, bool),
}

impl Pace {
    fn new(rules: &Rules) -> Self {
        Self {
            steps: rules.steps,
            step: rules.first_step(),
            judged: (0, PERIODS[0]),
            last: f64::INFINITY,
            n_gains: 0,
            least: f64::INFINITY,
            then: (f64::INFINITY, false),
        }
    }

    /// Notes a difference; returns whether it is the least of the run.
    fn is_least(&mut self, difference: f64) -> bool {
        self.n_gains += usize::from(difference < self.last && self.last.is_finite());
        self.last = difference;
        let is_least = difference < self.least;
        if is_least {
            self.least = difference;
        }
        is_least
    }

    /// Judges progress where that is due, and halves the step if it stalls.
    fn stalls(&mut self, step: usize) -> bool {
        let due = |hundredths: usize| (hundredths * self.steps).div_ceil(100);
        if step < due(self.judged.1) {
            return false;
        }
        let (before, now) = self.judged;
        let gained = self.n_gains as f64 >= GAINING * (due(now) - due(before)) as f64;
        let (least, was_halved) = self.then;
        let stalls = !gained || (!was_halved && least <= self.least);
        if stalls {
            self.step /= 2.0;
            self.last = self.least;
        }
        self.then = (self.least, stalls);
        self.n_gains = 0;
        let [_, shorter, shortest] = PERIODS;
        let period = (now - before).saturating_sub(shorter).max(shortest);
        self.judged = (now, now + period);
        stalls
    }
}

#[cfg(test)]
mod tests;
