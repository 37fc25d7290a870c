/*!
Filters, changes of phase and the channel of a network.
*/

use ndarray::{ArrayView4, ArrayViewMut4, Axis};
use numpy::{Element, IntoPyArray, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::arrays::{self, Images, Input1, Input2, Input4};
use super::convert::{self, PyTensor, Spectrum};
use super::enter;
use crate::Result;
use crate::core::channel;
use crate::core::filter::{self, Bars, Pass, Shape, apply};
use crate::core::fourier::Precision;
use crate::core::parallel::Stop;
use crate::tensor;

/// Low cut-off, high cut-off, kind, order, orientation and its width, keep the mean.
type Settings = (f64, f64, String, f64, Option<(f64, f64)>, bool);

fn pass((low, high, kind, order, bars, keep_mean): Settings) -> Result<Pass> {
    Ok(Pass {
        low,
        high,
        shape: Shape::from_name(&kind, order)?,
        bars: bars.map(|(orientation, width)| Bars { orientation, width }),
        keep_mean,
    })
}

/// Images (F, N, C, H, W) after each of F filters.
#[pyfunction]
pub fn filtered<'py>(
    py: Python<'py>,
    images: &Bound<'py, PyAny>,
    filters: Vec<Settings>,
) -> PyResult<Bound<'py, PyAny>> {
    match convert::named(images, "images")? {
        Images::Single(images) => multiplied(py, &images, filters),
        Images::Double(images) => multiplied(py, &images, filters),
    }
}

fn multiplied<'py, T: Precision + Element>(
    py: Python<'py>,
    images: &Input4<'py, T>,
    filters: Vec<Settings>,
) -> PyResult<Bound<'py, PyAny>> {
    let images = images.as_array();
    let (n, c, h, w) = images.dim();
    let gains = |settings| filter::gains(h, w, &pass(settings)?, &Stop::default());
    let gains: Vec<_> = enter(py, || filters.into_iter().map(gains).collect::<Result<_>>())?;
    let out = arrays::zeros::<T>(py, "filtered", [gains.len(), n, c, h, w])?;
    let mut writable = out.readwrite();
    let results = writable.as_array_mut();
    enter(py, || apply::multiply(images, &gains, results))?;
    Ok(out.into_any())
}

/// Images (1, N, C, H, W) after random changes of phase of up to `limit` degrees.
#[pyfunction]
pub fn scrambled<'py>(
    py: Python<'py>,
    images: &Bound<'py, PyAny>,
    limit: f64,
    seed: u64,
    streams: Vec<u64>,
) -> PyResult<Bound<'py, PyAny>> {
    match convert::named(images, "images")? {
        Images::Single(images) => changed(py, &images, |images, out| {
            apply::scramble(images, limit, seed, &streams, out)
        }),
        Images::Double(images) => changed(py, &images, |images, out| {
            apply::scramble(images, limit, seed, &streams, out)
        }),
    }
}

/// Images (1, N, C, H, W) with one amplitude at all frequencies.
#[pyfunction]
pub fn whitened<'py>(py: Python<'py>, images: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match convert::named(images, "images")? {
        Images::Single(images) => changed(py, &images, apply::whiten),
        Images::Double(images) => changed(py, &images, apply::whiten),
    }
}

/// Images (1, N, C, H, W) with the amplitudes and the phases of two batches.
#[pyfunction]
pub fn combined_spectra<'py>(
    py: Python<'py>,
    amplitude: &Bound<'py, PyAny>,
    phase: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    match (
        convert::named(amplitude, "amplitude")?,
        convert::named(phase, "phase")?,
    ) {
        (Images::Single(first), Images::Single(second)) => {
            let second = second.as_array();
            changed(py, &first, |first, out| apply::combine(first, second, out))
        }
        (Images::Double(first), Images::Double(second)) => {
            let second = second.as_array();
            changed(py, &first, |first, out| apply::combine(first, second, out))
        }
        _ => Err(PyTypeError::new_err(
            "phase: got another dtype than amplitude, expected the same",
        )),
    }
}

/// Calls `work(images, out)` with a new array of the shape of the images.
fn changed<'py, T: Precision + Element>(
    py: Python<'py>,
    images: &Input4<'py, T>,
    work: impl FnOnce(ArrayView4<T>, ArrayViewMut4<T>) -> Result<()> + Send,
) -> PyResult<Bound<'py, PyAny>> {
    let images = images.as_array();
    let (n, c, h, w) = images.dim();
    let out = arrays::zeros::<T>(py, "changed", [1, n, c, h, w])?;
    let mut writable = out.readwrite();
    let mut results = writable.as_array_mut();
    let results = results.index_axis_mut(Axis(0), 0);
    enter(py, || work(images, results))?;
    Ok(out.into_any())
}

/// The spectrum of a batch, for filters and changes of phase of one batch.
#[pyfunction]
pub fn spectrum_tensor(py: Python<'_>, images: PyTensor) -> PyResult<PyTensor> {
    let images = images.0;
    enter(py, move || tensor::filter::spectrum(&images)).map(PyTensor)
}

/// Images (N, C, H, W) after one filter.
#[pyfunction]
pub fn filtered_tensor(
    py: Python<'_>,
    spectrum: Spectrum,
    width: i64,
    filter: Settings,
) -> PyResult<PyTensor> {
    let spectrum = spectrum.0;
    enter(py, move || {
        tensor::filter::filtered(&spectrum, width, &pass(filter)?)
    })
    .map(PyTensor)
}

/// Images (N, C, H, W) after random changes of phase of up to `limit` degrees.
#[pyfunction]
pub fn scrambled_tensor(
    py: Python<'_>,
    spectrum: Spectrum,
    width: i64,
    limit: f64,
    seed: u64,
    streams: Vec<u64>,
) -> PyResult<PyTensor> {
    let spectrum = spectrum.0;
    enter(py, move || {
        tensor::filter::scrambled(&spectrum, width, limit, seed, &streams)
    })
    .map(PyTensor)
}

/// Images (N, C, H, W) with one amplitude at all frequencies.
#[pyfunction]
pub fn whitened_tensor(py: Python<'_>, images: PyTensor) -> PyResult<PyTensor> {
    let images = images.0;
    enter(py, move || tensor::filter::whitened(&images)).map(PyTensor)
}

/// Images (N, C, H, W) with the amplitudes and the phases of two batches.
#[pyfunction]
pub fn combined_spectra_tensor(
    py: Python<'_>,
    amplitude: PyTensor,
    phase: PyTensor,
) -> PyResult<PyTensor> {
    let (amplitude, phase) = (amplitude.0, phase.0);
    enter(py, move || tensor::filter::combined(&amplitude, &phase)).map(PyTensor)
}

/// Peak, center and standard deviation of the Gaussian nearest to each row, (R, 3).
#[pyfunction]
pub fn fitted_channels<'py>(
    py: Python<'py>,
    octaves: Input1<'py, f64>,
    sensitivity: Input2<'py, f64>,
    highest: f64,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (octaves, sensitivity) = (octaves.as_array(), sensitivity.as_array());
    let found = enter(py, || channel::fit(octaves, sensitivity, highest))?;
    Ok(found.into_pyarray(py))
}
