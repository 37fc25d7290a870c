/*!
Tone: changes of pixel values that do not depend on position.
*/

use super::image::Planes;
use super::{Result, Stop, Table};

/// Factor of the distance to the mean.
pub const CONTRAST: Table<f32> = [
    [0.75, 0.5, 0.4, 0.3, 0.15],
    [0.4, 0.3, 0.2, 0.1, 0.05],
    [0.4, 0.3, 0.2, 0.1, 0.05],
];

/// Addition to the value of HSV.
pub const BRIGHTNESS: Table<f32> = [
    [0.05, 0.1, 0.15, 0.2, 0.3],
    [0.1, 0.2, 0.3, 0.4, 0.5],
    [0.1, 0.2, 0.3, 0.4, 0.5],
];

/// Factor of the saturation of HSV, and addition to it.
pub const SATURATE: Table<(f32, f32)> = [
    [(0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)],
    [(0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (30.0, 0.2)],
    [(0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)],
];

/// Scales the distance of each value to its channel's mean.
pub fn contrast(image: &mut Planes, factor: f32, stop: &Stop) -> Result<()> {
    for plane in image.planes_mut() {
        let mut sum = 0.0;
        for piece in stop.pieces(plane) {
            for &mut value in piece? {
                sum += f64::from(value);
            }
        }
        let mean = (sum / plane.len() as f64) as f32;
        for piece in stop.pieces(plane) {
            for value in piece? {
                *value = (*value - mean) * factor + mean;
            }
        }
    }
    Ok(())
}

/// Raises the value of HSV, which is the largest of the three channels. Hue and
/// saturation stay constant, so the ratios of the channels do not change.
pub fn brightness(image: &mut Planes, addition: f32, stop: &Stop) -> Result<()> {
    if image.channels != 3 {
        for piece in stop.pieces(&mut image.values) {
            piece?.iter_mut().for_each(|value| *value += addition);
        }
        return Ok(());
    }
    for piece in image.colour_pieces(stop) {
        let [reds, greens, blues] = piece?;
        for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
            let value = red.max(*green).max(*blue);
            let raised = (value + addition).min(1.0);
            if value > 0.0 {
                let ratio = raised / value;
                (*red, *green, *blue) = (*red * ratio, *green * ratio, *blue * ratio);
            } else {
                (*red, *green, *blue) = (raised, raised, raised);
            }
        }
    }
    Ok(())
}

/// Changes the saturation of HSV, the relative distance of the smallest channel to
/// the largest. As in the published code, a gray pixel of a color image has the hue
/// of red. A gray image has no saturation and does not change.
pub fn saturate(image: &mut Planes, (factor, addition): (f32, f32), stop: &Stop) -> Result<()> {
    for piece in image.colour_pieces(stop) {
        let [reds, greens, blues] = piece?;
        for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
            let value = red.max(*green).max(*blue);
            let range = value - red.min(*green).min(*blue);
            if range == 0.0 {
                let rest = value * (1.0 - addition);
                (*green, *blue) = (rest, rest);
            } else {
                let target = (range / value * factor + addition).min(1.0);
                let ratio = target * value / range;
                for channel in [red, green, blue] {
                    *channel = value - (value - *channel) * ratio;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // copies and whole numbers
mod tests {
    use super::*;

    fn colours() -> Planes {
        let values = (0..192)
            .map(|at| ((at * 37) % 101) as f32 / 100.0)
            .collect();
        Planes {
            channels: 3,
            height: 8,
            width: 8,
            values,
        }
    }

    #[test]
    fn means_stay_and_spreads_shrink() {
        let before = colours();
        let mut after = before.clone();
        contrast(&mut after, 0.3, &Stop::default()).unwrap();
        for (a, b) in before
            .values
            .chunks_exact(64)
            .zip(after.values.chunks_exact(64))
        {
            let mean = |plane: &[f32]| plane.iter().sum::<f32>() / 64.0;
            assert!((mean(a) - mean(b)).abs() < 1e-6);
            let spread = |plane: &[f32]| {
                let mean = mean(plane);
                plane.iter().map(|v| (v - mean).powi(2)).sum::<f32>()
            };
            assert!((0.09 * spread(a) - spread(b)).abs() < 1e-5);
        }
    }

    #[test]
    fn the_largest_channel_rises_and_ratios_stay() {
        let before = colours();
        let mut after = before.clone();
        brightness(&mut after, 0.2, &Stop::default()).unwrap();
        for at in 0..64 {
            let pixel = |image: &Planes| [0, 64, 128].map(|plane| image.values[plane + at]);
            let (old, new) = (pixel(&before), pixel(&after));
            let largest = |p: [f32; 3]| p[0].max(p[1]).max(p[2]);
            assert!((largest(new) - (largest(old) + 0.2).min(1.0)).abs() < 1e-6);
            for channel in 0..3 {
                let ratios = (old[channel] / largest(old), new[channel] / largest(new));
                assert!((ratios.0 - ratios.1).abs() < 1e-6);
            }
        }
        let mut black = Planes::plane(1, 3, vec![0.0; 3]);
        black.channels = 3;
        black.width = 1;
        brightness(&mut black, 0.3, &Stop::default()).unwrap();
        assert_eq!(black.values, [0.3; 3]);
    }

    #[test]
    fn saturation_goes_where_asked() {
        let saturation = |p: [f32; 3]| {
            let largest = p[0].max(p[1]).max(p[2]);
            (largest - p[0].min(p[1]).min(p[2])) / largest
        };
        let mut image = Planes {
            channels: 3,
            height: 1,
            width: 2,
            values: vec![0.8, 0.5, 0.6, 0.5, 0.4, 0.5],
        };
        saturate(&mut image, (1.5, 0.1), &Stop::default()).unwrap();
        let [a, b] = [0, 1].map(|at| [0, 2, 4].map(|plane| image.values[plane + at]));
        assert!((saturation(a) - (0.5 * 1.5 + 0.1)).abs() < 1e-6);
        // Gray becomes reddish, because the published hue of gray is 0.
        assert!((b[0] - 0.5).abs() < 1e-6 && (b[1] - 0.45).abs() < 1e-6 && b[1] == b[2]);
    }
}
