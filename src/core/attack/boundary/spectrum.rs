/*!
Which bands the normal of a boundary lies in, learned from the answers to probes.

Probes are Gaussian with power `p_b` for each dimension of band `b`. The sum of `n`
probes, signed by their answers, has the mean `n sqrt(2/pi) p_b v / s` in each
direction `v` of the normal, where `s^2 = sum p_b E_b` and `E_b` is the energy of the
normal in the band, and the variance `n p_b`. So

1. the squared length of the signed sum in a band, less what chance gives, estimates
   `E_b`, with a known error; estimates are averaged, weighted by their precision;
2. bands of many dimensions are estimated slowly, so a first guess counts as another
   estimate: the mean of some typical [`shapes`], each weighted by how likely it makes
   the squared lengths so far;
3. the energy of the normal that `n` probes find is largest where the signal-to-noise
   ratio of each dimension, `q_b = (2 n / pi) p_b E_b / (d_b s^2)`, is
   `sqrt(e_b / l) - 1`, or 0 where that is negative: `e_b = E_b / d_b` is the energy of
   a dimension, and `l` makes the sum of all ratios `2 n / pi`;
4. a fixed share of the power is white. Where the normal is coarse, it hardly disturbs,
   since probes are compared along the normal alone; where it is fine, little is lost
   before the bands are known;
5. the best estimate weights each band of the sum by `(E_b / d_b) / (1 + q_b)`.
*/

use std::f64::consts::FRAC_2_PI;

/// A typical normal: the energy of a band grows with this power of its dimensions. With
/// 1 the normal is white, with 0 all bands have the same energy.
const POWERS: [f64; 6] = [1.0, 0.9, 0.8, 0.65, 0.5, 0.25];
/// The energy of the finest gray band is that many times larger. Networks of color images
/// rely more on fine edges in gray than in color.
const FINEST_GRAY: [f64; 2] = [1.0, 3.0];
/// How likely a white normal is before the first answer; the other powers share the rest.
const WHITE: f64 = 0.4;
/// The share of white probes.
const WHITE_POWER: f64 = 0.5;
/// The weight of earlier rounds.
const MEMORY: f64 = 0.9;
/// How much of its error is added to a band's energy before probes are shared.
const OPTIMISM: f64 = 0.5;
/// The least energy of a band, as a share of the first guess.
const LEAST: f64 = 1e-3;

/// What the rounds so far say about the bands.
#[derive(Debug)]
pub struct Spectrum {
    dimensions: Vec<f64>,
    shapes: Vec<Shape>,
    /// Sums of estimates, weighted by their precision, and of the precisions.
    weighted: Vec<f64>,
    precision: Vec<f64>,
}

/// The answers of one round.
#[derive(Debug, Clone, Copy)]
pub struct Round<'a> {
    /// The power of the probes in each dimension of each band.
    pub powers: &'a [f64],
    /// The number of probes.
    pub n: f64,
    /// The variance of the answers, which are 1 and -1.
    pub variance: f64,
}

impl Spectrum {
    /// Bands of these dimensions, of which nothing is known.
    #[must_use]
    pub fn new(dimensions: Vec<f64>) -> Self {
        Self {
            shapes: shapes(&dimensions),
            weighted: vec![0.0; dimensions.len()],
            precision: vec![0.0; dimensions.len()],
            dimensions,
        }
    }

    /// The estimated energy of the normal in each band; the sum is 1.
    #[must_use]
    pub fn energies(&self) -> Vec<f64> {
        normalised(self.estimates(0.0))
    }

    /// The best powers of `n` probes; a probe has the expected squared length 1.
    ///
    /// A band counts by its energy plus part of the error of the estimate, so that bands
    /// of which little is known are probed.
    #[must_use]
    pub fn powers(&self, n: f64) -> Vec<f64> {
        let energies = self.estimates(OPTIMISM);
        let bands = energies.iter().zip(&self.dimensions);
        let densities: Vec<f64> = bands
            .map(|(&energy, &d)| if d > 0.0 { energy / d } else { 0.0 })
            .collect();
        let ratio = |density: f64, level: f64| ((density / level).sqrt() - 1.0).max(0.0);
        let (mut low, mut high) = (1e-15, densities.iter().copied().fold(1e-15, f64::max));
        for _ in 0..60 {
            let level = (low * high).sqrt();
            let bands = densities.iter().zip(&self.dimensions);
            let total: f64 = bands.map(|(&e, d)| d * ratio(e, level)).sum();
            if total > FRAC_2_PI * n {
                low = level;
            } else {
                high = level;
            }
        }
        let powers = densities.iter().map(|&density| {
            if density > 0.0 {
                ratio(density, low) / density
            } else {
                0.0
            }
        });
        let powers: Vec<f64> = powers.collect();
        let bands = powers.iter().zip(&self.dimensions);
        let total: f64 = bands.map(|(p, d)| p * d).sum();
        let white = WHITE_POWER / self.dimensions.iter().sum::<f64>();
        let mixed = |power: &f64| (1.0 - WHITE_POWER) * power / total + white;
        powers.iter().map(mixed).collect()
    }

