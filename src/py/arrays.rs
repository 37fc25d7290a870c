/*!
Conversion of NumPy arrays in arguments.

Arrays are read without a copy, for all strides. But ndarray counts strides in
elements, so a field of packed records is copied if its stride is not a whole number
of elements. Arrays with another dtype and masked arrays are refused, because a kernel
would read wrong values.
*/

use std::ops::Deref;

use numpy::ndarray::{Dimension, Ix1, Ix2, Ix3, Ix4};
use numpy::{
    Element, PyArray5, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray, PyUntypedArray,
    PyUntypedArrayMethods,
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

/// A host array of single or double precision, of any strides.
pub enum Real<'py, D: Dimension> {
    Single(Input<'py, f32, D>),
    Double(Input<'py, f64, D>),
}

/// A batch of images (N, C, H, W).
pub type Images<'py> = Real<'py, Ix4>;

/// Rows of pixels (N, D).
pub type Rows<'py> = Real<'py, Ix2>;

/// A batch of images in one of the three pixel types.
pub enum Pixels<'py> {
    Byte(Input4<'py, u8>),
    Real(Images<'py>),
}

impl<'py, T: Element, D: Dimension> FromPyObject<'_, 'py> for Input<'py, T, D> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let wanted = T::get_dtype(object.py()).to_string();
        let Ok(array) = object.extract::<PyReadonlyArray<'py, T, D>>() else {
            return Err(refusal::<D>(object, &wanted));
        };
        if is_masked(object)? {
            return Err(refusal::<D>(object, &wanted));
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

impl<'py, D: Dimension> FromPyObject<'_, 'py> for Real<'py, D> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if has_dtype::<f32>(object) {
            object.extract().map(Self::Single)
        } else if has_dtype::<f64>(object) {
            object.extract().map(Self::Double)
        } else {
            Err(refusal::<D>(object, "float32 or float64"))
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Pixels<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if has_dtype::<u8>(object) {
            object.extract().map(Self::Byte)
        } else if has_dtype::<f32>(object) || has_dtype::<f64>(object) {
            object.extract().map(Self::Real)
        } else {
            Err(refusal::<Ix4>(object, "uint8, float32 or float64"))
        }
    }
}

fn has_dtype<T: Element>(object: Borrowed<'_, '_, PyAny>) -> bool {
    let array = object.cast::<PyUntypedArray>();
    array.is_ok_and(|array| array.dtype().is_equiv_to(&T::get_dtype(object.py())))
}

/// Whether an array is masked; a kernel would also read its masked entries.
fn is_masked(object: Borrowed<'_, '_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    if object.get_type().is(py.get_type::<PyUntypedArray>()) {
        return Ok(false);
    }
    object.is_instance(&py.import("numpy.ma")?.getattr("MaskedArray")?)
}

/// The error for an object that is not an array of the expected dtype.
fn refusal<D: Dimension>(object: Borrowed<'_, '_, PyAny>, wanted: &str) -> PyErr {
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

/// A NumPy array of zeros, whose memory pages are used only when they are written.
///
/// # Errors
/// `MemoryError`, with the array's name, if there is not enough memory.
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
