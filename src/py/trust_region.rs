/*!
Trust-region steps for a batch of images, for tests and benchmarks.
*/

use numpy::ndarray::ArrayView1;
use numpy::{Element, PyArray1, PyArray2};
use pyo3::prelude::*;

use super::arrays::{Input1, Input2, Rows};
use super::exceptions::to_python;
use super::{convert, enter};
use crate::Error;
use crate::core::norm::Norm;
use crate::core::real::Real;
use crate::core::trust_region::Batch;

type Reached<'py> = (Bound<'py, PyAny>, Bound<'py, PyArray1<bool>>);

/// One step for each image: the next points, and whether each plane was reached.
#[pyfunction]
pub fn trust_region_steps<'py>(
    py: Python<'py>,
    norm: &str,
    origins: &Bound<'py, PyAny>,
    points: &Bound<'py, PyAny>,
    normals: &Bound<'py, PyAny>,
    changes: Input1<'py, f64>,
    radii: Input1<'py, f64>,
) -> PyResult<Reached<'py>> {
    let norm = enter(py, || Norm::from_name(norm))?;
    let (changes, radii) = (changes.as_array(), radii.as_array());
    let images = (
        convert::named(origins, "origins")?,
        convert::named(points, "points")?,
        convert::named(normals, "normals")?,
    );
    match images {
        (Rows::Single(origins), Rows::Single(points), Rows::Single(normals)) => {
            steps(py, norm, [origins, points, normals], (changes, radii))
        }
        (Rows::Double(origins), Rows::Double(points), Rows::Double(normals)) => {
            steps(py, norm, [origins, points, normals], (changes, radii))
        }
        _ => Err(to_python(Error::Type(
            "origins, points, normals: got different dtypes, expected one".into(),
        ))),
    }
}

fn steps<'py, T: Real + Element>(
    py: Python<'py>,
    norm: Norm,
    images: [Input2<'py, T>; 3],
    (changes, radii): (ArrayView1<'_, f64>, ArrayView1<'_, f64>),
) -> PyResult<Reached<'py>> {
    let [origins, points, normals] = images.each_ref().map(|image| image.as_array());
    let (next, reached) = enter(py, || {
        let batch = Batch {
            origins,
            points,
            normals,
            changes,
            radii,
        };
        batch.steps(norm)
    })?;
    let reached = PyArray1::from_vec(py, reached);
    Ok((PyArray2::from_owned_array(py, next).into_any(), reached))
}