    /// The weight of each band of the signed sum in the estimate of the normal.
    #[must_use]
    pub fn weights(&self, round: Round<'_>) -> Vec<f64> {
        let energies = self.energies();
        let scale = FRAC_2_PI * round.n * round.variance / variance(round.powers, &energies);
        let bands = energies.iter().zip(&self.dimensions).zip(round.powers);
        bands
            .map(|((&energy, &d), power)| {
                let density = if d > 0.0 { scale * energy / d } else { 0.0 };
                density / (1.0 + density * power)
            })
            .collect()
    }

    /// Learns from the energy of a round's signed sum in each band.
    pub fn learn(&mut self, round: Round<'_>, sum: &[f64]) {
        for shape in &mut self.shapes {
            shape.learn(round, sum, &self.dimensions);
        }
        let square = variance(round.powers, &self.energies());
        for (band, &energy) in sum.iter().enumerate() {
            self.weighted[band] *= MEMORY;
            self.precision[band] *= MEMORY;
            let (power, d) = (round.powers[band], self.dimensions[band]);
            if power <= 0.0 || d <= 0.0 {
                continue;
            }
            let chance = round.n * round.variance * power * d;
            let scale = round.n * FRAC_2_PI.sqrt() * power * round.variance;
            let estimate = (energy - chance) / (scale * scale) * square;
            let error = (2.0 * d).sqrt() * square / (round.n * FRAC_2_PI * power * round.variance);
            let precision = error.powi(-2);
            self.weighted[band] += precision * estimate;
            self.precision[band] += precision;
        }
    }

    /// The mean of the shapes, weighted by how likely they are.
    fn first_guess(&self) -> Vec<f64> {
        let logs = self
            .shapes
            .iter()
            .map(|shape| shape.before + shape.evidence);
        let highest = logs.clone().fold(f64::NEG_INFINITY, f64::max);
        let mut guess = vec![0.0; self.dimensions.len()];
        for (shape, log) in self.shapes.iter().zip(logs) {
            for (guess, energy) in guess.iter_mut().zip(&shape.energies) {
                *guess += (log - highest).exp() * energy;
            }
        }
        normalised(guess)
    }

    /// The energy of each band plus so many times its error.
    fn estimates(&self, errors: f64) -> Vec<f64> {
        let prior = self.first_guess();
        let bands = prior.iter().zip(&self.weighted).zip(&self.precision);
        bands
            .map(|((&prior, weighted), precision)| {
                if prior <= 0.0 {
                    return 0.0;
                }
                // The first guess counts as an estimate that may be wrong by its size.
                let first = prior.powi(-2);
                let total = precision + first;
                let mean = (weighted + first * prior) / total;
                (mean + errors / total.sqrt()).max(LEAST * prior)
            })
            .collect()
    }
}

/// A typical distribution of a normal's energy, and how likely it is.
#[derive(Debug)]
struct Shape {
    energies: Vec<f64>,
    /// The logarithm of its weight before the first answer.
    before: f64,
    /// The logarithm of the likelihood of the answers.
    evidence: f64,
}

impl Shape {
    /// Learns from the energy of a round's signed sum in each band.
    ///
    /// If the normal's parts in the dimensions of a band are independent and Gaussian,
    /// this energy is its mean times a chi-squared variable.
    fn learn(&mut self, round: Round<'_>, sum: &[f64], dimensions: &[f64]) {
        self.evidence *= MEMORY;
        let square = variance(round.powers, &self.energies);
        let bands = self.energies.iter().zip(dimensions).zip(round.powers);
        for (((energy, &d), power), &found) in bands.zip(sum) {
            if d > 0.0 {
                let chance = round.n * round.variance * power * d;
                let scale = round.n * FRAC_2_PI.sqrt() * power * round.variance;
                let expected = chance + scale * scale * energy / square;
                self.evidence -= 0.5 * d * (found / expected + expected.ln());
            }
        }
    }
}

/// The typical shapes for bands of these dimensions, from coarse to fine, each as gray and
/// color.
fn shapes(dimensions: &[f64]) -> Vec<Shape> {
    let finest_gray = dimensions.len().saturating_sub(2);
    let mut found = Vec::new();
    for (at, power) in POWERS.into_iter().enumerate() {
        for factor in FINEST_GRAY {
            let mut energies: Vec<f64> = dimensions.iter().map(|d| d.powf(power)).collect();
            energies[finest_gray] *= factor;
            let rest = (1.0 - WHITE) / (POWERS.len() - 1) as f64;
            let before = if at == 0 { WHITE } else { rest };
            found.push(Shape {
                energies: normalised(energies),
                before: before.ln(),
                evidence: 0.0,
            });
        }
    }
    found
}

