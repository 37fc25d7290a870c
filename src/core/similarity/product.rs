/*!
The matrix product, computed by the `gemm` library.

The library takes pointers. Only this file calls it, with a safe function that writes
the product of two views to a third view.
*/

use gemm::Parallelism;
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::{Error, Result};

/// Writes `a` times `b` into `into`, on the calling thread. The type must be f32 or f64.
///
/// # Errors
/// [`Error::Internal`] if the shapes do not fit together.
#[allow(unsafe_code)]
pub fn product<T: NdFloat>(
    a: ArrayView2<T>,
    b: ArrayView2<T>,
    mut into: ArrayViewMut2<T>,
) -> Result<()> {
    let ((m, k), n) = (a.dim(), b.ncols());
    if b.nrows() != k || into.dim() != (m, n) {
        return Err(Error::Internal("shapes of a product do not fit".into()));
    }
    let (out, left, right) = (strides(into.view()), strides(a), strides(b));
    // SAFETY: pointers and strides are those of three live views, whose shapes were
    // checked above; the mutable view overlaps neither of the others.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            into.as_mut_ptr(),
            out.1,
            out.0,
            false,
            a.as_ptr(),
            left.1,
            left.0,
            b.as_ptr(),
            right.1,
            right.0,
            T::zero(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
    Ok(())
}

/// Strides between rows and between columns.
fn strides<T>(view: ArrayView2<T>) -> (isize, isize) {
    (view.strides()[0], view.strides()[1])
}
