/*!
Attacks.
*/

use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::enter;
use crate::core::pairing;

/// Target labels, none equal to the truth.
#[pyfunction]
pub fn shuffled_targets<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray1<'py, i64>,
    seed: u64,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let labels = labels.as_array().to_vec();
    let targets = enter(py, || pairing::shuffled_targets(&labels, seed))?;
    Ok(PyArray1::from_vec(py, targets))
}
