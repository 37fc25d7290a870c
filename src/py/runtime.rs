/*!
The version and the thread count.
*/

use pyo3::prelude::*;

use super::enter;
use crate::core::parallel;

/// The version of the crate and of the package.
#[pyfunction]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Sets the number of threads of host loops; returns the number used.
#[pyfunction]
pub fn set_num_threads(py: Python<'_>, n_threads: usize) -> PyResult<usize> {
    enter(py, || parallel::set_num_threads(n_threads))
}

/// The most threads that are used.
#[pyfunction]
pub fn thread_limit() -> usize {
    parallel::thread_limit()
}

/// The number of threads of host loops.
#[pyfunction]
pub fn num_threads(py: Python<'_>) -> PyResult<usize> {
    enter(py, parallel::num_threads)
}
