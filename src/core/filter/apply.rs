/*!
Filters and changes of phase of host arrays.

Gains that are even, and changes of phase that are odd, do not mix two planes that are
packed into one complex plane ([`crate::core::fourier`]). Amplitudes of single planes
need one transform per plane.
*/

use ndarray::{
    Array2, ArrayView2, ArrayView3, ArrayView4, ArrayViewMut3, ArrayViewMut4, ArrayViewMut5, Axis,
    Zip,
};
use neurofreq_fft::num_complex::Complex;
use neurofreq_fft::num_traits::Zero;
use rayon::prelude::*;

use super::phase::Field;
use crate::core::fourier::{Fourier, Pair, Precision, Scratch, pack, pair_of};
use crate::core::memory;
use crate::core::parallel::{self, Stop};
use crate::{Error, Result};

/// Passes every image through each filter (gains of the unshifted grid), into
/// `filtered` (filters, images, channels, height, width).
///
/// # Errors
/// [`Error::Value`] if shapes disagree or an axis is empty; [`Error::Memory`].
pub fn multiply<T: Precision>(
    images: ArrayView4<T>,
    filters: &[Array2<f64>],
    filtered: ArrayViewMut5<T>,
) -> Result<()> {
    let (n_images, n_channels, height, width) = images.dim();
    check(&images)?;
    let shape = (filters.len(), n_images * n_channels, height, width);
    let mut filtered = filtered
        .into_shape_with_order(shape)
        .map_err(|error| Error::Internal(format!("filtered: {error}")))?;
    let filters: Vec<Columns<T>> = filters.iter().map(Columns::new).collect();
    parallel::run(|stop| {
        let fourier = Fourier::new(height, width);
        let pairs = filtered.axis_chunks_iter_mut(Axis(1), 2).into_par_iter();
        parallel::each(
            stop,
            pairs.enumerate(),
            || Working::new(&fourier),
            |working, (pair, mut out)| {
                working.load(pair_of(&images, pair), stop)?;
                for (filter, out) in filters.iter().zip(out.outer_iter_mut()) {
                    working.unload(filter.reach, out, stop, |at, z| z.scale(filter.gains[at]))?;
                }
                Ok(())
            },
        )
    })
}

/// Gains by columns, in the precision of the images.
struct Columns<T> {
    gains: Vec<T>,
    /// Number of columns around column 0 that contain all gains above 0.
    reach: usize,
}

impl<T: Precision> Columns<T> {
    fn new(gains: &Array2<f64>) -> Self {
        let width = gains.ncols();
        let reach = gains
            .columns()
            .into_iter()
            .enumerate()
            .filter(|(_, column)| column.iter().any(|&gain| gain > 0.0))
            .map(|(x, _)| 2 * x.min(width - x) + 1)
            .fold(0, usize::max);
        let cast = |&gain: &f64| T::from(gain).unwrap_or(T::zero());
        Self {
            gains: gains.t().iter().map(cast).collect(),
            reach: reach.min(width),
        }
    }
}

/// Adds random phases of up to `limit` degrees; the channels of an image share them.
/// Image `i` draws from stream `streams[i]` of the seed.
///
/// # Errors
/// [`Error::Value`] if shapes disagree or an axis is empty; [`Error::Memory`].
pub fn scramble<T: Precision>(
    images: ArrayView4<T>,
    limit: f64,
    seed: u64,
    streams: &[u64],
    changed: ArrayViewMut4<T>,
) -> Result<()> {
    let (n_images, _, height, width) = images.dim();
    if streams.len() != n_images {
        return Err(Error::value(format!(
            "streams: got {}, expected one per image, {n_images}",
            streams.len()
        )));
    }
    each_image(images, changed, |working, i, image, mut out, stop| {
        let field = Field::draw((height, width), limit, seed, streams[i], stop)?;
        let mut turns: Vec<Complex<T>> = memory::reserved("phases", &[height, width])?;
        for x in stop.watch(0..width) {
            let x = x?;
            turns.extend((0..height).map(|y| turn(field.at(y, x))));
        }
        let image = image.insert_axis(Axis(0));
        for (pair, out) in out.axis_chunks_iter_mut(Axis(0), 2).enumerate() {
            working.load(pair_of(&image, pair), stop)?;
            working.unload(width, out, stop, |at, z| z * turns[at])?;
        }
        Ok(())
    })
}

fn turn<T: Precision>(phase: f64) -> Complex<T> {
    let cast = |value: f64| T::from(value).unwrap_or(T::zero());
    Complex::new(cast(phase.cos()), cast(phase.sin()))
}

/// Gives all frequencies of a plane the same amplitude, except frequency 0. The variance
/// of the plane and its phases stay the same; coefficients of amplitude 0 stay 0.
///
/// # Errors
/// [`Error::Value`] if shapes disagree or an axis is empty; [`Error::Memory`].
pub fn whiten<T: Precision>(images: ArrayView4<T>, whitened: ArrayViewMut4<T>) -> Result<()> {
    each_image(images, whitened, |working, _, image, mut out, stop| {
        for (plane, out) in image.outer_iter().zip(out.axis_chunks_iter_mut(Axis(0), 1)) {
            working.load((plane, None), stop)?;
            let width = plane.ncols();
            let least = least(&working.spectrum);
            let ac = power(&working.spectrum[1..]);
            let count = T::from(working.spectrum.len() - 1).unwrap_or(T::one());
            let flat = (ac / count).sqrt();
            working.unload(width, out, stop, |at, z| match z.norm() {
                _ if at == 0 => z,
                size if size <= least => Complex::zero(),
                size => z.scale(flat / size),
            })?;
        }
        Ok(())
    })
}

