/*!
The bootstrap over images.
*/

use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;

use super::arrays::{Input1, Input2};
use super::enter;
use crate::core::{bootstrap, poisson};

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

/// Sums of the rows of `values` in Poisson resamples; row `k` is image `index[k]`.
#[pyfunction]
pub fn poisson_sums<'py>(
    py: Python<'py>,
    values: Input2<'py, f64>,
    index: Input1<'py, u64>,
    n_resamples: usize,
    seed: u64,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (values, index) = (values.as_array(), index.as_array());
    let sums = enter(py, || {
        poisson::weighted_sums(values, index, n_resamples, seed)
    })?;
    Ok(PyArray2::from_owned_array(py, sums))
}

/// Spearman's correlation of `x` and `y`, and that of each bootstrap resample.
#[pyfunction]
pub fn resampled_spearman<'py>(
    py: Python<'py>,
    x: Input1<'py, f64>,
    y: Input1<'py, f64>,
    n_resamples: usize,
    seed: u64,
) -> PyResult<(f64, Bound<'py, PyArray1<f64>>)> {
    let (x, y) = (x.as_array(), y.as_array());
    let found = enter(py, || {
        bootstrap::resampled_spearman(x, y, n_resamples, seed)
    })?;
    Ok((found.0, PyArray1::from_owned_array(py, found.1)))
}
