/*!
Pure Rust: host arrays, integers and per-sample solvers.

It depends on ndarray, neurofreq-fft, rayon, rand, gemm and pulp, but not on Python
or libtorch. Every public function validates its arguments and returns
[`crate::Error`]. Loops run inside [`parallel::run`], which can be interrupted.
*/

pub mod attack;
pub mod bootstrap;
pub mod channel;
pub mod corruption;
pub mod filter;
pub mod fourier;
pub mod hybrid;
#[cfg(target_arch = "x86_64")]
pub mod lanes;
pub mod memory;
pub mod norm;
pub mod pairing;
pub mod parallel;
pub mod per_image;
pub mod poisson;
pub mod radial;
pub mod real;
pub mod similarity;
pub mod spectrum;
pub mod trust_region;
