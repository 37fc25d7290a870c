/*!
Batches of images as host arrays, in either precision.
*/

use pyo3::prelude::*;

use super::arrays::Input4;

/// A batch (N, C, H, W) of single or double precision, of any strides.
#[derive(FromPyObject)]
pub enum Images<'py> {
    Single(Input4<'py, f32>),
    Double(Input4<'py, f64>),
}
