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

/// Maps an error of this crate to the exception Python sees. An exception
/// raised by a user's callable comes back as it was raised.
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
        // `parallel::run` replaces an interruption by its reason.
        Error::Internal(_) | Error::Interrupted => InternalError::new_err(text),
    }
}

/// An exception on its way through Rust.
pub fn raised(error: PyErr) -> Error {
    Error::Callback(Box::new(error))
}
