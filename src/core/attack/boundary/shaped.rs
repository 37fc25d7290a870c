/*!
Decision-based: the boundary's normal estimated by probes of learned frequencies.

Each round stands at a boundary point `x`, probes random directions around it, and
estimates the normal by their sum, signed by the answers (Chen et al. 2019, arXiv
1904.02144). [`Spectrum`] shares the power of the probes between the [`Bands`] and
weights the bands of the estimate. The next boundary point is sought on the half
circle through `x` and the clean image, in the plane of the perturbation and the
estimate: where the boundary is flat, the circle meets it at the point of the plane that
is nearest to the clean image (Thales; Shi et al. 2023, arXiv 2308.03163).

Probes and the estimate are orthogonal to the perturbation: the component along it is
known, and would only drown the answers about all others.
*/

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::super::ball;
use super::bands::Bands;
use super::spectrum::{Round, Spectrum, variance};
use super::{Proposal, Settings, Stage, Walk};
use crate::Result;
use crate::core::norm::Norm;
use crate::core::real::Real;

/// The first angle that is tried on the circle.
const FIRST_ANGLE: f64 = 0.3;
/// A search on the circle fails below this angle.
const LEAST_ANGLE: f64 = 0.01;
/// The least first angle of a round.
const LEAST_GUESS: f64 = 0.02;
/// A search on the circle succeeds above this angle, near the clean image.
const LARGEST_ANGLE: f64 = 1.5;

/// The numbers that steer the rounds.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Probes of the first round; they grow with the square root of rounds.
    pub probes: usize,
    /// The length of a probe as a share of the perturbation.
    pub reach: f64,
}

impl Rules {
    /// The rules of these settings.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        Ok(Self {
            probes: settings.count("probes")?,
            reach: settings.number("reach")?,
        })
    }
}

/// What the present question is about.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Probe number `n` of the round.
    Probe { n: usize },
    /// The point at `angle`: adversarial at `low`, not at `high`.
    Circle {
        low: f64,
        angle: f64,
        high: Option<f64>,
    },
}

/// The rounds of one image.
#[derive(Debug)]
pub struct Shaped {
    rules: Rules,
    rng: ChaCha8Rng,
    bands: Bands,
    spectrum: Spectrum,
    state: State,
    round: usize,
    /// The direction of the boundary point from the clean image, and its distance.
    outwards: Vec<f64>,
    length: f64,
    /// The power of the round's probes in each dimension of each band.
    powers: Vec<f64>,
    probe: Vec<f64>,
    /// Sums over the probes of the round.
    sum: Vec<f64>,
    signed_sum: Vec<f64>,
    signs: f64,
    /// The estimate of the normal beside `outwards`, of unit length.
    sideways: Vec<f64>,
    /// The first angle of the next search.
    guess: f64,
}

impl Shaped {
    /// Rounds for an image of this shape that have not begun; `rng` is the image's own
    /// stream.
    #[must_use]
    pub fn new(rules: Rules, shape: [usize; 3], rng: ChaCha8Rng) -> Self {
        let bands = Bands::new(shape);
        Self {
            rules,
            rng,
            spectrum: Spectrum::new(bands.dimensions()),
            bands,
            state: State::Probe { n: 0 },
            round: 0,
            outwards: Vec::new(),
            length: 0.0,
            powers: Vec::new(),
            probe: Vec::new(),
            sum: Vec::new(),
            signed_sum: Vec::new(),
            signs: 0.0,
            sideways: Vec::new(),
            guess: FIRST_ANGLE,
        }
    }

    fn n_probes(&self) -> usize {
        (self.rules.probes as f64 * (self.round.max(1) as f64).sqrt()).ceil() as usize
    }

    /// Begins a round at the present point.
    fn set_out<T: Real>(&mut self, walk: &mut Walk<T>) -> Stage {
        self.round += 1;
        self.length = Norm::L2.size(&walk.point, &walk.origin);
        if self.length <= 0.0 {
            return Stage::Over;
        }
        let pixels = walk.point.iter().zip(&walk.origin);
        let change = pixels.map(|(&x, &origin)| (x.into() - origin.into()) / self.length);
        self.outwards = change.collect();
        self.powers = self.spectrum.powers(self.n_probes() as f64);
        self.sum = vec![0.0; walk.origin.len()];
        self.signed_sum = vec![0.0; walk.origin.len()];
        self.signs = 0.0;
        self.send_probe(walk, 0)
    }

    /// Moves to a random point around the boundary point.
    fn send_probe<T: Real>(&mut self, walk: &mut Walk<T>, n: usize) -> Stage {
        let rng = &mut self.rng;
        let draws = (0..walk.origin.len()).map(|_| rng.sample(StandardNormal));
        self.probe = draws.collect();
        let gains: Vec<f64> = self.powers.iter().map(|power| power.sqrt()).collect();
        self.bands.scale(&mut self.probe, &gains);
        remove(&mut self.probe, &self.outwards);
        let reach = self.rules.reach;
        let parts = self.outwards.iter().zip(&self.probe);
        let change = parts.map(|(out, probe)| self.length * (out + reach * probe));
        place(walk, change);
        self.state = State::Probe { n };
        Stage::GoesOn
    }

