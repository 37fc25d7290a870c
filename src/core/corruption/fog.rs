/*!
Fog: a fractal height map, laid over the image.
*/

use rand::RngExt;

use super::image::Planes;
use super::{Result, Rng, Stop, Table};

/// Density of the fog, and decay of its detail from one scale to the next.
pub const FOG: Table<(f32, f32)> = [
    [(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)],
    [(0.4, 3.0), (0.7, 3.0), (1.0, 2.5), (1.5, 2.0), (2.0, 1.75)],
    [(1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)],
];

/// Adds fog, then scales values so that none exceeds the image's original maximum.
pub fn fog(
    image: &mut Planes,
    (density, decay): (f32, f32),
    rng: &mut Rng,
    stop: &Stop,
) -> Result<()> {
    let size = image.height.max(image.width).next_power_of_two();
    let map = plasma(size, decay, rng, stop)?;
    let brightest = image.values.iter().copied().fold(0.0, f32::max);
    let scale = brightest / (brightest + density);
    let width = image.width;
    for plane in image.planes_mut() {
        let rows = plane.chunks_exact_mut(width).zip(map.chunks_exact(size));
        for row in stop.watch(rows) {
            let (row, fog) = row?;
            for (value, fog) in row.iter_mut().zip(fog) {
                *value = (*value + density * fog) * scale;
            }
        }
    }
    Ok(())
}

/// The diamond-square fractal on a torus of `size`, a power of two, scaled to
/// [0, 1]. The random part shrinks by the square of `decay` from one scale to the
/// next, because the published code multiplies by the amplitude twice.
pub fn plasma(size: usize, decay: f32, rng: &mut Rng, stop: &Stop) -> Result<Vec<f32>> {
    let mut map = vec![0.0; size * size];
    let (mut step, mut wobble) = (size, 1.0_f32);
    while step >= 2 {
        let half = step / 2;
        // Centers of squares, then midpoints of horizontal and vertical edges.
        let corners = [(0, 0), (0, step), (step, 0), (step, step)];
        let mut fill =
            |target, around| fill(&mut map, (size, step), target, around, wobble, rng, stop);
        fill((half, half), corners)?;
        let around = [(half, half), (size - half, half), (0, 0), (0, step)];
        fill((0, half), around)?;
        let around = [(half, half), (half, size - half), (0, 0), (step, 0)];
        fill((half, 0), around)?;
        step = half;
        wobble /= decay * decay;
    }
    let low = map.iter().copied().fold(f32::INFINITY, f32::min);
    let high = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scale = 1.0 / (high - low);
    for height in &mut map {
        *height = (*height - low) * scale;
    }
    Ok(map)
}

/// Sets the point at offset `target` in every cell to the mean of the four points at
/// the offsets `around`, plus a uniform draw.
fn fill(
    map: &mut [f32],
    (size, step): (usize, usize),
    target: (usize, usize),
    around: [(usize, usize); 4],
    wobble: f32,
    rng: &mut Rng,
    stop: &Stop,
) -> Result<()> {
    let wrap = size - 1;
    for y in stop.watch((0..size).step_by(step)) {
        let y = y?;
        for x in (0..size).step_by(step) {
            let at = |(dy, dx): (usize, usize)| ((y + dy) & wrap) * size + ((x + dx) & wrap);
            let sum: f32 = around.iter().map(|&offset| map[at(offset)]).sum();
            let draw: f32 = rng.random();
            map[at(target)] = 0.25 * sum + wobble * (2.0 * draw - 1.0);
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // copies and whole numbers
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_map_fills_the_unit_and_grows_rough_with_slow_decay() {
        let rough = |decay: f32| {
            let map = plasma(64, decay, &mut Rng::seed_from_u64(1), &Stop::default()).unwrap();
            let low = map.iter().copied().fold(1.0, f32::min);
            let high = map.iter().copied().fold(0.0, f32::max);
            assert!(low == 0.0 && (high - 1.0).abs() < 1e-6);
            map.windows(2).map(|p| (p[0] - p[1]).abs()).sum::<f32>() / 4096.0
        };
        assert!(rough(1.2) > 2.0 * rough(3.0));
    }

    #[test]
    fn without_wobble_every_point_is_the_mean_of_its_neighbours() {
        // With infinite decay, only the first draws are random; the rest is interpolated.
        let map = plasma(
            8,
            f32::INFINITY,
            &mut Rng::seed_from_u64(2),
            &Stop::default(),
        )
        .unwrap();
        let at = |y: usize, x: usize| map[(y % 8) * 8 + x % 8];
        let centre = (at(0, 0) + at(0, 4) + at(4, 0) + at(4, 4)) / 4.0;
        assert!((at(2, 2) - centre).abs() < 1e-6);
        let edge = (at(0, 0) + at(0, 4) + at(2, 2) + at(6, 2)) / 4.0;
        assert!((at(0, 2) - edge).abs() < 1e-6);
        let edge = (at(0, 0) + at(4, 0) + at(2, 2) + at(2, 6)) / 4.0;
        assert!((at(2, 0) - edge).abs() < 1e-6);
    }

    #[test]
    fn the_brightest_value_is_kept_as_the_limit() {
        let mut image = Planes::plane(16, 24, vec![0.5; 384]);
        let rng = &mut Rng::seed_from_u64(3);
        fog(&mut image, (1.5, 2.0), rng, &Stop::default()).unwrap();
        assert!(image.values.iter().all(|&v| (0.0..=0.5).contains(&v)));
    }
}
