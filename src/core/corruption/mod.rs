/*!
Common corruptions of images (Hendrycks & Dietterich 2019), batched.

Each family has one file. Each corruption has one function, which changes one
image in planar form: (C, H, W), single precision, black 0 and white 1.
[`corrupt`] converts every image of a batch to that form and back, in parallel.

The published code has three sets of constants, for CIFAR-10-C, Tiny ImageNet-C
and ImageNet-C. [`Parameters`] names the sets, and the table of each corruption
holds all three.

Random numbers are drawn per image: image `i` of a batch uses stream `streams[i]`
of the seed, in planar order. Pixels therefore do not depend on the thread count,
the split into batches or the memory layout. All severities of a corruption use
the same random numbers.

An image may be large, so every loop over rows or pixels checks for interruption
and then ends with an error.
*/

mod blur;
mod catalogue;
mod dct;
mod defocus;
mod edges;
mod elastic;
mod filter;
mod fog;
mod frost;
mod glass;
mod ice;
mod image;
mod jpeg;
mod noise;
mod pixelate;
mod snow;
mod spatter;
mod texture;
mod tone;

use ndarray::{Array4, ArrayView3, ArrayView4, ArrayViewMut3, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng as Rng;
use rayon::prelude::*;

pub use catalogue::{Corruption, NAMES};
pub use image::Pixel;
pub use texture::Texture;

use super::memory;
use super::parallel::{self, Stop};
use crate::{Error, Result};
use catalogue::Kernel;
use image::Image;

/// The smallest height and width. The published kernels and grids are made for 32
/// pixels or more. Below half of that size, they cover most of the image.
pub const MIN_SIZE: usize = 16;

/// Constants of one corruption: three parameter sets of five severities.
type Table<T> = [[T; 5]; 3];

/// The parameter sets of the published benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// CIFAR-10-C, 32 pixels.
    Cifar = 0,
    /// Tiny ImageNet-C, 64 pixels.
    TinyImageNet = 1,
    /// ImageNet-C, 224 pixels.
    ImageNet = 2,
}

impl Parameters {
    /// The set called `name` in Python.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "cifar" => Ok(Self::Cifar),
            "tinyimagenet" => Ok(Self::TinyImageNet),
            "imagenet" => Ok(Self::ImageNet),
            _ => Err(Error::value(format!(
                "parameters: got {name:?}, expected \"cifar\", \"tinyimagenet\" or \"imagenet\""
            ))),
        }
    }
}

/// Which axis of a batch holds the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// (N, C, H, W)
    ChannelsFirst,
    /// (N, H, W, C)
    ChannelsLast,
}

impl Layout {
    /// The layout called `name` in Python.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "nchw" => Ok(Self::ChannelsFirst),
            "nhwc" => Ok(Self::ChannelsLast),
            _ => Err(Error::value(format!(
                "layout: got {name:?}, expected \"nchw\" or \"nhwc\""
            ))),
        }
    }

    /// Views one image of this layout as (C, H, W).
    fn planar<'a, S>(
        self,
        image: ndarray::ArrayBase<S, ndarray::Ix3>,
    ) -> ndarray::ArrayBase<S, ndarray::Ix3>
    where
        S: ndarray::RawData + 'a,
    {
        match self {
            Self::ChannelsFirst => image,
            Self::ChannelsLast => image.permuted_axes([2, 0, 1]),
        }
    }
}

/// Corrupts every image of a batch.
///
/// # Errors
/// [`Error::Value`] if the batch is empty or an image has no channel or is
/// less than [`MIN_SIZE`] pixels high or wide.
pub fn corrupt<T: Pixel>(
    images: ArrayView4<T>,
    layout: Layout,
    corruption: &Corruption,
    seed: u64,
    streams: &[u64],
) -> Result<Array4<T>> {
    check(images, layout)?;
    if streams.len() != images.len_of(Axis(0)) {
        return Err(Error::value(format!(
            "streams: got {}, expected one per image",
            streams.len()
        )));
    }
    let corrupted = memory::filled("corrupted images", images.shape(), T::default())?;
    let mut corrupted = Array4::from_shape_vec(images.raw_dim(), corrupted)
        .map_err(|error| Error::Internal(error.to_string()))?;
    parallel::run(|stop| {
        let outs = corrupted.axis_iter_mut(Axis(0)).into_par_iter();
        let pairs = outs.zip(images.axis_iter(Axis(0))).zip(streams);
        pairs.try_for_each(|((out, image), &stream)| {
            stop.check()?;
            let mut rng = Rng::seed_from_u64(seed);
            rng.set_stream(stream);
            let (image, out) = (layout.planar(image), layout.planar(out));
            corrupt_one(image, out, corruption, &mut rng, stop)
        })
    })?;
    Ok(corrupted)
}

fn corrupt_one<T: Pixel>(
    image: ArrayView3<T>,
    out: ArrayViewMut3<T>,
    corruption: &Corruption,
    rng: &mut Rng,
    stop: &Stop,
) -> Result<()> {
    match &corruption.0 {
        Kernel::Unit(work) => {
            let mut planes = Image::read(image, stop, T::to_unit)?;
            work(&mut planes, rng, stop)?;
            planes.write(out, stop, T::from_unit)
        }
        Kernel::Rounded(work) => {
            let mut planes = Image::read(image, stop, T::to_unit)?;
            work(&mut planes, rng, stop)?;
            planes.write(out, stop, T::nearest)
        }
        Kernel::Level(work) => {
            let mut levels = Image::read(image, stop, T::to_byte)?;
            work(&mut levels, stop)?;
            levels.write(out, stop, T::from_byte)
        }
    }
}

