/*!
Decision-based: the boundary's normal estimated from labels alone.

Each round stands at a boundary point `x`, probes which random directions
around it lead out of the class, and averages them, signed by the answer: the
mean points along the normal (Chen et al. 2019, arXiv 1904.02144). It then steps
that way, by a size that shrinks with the rounds and is halved until the point
is adversarial, and bisects back to the boundary towards the clean image.

One thing differs, because it saves queries: probes and bisection are as coarse
as the length of the perturbation allows, where theirs are far finer, and so
there are more rounds of fewer probes.
*/

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::super::ball;
use super::{Proposal, Settings, Stage, Walk};
use crate::Result;
use crate::core::norm::Norm;
use crate::core::real::Real;

/// The smallest step tried, as a share of the perturbation.
const LEAST_STEP: f64 = 1e-3;

/// The numbers that steer the rounds.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Probes of the first round; they grow with the square root of rounds.
    pub probes: usize,
    /// The length of a probe as a share of the perturbation.
    pub reach: f64,
    /// The width at which a bisection ends, as a share of the perturbation.
    pub tolerance: f64,
}

impl Rules {
    /// The rules of these settings.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        Ok(Self {
            probes: settings.count("probes")?,
            reach: settings.number("reach")?,
            tolerance: settings.number("tolerance")?,
        })
    }
}

/// What the present question is about.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Probe number `n` of the round.
    Probe { n: usize },
    /// A step of `size` along the estimate.
    Step { size: f64 },
    /// The middle of a bracket towards `far_end`.
    Bisect { low: f64, high: f64 },
}

/// Sums over the probes of a round.
#[derive(Debug, Default)]
struct Sums {
    directions: Vec<f64>,
    signed_directions: Vec<f64>,
    signs: f64,
}

/// The rounds of one image.
#[derive(Debug)]
pub struct Estimate<T> {
    rules: Rules,
    rng: ChaCha8Rng,
    state: State,
    round: usize,
    /// The boundary point of the round, and its Euclidean distance.
    base: Vec<T>,
    length: f64,
    /// Where the bisection started.
    far_end: Vec<T>,
    sums: Sums,
    /// The estimate of the normal, of unit length; empty at first.
    normal: Vec<f64>,
}

impl<T: Real> Estimate<T> {
    /// Rounds that have not begun; `rng` is the image's own stream.
    #[must_use]
    pub fn new(rules: Rules, rng: ChaCha8Rng) -> Self {
        Self {
            rules,
            rng,
            state: State::Probe { n: 0 },
            round: 0,
            base: Vec::new(),
            length: 0.0,
            far_end: Vec::new(),
            sums: Sums::default(),
            normal: Vec::new(),
        }
    }

    fn n_probes(&self) -> usize {
        (self.rules.probes as f64 * (self.round as f64).sqrt()).ceil() as usize
    }

    /// Begins a round at the present point.
    fn set_out(&mut self, walk: &mut Walk<T>) -> Stage {
        self.round += 1;
        self.base.clone_from(&walk.point);
        self.length = Norm::L2.size(&self.base, &walk.origin);
        let dimension = walk.origin.len();
        self.sums = Sums {
            directions: vec![0.0; dimension],
            signed_directions: vec![0.0; dimension],
            signs: 0.0,
        };
        if self.length > 0.0 {
            self.probe(walk, 0)
        } else {
            Stage::Over
        }
    }

    /// Moves to a random point around the base.
    fn probe(&mut self, walk: &mut Walk<T>, n: usize) -> Stage {
        let scale = self.rules.reach * self.length / (walk.origin.len() as f64).sqrt();
        for (point, &base) in walk.point.iter_mut().zip(&self.base) {
            let draw: f64 = self.rng.sample(StandardNormal);
            *point = T::from_f64((base.into() + scale * draw).clamp(0.0, 1.0));
        }
        self.state = State::Probe { n };
        Stage::GoesOn
    }

    /// Adds a probe's direction, signed by its answer.
    fn add(&mut self, walk: &Walk<T>, is_adversarial: bool) {
        let sign = if is_adversarial { 1.0 } else { -1.0 };
        let sums = &mut self.sums;
        sums.signs += sign;
        let totals = sums.directions.iter_mut().zip(&mut sums.signed_directions);
        let probes = walk.point.iter().zip(&self.base);
        for ((total, signed), (&point, &base)) in totals.zip(probes) {
            let direction = point.into() - base.into();
            *total += direction;
            *signed += sign * direction;
        }
    }

    /// Estimates the normal from the round's probes, and takes a first step.
    fn estimate(&mut self, walk: &mut Walk<T>) -> Stage {
        let sums = &self.sums;
        let mean = sums.signs / self.n_probes() as f64;
        // Where all answers agree there is nothing to compare with.
        let offset = if mean.abs() < 1.0 { mean } else { 0.0 };
        let totals = sums.directions.iter().zip(&sums.signed_directions);
        self.normal = totals
            .map(|(total, signed)| signed - offset * total)
            .collect();
        normalise(&mut self.normal);
        let size = walk.norm.size(&self.base, &walk.origin) / (self.round as f64).sqrt();
        self.step(walk, size)
    }

    /// Moves by `size`, in the norm, along the estimate.
    fn step(&mut self, walk: &mut Walk<T>, size: f64) -> Stage {
        let pixels = self.base.iter().zip(&self.normal);
        for (point, (&base, &normal)) in walk.point.iter_mut().zip(pixels) {
            let direction = if walk.norm == Norm::Linf {
                normal.signum()
            } else {
                normal
            };
            *point = T::from_f64((base.into() + size * direction).clamp(0.0, 1.0));
        }
        self.state = State::Step { size };
        Stage::GoesOn
    }

    /// Halves the bracket, or begins the next round at its adversarial end.
    fn bisect(&mut self, walk: &mut Walk<T>, low: f64, high: f64) -> Stage {
        let is_narrow = high - low <= self.rules.tolerance;
        let fraction = if is_narrow {
            high
        } else {
            f64::midpoint(low, high)
        };
        walk.norm
            .midpoint(&walk.origin, &self.far_end, fraction, &mut walk.point);
        if is_narrow {
            return self.set_out(walk);
        }
        self.state = State::Bisect { low, high };
        Stage::GoesOn
    }
}

impl<T: Real> Proposal<T> for Estimate<T> {
    fn begin(&mut self, walk: &mut Walk<T>) -> Stage {
        self.set_out(walk)
    }

    fn next(&mut self, walk: &mut Walk<T>, is_adversarial: bool) -> Stage {
        match self.state {
            State::Probe { n } => {
                self.add(walk, is_adversarial);
                if n + 1 < self.n_probes() {
                    self.probe(walk, n + 1)
                } else {
                    self.estimate(walk)
                }
            }
            State::Step { .. } if is_adversarial => {
                self.far_end.clone_from(&walk.point);
                self.bisect(walk, 0.0, 1.0)
            }
            State::Step { size } => {
                let whole = walk.norm.size(&self.base, &walk.origin);
                if size > LEAST_STEP * whole {
                    return self.step(walk, size / 2.0);
                }
                walk.point.clone_from(&self.base);
                self.set_out(walk)
            }
            State::Bisect { low, high } => {
                let middle = f64::midpoint(low, high);
                if is_adversarial {
                    self.bisect(walk, low, middle)
                } else {
                    self.bisect(walk, middle, high)
                }
            }
        }
    }
}

/// Brings a vector to unit length; zero stays zero.
fn normalise(vector: &mut [f64]) {
    let length = ball::length(vector);
    if length > 0.0 {
        for value in vector {
            *value /= length;
        }
    }
}
