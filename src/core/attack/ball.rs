/*!
Staying within a budget, to the last bit.

A point that is rounded to the precision of the images may leave a ball that
its exact value is in. Here every pixel is rounded towards the clean image, so
that what [`Norm::size`] measures never exceeds the budget.
*/

use crate::core::norm::Norm;
use crate::core::real::Real;

/// A Euclidean length aims this much, relatively, below its limit: more than
/// the rounding of its sum.
const SLACK: f64 = 1e-9;
/// Steps to the neighboring value that undo any rounding; one does.
const N_STEPS: usize = 4;

/// Shortens the perturbation `delta` of `origin` to at most `limit` and writes
/// the perturbed image to `point`, within [0, 1].
///
/// The nearest such perturbation, but for rounding and the bounds. Infinity is
/// no limit; finite ones are for `linf` and `l2`. Where `origin` is not in
/// [0, 1] itself the bounds are kept, and the limit cannot be.
pub fn place<T: Real>(norm: Norm, limit: f64, origin: &[T], delta: &mut [f64], point: &mut [T]) {
    if norm == Norm::Linf {
        for change in &mut *delta {
            *change = change.clamp(-limit, limit);
        }
    } else {
        let length = length(delta);
        if length > (1.0 - SLACK) * limit {
            let share = (1.0 - SLACK) * limit / length;
            for change in &mut *delta {
                *change *= share;
            }
        }
    }
    for ((point, &origin), &change) in point.iter_mut().zip(origin).zip(&*delta) {
        let base: f64 = origin.into();
        *point = T::from_f64((base + change).clamp(0.0, 1.0));
        for _ in 0..N_STEPS {
            if ((*point).into() - base).abs() > change.abs() {
                *point = point.towards(origin);
            }
        }
    }
}

/// The Euclidean length.
#[must_use]
pub fn length(delta: &[f64]) -> f64 {
    let square: f64 = delta.iter().map(|change| change * change).sum();
    square.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Places in precision `T`; checks bounds and budget without tolerance.
    fn check<T: Real + std::fmt::Debug>(pixels: &[(f64, f64)], limit: f64) {
        let origin: Vec<T> = pixels.iter().map(|&(x, _)| T::from_f64(x)).collect();
        for norm in [Norm::Linf, Norm::L2] {
            let mut delta: Vec<f64> = pixels.iter().map(|&(_, change)| change).collect();
            let mut point = origin.clone();
            place(norm, limit, &origin, &mut delta, &mut point);
            assert!(norm.size(&point, &origin) <= limit, "{norm:?} {point:?}");
            assert!(point.iter().all(|&x| (0.0..=1.0).contains(&x.into())));
        }
    }

    proptest! {
        #[test]
        fn no_bit_leaves_the_ball(
            pixels in prop::collection::vec((0.0..=1.0, -1.0..=1.0), 1..40),
            limit in prop_oneof![1e-9..1e-3, 1e-3..1.0, Just(8.0 / 255.0)],
        ) {
            check::<f32>(&pixels, limit);
            check::<f64>(&pixels, limit);
        }
    }

    #[test]
    fn an_origin_out_of_bounds_ends_too() {
        let mut point = [0.5_f64; 2];
        place(Norm::Linf, 0.1, &[-3.0, 2.0], &mut [0.3, 0.3], &mut point);
        assert!(point[0].abs() < 1e-9 && (point[1] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn by_hand() {
        let mut point = [0.0_f64; 3];
        let origin = [0.5, 0.5, 0.95];
        place(Norm::Linf, 0.1, &origin, &mut [0.3, -0.05, 0.3], &mut point);
        for (got, expected) in point.iter().zip([0.6, 0.45, 1.0]) {
            assert!((got - expected).abs() < 1e-15, "{point:?}");
        }
        place(Norm::L2, 0.1, &origin, &mut [0.3, 0.4, 0.0], &mut point);
        for (got, expected) in point.iter().zip([0.56, 0.58, 0.95]) {
            assert!((got - expected).abs() < 1e-9, "{point:?}");
        }
        let mut long = [0.3, 0.4, 0.0];
        place(Norm::L2, f64::INFINITY, &origin, &mut long, &mut point);
        for (got, expected) in point.iter().zip([0.8, 0.9, 0.95]) {
            assert!((got - expected).abs() < 1e-15, "{point:?}");
        }
    }
}
