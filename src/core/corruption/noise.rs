/*!
Noise: independent draws per pixel and channel.
*/

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Planes, Table};

/// Standard deviation of the Gaussian noise, white = 1.
pub const GAUSSIAN_SD: Table<f64> = [
    [0.04, 0.06, 0.08, 0.09, 0.10],
    [0.04, 0.08, 0.12, 0.15, 0.18],
    [0.08, 0.12, 0.18, 0.26, 0.38],
];

/// Adds Gaussian noise.
pub fn gaussian(image: &mut Planes, sd: f64, rng: &mut ChaCha8Rng) {
    for value in image {
        let draw: f64 = StandardNormal.sample(rng);
        *value += sd * draw;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_noise_has_the_stated_spread_and_no_structure() {
        let mut image = Planes::from_elem((3, 100, 100), 0.5);
        gaussian(&mut image, 0.08, &mut ChaCha8Rng::seed_from_u64(1));
        let noise = image - 0.5;
        // 30000 draws: the mean is known to 0.00046, the sd to 0.4 %.
        assert!(noise.mean().unwrap().abs() < 0.002);
        assert!((noise.std(0.0) - 0.08).abs() < 0.0015);
        let (left, right) = noise.view().split_at(ndarray::Axis(2), 50);
        let correlation = (&left * &right).mean().unwrap() / 0.0064;
        assert!(correlation.abs() < 0.04, "correlation {correlation}");
    }
}
