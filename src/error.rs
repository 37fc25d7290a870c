/*!
The one error type of the crate.

A message names the argument, the given value and the expected values. It begins in
lower case and has no full stop. Only `py::exceptions` maps each variant to a Python
exception class.
*/

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// All errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument has an unusable value or shape (Python: `ValueError`).
    #[error("{0}")]
    Value(String),

    /// An argument has an unusable type or dtype (Python: `TypeError`).
    #[error("{0}")]
    Type(String),

    /// There is not enough memory (Python: `MemoryError`).
    #[error("{0}")]
    Memory(String),

    /// A loop was interrupted. `core::parallel::run` replaces this error by its cause.
    #[error("interrupted")]
    Interrupted,

    /// A user's model returned something unusable (Python: `ModelError`).
    #[error("{0}")]
    Model(String),

    /// libtorch reported a failure (Python: `RuntimeError`).
    #[error("torch: {0}")]
    Torch(String),

    /// A user's callable raised; the original error passes through unchanged.
    #[error("callback failed: {0}")]
    Callback(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// A broken invariant of this crate (Python: `InternalError`).
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl Error {
    /// An [`Error::Value`] with this message.
    pub fn value(message: impl Into<String>) -> Self {
        Self::Value(message.into())
    }
}

#[cfg(feature = "tensor")]
impl From<tch::TchError> for Error {
    /// Keeps the first line, because the other lines are a C++ stack trace.
    fn from(error: tch::TchError) -> Self {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().to_owned();
        if text.contains("DefaultCPUAllocator") {
            return Self::Memory(format!("torch: {line}"));
        }
        Self::Torch(line)
    }
}
