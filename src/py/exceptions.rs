/*!
Exception classes, and the single match from [`Error`] to an exception.
*/

use pyo3::create_exception;
use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::Error;

create_exception!(
    neurofreq,
    ModelError,
    PyRuntimeError,
    "A user's model returned something neurofreq cannot use."
);
create_exception!(
    neurofreq,
    InternalError,
    PyRuntimeError,
    "A broken invariant of neurofreq itself: please report it."
);

/// Maps an error of this crate to a Python exception. An exception that a user's callable
/// raised is returned unchanged.
pub fn to_python(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Value(_) => PyValueError::new_err(text),
        Error::Type(_) => PyTypeError::new_err(text),
        Error::Memory(_) => PyMemoryError::new_err(text),
        Error::Model(_) => ModelError::new_err(text),
        Error::Torch(_) => PyRuntimeError::new_err(text),
        Error::Callback(source) => match source.downcast::<PyErr>() {
            Ok(raised) => *raised,
            Err(other) => PyRuntimeError::new_err(other.to_string()),
        },
        // `parallel::run` replaces an interruption by its cause.
        Error::Internal(_) | Error::Interrupted => InternalError::new_err(text),
    }
}

/// Wraps a Python exception as an error of this crate.
pub fn raised(error: PyErr) -> Error {
    Error::Callback(Box::new(error))
}
