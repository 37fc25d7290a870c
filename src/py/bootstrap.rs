/*!
The bootstrap over images.
*/

use numpy::PyArray2;
use pyo3::prelude::*;

use super::arrays::Input2;
use super::enter;
use crate::core::bootstrap;

/// Means of bootstrap resamples of the rows of `values`.
#[pyfunction]
pub fn resampled_means<'py>(
    py: Python<'py>,
    values: Input2<'py, f64>,
    n_resamples: usize,
    seed: u64,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let values = values.as_array();
    let means = enter(py, || bootstrap::resampled_means(values, n_resamples, seed))?;
    Ok(PyArray2::from_owned_array(py, means))
}
