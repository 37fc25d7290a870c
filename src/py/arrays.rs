/*!
NumPy arrays on their way in.

They are read where they lie, whatever their strides, but ndarray counts strides
in elements: a field of packed records, whose items are not a whole number
of elements apart, is copied here. Arrays of another dtype and masked arrays are
refused: a kernel would read something else than what was meant.
*/

use std::ops::Deref;

use numpy::ndarray::{Dimension, Ix1, Ix2, Ix3, Ix4};
use numpy::{
    Element, PyArray5, PyArrayMethods, PyReadonlyArray, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyMemoryError, PyTypeError};
use pyo3::prelude::*;

use super::exceptions::to_python;
use crate::core::memory;

/// A host array that is only read.
pub struct Input<'py, T: Element, D: Dimension>(PyReadonlyArray<'py, T, D>);

pub type Input1<'py, T> = Input<'py, T, Ix1>;
pub type Input2<'py, T> = Input<'py, T, Ix2>;
pub type Input3<'py, T> = Input<'py, T, Ix3>;
pub type Input4<'py, T> = Input<'py, T, Ix4>;

impl<'py, T: Element, D: Dimension> FromPyObject<'_, 'py> for Input<'py, T, D> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let Ok(array) = object.extract::<PyReadonlyArray<'py, T, D>>() else {
            return Err(refusal::<T, D>(object));
        };
        if is_masked(object)? {
            return Err(refusal::<T, D>(object));
        }
        let size = size_of::<T>() as isize;
        let is_whole = array.strides().iter().all(|stride| stride % size == 0);
        let is_aligned = array.data().is_aligned();
        if is_whole && is_aligned {
            return Ok(Self(array));
        }
        Ok(Self(object.call_method0("copy")?.extract()?))
    }
}

/// Whether some entries count as missing, which a kernel would read all the same.
fn is_masked(object: Borrowed<'_, '_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    if object.get_type().is(py.get_type::<PyUntypedArray>()) {
        return Ok(false);
    }
    object.is_instance(&py.import("numpy.ma")?.getattr("MaskedArray")?)
}

/// What was got in place of an array of `T`.
fn refusal<T: Element, D: Dimension>(object: Borrowed<'_, '_, PyAny>) -> PyErr {
    let wanted = T::get_dtype(object.py());
    let axes = D::NDIM.unwrap_or_default();
    let class = object.get_type().name().map(|name| name.to_string());
    let class = class.unwrap_or_else(|_| "an unknown type".to_owned());
    let got = match object.cast::<PyUntypedArray>() {
        Ok(array) => format!("{class} of {} with {} axes", array.dtype(), array.ndim()),
        Err(_) => class,
    };
    PyTypeError::new_err(format!(
        "got {got}, expected a plain array of {wanted} with {axes} axes"
    ))
}

/// A NumPy array of zeros, which NumPy does not touch before it is written.
///
/// # Errors
/// `MemoryError`, naming the array, where memory does not suffice.
pub fn zeros<'py, T: Element>(
    py: Python<'py>,
    name: &str,
    shape: [usize; 5],
) -> PyResult<Bound<'py, PyArray5<T>>> {
    let lacking = |_| to_python(memory::lacking::<T>(name, &shape));
    memory::count::<T>(name, &shape).map_err(to_python)?;
    let made = py
        .import("numpy")?
        .call_method1("zeros", (shape, T::get_dtype(py)));
    let is_memory = |error: &PyErr| error.is_instance_of::<PyMemoryError>(py);
    let array = match made {
        Err(error) if is_memory(&error) => return Err(lacking(error)),
        made => made?,
    };
    Ok(array.cast_into()?)
}

impl<'py, T: Element, D: Dimension> Deref for Input<'py, T, D> {
    type Target = PyReadonlyArray<'py, T, D>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
