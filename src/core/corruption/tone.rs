/*!
Tone: changes of pixel values that ignore position.
*/

use ndarray::Axis;

use super::{Planes, Table};

/// Factor on the distance to the mean.
pub const CONTRAST_FACTOR: Table<f64> = [
    [0.75, 0.5, 0.4, 0.3, 0.15],
    [0.4, 0.3, 0.2, 0.1, 0.05],
    [0.4, 0.3, 0.2, 0.1, 0.05],
];

/// Pulls every channel towards its own mean.
pub fn contrast(image: &mut Planes, factor: f64) {
    for mut plane in image.axis_iter_mut(Axis(0)) {
        let mean = plane.sum() / plane.len() as f64;
        plane.mapv_inplace(|value| (value - mean) * factor + mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_stay_and_spreads_shrink() {
        let before = Planes::from_shape_fn((2, 16, 16), |(c, y, x)| (c + y + 2 * x) as f64 / 50.0);
        let mut after = before.clone();
        contrast(&mut after, 0.3);
        for (a, b) in before.outer_iter().zip(after.outer_iter()) {
            assert!((a.mean().unwrap() - b.mean().unwrap()).abs() < 1e-12);
            assert!((0.3 * a.std(0.0) - b.std(0.0)).abs() < 1e-12);
        }
    }
}
