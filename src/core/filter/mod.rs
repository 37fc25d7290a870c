/*!
Filters of spatial frequency and orientation, and changes of phase.

A filter is a real gain for each coefficient of the transform; the gains at `f` and `-f`
are equal. The low-pass filter of cut-off `c` has one of three shapes:

- ideal: 1 for `|f| <= c`, otherwise 0
- Gaussian: `2^-(|f| / c)^2`
- Butterworth of order n: `1 / (1 + (|f| / c)^2n)`

The gain of the last two at the cut-off is 1/2. A high-pass filter is 1 minus a low-pass
filter, and a band-pass filter is the difference of two low-pass filters, so adjacent
bands add up to the image. Host arrays ([`apply`]) and tensors
([`crate::tensor::filter`]) take the gains from this file, and the phases from [`phase`].
*/

pub mod apply;
pub mod phase;

use ndarray::Array2;

use super::parallel::Stop;
use super::radial::{self, is_within};
use crate::{Error, Result};

/// How the gain falls from 1 to 0 around a cut-off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// A step at the cut-off.
    Ideal,
    /// A Gaussian.
    Gaussian,
    /// A Butterworth filter of this order.
    Butterworth(f64),
}

impl Shape {
    /// The shape with this name; only "butterworth" reads the order.
    ///
    /// # Errors
    /// [`Error::Value`] for an unknown name.
    pub fn from_name(name: &str, order: f64) -> Result<Self> {
        match name {
            "ideal" => Ok(Self::Ideal),
            "gaussian" => Ok(Self::Gaussian),
            "butterworth" => Ok(Self::Butterworth(order)),
            _ => Err(Error::value(format!(
                "kind: got {name:?}, expected \"ideal\", \"gaussian\" or \"butterworth\""
            ))),
        }
    }

    /// The gain of the low-pass filter at a distance (of frequencies, or of angles).
    fn low(self, distance: f64, cutoff: f64) -> f64 {
        if cutoff <= 0.0 {
            return 0.0;
        }
        let ratio = distance / cutoff;
        match self {
            Self::Ideal => f64::from(u8::from(is_within(distance, cutoff))),
            Self::Gaussian => (-ratio * ratio).exp2(),
            Self::Butterworth(order) => 1.0 / (1.0 + ratio.powf(2.0 * order)),
        }
    }
}

/// Orientations that pass, in degrees.
#[derive(Clone, Copy, Debug)]
pub struct Bars {
    /// Orientation of the bars: 0 is horizontal, 90 is vertical, 45 rises to the right.
    pub orientation: f64,
    /// Full width of the range of orientations; the gain is 1/2 at its ends.
    pub width: f64,
}

/// A filter: the frequencies between two cut-offs, and the orientations that pass.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Lower cut-off in cycles/pixel; 0 for none.
    pub low: f64,
    /// Upper cut-off in cycles/pixel; infinite for none.
    pub high: f64,
    /// The fall of the gain around each cut-off.
    pub shape: Shape,
    /// Orientations that pass; None for all.
    pub bars: Option<Bars>,
    /// Whether the gain of frequency 0 is 1.
    pub keep_mean: bool,
}

impl Pass {
    /// The gain of a wave with frequencies `fy` (downwards) and `fx`, not both 0.
    fn gain(&self, fy: f64, fx: f64) -> f64 {
        let radius = fy.hypot(fx);
        let band = self.shape.low(radius, self.high) - self.shape.low(radius, self.low);
        let Some(bars) = self.bars else {
            return band;
        };
        // Bars are perpendicular to the direction in which the wave travels.
        let orientation = (-fy).atan2(fx).to_degrees() + 90.0;
        let apart = (orientation - bars.orientation).rem_euclid(180.0);
        band * self.shape.low(apart.min(180.0 - apart), 0.5 * bars.width)
    }
}

/// The gains of all coefficients on the unshifted grid.
///
/// On an axis of even length, the coefficient at Nyquist stands for both signs of its
/// frequency. Its gain is the mean over both signs, so gains are equal at `f` and `-f`.
///
/// # Errors
/// [`Error::Value`] if no coefficient passes a band-pass or orientation filter;
/// [`Error::Memory`]; an interruption.
pub fn gains(height: usize, width: usize, pass: &Pass, stop: &Stop) -> Result<Array2<f64>> {
    let (rows, columns) = (radial::frequencies(height), radial::frequencies(width));
    let mut gains = radial::radii(height, width, stop)?;
    for (row, &fy) in stop.watch(gains.rows_mut()).zip(&rows) {
        for (gain, &fx) in row?.iter_mut().zip(&columns) {
            let (my, mx) = (mirrored(fy), mirrored(fx));
            *gain = 0.5 * (pass.gain(fy, fx) + pass.gain(my, mx));
        }
    }
    let passes_mean = pass.bars.is_none() && pass.low <= 0.0;
    gains[(0, 0)] = 0.0;
    let is_band = pass.bars.is_some() || (pass.low > 0.0 && pass.high.is_finite());
    if is_band && gains.iter().all(|&gain| gain <= 0.0) {
        return Err(Error::value(format!(
            "band: got one without a frequency of {height} x {width} pixels, expected \
             a wider band or larger images"
        )));
    }
    gains[(0, 0)] = f64::from(u8::from(pass.keep_mean || passes_mean));
    Ok(gains)
}

