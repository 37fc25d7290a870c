/*!
Power spectra.
*/

use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;

use super::arrays::{Images, Input1, Input2};
use super::convert::{self, PyTensor};
use super::enter;
use crate::core::{per_image, radial, spectrum};
use crate::tensor::frequency;

type Map<'py> = Bound<'py, PyArray2<f64>>;
type Curve<'py> = Bound<'py, PyArray1<f64>>;

/// Sum of the power of all planes, unshifted.
#[pyfunction]
pub fn total_power<'py>(
    py: Python<'py>,
    images: &Bound<'py, PyAny>,
    demean: bool,
) -> PyResult<Map<'py>> {
    let total = match convert::named(images, "images")? {
        Images::Single(images) => {
            let images = images.as_array();
            enter(py, || spectrum::total_power(images, demean))
        }
        Images::Double(images) => {
            let images = images.as_array();
            enter(py, || spectrum::total_power(images, demean))
        }
    }?;
    Ok(PyArray2::from_owned_array(py, total))
}

/// Power of each image between `limits` of `|f|`, and by orientation (cosine, sine).
#[pyfunction]
pub fn image_power<'py>(
    py: Python<'py>,
    images: &Bound<'py, PyAny>,
    demean: bool,
    limits: Vec<f64>,
) -> PyResult<(Map<'py>, Map<'py>)> {
    let found = match convert::named(images, "images")? {
        Images::Single(images) => {
            let images = images.as_array();
            enter(py, || per_image::image_power(images, demean, &limits))
        }
        Images::Double(images) => {
            let images = images.as_array();
            enter(py, || per_image::image_power(images, demean, &limits))
        }
    }?;
    Ok((
        PyArray2::from_owned_array(py, found.rings),
        PyArray2::from_owned_array(py, found.axes),
    ))
}

/// [`total_power`] of a tensor.
#[pyfunction]
pub fn total_power_tensor(py: Python<'_>, images: PyTensor, demean: bool) -> PyResult<PyTensor> {
    let images = images.0;
    enter(py, move || frequency::total_power(&images, demean)).map(PyTensor)
}

/// Mean of `count` summed planes, fftshifted, NaN at DC.
#[pyfunction]
pub fn mean_power<'py>(py: Python<'py>, total: Input2<'py, f64>, count: u64) -> PyResult<Map<'py>> {
    let total = total.as_array();
    let power = enter(py, || spectrum::mean_power(total, count))?;
    Ok(PyArray2::from_owned_array(py, power))
}

/// [`mean_power`] of a tensor.
#[pyfunction]
pub fn mean_power_tensor(py: Python<'_>, total: PyTensor, count: i64) -> PyResult<PyTensor> {
    let total = total.0;
    enter(py, move || frequency::mean_power(&total, count)).map(PyTensor)
}

/// Thresholds, cumulative share of power, half-power frequency.
#[pyfunction]
pub fn radial_profile<'py>(
    py: Python<'py>,
    power: Input2<'py, f64>,
    n_thresholds: usize,
) -> PyResult<(Curve<'py>, Curve<'py>, f64)> {
    let power = power.as_array();
    let profile = enter(py, || radial::profile(power, n_thresholds))?;
    Ok((
        PyArray1::from_owned_array(py, profile.frequency),
        PyArray1::from_owned_array(py, profile.cumulative),
        profile.half_power,
    ))
}

/// The `x` at which each row of `curves` first rises through `level`.
#[pyfunction]
pub fn crossing<'py>(
    py: Python<'py>,
    x: Input1<'py, f64>,
    curves: Input2<'py, f64>,
    level: f64,
) -> PyResult<Curve<'py>> {
    let (x, curves) = (x.as_array(), curves.as_array());
    let found = enter(py, || radial::crossings(x, curves, level))?;
    Ok(PyArray1::from_owned_array(py, found))
}
