/*!
NumPy arrays on their way in.

They are read where they lie, whatever their strides, but ndarray counts strides
in elements: a field of packed records, whose items are not a whole number
of elements apart, is copied here.
*/

use std::ops::Deref;

use numpy::ndarray::{Dimension, Ix1, Ix2, Ix3, Ix4};
use numpy::{Element, PyArrayMethods, PyReadonlyArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// A host array that is only read.
pub struct Input<'py, T: Element, D: Dimension>(PyReadonlyArray<'py, T, D>);

pub type Input1<'py, T> = Input<'py, T, Ix1>;
pub type Input2<'py, T> = Input<'py, T, Ix2>;
pub type Input3<'py, T> = Input<'py, T, Ix3>;
pub type Input4<'py, T> = Input<'py, T, Ix4>;

impl<'py, T: Element, D: Dimension> FromPyObject<'_, 'py> for Input<'py, T, D> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let array: PyReadonlyArray<'py, T, D> = object.extract()?;
        let size = size_of::<T>() as isize;
        let is_whole = array.strides().iter().all(|stride| stride % size == 0);
        let is_aligned = array.data().is_aligned();
        if is_whole && is_aligned {
            return Ok(Self(array));
        }
        Ok(Self(object.call_method0("copy")?.extract()?))
    }
}

impl<'py, T: Element, D: Dimension> Deref for Input<'py, T, D> {
    type Target = PyReadonlyArray<'py, T, D>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
