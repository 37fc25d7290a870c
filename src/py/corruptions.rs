/*!
Common corruptions.
*/

use numpy::{Element, PyArray4, PyReadonlyArray4};
use pyo3::prelude::*;

use super::enter;
use crate::core::corruption::{self, Corruption, Layout, Parameters, Pixel};

/// A batch in one of the three pixel types.
#[derive(FromPyObject)]
pub enum Batch<'py> {
    /// uint8
    Byte(PyReadonlyArray4<'py, u8>),
    /// float32
    Single(PyReadonlyArray4<'py, f32>),
    /// float64
    Double(PyReadonlyArray4<'py, f64>),
}

/// One corruption of every image.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // the list is flat because Python passes keywords
pub fn corrupt<'py>(
    py: Python<'py>,
    images: Batch<'py>,
    name: &str,
    severity: usize,
    seed: u64,
    first_index: u64,
    layout: &str,
    parameters: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let request = enter(py, || {
        let parameters = Parameters::from_name(parameters)?;
        let corruption = Corruption::new(name, severity, parameters)?;
        Ok((corruption, Layout::from_name(layout)?, seed, first_index))
    })?;
    match images {
        Batch::Byte(images) => run(py, &images, &request),
        Batch::Single(images) => run(py, &images, &request),
        Batch::Double(images) => run(py, &images, &request),
    }
}

type Request = (Corruption, Layout, u64, u64);

fn run<'py, T: Pixel + Element>(
    py: Python<'py>,
    images: &PyReadonlyArray4<'py, T>,
    (corruption, layout, seed, first_index): &Request,
) -> PyResult<Bound<'py, PyAny>> {
    let images = images.as_array();
    let corrupted = enter(py, || {
        corruption::corrupt(images, *layout, corruption, *seed, *first_index)
    })?;
    Ok(PyArray4::from_owned_array(py, corrupted).into_any())
}

/// The names that [`corrupt`] knows, in the published order.
#[pyfunction]
pub fn corruption_names() -> Vec<&'static str> {
    corruption::NAMES.to_vec()
}