fn check<T: Pixel>(images: ArrayView4<T>, layout: Layout) -> Result<()> {
    let (channels, height, width) = match (layout, images.dim()) {
        (Layout::ChannelsFirst, (_, channels, height, width))
        | (Layout::ChannelsLast, (_, height, width, channels)) => (channels, height, width),
    };
    if images.is_empty() || channels == 0 {
        return Err(Error::value(format!(
            "images: got shape {:?}, expected no empty axis",
            images.shape()
        )));
    }
    if height.min(width) < MIN_SIZE {
        return Err(Error::value(format!(
            "images: got {height} by {width} pixels, expected at least {MIN_SIZE} by {MIN_SIZE}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    fn ramp(n: usize) -> Array4<f64> {
        Array4::from_shape_fn((n, 3, 16, 20), |(i, c, y, x)| {
            ((i * 7 + c * 5 + y * 3 + x) % 32) as f64 / 31.0
        })
    }

    fn run(images: ArrayView4<f64>, layout: Layout, name: &str, first: u64) -> Array4<f64> {
        let streams: Vec<u64> = (first..).take(images.len_of(Axis(0))).collect();
        let corruption = Corruption::new(name, 3, Parameters::TinyImageNet, None).unwrap();
        corrupt(images, layout, &corruption, 5, &streams).unwrap()
    }

    #[test]
    fn neither_split_nor_layout_changes_a_pixel() {
        let images = ramp(5);
        for name in NAMES {
            let whole = run(images.view(), Layout::ChannelsFirst, name, 10);
            let tail = run(
                images.slice(s![2.., .., .., ..]),
                Layout::ChannelsFirst,
                name,
                12,
            );
            assert_eq!(whole.slice(s![2.., .., .., ..]), tail, "{name}");
            let last = images.view().permuted_axes([0, 2, 3, 1]);
            let last = run(last, Layout::ChannelsLast, name, 10);
            assert_eq!(whole, last.permuted_axes([0, 3, 1, 2]), "{name}");
            assert_ne!(whole, images, "{name}");
        }
    }

    #[test]
    fn bytes_are_floats_rounded_down_or_by_motion_to_the_nearest() {
        let bytes = ramp(2).mapv(|v| (v * 255.0) as u8);
        let floats = bytes.mapv(|v| f64::from(v) / 255.0);
        for name in NAMES {
            let corruption = Corruption::new(name, 4, Parameters::Cifar, None).unwrap();
            let layout = Layout::ChannelsFirst;
            let a = corrupt(bytes.view(), layout, &corruption, 0, &[0, 1]).unwrap();
            let b = corrupt(floats.view(), layout, &corruption, 0, &[0, 1]).unwrap();
            for (&level, value) in a.iter().zip(b) {
                let excess = value * 255.0 - f64::from(level);
                let range = match name {
                    "motion_blur" => -0.51..0.51,
                    _ => -0.01..1.0,
                };
                assert!(range.contains(&excess), "{name}: {level} {value}");
            }
        }
    }

    #[test]
    fn one_image_ends_when_the_call_is_to_end() {
        let (image, stop) = (ramp(1), Stop::raised());
        let (image, stream) = (image.index_axis(Axis(0), 0), &mut Rng::seed_from_u64(0));
        let is_interrupted = |ended: Result<()>| matches!(ended, Err(Error::Interrupted));
        for name in NAMES {
            let corruption = Corruption::new(name, 3, Parameters::ImageNet, None).unwrap();
            let (calm, mut out) = (Stop::default(), image.to_owned());
            let ended = match &corruption.0 {
                Kernel::Unit(work) | Kernel::Rounded(work) => {
                    let mut planes = Image::read(image, &calm, f64::to_unit).unwrap();
                    work(&mut planes, stream, &stop)
                }
                Kernel::Level(work) => {
                    work(&mut Image::read(image, &calm, f64::to_byte).unwrap(), &stop)
                }
            };
            assert!(is_interrupted(ended), "{name}");
            let ended = corrupt_one(image, out.view_mut(), &corruption, stream, &stop);
            assert!(is_interrupted(ended), "{name}");
        }
    }

    #[test]
    fn bad_requests_are_named() {
        let message = |name, severity| {
            Corruption::new(name, severity, Parameters::Cifar, None)
                .err()
                .unwrap()
                .to_string()
        };
        assert!(message("fogg", 1).contains("\"fogg\""));
        assert!(message("contrast", 0).contains("severity: got 0"));
        assert!(message("contrast", 6).contains("severity: got 6"));
        assert!(Parameters::from_name("svhn").is_err());
        assert!(Layout::from_name("chw").is_err());
        let corruption = Corruption::new("contrast", 1, Parameters::Cifar, None).unwrap();
        for shape in [
            (2, 3, 8, 32),
            (0, 3, 32, 32),
            (2, 0, 32, 32),
            (1, 3, 32, 32),
        ] {
            let images = Array4::<u8>::zeros(shape);
            let layout = Layout::ChannelsFirst;
            assert!(
                corrupt(images.view(), layout, &corruption, 0, &[0, 1]).is_err(),
                "{shape:?}"
            );
        }
    }
}
