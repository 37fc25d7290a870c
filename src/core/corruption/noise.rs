/*!
Noise: independent draws per pixel and channel.
*/

use rand::RngExt;
use rand_distr::{Distribution, Poisson, StandardNormal};

use super::image::Planes;
use super::{Result, Rng, Stop, Table};

/// Standard deviation of the Gaussian noise, where white is 1.
pub const GAUSSIAN_SD: Table<f32> = [
    [0.04, 0.06, 0.08, 0.09, 0.10],
    [0.04, 0.08, 0.12, 0.15, 0.18],
    [0.08, 0.12, 0.18, 0.26, 0.38],
];

/// Photons that a white pixel counts on average.
pub const SHOT_PHOTONS: Table<f32> = [
    [500.0, 250.0, 100.0, 75.0, 50.0],
    [250.0, 100.0, 50.0, 30.0, 15.0],
    [60.0, 25.0, 12.0, 5.0, 3.0],
];

/// Share of the values that become black or white.
pub const IMPULSE_SHARE: Table<f32> = [
    [0.01, 0.02, 0.03, 0.05, 0.07],
    [0.01, 0.02, 0.05, 0.08, 0.14],
    [0.03, 0.06, 0.09, 0.17, 0.27],
];

/// Standard deviation of the speckle noise, as a share of the value.
pub const SPECKLE_SD: Table<f32> = [
    [0.06, 0.1, 0.12, 0.16, 0.2],
    [0.15, 0.2, 0.25, 0.3, 0.35],
    [0.15, 0.2, 0.35, 0.45, 0.6],
];

/// Adds Gaussian noise.
pub fn gaussian(image: &mut Planes, sd: f32, rng: &mut Rng, stop: &Stop) -> Result<()> {
    for piece in stop.pieces(&mut image.values) {
        for value in piece? {
            let draw: f32 = StandardNormal.sample(rng);
            *value += sd * draw;
        }
    }
    Ok(())
}

/// Adds Gaussian noise in proportion to the value.
pub fn speckle(image: &mut Planes, sd: f32, rng: &mut Rng, stop: &Stop) -> Result<()> {
    for piece in stop.pieces(&mut image.values) {
        for value in piece? {
            let draw: f32 = StandardNormal.sample(rng);
            *value += *value * sd * draw;
        }
    }
    Ok(())
}

/// Replaces values by Poisson photon counts.
pub fn shot(image: &mut Planes, photons: f32, rng: &mut Rng, stop: &Stop) -> Result<()> {
    // Constructing a distribution takes longer than a draw. An image has few distinct
    // levels, so distributions are kept.
    let mut met: Vec<Option<(u32, Poisson<f64>)>> = vec![None; 512];
    for piece in stop.pieces(&mut image.values) {
        for value in piece? {
            let slot = &mut met[(*value * 510.0 + 0.5) as usize & 511];
            if !matches!(slot, Some((bits, _)) if *bits == value.to_bits()) {
                // Black has no photons, and the mean 0 has no distribution here.
                let counts = Poisson::new(f64::from(*value * photons));
                *slot = counts.ok().map(|counts| (value.to_bits(), counts));
            }
            if let Some((_, counts)) = slot {
                *value = counts.sample(rng) as f32 / photons;
            }
        }
    }
    Ok(())
}

/// Turns a share of the values black or white, with equal chances.
pub fn impulse(image: &mut Planes, share: f32, rng: &mut Rng, stop: &Stop) -> Result<()> {
    for piece in stop.pieces(&mut image.values) {
        for value in piece? {
            let draw: f32 = rng.random();
            if draw < share {
                *value = if 2.0 * draw < share { 0.0 } else { 1.0 };
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // copies and whole numbers
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn spread(
        make: impl Fn(&mut Planes, &mut Rng, &Stop) -> Result<()>,
        level: f32,
    ) -> (Planes, f64, f64) {
        let mut image = Planes {
            channels: 3,
            height: 100,
            width: 100,
            values: vec![level; 30_000],
        };
        make(&mut image, &mut Rng::seed_from_u64(1), &Stop::default()).unwrap();
        let count = image.values.len() as f64;
        let mean = image.values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let square = image
            .values
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>();
        (image, mean, (square / count).sqrt())
    }

    #[test]
    fn the_noise_has_the_stated_spread_and_no_structure() {
        let (image, mean, sd) = spread(|image, rng, stop| gaussian(image, 0.08, rng, stop), 0.5);
        // 30000 draws: the error of the mean is 0.00046, and of the sd 0.4 %.
        assert!((mean - 0.5).abs() < 0.002);
        assert!((sd - 0.08).abs() < 0.0015);
        let pairs = image
            .values
            .windows(2)
            .map(|pair| (pair[0] - 0.5) * (pair[1] - 0.5));
        let correlation = pairs.sum::<f32>() / 30_000.0 / 0.0064;
        assert!(correlation.abs() < 0.03, "correlation {correlation}");
        let (_, mean, sd) = spread(|image, rng, stop| speckle(image, 0.2, rng, stop), 0.5);
        assert!((mean - 0.5).abs() < 0.003 && (sd - 0.1).abs() < 0.002);
    }

    #[test]
    fn photon_counts_are_whole_and_vary_as_their_mean() {
        for photons in [3.0, 60.0] {
            let (image, mean, sd) = spread(|image, rng, stop| shot(image, photons, rng, stop), 0.4);
            let expected = f64::from(0.4 / photons).sqrt();
            assert!((mean - 0.4).abs() < 4.0 * expected / 173.0, "{mean}");
            assert!((sd - expected).abs() < 0.02 * expected, "{sd}");
            assert!(
                image
                    .values
                    .iter()
                    .all(|v| ((v * photons).round() - v * photons).abs() < 1e-4)
            );
        }
    }

    #[test]
    fn impulses_are_half_salt() {
        let (image, ..) = spread(|image, rng, stop| impulse(image, 0.1, rng, stop), 0.5);
        let count = |level: f32| image.values.iter().filter(|&&v| v == level).count();
        assert!((1_400..1_600).contains(&count(0.0)), "{}", count(0.0));
        assert!((1_400..1_600).contains(&count(1.0)), "{}", count(1.0));
        assert_eq!(count(0.0) + count(1.0) + count(0.5), 30_000);
    }
}