    /// Adds a probe, signed by its answer.
    fn add(&mut self, is_adversarial: bool) {
        let sign = if is_adversarial { 1.0 } else { -1.0 };
        self.signs += sign;
        let sums = self.sum.iter_mut().zip(&mut self.signed_sum);
        for ((sum, signed), probe) in sums.zip(&self.probe) {
            *sum += probe;
            *signed += sign * probe;
        }
    }

    /// Estimates the normal from the round's probes, and seeks the boundary there.
    fn estimate<T: Real>(&mut self, walk: &mut Walk<T>) -> Stage {
        let n = self.n_probes() as f64;
        let mean = self.signs / n;
        // Where all answers agree there is nothing to compare with.
        let is_mixed = mean.abs() < 1.0;
        let offset = if is_mixed { mean } else { 0.0 };
        let sums = self.sum.iter().zip(&self.signed_sum);
        self.sideways = sums.map(|(sum, signed)| signed - offset * sum).collect();
        let round = Round {
            powers: &self.powers,
            n,
            variance: 1.0 - offset * offset,
        };
        // From earlier rounds: bands that are large by chance get no larger weight.
        let weights = self.spectrum.weights(round);
        if is_mixed {
            let energies = self.bands.energies(&self.sideways);
            self.spectrum.learn(round, &energies);
        }
        self.bands.scale(&mut self.sideways, &weights);
        remove(&mut self.sideways, &self.outwards);
        let length = ball::length(&self.sideways);
        if length <= 0.0 {
            return self.set_out_from(walk, 0.0);
        }
        for value in &mut self.sideways {
            *value /= length;
        }
        self.turn(walk, 0.0, self.guess, None)
    }

    /// Asks about the point of the circle at `angle`.
    fn turn<T: Real>(
        &mut self,
        walk: &mut Walk<T>,
        low: f64,
        angle: f64,
        high: Option<f64>,
    ) -> Stage {
        self.move_to(walk, angle);
        self.state = State::Circle { low, angle, high };
        Stage::GoesOn
    }

    /// Takes the answer about the point at `angle`, and narrows the bracket.
    ///
    /// The bracket is narrow where its ends lie as near to the boundary as a probe does
    /// on average.
    fn narrow<T: Real>(&mut self, walk: &mut Walk<T>, low: f64, high: Option<f64>) -> Stage {
        let Some(high) = high else {
            if low > LARGEST_ANGLE {
                return self.set_out_from(walk, low);
            }
            let angle = (2.0 * low).min(f64::midpoint(low, std::f64::consts::FRAC_PI_2));
            return self.turn(walk, low, angle, None);
        };
        let deviation = variance(&self.powers, &self.spectrum.energies()).sqrt();
        let is_narrow = low > 0.0 && (high - low) * high.sin() < self.rules.reach * deviation;
        if is_narrow || high < LEAST_ANGLE {
            return self.set_out_from(walk, low);
        }
        self.turn(walk, low, f64::midpoint(low, high), Some(high))
    }

    /// Begins the next round at this angle; at 0, from the present boundary point.
    fn set_out_from<T: Real>(&mut self, walk: &mut Walk<T>, angle: f64) -> Stage {
        self.guess = f64::midpoint(self.guess, angle).max(LEAST_GUESS);
        self.move_to(walk, angle);
        self.set_out(walk)
    }

    /// Moves to the point of the circle at `angle`.
    fn move_to<T: Real>(&self, walk: &mut Walk<T>, angle: f64) {
        let radius = self.length * angle.cos();
        let parts = self.outwards.iter().zip(&self.sideways);
        let change = parts.map(|(out, side)| radius * (angle.cos() * out + angle.sin() * side));
        place(walk, change);
    }
}

impl<T: Real> Proposal<T> for Shaped {
    fn begin(&mut self, walk: &mut Walk<T>) -> Stage {
        self.set_out(walk)
    }

    fn next(&mut self, walk: &mut Walk<T>, is_adversarial: bool) -> Stage {
        match self.state {
            State::Probe { n } => {
                self.add(is_adversarial);
                if n + 1 < self.n_probes() {
                    self.send_probe(walk, n + 1)
                } else {
                    self.estimate(walk)
                }
            }
            State::Circle { angle, high, .. } if is_adversarial => self.narrow(walk, angle, high),
            State::Circle { low, angle, .. } => self.narrow(walk, low, Some(angle)),
        }
    }

    fn probe_spectrum(&self) -> Vec<f64> {
        let powers = self.spectrum.powers(self.n_probes() as f64);
        let bands = powers.iter().zip(self.bands.dimensions());
        bands.map(|(power, d)| power * d).collect()
    }
}

/// Sets the walk's point to the clean image plus a change, within [0, 1].
fn place<T: Real>(walk: &mut Walk<T>, change: impl Iterator<Item = f64>) {
    for ((point, &origin), change) in walk.point.iter_mut().zip(&walk.origin).zip(change) {
        *point = T::from_f64((origin.into() + change).clamp(0.0, 1.0));
    }
}

/// Removes from a vector its part along a unit vector.
fn remove(vector: &mut [f64], unit: &[f64]) {
    let along: f64 = vector.iter().zip(unit).map(|(v, u)| v * u).sum();
    for (value, unit) in vector.iter_mut().zip(unit) {
        *value -= along * unit;
    }
}