/// The variance of a probe's component along the normal.
#[must_use]
pub fn variance(powers: &[f64], energies: &[f64]) -> f64 {
    powers.iter().zip(energies).map(|(p, e)| p * e).sum()
}

/// Values with the sum 1.
fn normalised(values: Vec<f64>) -> Vec<f64> {
    let total: f64 = values.iter().sum();
    values.iter().map(|value| value / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a normal with these energies adds to a signed sum, without chance.
    fn expected(round: Round<'_>, dimensions: &[f64], energies: &[f64]) -> Vec<f64> {
        let square = variance(round.powers, energies);
        let bands = round.powers.iter().zip(dimensions).zip(energies);
        bands
            .map(|((p, d), e)| {
                let signal = (round.n * p).powi(2) * FRAC_2_PI * e / square;
                round.n * p * d + signal
            })
            .collect()
    }

    /// After 60 rounds of the best probes, or of white ones.
    fn learned(energies: [f64; 3], is_white: bool) -> Spectrum {
        let dimensions = vec![16.0, 100.0, 2000.0];
        let mut spectrum = Spectrum::new(dimensions.clone());
        for _ in 0..60 {
            let powers = if is_white {
                vec![1.0 / 2116.0; 3]
            } else {
                spectrum.powers(50.0)
            };
            let total: f64 = powers.iter().zip(&dimensions).map(|(p, d)| p * d).sum();
            assert!((total - 1.0).abs() < 1e-9);
            let round = Round {
                powers: &powers,
                n: 50.0,
                variance: 1.0,
            };
            let sum = expected(round, &dimensions, &energies);
            spectrum.learn(round, &sum);
        }
        spectrum
    }

    #[test]
    fn probes_go_where_a_dimension_has_most_energy() {
        let share = |energies| {
            let spectrum = learned(energies, false);
            let powers = spectrum.powers(50.0);
            let dimensions = &spectrum.dimensions;
            let shares: Vec<f64> = powers.iter().zip(dimensions).map(|(p, d)| p * d).collect();
            shares
        };
        let coarse = share([0.9, 0.05, 0.05]);
        // White probes have a share of .008 there, half white ones at most .504.
        assert!(coarse[0] > 0.25, "{coarse:?}");
        let fine = share([0.0, 0.0, 1.0]);
        assert!(fine[2] > 0.85, "{fine:?}");
    }

    #[test]
    fn the_first_guess_becomes_the_shape_that_fits() {
        let dimensions = vec![
            4.0, 8.0, 12.0, 24.0, 48.0, 96.0, 192.0, 384.0, 768.0, 1536.0,
        ];
        for at in 0..shapes(&dimensions).len() {
            let mut spectrum = Spectrum::new(dimensions.clone());
            let energies = spectrum.shapes[at].energies.clone();
            let distance = |spectrum: &Spectrum| -> f64 {
                let pairs = spectrum.first_guess().into_iter().zip(&energies);
                pairs.map(|(guess, energy)| (guess - energy).abs()).sum()
            };
            let before = distance(&spectrum);
            for _ in 0..60 {
                let powers = spectrum.powers(500.0);
                let round = Round {
                    powers: &powers,
                    n: 500.0,
                    variance: 1.0,
                };
                spectrum.learn(round, &expected(round, &dimensions, &energies));
            }
            let after = distance(&spectrum);
            assert!(after < 0.3 * before, "{at}: {before} {after}");
        }
    }

    #[test]
    fn energies_are_those_of_the_normal() {
        // Much more coarse energy than the first guess takes more rounds than these.
        for energies in [[0.1, 0.1, 0.8], [0.05, 0.2, 0.75], [0.0, 0.1, 0.9]] {
            let found = learned(energies, true).energies();
            for (found, expected) in found.iter().zip(energies) {
                assert!((found - expected).abs() < 0.15, "{found} {expected}");
            }
        }
    }

    #[test]
    fn a_white_normal_gets_nearly_white_probes() {
        let spectrum = learned([16.0 / 2116.0, 100.0 / 2116.0, 2000.0 / 2116.0], false);
        let powers = spectrum.powers(50.0);
        // The energy that 50 probes find, against white probes.
        let energies: Vec<f64> = spectrum.dimensions.iter().map(|d| d / 2116.0).collect();
        let found = |powers: &[f64]| -> f64 {
            let scale = FRAC_2_PI * 50.0 / variance(powers, &energies);
            let bands = powers.iter().zip(&energies).zip(&spectrum.dimensions);
            bands
                .map(|((p, e), d)| {
                    let ratio = scale * p * e / d;
                    e * ratio / (1.0 + ratio)
                })
                .sum()
        };
        assert!(found(&powers) > 0.95 * found(&[1.0 / 2116.0; 3]));
    }
}
