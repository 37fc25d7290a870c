/*!
The two-dimensional transform of a pair of real planes.

Two real planes `p` and `q` are packed into one complex plane `p + iq`, so that
one complex transform is enough for both. Power spectra do not need the separate
transforms: `|Z(k)|^2 + |Z(-k)|^2` is twice the sum of the two powers. A mask that
is real and even, such as a disc, does not mix the planes: the inverse transform
returns the masked `p` as real part and the masked `q` as imaginary part.

Columns are transformed in blocks that fit the first-level cache, and spectra are
passed on by columns (`[x][y]`). No plane is transposed as a whole.
*/

use std::sync::Arc;

use ndarray::{ArrayView2, ArrayView4, ArrayViewMut2, Zip, s};
use neurofreq_fft::num_complex::Complex;
use neurofreq_fft::num_traits::{Float, Zero};
use neurofreq_fft::{Fft, Pair as Lines, Transform};

use super::memory;
use super::parallel::{PIECE, Stop};
use crate::{Error, Result};

/// The two floating-point types of images.
pub trait Precision: Transform + Float {}
impl Precision for f32 {}
impl Precision for f64 {}

/// Columns transformed together, so that their coefficients fill whole cache lines.
const COLUMNS: usize = 16;

/// Rows transformed between two checks for interruption.
const ROWS: usize = 64;

/// Two planes; the second may be missing.
pub type Pair<'a, T> = (ArrayView2<'a, T>, Option<ArrayView2<'a, T>>);

/// Planes `2 pair` and `2 pair + 1` of a batch (images x channels). If the number of
/// planes is odd, the last pair has no second plane.
#[must_use]
pub fn pair_of<'a, T>(images: &'a ArrayView4<T>, pair: usize) -> Pair<'a, T> {
    let (n_images, n_channels, ..) = images.dim();
    let plane = |p: usize| images.slice(s![p / n_channels, p % n_channels, .., ..]);
    let second = 2 * pair + 1;
    (
        plane(2 * pair),
        (second < n_images * n_channels).then(|| plane(second)),
    )
}

/// Number of pairs of planes in a batch.
#[must_use]
pub fn n_pairs<T>(images: &ArrayView4<T>) -> usize {
    (images.dim().0 * images.dim().1).div_ceil(2)
}

/// The transforms along both axes, in one direction.
struct Axes<T: Precision> {
    row: Arc<dyn Fft<T>>,
    column: Arc<dyn Fft<T>>,
}

/// The transforms of one plane size, shared by all threads.
pub struct Fourier<T: Precision> {
    height: usize,
    width: usize,
    forward: Axes<T>,
    inverse: Axes<T>,
}

/// The working memory of one thread.
pub struct Scratch<T> {
    /// The complex plane by rows.
    pub tile: Vec<Complex<T>>,
    block: Vec<Complex<T>>,
    fft: Vec<Complex<T>>,
}

impl<T: Precision> Fourier<T> {
    /// Plans transforms of `height` x `width` planes.
    #[must_use]
    pub fn new(height: usize, width: usize) -> Self {
        let axes = |[row, column]: Lines<T>| Axes { row, column };
        let (forward, inverse) = T::plan([width, height]);
        Self {
            height,
            width,
            forward: axes(forward),
            inverse: axes(inverse),
        }
    }

    /// Working memory for this plan.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] if it does not fit.
    pub fn scratch(&self) -> Result<Scratch<T>> {
        let Axes { row, column } = &self.forward;
        let Axes {
            row: back_row,
            column: back_column,
        } = &self.inverse;
        let longest = [row, column, back_row, back_column]
            .map(|fft| fft.get_inplace_scratch_len())
            .into_iter()
            .fold(0, usize::max);
        let zeros = |shape: &[usize]| memory::filled("transform", shape, Complex::zero());
        Ok(Scratch {
            tile: zeros(&[self.height, self.width])?,
            block: zeros(&[COLUMNS, self.height])?,
            fft: zeros(&[longest])?,
        })
    }

    /// The offset of column `x` in a spectrum that is stored by columns.
    #[must_use]
    pub fn column(&self, x: usize) -> usize {
        x * self.height
    }

