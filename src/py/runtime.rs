/*!
The version, the torch version of the build, and the thread count.
*/

use pyo3::prelude::*;

use super::enter;
use crate::core::parallel;

/// The version of the crate and of the package.
#[pyfunction]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// One constant, so that Python finds it in the file of an extension that cannot be loaded.
const BUILT_FOR: &str = concat!(
    "neurofreq is built for torch ",
    env!("NEUROFREQ_TORCH"),
    ";"
);

/// The torch version, such as "2.15", whose libtorch this extension is linked against.
#[pyfunction]
pub fn built_for() -> &'static str {
    let minor = BUILT_FOR.rsplit(' ').next().unwrap_or(BUILT_FOR);
    minor.trim_end_matches(';')
}

/// Sets the number of threads of host loops; returns the number used.
#[pyfunction]
pub fn set_num_threads(py: Python<'_>, n_threads: usize) -> PyResult<usize> {
    enter(py, || parallel::set_num_threads(n_threads))
}

/// The largest number of threads that can be used.
#[pyfunction]
pub fn thread_limit() -> usize {
    parallel::thread_limit()
}

/// The number of threads of host loops.
#[pyfunction]
pub fn num_threads(py: Python<'_>) -> PyResult<usize> {
    enter(py, parallel::num_threads)
}
