/*!
Filters and changes of phase of tensors, on any device, with gradients.

The formulas are those of [`crate::core::filter`], which also makes the gains and the
phases. Both are computed on the host, so they are the same on each device.
*/

use tch::{Kind, Tensor};

use super::{scalar, sent};
use crate::Result;
use crate::core::filter::phase::Field;
use crate::core::filter::{Pass, gains};
use crate::core::memory;
use crate::core::parallel::{self, Stop};

/// The last two axes of a batch, height and width.
const PLANE: [i64; 2] = [-2, -1];

/// The spectrum of a batch, columns `0..=W/2`.
pub fn spectrum(images: &Tensor) -> Result<Tensor> {
    Ok(images.f_fft_rfft2(None::<&[i64]>, PLANE, "backward")?)
}

/// The images (N, C, H, W) of a spectrum after one filter. `width` is W.
pub fn filtered(spectrum: &Tensor, width: i64, pass: &Pass) -> Result<Tensor> {
    let (.., height, n_columns) = spectrum.size4()?;
    let gains = gains(height as usize, width as usize, pass, &Stop::default())?;
    let gains: Vec<f64> = gains.iter().copied().collect();
    let gains = Tensor::f_from_slice(&gains)?
        .f_reshape([height, width])?
        .f_narrow(1, 0, n_columns)?
        .f_to_kind(real(spectrum.kind()))?;
    back(&spectrum.f_mul(&sent(&gains, spectrum.device())?)?, width)
}

/// The images of a spectrum after random changes of phase of up to `limit` degrees; image
/// `i` draws from stream `streams[i]` of the seed.
pub fn scrambled(
    spectrum: &Tensor,
    width: i64,
    limit: f64,
    seed: u64,
    streams: &[u64],
) -> Result<Tensor> {
    let (.., height, n_columns) = spectrum.size4()?;
    let size = (height as usize, width as usize);
    let mut phases = memory::reserved("phases", &[streams.len(), size.0, n_columns as usize])?;
    for &stream in streams {
        parallel::poll()?;
        let field = Field::draw(size, limit, seed, stream, &Stop::default())?;
        phases.extend_from_slice(&field.half);
    }
    let phases = Tensor::f_from_slice(&phases)?
        .f_reshape([streams.len() as i64, 1, height, n_columns])?
        .f_to_kind(real(spectrum.kind()))?;
    let phases = sent(&phases, spectrum.device())?;
    let turns = Tensor::f_complex(&phases.f_cos()?, &phases.f_sin()?)?;
    back(&spectrum.f_mul(&turns)?, width)
}

/// Images whose frequencies, except frequency 0, have one amplitude. The variance of each
/// plane and its phases stay the same; coefficients of amplitude 0 stay 0.
pub fn whitened(images: &Tensor) -> Result<Tensor> {
    let (.., height, width) = images.size4()?;
    let spectrum = spectrum(images)?;
    let apart = images.f_sub(&images.f_mean_dim(PLANE.as_slice(), true, None)?)?;
    // By Parseval's theorem, the mean power of all coefficients except frequency 0.
    let share = (height * width) as f64 / ((height * width - 1).max(1)) as f64;
    let power = total(&apart)?.f_mul(&scalar(share)?)?;
    let is_zero = is_rounding(&spectrum, images)?;
    let flat = spectrum.f_sgn()?.f_mul(&root(&power)?)?;
    let flat = flat.f_mul(&is_zero.f_logical_not()?)?;
    let is_mean = first(&spectrum)?;
    back(&spectrum.f_where_self(&is_mean, &flat)?, width)
}

/// Images with the amplitudes of one batch and the phases of another. A coefficient of
/// amplitude 0 has phase 0.
pub fn combined(amplitude: &Tensor, phase: &Tensor) -> Result<Tensor> {
    let width = amplitude.size4()?.3;
    let direction = spectrum(phase)?;
    let is_zero = is_rounding(&direction, phase)?;
    let one = direction.f_ones_like()?;
    let direction = one.f_where_self(&is_zero, &direction.f_sgn()?)?;
    back(&direction.f_mul(&spectrum(amplitude)?.f_abs()?)?, width)
}

/// The images of a spectrum.
fn back(spectrum: &Tensor, width: i64) -> Result<Tensor> {
    let height = spectrum.size4()?.2;
    Ok(spectrum.f_fft_irfft2([height, width].as_slice(), PLANE, "backward")?)
}

/// Whether coefficients are not larger than rounding errors of the transform.
fn is_rounding(spectrum: &Tensor, images: &Tensor) -> Result<Tensor> {
    let (.., height, width) = images.size4()?;
    let epsilon = match images.kind() {
        Kind::Float => f64::from(f32::EPSILON),
        _ => f64::EPSILON,
    };
    let factor = scalar(epsilon * ((height * width) as f64).sqrt())?;
    let least = root(&total(&images.f_detach()?)?)?.f_mul(&factor)?;
    Ok(spectrum.f_detach()?.f_abs()?.f_le_tensor(&least)?)
}

/// The sum of squares of each plane, (N, C, 1, 1).
fn total(images: &Tensor) -> Result<Tensor> {
    Ok(images
        .f_square()?
        .f_sum_dim_intlist(PLANE.as_slice(), true, None)?)
}

/// The square root of values from 0 up, with the gradient 0 at 0.
fn root(values: &Tensor) -> Result<Tensor> {
    let is_zero = values.f_le_tensor(&values.f_zeros_like()?)?;
    let safe = values.f_ones_like()?.f_where_self(&is_zero, values)?;
    Ok(safe.f_sqrt()?.f_mul(&is_zero.f_logical_not()?)?)
}

/// Whether a coefficient is frequency 0, (H, columns).
fn first(spectrum: &Tensor) -> Result<Tensor> {
    let (.., height, n_columns) = spectrum.size4()?;
    let mut is_mean = vec![false; (height * n_columns) as usize];
    is_mean[0] = true;
    let is_mean = Tensor::f_from_slice(&is_mean)?.f_reshape([height, n_columns])?;
    sent(&is_mean, spectrum.device())
}

/// The kind of the real part of complex numbers.
fn real(kind: Kind) -> Kind {
    match kind {
        Kind::ComplexFloat => Kind::Float,
        _ => Kind::Double,
    }
}
