/*!
rustfft's transforms in single and double precision.

rustfft is generic code, and a third of all that the compiler makes of neurofreq. In a
crate of its own it is compiled while the C++ of torch-sys is, not after it. A transform
is called as `dyn Fft` wherever it is compiled, so nothing is slower.
*/

use std::sync::Arc;

pub use rustfft::{Fft, FftDirection, num_complex, num_traits};
use rustfft::{FftNum, FftPlanner};

/// The transforms of two lengths, in one direction.
pub type Pair<T> = [Arc<dyn Fft<T>>; 2];

/// A floating-point type that has transforms here.
pub trait Transform: FftNum {
    /// The forward and the inverse transforms of two lengths.
    fn plan(lengths: [usize; 2]) -> (Pair<Self>, Pair<Self>);
}

macro_rules! transform {
    ($($float:ty),*) => {$(
        impl Transform for $float {
            fn plan(lengths: [usize; 2]) -> (Pair<Self>, Pair<Self>) {
                // One planner: the four share their tables.
                let mut planner = FftPlanner::new();
                let mut pair =
                    |direction| lengths.map(|length| planner.plan_fft(length, direction));
                (pair(FftDirection::Forward), pair(FftDirection::Inverse))
            }
        }
    )*};
}

transform!(f32, f64);
