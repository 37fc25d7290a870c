/*!
The four norms in which an attack may measure a perturbation.
*/

use super::real::Real;
use crate::{Error, Result};

/// The norm of a perturbation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// The largest change of a pixel.
    Linf,
    /// The Euclidean length.
    L2,
    /// The sum of the changes.
    L1,
    /// The number of changed values; each channel of a pixel counts separately.
    L0,
}

impl Norm {
    /// All norms.
    pub const ALL: [Self; 4] = [Self::Linf, Self::L2, Self::L1, Self::L0];

    /// The norm with this name in Python.
    pub fn from_name(name: &str) -> Result<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|norm| norm.name() == name)
            .ok_or_else(|| Error::value(format!("norm: got '{name}', expected linf, l2, l1 or l0")))
    }

    /// The name of the norm in Python.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linf => "linf",
            Self::L2 => "l2",
            Self::L1 => "l1",
            Self::L0 => "l0",
        }
    }

    /// The norm of `point - origin`.
    ///
    /// For `l0`, every value that differs counts, without tolerance. This is exact,
    /// because the solver and [`Self::midpoint`] write the origin's value wherever a
    /// value does not change.
    #[must_use]
    pub fn size<T: Real>(self, point: &[T], origin: &[T]) -> f64 {
        let pixels = point.iter().zip(origin);
        let changes = pixels.map(|(&x, &origin)| (x.into() - origin.into()).abs());
        match self {
            Self::Linf => changes.fold(0.0, f64::max),
            Self::L2 => changes.map(|change| change * change).sum::<f64>().sqrt(),
            Self::L1 => changes.sum(),
            Self::L0 => changes.filter(|&change| change != 0.0).count() as f64,
        }
    }

    /// Writes a point between `origin` (fraction 0) and `start` (fraction 1)
    /// whose norm grows with the fraction.
    ///
    /// Let `d` be the difference and `m` its largest absolute value. `l2` scales `d` by
    /// `fraction`, `linf` clips `d` at `fraction m`, and `l1` shrinks `d` towards zero by
    /// `(1 - fraction) m`. `l0` keeps values of `d` whose absolute value exceeds
    /// `(1 - fraction) m`, and sets all others to zero.
    pub fn midpoint<T: Real>(self, origin: &[T], start: &[T], fraction: f64, out: &mut [T]) {
        if fraction >= 1.0 {
            out.copy_from_slice(start);
            return;
        }
        let most = Self::Linf.size(start, origin);
        let (most, least) = (fraction * most, (1.0 - fraction) * most);
        for (point, (&origin, &start)) in out.iter_mut().zip(origin.iter().zip(start)) {
            let base: f64 = origin.into();
            let change = start.into() - base;
            *point = match self {
                Self::L0 if change.abs() > least => start,
                Self::L1 if change.abs() > least => {
                    T::from_f64(base + (change - least.copysign(change)))
                }
                Self::L0 | Self::L1 => origin,
                Self::L2 => T::from_f64(base + fraction * change),
                Self::Linf => T::from_f64(base + change.max(-most).min(most)),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn middle(norm: Norm, fraction: f64) -> Vec<f64> {
        let mut out = vec![f64::NAN; 4];
        let (origin, start) = ([0.5, 0.5, 0.0, 1.0], [0.7, 0.4, 0.0, 0.6]);
        norm.midpoint(&origin, &start, fraction, &mut out);
        out.iter()
            .zip(origin)
            .map(|(x, origin)| x - origin)
            .collect()
    }

    fn assert_close(got: &[f64], expected: [f64; 4]) {
        for (a, b) in got.iter().zip(expected) {
            assert!((a - b).abs() < 1e-15, "{got:?}, expected {expected:?}");
        }
    }

    #[test]
    fn midpoints_by_hand() {
        assert_close(&middle(Norm::L2, 0.5), [0.1, -0.05, 0.0, -0.2]);
        assert_close(&middle(Norm::Linf, 0.5), [0.2, -0.1, 0.0, -0.2]);
        assert_close(&middle(Norm::L1, 0.75), [0.1, 0.0, 0.0, -0.3]);
        assert_close(&middle(Norm::L0, 0.6), [0.2, 0.0, 0.0, -0.4]);
    }

    #[test]
    fn sizes_by_hand() {
        let (point, origin) = ([0.0_f32, 1.0, 0.5, 0.25], [0.0_f32, 0.5, 0.75, 0.25]);
        let sizes = Norm::ALL.map(|norm| norm.size(&point, &origin));
        assert_close(&sizes, [0.5, 0.3125_f64.sqrt(), 0.75, 2.0]);
    }

    #[test]
    fn names_go_both_ways() {
        for norm in Norm::ALL {
            assert_eq!(Norm::from_name(norm.name()).unwrap(), norm);
        }
        let message = Norm::from_name("l3").unwrap_err().to_string();
        assert_eq!(message, "norm: got 'l3', expected linf, l2, l1 or l0");
    }

    proptest! {
        #[test]
        fn midpoints_lead_from_origin_to_start(
            pixels in prop::collection::vec((0.0..=1.0_f32, 0.0..=1.0_f32), 0..30),
            fractions in (0.0..=1.0, 0.0..=1.0),
        ) {
            let (origin, start): (Vec<f32>, Vec<f32>) = pixels.into_iter().unzip();
            let (a, b): (f64, f64) = fractions;
            for norm in Norm::ALL {
                let at = |fraction| {
                    let mut out = origin.clone();
                    norm.midpoint(&origin, &start, fraction, &mut out);
                    out
                };
                prop_assert_eq!(at(0.0), origin.clone());
                prop_assert_eq!(at(1.0), start.clone());
                let size = |fraction| norm.size(&at(fraction), &origin);
                prop_assert!(size(a.min(b)) <= size(a.max(b)) + 1e-6);
                for (x, (low, high)) in at(a).iter().zip(origin.iter().zip(&start)) {
                    prop_assert!((low.min(*high)..=low.max(*high)).contains(x));
                }
            }
        }
    }
}
