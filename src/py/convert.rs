/*!
`torch.Tensor` objects to tch tensors and back: the only file with `unsafe`.

Storage is shared, and the autograd graph goes through: a tensor that
requires a gradient in Python requires it in Rust, and the other way round.
*/
#![allow(unsafe_code)]

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use tch::Tensor;

/// A tensor on its way through the door.
pub struct PyTensor(pub Tensor);

impl<'py> FromPyObject<'_, 'py> for PyTensor {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let pointer = object.as_ptr().cast();
        // SAFETY: `pointer` is a live Python object, and the interpreter is
        // held (`object` carries its token). The unpacked tensor owns a
        // reference of its own, so it may outlive the object.
        let tensor = unsafe { Tensor::pyobject_unpack(pointer) }
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        tensor.map(Self).ok_or_else(|| {
            let name = object.get_type().name().map(|name| name.to_string());
            let name = name.unwrap_or_else(|_| "an unknown type".to_owned());
            PyTypeError::new_err(format!("got {name}, expected a torch.Tensor"))
        })
    }
}

impl<'py> IntoPyObject<'py> for PyTensor {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let pointer = self
            .0
            .pyobject_wrap()
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        // SAFETY: `pyobject_wrap` returns a new reference, which `Bound`
        // takes over; the interpreter is held (`py`).
        unsafe { Bound::from_owned_ptr_or_err(py, pointer.cast::<ffi::PyObject>()) }
    }
}
