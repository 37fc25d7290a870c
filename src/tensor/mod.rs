/*!
The libtorch room: what needs a gradient or may live on a GPU.

Never uses pyo3; it meets Python through small traits that `py` implements
over callables. Grad mode is thread-local, so no torch operation is issued
from a rayon worker. A failing `f_` call that takes a `Scalar` panics in the
scalar's destructor: validate first, prefer the tensor variants.
*/

pub mod attack;
pub mod frequency;
pub mod similarity;