    /// Transforms `scratch.tile`, and calls `visit(offset, block)` for each block of
    /// whole columns of the spectrum; `offset` counts coefficients in column order.
    ///
    /// # Errors
    /// If interrupted.
    pub fn forward(
        &self,
        scratch: &mut Scratch<T>,
        stop: &Stop,
        mut visit: impl FnMut(usize, &[Complex<T>]),
    ) -> Result<()> {
        let Scratch { tile, block, fft } = scratch;
        self.rows(&self.forward, tile, fft, stop)?;
        for first in (0..self.width).step_by(COLUMNS) {
            let count = COLUMNS.min(self.width - first);
            let block = &mut block[..count * self.height];
            for (y, row) in tile.chunks_exact(self.width).enumerate() {
                for (x, &value) in row[first..first + count].iter().enumerate() {
                    block[x * self.height + y] = value;
                }
            }
            stop.check()?;
            self.forward.column.process_with_scratch(block, fft);
            visit(first * self.height, block);
        }
        Ok(())
    }

    /// Transforms every row.
    fn rows(
        &self,
        axes: &Axes<T>,
        tile: &mut [Complex<T>],
        fft: &mut [Complex<T>],
        stop: &Stop,
    ) -> Result<()> {
        for rows in tile.chunks_mut(ROWS * self.width) {
            stop.check()?;
            axes.row.process_with_scratch(rows, fft);
        }
        Ok(())
    }

    /// Transforms a spectrum back into `scratch.tile`. `fill(x, column)` writes column
    /// `x` of the spectrum, for the `n_columns` columns nearest to column 0. All other
    /// columns are zero.
    ///
    /// # Errors
    /// If interrupted.
    pub fn inverse(
        &self,
        scratch: &mut Scratch<T>,
        n_columns: usize,
        stop: &Stop,
        mut fill: impl FnMut(usize, &mut [Complex<T>]),
    ) -> Result<()> {
        let Scratch { tile, block, fft } = scratch;
        let (left, right) = around_zero(n_columns, self.width);
        for row in tile.chunks_exact_mut(self.width) {
            row[left..right].fill(Complex::zero());
        }
        for (start, end) in [(0, left), (right, self.width)] {
            for first in (start..end).step_by(COLUMNS) {
                let count = COLUMNS.min(end - first);
                let block = &mut block[..count * self.height];
                for (x, column) in block.chunks_exact_mut(self.height).enumerate() {
                    fill(first + x, column);
                }
                stop.check()?;
                self.inverse.column.process_with_scratch(block, fft);
                for (y, row) in tile.chunks_exact_mut(self.width).enumerate() {
                    for (x, value) in row[first..first + count].iter_mut().enumerate() {
                        *value = block[x * self.height + y];
                    }
                }
            }
        }
        self.rows(&self.inverse, tile, fft, stop)
    }
}

/// Positions `..left` and `right..` of the `count` frequencies nearest to 0 on an axis of
/// `length`. With each frequency, the set must contain its negative.
#[must_use]
pub fn around_zero(count: usize, length: usize) -> (usize, usize) {
    (count.div_ceil(2), length - count / 2)
}

/// Calls `write(z, p, q)` for every element of the tile and the two planes. A missing
/// second plane counts as zero.
///
/// # Errors
/// If interrupted.
pub fn pack<T: Precision>(
    tile: &mut [Complex<T>],
    (first, second): Pair<T>,
    stop: &Stop,
    write: impl Fn(&mut Complex<T>, T, T),
) -> Result<()> {
    let (height, width) = first.dim();
    let rows = (PIECE / width.max(1)).max(1);
    for (block, tile) in stop.watch(tile.chunks_mut(rows * width)).enumerate() {
        let block = s![block * rows..height.min((block + 1) * rows), ..];
        let first = first.slice(block);
        let tile = ArrayViewMut2::from_shape(first.dim(), tile?)
            .map_err(|error| Error::Internal(error.to_string()))?;
        match second {
            Some(second) => Zip::from(tile)
                .and(first)
                .and(second.slice(block))
                .for_each(|z, &p, &q| write(z, p, q)),
            None => Zip::from(tile)
                .and(first)
                .for_each(|z, &p| write(z, p, T::zero())),
        }
    }
    Ok(())
}
