/*!
Conversion of `torch.Tensor` objects to tch tensors and back. Only this file converts
pointers to objects.

Storage is shared, and the autograd graph is kept: a tensor that requires a gradient in
Python also requires it in Rust, and the reverse.
*/
#![allow(unsafe_code)]

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use tch::Tensor;

/// A real tensor as argument or result of a Python function.
pub struct PyTensor(pub Tensor);

/// A tensor that may be complex: a spectrum from one of our own functions.
pub struct Spectrum(pub Tensor);

impl<'py> FromPyObject<'_, 'py> for PyTensor {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let tensor = unpacked(object)?;
        if tensor.is_complex() {
            return Err(refusal(format!(
                "got a tensor of {:?}, expected real numbers",
                tensor.kind()
            )));
        }
        Ok(Self(tensor))
    }
}

impl<'py> FromPyObject<'_, 'py> for Spectrum {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        unpacked(object).map(Self)
    }
}

/// Converts a tensor or an array; errors begin with the argument's name.
pub fn named<'a, 'py, T: FromPyObject<'a, 'py, Error = PyErr>>(
    object: &'a Bound<'py, PyAny>,
    name: &str,
) -> PyResult<T> {
    object
        .extract()
        .map_err(|error: PyErr| refusal(format!("{name}: {}", error.value(object.py()))))
}

/// The tensor in a Python object, which must have memory of its own.
fn unpacked(object: Borrowed<'_, '_, PyAny>) -> PyResult<Tensor> {
    let pointer = object.as_ptr().cast();
    // SAFETY: `pointer` is a live Python object, and the interpreter is
    // held (`object` carries its token). The unpacked tensor owns a
    // reference of its own, so it may outlive the object.
    let tensor = unsafe { Tensor::pyobject_unpack(pointer) }
        .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let Some(tensor) = tensor else {
        return Err(refusal(format!(
            "got {}, expected a torch.Tensor",
            class_of(object)
        )));
    };
    check_memory(object)?;
    // In a negated view, the memory has the values without the negation.
    tensor
        .f_resolve_neg()
        .map_err(|error| PyRuntimeError::new_err(error.to_string()))
}

/// Refuses tensors that kernels cannot read. A tensor of a wrapper class (`DTensor`,
/// torchao, functional tensors) has no memory of its own: its address is null.
fn check_memory(object: Borrowed<'_, '_, PyAny>) -> PyResult<()> {
    let py = object.py();
    let has = |name: &str| object.getattr(name)?.extract::<bool>();
    let layout = object.getattr("layout")?;
    let strided = py.import("torch")?.getattr("strided")?;
    let (kind, remedy) = if has("is_nested")? {
        ("a nested tensor", "torch.nested.to_padded_tensor")
    } else if !layout.is(&strided) {
        ("a sparse tensor", ".to_dense()")
    } else if has("is_quantized")? {
        ("a quantized tensor", ".dequantize()")
    } else if has("is_meta")? {
        ("a meta tensor, which has no values", "a real device")
    } else {
        let address = object
            .call_method0("data_ptr")
            .and_then(|address| address.extract::<usize>());
        let is_empty = object.call_method0("numel")?.extract::<usize>()? == 0;
        if is_empty || address.is_ok_and(|address| address != 0) {
            return Ok(());
        }
        (
            "a tensor without memory of its own",
            ".full_tensor() of a DTensor, .dequantize() of torchao",
        )
    };
    Err(refusal(format!(
        "got {}, {kind}, expected a plain torch.Tensor ({remedy})",
        class_of(object)
    )))
}

fn class_of(object: Borrowed<'_, '_, PyAny>) -> String {
    object
        .get_type()
        .name()
        .map_or_else(|_| "an unknown type".to_owned(), |name| name.to_string())
}

fn refusal(message: String) -> PyErr {
    PyTypeError::new_err(message)
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
