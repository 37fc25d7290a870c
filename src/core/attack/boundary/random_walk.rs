/*!
Decision-based: the random walk of Brendel, Rauber and Bethge (2018).

From an adversarial point, a step of random direction at the same distance
from the clean image, then a step towards it; taken if the point is adversarial
and nearer. How often each succeeds sets their sizes.

In the maximum norm a point at the same distance lies on a cube: the random
step is followed by a clip to the cube of the present size, and the step
towards the clean image is a clip to a smaller cube.
*/

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::super::ball;
use super::{Proposal, Settings, Stage, Walk};
use crate::Result;
use crate::core::norm::Norm;
use crate::core::real::Real;

/// Every so many steps the random step is tried alone.
const CHECK_EVERY: usize = 10;
/// The walk has converged when its step towards the image is this small.
const CONVERGED: f64 = 1e-7;
/// The longest step towards the image; one of 1 would be at the image.
const LONGEST: f64 = 0.9;

/// The numbers that steer a walk.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The first random step, relative to the distance.
    pub spherical_step: f64,
    /// The first step towards the image, relative to the distance.
    pub source_step: f64,
    /// The factor by which steps grow and shrink.
    pub adaptation: f64,
}

impl Rules {
    /// The rules of these settings.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        Ok(Self {
            spherical_step: settings.number("spherical_step")?,
            source_step: settings.number("source_step")?,
            adaptation: settings.number("step_adaptation")?,
        })
    }
}

/// The last answers to one kind of question.
#[derive(Debug, Default)]
struct Tally {
    answers: std::collections::VecDeque<bool>,
}

impl Tally {
    /// Notes an answer; once there are `length`, the share that were yes.
    fn note(&mut self, answer: bool, length: usize) -> Option<f64> {
        self.answers.push_back(answer);
        if self.answers.len() > length {
            self.answers.pop_front();
        }
        let n_yes = self.answers.iter().filter(|&&yes| yes).count();
        (self.answers.len() == length).then(|| n_yes as f64 / length as f64)
    }
}

/// The walk of one image.
#[derive(Debug)]
pub struct RandomWalk<T> {
    rules: Rules,
    rng: ChaCha8Rng,
    step: usize,
    /// Whether the present question is the random step alone.
    is_check: bool,
    spherical: Tally,
    source: Tally,
    /// The present adversarial point.
    here: Vec<T>,
    /// The perturbations after the random step, and after both.
    sideways: Vec<f64>,
    nearer: Vec<f64>,
}

impl<T: Real> RandomWalk<T> {
    /// A walk that has not begun; `rng` is the image's own stream.
    #[must_use]
    pub fn new(rules: Rules, rng: ChaCha8Rng) -> Self {
        Self {
            rules,
            rng,
            step: 0,
            is_check: false,
            spherical: Tally::default(),
            source: Tally::default(),
            here: Vec::new(),
            sideways: Vec::new(),
            nearer: Vec::new(),
        }
    }

    /// Draws the next step from the present point.
    fn draw(&mut self, walk: &mut Walk<T>) -> Stage {
        if self.rules.source_step < CONVERGED {
            return Stage::Over;
        }
        let size = walk.norm.size(&self.here, &walk.origin);
        if size <= 0.0 {
            return Stage::Over;
        }
        let pixels = self.here.iter().zip(&walk.origin);
        self.sideways.clear();
        self.sideways
            .extend(pixels.map(|(&x, &origin)| x.into() - origin.into()));
        self.step_sideways(walk.norm, size);
        let shrunk = (1.0 - self.rules.source_step) * size;
        self.nearer.clone_from(&self.sideways);
        self.is_check = self.step.is_multiple_of(CHECK_EVERY);
        if self.is_check {
            let sideways = &mut self.sideways;
            ball::place(
                walk.norm,
                f64::INFINITY,
                &walk.origin,
                sideways,
                &mut walk.point,
            );
        } else {
            ball::place(
                walk.norm,
                shrunk,
                &walk.origin,
                &mut self.nearer,
                &mut walk.point,
            );
        }
        self.step += 1;
        Stage::GoesOn
    }

    /// Turns `sideways` at random, keeping its size.
    fn step_sideways(&mut self, norm: Norm, size: f64) {
        let rng = &mut self.rng;
        let draws = (0..self.sideways.len()).map(|_| rng.sample(StandardNormal));
        let mut noise: Vec<f64> = draws.collect();
        let reach = self.rules.spherical_step * size;
        if norm == Norm::Linf {
            for (change, noise) in self.sideways.iter_mut().zip(&noise) {
                *change = (*change + reach * noise).clamp(-size, size);
            }
            return;
        }
        let along: f64 = noise.iter().zip(&self.sideways).map(|(n, c)| n * c).sum();
        for (noise, change) in noise.iter_mut().zip(&self.sideways) {
            *noise -= along / (size * size) * change;
        }
        let scale = reach / ball::length(&noise);
        let back = (1.0 + self.rules.spherical_step.powi(2)).sqrt().recip();
        for (change, noise) in self.sideways.iter_mut().zip(&noise) {
            *change = back * (*change + scale * noise);
        }
    }

    fn scale_both(&mut self, factor: f64) {
        self.rules.spherical_step *= factor;
        self.scale_source(factor);
        self.spherical = Tally::default();
    }

    fn scale_source(&mut self, factor: f64) {
        self.rules.source_step = (self.rules.source_step * factor).min(LONGEST);
    }
}

impl<T: Real> Proposal<T> for RandomWalk<T> {
    fn begin(&mut self, walk: &mut Walk<T>) -> Stage {
        self.here.clone_from(&walk.point);
        self.draw(walk)
    }

    fn next(&mut self, walk: &mut Walk<T>, is_adversarial: bool) -> Stage {
        let factor = self.rules.adaptation;
        if self.is_check {
            self.is_check = false;
            match self.spherical.note(is_adversarial, 100) {
                Some(share) if share > 0.5 => self.scale_both(factor),
                Some(share) if share < 0.2 => self.scale_both(factor.recip()),
                _ => {}
            }
            let shrunk = (1.0 - self.rules.source_step) * walk.norm.size(&self.here, &walk.origin);
            ball::place(
                walk.norm,
                shrunk,
                &walk.origin,
                &mut self.nearer,
                &mut walk.point,
            );
            return Stage::GoesOn;
        }
        let change = match self.source.note(is_adversarial, 30) {
            Some(share) if share > 0.25 => Some(factor),
            Some(share) if share < 0.1 => Some(factor.recip()),
            _ => None,
        };
        if let Some(change) = change {
            self.scale_source(change);
            self.source = Tally::default();
        }
        let is_nearer =
            walk.norm.size(&walk.point, &walk.origin) < walk.norm.size(&self.here, &walk.origin);
        if is_adversarial && is_nearer {
            self.here.clone_from(&walk.point);
        }
        self.draw(walk)
    }
}
