/*!
Which bands the normal of a boundary lies in, learned from the answers to probes.

Probes are Gaussian with power `p_b` for each dimension of band `b`. The sum of `n`
probes, signed by their answers, has the mean `n sqrt(2/pi) p_b v / s` in each
direction `v` of the normal, where `s^2 = sum p_b E_b` and `E_b` is the energy of the
normal in the band, and the variance `n p_b`. So

1. the squared length of the signed sum in a band, less what chance gives, estimates
   `E_b`, with a known error; estimates are averaged, weighted by their precision;
2. the energy of the normal that `n` probes find is largest where the signal-to-noise
   ratio of each dimension, `q_b = (2 n / pi) p_b E_b / (d_b s^2)`, is
   `sqrt(e_b / l) - 1`, or 0 where that is negative: `e_b = E_b / d_b` is the energy of
   a dimension, and `l` makes the sum of all ratios `2 n / pi`;
3. the best estimate weights each band of the sum by `(E_b / d_b) / (1 + q_b)`.
*/

use std::f64::consts::FRAC_2_PI;

/// The first guess is a band's energy that grows with this power of its dimensions:
/// with 1 the normal would be white, with 0 all bands would have the same energy.
const PRIOR: f64 = 0.8;
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
    prior: Vec<f64>,
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
        let guess = dimensions.iter().map(|d| d.powf(PRIOR));
        let prior = normalised(guess.collect());
        Self {
            weighted: vec![0.0; prior.len()],
            precision: vec![0.0; prior.len()],
            dimensions,
            prior,
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
        let total: f64 = powers
            .iter()
            .zip(&self.dimensions)
            .map(|(p, d)| p * d)
            .sum();
        powers.iter().map(|power| power / total).collect()
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

    /// The energy of each band plus so many times its error.
    fn estimates(&self, errors: f64) -> Vec<f64> {
        let bands = self.prior.iter().zip(&self.weighted).zip(&self.precision);
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
        assert!(coarse[0] > 0.5, "{coarse:?}");
        let fine = share([0.0, 0.0, 1.0]);
        assert!(fine[2] > 0.9, "{fine:?}");
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
