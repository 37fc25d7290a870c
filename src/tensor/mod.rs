/*!
Code on libtorch: it needs a gradient or may run on a GPU.

This room does not use pyo3. It calls Python through small traits that `py` implements
for callables. Grad mode is thread-local, so rayon workers run no torch operation. If an
`f_` call with a `Scalar` fails, the scalar's destructor panics: validate first, and
prefer the variants that take tensors.
*/

pub mod attack;
pub mod frequency;
pub mod similarity;