/// Images with the amplitudes of one batch and the phases of another. A coefficient of
/// amplitude 0 has phase 0.
///
/// # Errors
/// [`Error::Value`] if shapes disagree or an axis is empty; [`Error::Memory`].
pub fn combine<T: Precision>(
    amplitude: ArrayView4<T>,
    phase: ArrayView4<T>,
    combined: ArrayViewMut4<T>,
) -> Result<()> {
    if amplitude.dim() != phase.dim() {
        return Err(Error::value(format!(
            "phase: got shape {:?}, expected that of amplitude, {:?}",
            phase.shape(),
            amplitude.shape()
        )));
    }
    each_image(amplitude, combined, |working, i, image, mut out, stop| {
        let other = phase.index_axis(Axis(0), i);
        for (c, out) in out.axis_chunks_iter_mut(Axis(0), 1).enumerate() {
            let (first, second) = (image.index_axis(Axis(0), c), other.index_axis(Axis(0), c));
            working.load((first, None), stop)?;
            let sizes: Vec<T> = working.spectrum.iter().map(|z| z.norm()).collect();
            working.load((second, None), stop)?;
            let least = least(&working.spectrum);
            working.unload(first.ncols(), out, stop, |at, z| match z.norm() {
                size if size <= least => Complex::new(sizes[at], T::zero()),
                size => z.scale(sizes[at] / size),
            })?;
        }
        Ok(())
    })
}

/// Amplitudes up to this one are rounding errors of the transform.
fn least<T: Precision>(spectrum: &[Complex<T>]) -> T {
    T::epsilon() * power(spectrum).sqrt()
}

fn power<T: Precision>(spectrum: &[Complex<T>]) -> T {
    spectrum
        .iter()
        .map(Complex::norm_sqr)
        .fold(T::zero(), |a, b| a + b)
}

/// Calls `work(memory, index, image, out, stop)` for every image, in parallel.
fn each_image<T: Precision>(
    images: ArrayView4<T>,
    mut out: ArrayViewMut4<T>,
    work: impl Fn(&mut Working<T>, usize, ArrayView3<T>, ArrayViewMut3<T>, &Stop) -> Result<()>
    + Send
    + Sync,
) -> Result<()> {
    let (.., height, width) = images.dim();
    check(&images)?;
    if images.dim() != out.dim() {
        return Err(Error::Internal(
            "images: got another shape of results".into(),
        ));
    }
    parallel::run(|stop| {
        let fourier = Fourier::new(height, width);
        let outs = out.axis_iter_mut(Axis(0)).into_par_iter();
        parallel::each(
            stop,
            outs.enumerate(),
            || Working::new(&fourier),
            |working, (i, out)| work(working, i, images.index_axis(Axis(0), i), out, stop),
        )
    })
}

fn check<T>(images: &ArrayView4<T>) -> Result<()> {
    if images.is_empty() {
        return Err(Error::value(format!(
            "images: got shape {:?}, expected no empty axis",
            images.shape()
        )));
    }
    Ok(())
}

/// The working memory of one thread: transforms, and a spectrum by columns.
struct Working<'f, T: Precision> {
    fourier: &'f Fourier<T>,
    transform: Scratch<T>,
    spectrum: Vec<Complex<T>>,
}

impl<'f, T: Precision> Working<'f, T> {
    fn new(fourier: &'f Fourier<T>) -> Result<Self> {
        let transform = fourier.scratch()?;
        let size = transform.tile.len();
        Ok(Self {
            fourier,
            spectrum: memory::filled("spectrum", &[size], Complex::zero())?,
            transform,
        })
    }

    /// Computes the spectrum of a pair of planes, divided by the number of pixels.
    fn load(&mut self, planes: Pair<T>, stop: &Stop) -> Result<()> {
        let Self {
            fourier,
            transform,
            spectrum,
        } = self;
        pack(&mut transform.tile, planes, stop, |z, p, q| {
            *z = Complex::new(p, q);
        })?;
        let scale = T::from(spectrum.len()).unwrap_or(T::one()).recip();
        fourier.forward(transform, stop, |offset, block| {
            for (kept, z) in spectrum[offset..].iter_mut().zip(block) {
                *kept = z.scale(scale);
            }
        })
    }

    /// Writes the planes of the spectrum after `change(position, coefficient)`, into one
    /// or two planes. Columns beyond the `n_columns` around column 0 count as 0.
    fn unload(
        &mut self,
        n_columns: usize,
        mut out: ArrayViewMut3<T>,
        stop: &Stop,
        change: impl Fn(usize, Complex<T>) -> Complex<T>,
    ) -> Result<()> {
        let Self {
            fourier,
            transform,
            spectrum,
        } = self;
        fourier.inverse(transform, n_columns, stop, |x, column| {
            let first = fourier.column(x);
            for (at, (z, &kept)) in (first..).zip(column.iter_mut().zip(&spectrum[first..])) {
                *z = change(at, kept);
            }
        })?;
        let shape = (out.dim().1, out.dim().2);
        let tile = ArrayView2::from_shape(shape, &transform.tile)
            .map_err(|error| Error::Internal(error.to_string()))?;
        for (second, plane) in out.outer_iter_mut().enumerate() {
            Zip::from(plane)
                .and(tile)
                .for_each(|out, z| *out = if second == 1 { z.im } else { z.re });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
