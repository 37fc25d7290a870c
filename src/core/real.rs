/*!
A trait for the two pixel types, float32 and float64.

Kernels read pixels of either type and compute in f64.
*/

use std::fmt::Debug;

/// A pixel.
pub trait Real: Copy + Default + PartialOrd + Into<f64> + Debug + Send + Sync + 'static {
    /// Black.
    const ZERO: Self;

    /// Rounds to the nearest value of the type.
    fn from_f64(value: f64) -> Self;

    /// The neighboring value on the side of `other`, which is not `self`.
    #[must_use]
    fn towards(self, other: Self) -> Self;
}

impl Real for f32 {
    const ZERO: Self = 0.0;

    fn from_f64(value: f64) -> Self {
        value as Self
    }

    fn towards(self, other: Self) -> Self {
        if other > self {
            self.next_up()
        } else {
            self.next_down()
        }
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;

    fn from_f64(value: f64) -> Self {
        value
    }

    fn towards(self, other: Self) -> Self {
        if other > self {
            self.next_up()
        } else {
            self.next_down()
        }
    }
}
