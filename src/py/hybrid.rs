/*!
Hybrid images.
*/

use numpy::{Element, PyArray1, PyArrayMethods, PyReadonlyArray4};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::arrays::{self, Images, Input1};
use super::convert::{self, PyTensor, Spectrum};
use super::enter;
use crate::core::fourier::Precision;
use crate::core::{hybrid, pairing};
use crate::tensor::frequency;

type Indices<'py> = Bound<'py, PyArray1<i64>>;

/// Low and high image of every pair.
#[pyfunction]
pub fn hybrid_pairs<'py>(
    py: Python<'py>,
    labels: Input1<'py, i64>,
    seed: u64,
) -> PyResult<(Indices<'py>, Indices<'py>)> {
    let labels = labels.as_array().to_vec();
    let (low, high) = enter(py, || pairing::hybrid_pairs(&labels, seed))?;
    Ok((PyArray1::from_vec(py, low), PyArray1::from_vec(py, high)))
}

/// Hybrids (F, N, C, H, W) of every pair at every mixing frequency.
#[pyfunction]
pub fn hybrid_images<'py>(
    py: Python<'py>,
    low: &Bound<'py, PyAny>,
    high: &Bound<'py, PyAny>,
    frequencies: Vec<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    match (convert::named(low, "low")?, convert::named(high, "high")?) {
        (Images::Single(low), Images::Single(high)) => mix(py, &low, &high, &frequencies),
        (Images::Double(low), Images::Double(high)) => mix(py, &low, &high, &frequencies),
        _ => Err(PyTypeError::new_err(
            "high: got another dtype than low, expected the same",
        )),
    }
}

fn mix<'py, T: Precision + Element>(
    py: Python<'py>,
    low: &PyReadonlyArray4<'py, T>,
    high: &PyReadonlyArray4<'py, T>,
    frequencies: &[f64],
) -> PyResult<Bound<'py, PyAny>> {
    let (low, high) = (low.as_array(), high.as_array());
    let (n, c, h, w) = low.dim();
    let shape = [frequencies.len(), n, c, h, w];
    let out = arrays::zeros::<T>(py, "hybrids", shape)?;
    let mut writable = out.readwrite();
    let hybrids = writable.as_array_mut();
    enter(py, || hybrid::mix(low, high, frequencies, hybrids))?;
    Ok(out.into_any())
}

/// The transformed differences of a batch of pairs, for all mixing frequencies.
#[pyfunction]
pub fn hybrid_difference_tensor(
    py: Python<'_>,
    low: PyTensor,
    high: PyTensor,
) -> PyResult<PyTensor> {
    let (low, high) = (low.0, high.0);
    enter(py, move || frequency::difference(&low, &high)).map(PyTensor)
}

/// Hybrids (N, C, H, W) of a batch of pairs at one mixing frequency.
#[pyfunction]
pub fn hybrid_tensor(
    py: Python<'_>,
    low: PyTensor,
    high: PyTensor,
    difference: Spectrum,
    frequency: f64,
) -> PyResult<PyTensor> {
    let (low, high, difference) = (low.0, high.0, difference.0);
    enter(py, move || {
        frequency::hybrid(&low, &high, &difference, frequency)
    })
    .map(PyTensor)
}
