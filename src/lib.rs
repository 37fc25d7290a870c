/*!
Frequency analysis and neural regularization of vision models.

neurofreq measures which spatial frequencies a model relies on (spectra of
minimal adversarial perturbations, hybrid images, common corruptions) and
trains models towards visual cortex (similarity regularization), after
Li et al., PLOS Comput Biol 19(3): e1010932 (2023).

# Rooms

Imports point one way, left to right being "is used by":

```text
error <- core <- tensor <- py <- python/neurofreq
```

- [`error`]: the one error type. It imports nothing from the other rooms.
- [`core`]: host arrays, integers and per-sample solvers on ndarray, neurofreq-fft
  and rayon. It knows neither Python nor libtorch, and
  `cargo test --no-default-features` builds and tests it alone in seconds.
- `tensor` (feature `tensor`): what needs a gradient or may live on a GPU.
- `py` (feature `python`): the extension module `neurofreq._neurofreq`. It
  holds no formula.

An algorithm has one home. The two exceptions, spectra and hybrid images,
live in `core` for host arrays and in `tensor` for tensors, share the masks
and thresholds of [`core::radial`], and are held together by parity tests.
*/

pub mod core;
pub mod error;
#[cfg(feature = "python")]
mod py;
#[cfg(feature = "tensor")]
pub mod tensor;

pub use error::{Error, Result};
