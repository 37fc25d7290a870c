/*!
Code on libtorch: it needs a gradient or may run on a GPU.

This room does not use pyo3. It calls Python through small traits that `py` implements
for callables. Grad mode is thread-local, so rayon workers run no torch operation. If an
`f_` call with a `Scalar` fails, the scalar's destructor panics: validate first, and
prefer the variants that take tensors.
*/

pub mod attack;
pub mod filter;
pub mod frequency;
pub mod similarity;

use tch::{Device, Tensor};

use crate::Result;

/// A small tensor of the host on another device. On CUDA the host does not wait: a copy
/// from memory that is not page-locked waits for all queued work.
fn sent(host: &Tensor, device: Device) -> Result<Tensor> {
    if !device.is_cuda() {
        return Ok(host.f_to_device(device)?);
    }
    let pinned = host.f_pin_memory(device)?;
    Ok(pinned.f_to_device_(device, host.f_kind()?, true, false)?)
}

/// A number as a tensor without axes, which does not change the dtype of a result.
fn scalar(value: f64) -> Result<Tensor> {
    Ok(Tensor::f_from_slice(&[value])?.f_reshape([0_i64; 0])?)
}