/// The frequency that the mirrored coefficient has on the grid: Nyquist of an even axis
/// is its own mirror image.
fn mirrored(frequency: f64) -> f64 {
    if frequency <= -0.5 {
        frequency
    } else {
        -frequency
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pass(low: f64, high: f64, shape: Shape) -> Pass {
        Pass {
            low,
            high,
            shape,
            bars: None,
            keep_mean: false,
        }
    }

    fn made(size: (usize, usize), pass: &Pass) -> Array2<f64> {
        gains(size.0, size.1, pass, &Stop::default()).unwrap()
    }

    const SHAPES: [Shape; 3] = [Shape::Ideal, Shape::Gaussian, Shape::Butterworth(3.0)];

    #[test]
    fn the_gain_at_the_cutoff_is_a_half_or_the_edge_of_the_disc() {
        for (shape, expected) in SHAPES.into_iter().zip([1.0, 0.5, 0.5]) {
            let low = made((32, 32), &pass(0.0, 0.25, shape));
            assert!((low[(0, 8)] - expected).abs() < 1e-12);
            assert!((low[(24, 0)] - expected).abs() < 1e-12);
            assert!((low[(0, 0)] - 1.0).abs() < 1e-15);
        }
        let steep = made((32, 32), &pass(0.0, 0.25, Shape::Butterworth(3.0)));
        assert!((steep[(0, 16)] - 1.0 / 65.0).abs() < 1e-12);
    }

    #[test]
    fn adjacent_bands_add_up_to_the_image() {
        for shape in SHAPES {
            let parts = [(0.0, 0.1), (0.1, 0.3), (0.3, f64::INFINITY)];
            let sum = parts
                .map(|(low, high)| made((9, 12), &pass(low, high, shape)))
                .into_iter()
                .reduce(|a, b| a + b)
                .unwrap();
            assert!(sum.iter().all(|gain| (gain - 1.0).abs() < 1e-12));
        }
    }

    #[test]
    fn orientations_are_those_of_bars() {
        let filter = |orientation| Pass {
            bars: Some(Bars {
                orientation,
                width: 40.0,
            }),
            ..pass(0.0, f64::INFINITY, Shape::Ideal)
        };
        // (row, column) of waves: vertical bars vary along x, horizontal bars along y.
        let waves = [
            (90.0, (0, 3)),
            (0.0, (3, 0)),
            (45.0, (3, 3)),
            (135.0, (13, 3)),
        ];
        for (orientation, at) in waves {
            let gains = made((16, 16), &filter(orientation));
            for (other, place) in waves {
                let expected = if at == place { 1.0 } else { 0.0 };
                assert!(
                    (gains[place] - expected).abs() < 1e-12,
                    "{orientation} {other}"
                );
            }
            assert!(gains[(0, 0)].abs() < 1e-15);
        }
    }

    #[test]
    fn a_band_without_a_coefficient_is_refused() {
        let band = pass(0.2, 0.21, Shape::Ideal);
        let error = gains(4, 4, &band, &Stop::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("4 x 4 pixels"), "{error}");
        assert!(gains(4, 4, &pass(0.2, 0.26, Shape::Ideal), &Stop::default()).is_ok());
    }

    proptest! {
        #[test]
        fn gains_are_even(
            h in 1_usize..12, w in 1_usize..12, cut in 0.02..0.7, turn in 0.0..180.0,
        ) {
            for shape in SHAPES {
                let filter = Pass {
                    bars: Some(Bars { orientation: turn, width: 170.0 }),
                    keep_mean: true,
                    ..pass(0.0, cut, shape)
                };
                let Ok(gains) = gains(h, w, &filter, &Stop::default()) else { continue };
                for ((y, x), &gain) in gains.indexed_iter() {
                    let mirror = gains[((h - y) % h, (w - x) % w)];
                    prop_assert!((gain - mirror).abs() < 1e-12);
                    prop_assert!((0.0..=1.0).contains(&gain));
                }
            }
        }
    }
}
