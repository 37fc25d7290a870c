/*!
Frequency analysis and neural regularization of vision models.

neurofreq measures which spatial frequencies a model relies on (spectra of
minimal adversarial perturbations, hybrid images, common corruptions) and
trains models towards visual cortex (similarity regularization), after
Li et al., PLOS Comput Biol 19(3): e1010932 (2023).

# Rooms

Imports point one way; a room is used by the rooms to its right:

```text
error <- core <- tensor <- py <- python/neurofreq
```

- [`error`]: the one error type. It imports nothing from the other rooms.
- [`core`]: host arrays, integers and per-sample solvers on ndarray, neurofreq-fft
  and rayon. It does not depend on Python or libtorch.
  `cargo test --no-default-features` builds and tests only `core`, in seconds.
- `tensor` (feature `tensor`): code that needs a gradient or may run on a GPU.
- `py` (feature `python`): the extension module `neurofreq._neurofreq`. It has no
  formula.

Each algorithm has one implementation, with two exceptions: spectra and hybrid images
have one in `core` for host arrays and one in `tensor` for tensors. Both use the masks
and thresholds of [`core::radial`], and tests compare their results.
*/

pub mod core;
pub mod error;
#[cfg(feature = "python")]
mod py;
#[cfg(feature = "tensor")]
pub mod tensor;

pub use error::{Error, Result};
