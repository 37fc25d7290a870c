/*!
Common corruptions.
*/

use std::sync::Arc;

use numpy::{Element, PyArray4, PyReadonlyArray4};
use pyo3::prelude::*;

use super::arrays::{Input1, Input3, Pixels, Real};
use super::{convert, enter};
use crate::core::corruption::{self, Corruption, Layout, Parameters, Pixel, Texture};

/// Textures of frost, kept for several calls.
#[pyclass(frozen)]
pub struct Textures(Arc<Vec<Texture>>);

#[pymethods]
impl Textures {
    #[new]
    fn new(py: Python<'_>, images: Vec<Input3<'_, u8>>) -> PyResult<Self> {
        let views: Vec<_> = images.iter().map(|image| image.as_array()).collect();
        let textures = enter(py, || {
            let texture = |view: &ndarray::ArrayView3<u8>| {
                let (height, width, _) = view.dim();
                Texture::new(height, width, view.iter().copied().collect())
            };
            views.iter().map(texture).collect::<crate::Result<_>>()
        })?;
        Ok(Self(Arc::new(textures)))
    }
}

/// Applies a corruption to every image; image `i` draws from stream `streams[i]`.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // the list is flat because Python passes keywords
pub fn corrupt<'py>(
    py: Python<'py>,
    images: &Bound<'py, PyAny>,
    name: &str,
    severity: usize,
    seed: u64,
    streams: Input1<'py, u64>,
    layout: &str,
    parameters: &str,
    textures: Option<&Bound<'py, Textures>>,
) -> PyResult<Bound<'py, PyAny>> {
    let textures = textures.map(|textures| Arc::clone(&textures.get().0));
    let streams: Vec<u64> = streams.as_array().iter().copied().collect();
    let request = enter(py, || {
        let parameters = Parameters::from_name(parameters)?;
        Ok(Request {
            corruption: Corruption::new(name, severity, parameters, textures)?,
            layout: Layout::from_name(layout)?,
            seed,
            streams,
        })
    })?;
    match convert::named(images, "images")? {
        Pixels::Byte(images) => run(py, &images, &request),
        Pixels::Real(Real::Single(images)) => run(py, &images, &request),
        Pixels::Real(Real::Double(images)) => run(py, &images, &request),
    }
}

struct Request {
    corruption: Corruption,
    layout: Layout,
    seed: u64,
    streams: Vec<u64>,
}

fn run<'py, T: Pixel + Element>(
    py: Python<'py>,
    images: &PyReadonlyArray4<'py, T>,
    request: &Request,
) -> PyResult<Bound<'py, PyAny>> {
    let images = images.as_array();
    let Request {
        corruption,
        layout,
        seed,
        streams,
    } = request;
    let corrupted = enter(py, || {
        corruption::corrupt(images, *layout, corruption, *seed, streams)
    })?;
    Ok(PyArray4::from_owned_array(py, corrupted).into_any())
}

/// The names that [`corrupt`] accepts, in the published order.
#[pyfunction]
pub fn corruption_names() -> Vec<&'static str> {
    corruption::NAMES.to_vec()
}
