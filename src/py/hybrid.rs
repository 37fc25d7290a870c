/*!
Hybrid images.
*/

use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::enter;
use crate::core::pairing;

type Indices<'py> = Bound<'py, PyArray1<i64>>;

/// Low and high image of every pair.
#[pyfunction]
pub fn hybrid_pairs<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray1<'py, i64>,
    seed: u64,
) -> PyResult<(Indices<'py>, Indices<'py>)> {
    let labels = labels.as_array().to_vec();
    let (low, high) = enter(py, || pairing::hybrid_pairs(&labels, seed))?;
    Ok((PyArray1::from_vec(py, low), PyArray1::from_vec(py, high)))
}
