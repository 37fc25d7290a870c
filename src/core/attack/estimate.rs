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

use super::{Answer, Ask, Method, Stage, Walk};
use crate::core::norm::Norm;
use crate::core::real::Real;
use crate::core::trust_region::Scratch;

/// The smallest step tried, as a share of the perturbation.
const LEAST_STEP: f64 = 1e-3;

/// The numbers that steer the rounds.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The most queries of an image, starts and confirmation included.
    pub max_queries: i64,
    /// Probes of the first round; they grow with the square root of rounds.
    pub probes: usize,
    /// The length of a probe as a share of the perturbation.
    pub reach: f64,
    /// The width at which a bisection ends, as a share of the perturbation.
    pub tolerance: f64,
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
    /// Sums over probes: of directions, of signed directions, of signs.
    sums: (Vec<f64>, Vec<f64>, f64),
    /// The estimate of the normal, of unit length; empty at first.
    normal: Vec<f64>,
    n_left: usize,
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
            sums: (Vec::new(), Vec::new(), 0.0),
            normal: Vec::new(),
            n_left: usize::try_from(rules.max_queries).unwrap_or(0),
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
        for sum in [&mut self.sums.0, &mut self.sums.1] {
            sum.clear();
            sum.resize(walk.origin.len(), 0.0);
        }
        self.sums.2 = 0.0;
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
        let (all, signed, signs) = &mut self.sums;
        *signs += sign;
        let probes = walk.point.iter().zip(&self.base);
        for ((all, signed), (&point, &base)) in all.iter_mut().zip(signed).zip(probes) {
            let direction = point.into() - base.into();
            *all += direction;
            *signed += sign * direction;
        }
    }

    /// Estimates the normal from the round's probes, and takes a first step.
    fn estimate(&mut self, walk: &mut Walk<T>) -> Stage {
        let (all, signed, signs) = &self.sums;
        let mean = signs / self.n_probes() as f64;
        // Where all answers agree there is nothing to compare with.
        let offset = if mean.abs() < 1.0 { mean } else { 0.0 };
        let fresh = all.iter().zip(signed).map(|(all, s)| s - offset * all);
        let mut fresh: Vec<f64> = fresh.collect();
        normalise(&mut fresh);
        self.normal = fresh;
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
    let length = super::ball::length(vector);
    if length > 0.0 {
        for value in vector {
            *value /= length;
        }
    }
}

impl<T: Real> Method<T> for Estimate<T> {
    fn begin(&mut self, walk: &mut Walk<T>, _boundary: Vec<Vec<T>>) -> Stage {
        walk.settle();
        self.n_left = self.left(walk);
        if self.n_left == 0 {
            return Stage::Over;
        }
        self.set_out(walk)
    }

    fn ask(&self) -> Ask {
        Ask::Value
    }

    fn answer(
        &mut self,
        walk: &mut Walk<T>,
        answer: Answer<'_, T>,
        _scratch: &mut Scratch,
    ) -> Stage {
        walk.consider(answer.difference);
        self.n_left = self.left(walk);
        if self.n_left == 0 {
            return Stage::Over;
        }
        self.next(walk, answer.difference < 0.0)
    }

    fn planned(&self) -> usize {
        self.n_left
    }

    /// One query is kept for the confirmation.
    fn left(&self, walk: &Walk<T>) -> usize {
        usize::try_from(self.rules.max_queries - 1 - walk.n_queries).unwrap_or(0)
    }
}
