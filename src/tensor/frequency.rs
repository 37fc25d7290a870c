/*!
Spectra and hybrid images of tensors, on any device, with gradients.

The formulas are those of [`crate::core::spectrum`] and [`crate::core::hybrid`], with
torch's real transforms: columns `0..=W/2` have all information, and the other columns
of a power map are their mirror image. Masks and the order of frequencies come from
[`crate::core::radial`].
*/

use tch::{Kind, Tensor};

use super::{scalar, sent};
use crate::Result;
use crate::core::parallel::{self, Stop};
use crate::core::radial;

/// Values transformed at once. This limits the memory besides the batch, and keeps the
/// values in the processor's last-level cache.
const VALUES: i64 = 1 << 20;

/// The last two axes of a batch, height and width.
const PLANE: [i64; 2] = [-2, -1];

/// The sum over images and channels of `|F(f)|^2`, on the unshifted grid, in
/// double precision.
pub fn total_power(images: &Tensor, demean: bool) -> Result<Tensor> {
    let (n, c, h, w) = images.size4()?;
    let step = (VALUES / (c * h * w)).max(1);
    let mut total: Option<Tensor> = None;
    for first in (0..n).step_by(step as usize) {
        parallel::poll()?;
        let mut chunk = images.f_narrow(0, first, step.min(n - first))?;
        if demean {
            chunk = chunk.f_sub(&chunk.f_mean_dim(PLANE.as_slice(), true, None)?)?;
        }
        let spectrum = chunk.f_fft_rfft2(None::<&[i64]>, PLANE, "backward")?;
        let power = spectrum.f_view_as_real()?.f_square()?;
        // One sum over all three axes is 15 times slower on a CPU.
        let sum = power
            .f_sum_dim_intlist([0_i64, 1].as_slice(), false, None)?
            .f_sum_dim_intlist([-1_i64].as_slice(), false, None)?
            .f_to_kind(Kind::Double)?;
        total = Some(match total {
            Some(total) => total.f_add(&sum)?,
            None => sum,
        });
    }
    let half = total.unwrap_or_default().f_reshape([-1])?;
    let order = sent(&Tensor::f_from_slice(&mirrored(h, w))?, images.device())?;
    Ok(half.f_index_select(0, &order)?.f_reshape([h, w])?)
}

/// For every coefficient of the full grid, the position of its power in columns
/// `0..=W/2`. A real plane has equal power at `f` and `-f`.
fn mirrored(h: i64, w: i64) -> Vec<i64> {
    let columns = w / 2 + 1;
    let at = |y: i64, x: i64| {
        if x < columns {
            y * columns + x
        } else {
            (h - y) % h * columns + (w - x)
        }
    };
    (0..h).flat_map(|y| (0..w).map(move |x| at(y, x))).collect()
}

/// The mean of `count` summed spectra, fftshifted, with NaN at DC.
pub fn mean_power(total: &Tensor, count: i64) -> Result<Tensor> {
    let (h, w) = total.size2()?;
    let mut is_dc = vec![false; (h * w) as usize];
    is_dc[(h / 2 * w + w / 2) as usize] = true;
    let is_dc = Tensor::f_from_slice(&is_dc)?.f_reshape([h, w])?;
    let is_dc = sent(&is_dc, total.device())?;
    Ok(total
        .f_div(&scalar(count as f64)?)?
        .f_roll([h / 2, w / 2], [0, 1])?
        .f_masked_fill_tensor(&is_dc, &scalar(f64::NAN)?)?)
}

/// `FFT(low - high)` of a batch of pairs, which is the same for all mixing frequencies.
pub fn difference(low: &Tensor, high: &Tensor) -> Result<Tensor> {
    Ok(low
        .f_sub(high)?
        .f_fft_rfft2(None::<&[i64]>, PLANE, "backward")?)
}

/// The hybrids of a batch of pairs at one mixing frequency in units of
/// Nyquist: `clip(high + IFFT(M FFT(low - high)))`.
pub fn hybrid(low: &Tensor, high: &Tensor, difference: &Tensor, a: f64) -> Result<Tensor> {
    let (.., h, w) = low.size4()?;
    let radii = radial::radii(h as usize, w as usize, &Stop::default())?;
    let mask = radial::low_pass(&radii, a);
    if mask.iter().all(|&keep| keep) {
        return Ok(low.f_mul(&scalar(1.0)?)?);
    }
    let mask: Vec<f64> = mask.iter().map(|&keep| f64::from(u8::from(keep))).collect();
    let mask = Tensor::f_from_slice(&mask)?
        .f_reshape([h, w])?
        .f_narrow(1, 0, w / 2 + 1)?
        .f_to_kind(low.kind())?;
    Ok(difference
        .f_mul(&sent(&mask, low.device())?)?
        .f_fft_irfft2([h, w].as_slice(), PLANE, "backward")?
        .f_add(high)?
        .f_clamp(0.0, 1.0)?)
}
