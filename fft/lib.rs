/*!
rustfft's transforms in single and double precision.

rustfft is generic code: a third of neurofreq's compiled code comes from it. As a separate
crate, it is compiled in parallel with the C++ code of torch-sys. Transforms are called as
`dyn Fft` in any case, so the separate crate does not make them slower.
*/

use std::sync::Arc;

pub use rustfft::{Fft, FftDirection, num_complex, num_traits};
use rustfft::{FftNum, FftPlanner};

/// The transforms of two lengths, in one direction.
pub type Pair<T> = [Arc<dyn Fft<T>>; 2];

/// A floating-point type with transforms in this crate.
pub trait Transform: FftNum {
    /// The forward and the inverse transforms of two lengths.
    fn plan(lengths: [usize; 2]) -> (Pair<Self>, Pair<Self>);
}

macro_rules! transform {
    ($($float:ty),*) => {$(
        impl Transform for $float {
            fn plan(lengths: [usize; 2]) -> (Pair<Self>, Pair<Self>) {
                // One planner, so that the four transforms share their tables.
                let mut planner = FftPlanner::new();
                let mut pair =
                    |direction| lengths.map(|length| planner.plan_fft(length, direction));
                (pair(FftDirection::Forward), pair(FftDirection::Inverse))
            }
        }
    )*};
}

transform!(f32, f64);
