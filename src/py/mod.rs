/*!
The extension module `neurofreq._neurofreq`.

Each topic has one file with short `#[pyfunction]`s, which convert the arguments, call
[`enter`] and convert the result. Formulas are in `core` and `tensor`. Validation with
the user's argument names, and all documentation, are in `python/neurofreq`.
*/

mod arrays;
mod attacks;
mod bootstrap;
mod convert;
mod corruptions;
mod exceptions;
mod filters;
mod hybrid;
mod runtime;
mod similarity;
mod spectra;
mod trust_region;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;

use crate::{Error, Result};

/// Runs `work`; every call from Python into Rust uses this function.
///
/// It releases the interpreter while `work` runs, because backward passes need the
/// interpreter and other Python threads can continue. It turns a panic into
/// `InternalError`, and maps errors to exceptions.
fn enter<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work)))
        .unwrap_or_else(|panic| Err(Error::Internal(panic_text(&*panic))))
        .map_err(exceptions::to_python)
}

/// The first line of a panic's message, if it has one.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .and_then(|text| text.lines().next())
        .unwrap_or("panic without a message")
        .to_owned()
}

/// Checks for signals; on the main thread, this raises `KeyboardInterrupt`.
#[allow(clippy::redundant_closure_for_method_calls)] // the method alone does not compile
fn signals() -> Result<()> {
    Python::attach(|py| py.check_signals()).map_err(exceptions::raised)
}

#[pymodule(gil_used = true)]
mod _neurofreq {
    use pyo3::prelude::*;

    use crate::core::parallel;

    #[pymodule_init]
    #[allow(clippy::unnecessary_wraps)] // pyo3 requires a `Result`
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        parallel::listen(super::signals);
        Ok(())
    }

    #[pymodule_export]
    use super::attacks::{attack, nearest, shuffled_targets};
    #[pymodule_export]
    use super::bootstrap::{poisson_sums, resampled_means, resampled_spearman};
    #[pymodule_export]
    use super::corruptions::{Textures, corrupt, corruption_names};
    #[pymodule_export]
    use super::exceptions::{InternalError, ModelError};
    #[pymodule_export]
    use super::filters::{
        combined_spectra, combined_spectra_tensor, filtered, filtered_tensor, fitted_channels,
        scrambled, scrambled_tensor, spectrum_tensor, whitened, whitened_tensor,
    };
    #[pymodule_export]
    use super::hybrid::{hybrid_difference_tensor, hybrid_images, hybrid_pairs, hybrid_tensor};
    #[pymodule_export]
    use super::runtime::{built_for, num_threads, set_num_threads, thread_limit, version};
    #[pymodule_export]
    use super::similarity::{
        column_correlation, noise_ceiling, reliability, response_similarity_f32,
        response_similarity_f64, running_mean, similarity_correlation, similarity_loss,
        similarity_pulled, split_half_neurons, split_half_similarity,
    };
    #[pymodule_export]
    use super::spectra::{
        crossing, image_power, mean_power, mean_power_tensor, radial_profile, total_power,
        total_power_tensor,
    };
    #[pymodule_export]
    use super::trust_region::trust_region_steps;
}
