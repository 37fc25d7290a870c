/*!
Batches of images as host arrays, in either precision.
*/

use numpy::PyReadonlyArray4;
use pyo3::prelude::*;

/// A batch (N, C, H, W) of single or double precision, of any strides.
#[derive(FromPyObject)]
pub enum Images<'py> {
    Single(PyReadonlyArray4<'py, f32>),
    Double(PyReadonlyArray4<'py, f64>),
}
