/*!
The kernel and the constants of each corruption, by name.
*/

use std::sync::Arc;

use super::frost::Frost;
use super::image::{Bytes, Planes};
use super::jpeg::Jpeg;
use super::texture::Texture;
use super::{
    Parameters, Rng, Stop, blur, defocus, elastic, filter, fog, glass, jpeg, noise, pixelate,
};
use super::{snow, spatter, tone};
use crate::{Error, Result};

/// A corruption with the constants of one severity.
pub struct Corruption(pub(super) Kernel);

type Work = dyn Fn(&mut Planes, &mut Rng, &Stop) -> Result<()> + Send + Sync;
type ByteWork = dyn Fn(&mut Bytes, &Stop) -> Result<()> + Send + Sync;

/// The function that changes one image.
pub(super) enum Kernel {
    /// On values in [0, 1], without the final clipping.
    Unit(Box<Work>),
    /// As `Unit`, but uint8 results are rounded to the nearest level.
    Rounded(Box<Work>),
    /// On levels from 0 to 255.
    Level(Box<ByteWork>),
}

/// The published order: 15 corruptions, then the 4 that the benchmark keeps for validation.
pub const NAMES: [&str; 19] = [
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
    "speckle_noise",
    "gaussian_blur",
    "spatter",
    "saturate",
];

impl Corruption {
    /// The corruption called `name`, with its published constants. Frost uses
    /// `textures`, or generated textures if it is `None`.
    pub fn new(
        name: &str,
        severity: usize,
        parameters: Parameters,
        textures: Option<Arc<Vec<Texture>>>,
    ) -> Result<Self> {
        if !(1..=5).contains(&severity) {
            return Err(Error::value(format!(
                "severity: got {severity}, expected 1 to 5"
            )));
        }
        let (set, level) = (parameters as usize, severity - 1);
        let kernel = match name {
            "gaussian_noise" => unit(noise::GAUSSIAN_SD[set][level], noise::gaussian),
            "shot_noise" => unit(noise::SHOT_PHOTONS[set][level], noise::shot),
            "impulse_noise" => unit(noise::IMPULSE_SHARE[set][level], noise::impulse),
            "speckle_noise" => unit(noise::SPECKLE_SD[set][level], noise::speckle),
            "defocus_blur" => {
                let (radius, sigma) = defocus::DEFOCUS[set][level];
                let kernel = defocus::Kernel::disk(radius, sigma)?;
                Kernel::Unit(Box::new(move |image, _, stop| {
                    kernel.correlate(image, stop)
                }))
            }
            "gaussian_blur" => {
                let gaussian = filter::Gaussian::new(blur::GAUSSIAN[set][level], 4.0);
                let border = filter::Border::Nearest;
                Kernel::Unit(Box::new(move |image, _, stop| {
                    gaussian.smooth(image, border, stop)
                }))
            }
            "glass_blur" => unit(glass::GLASS[set][level], glass::glass),
            "motion_blur" => {
                let constants = blur::MOTION[set][level];
                Kernel::Rounded(Box::new(move |image, rng, stop| {
                    blur::motion(image, constants, rng, stop)
                }))
            }
            "zoom_blur" => unit(blur::ZOOM[set][level], |image, constants, _, stop| {
                blur::zoom(image, constants, stop)
            }),
            "snow" => unit(snow::SNOW[set][level], |image, snow, rng, stop| {
                snow.apply(image, rng, stop)
            }),
            "frost" => {
                let frost = Frost::new((parameters, level), textures)?;
                Kernel::Unit(Box::new(move |image, rng, stop| {
                    frost.apply(image, rng, stop)
                }))
            }
            "fog" => unit(fog::FOG[set][level], fog::fog),
            "brightness" => unit(tone::BRIGHTNESS[set][level], |image, addition, _, stop| {
                tone::brightness(image, addition, stop)
            }),
            "contrast" => unit(tone::CONTRAST[set][level], |image, factor, _, stop| {
                tone::contrast(image, factor, stop)
            }),
            "saturate" => unit(tone::SATURATE[set][level], |image, constants, _, stop| {
                tone::saturate(image, constants, stop)
            }),
            "elastic_transform" => unit(elastic::ELASTIC[set][level], elastic::elastic),
            "spatter" => unit(spatter::SPATTER[set][level], |image, spatter, rng, stop| {
                spatter.apply(image, rng, stop)
            }),
            "pixelate" => {
                let share = pixelate::PIXELATE[set][level];
                Kernel::Level(Box::new(move |image, stop| {
                    pixelate::pixelate(image, share, stop)
                }))
            }
            "jpeg_compression" => {
                let jpeg = Jpeg::new(jpeg::JPEG[set][level]);
                Kernel::Level(Box::new(move |image, stop| jpeg.apply(image, stop)))
            }
            _ => {
                return Err(Error::value(format!(
                    "name: got {name:?}, expected one of {}",
                    NAMES.join(", ")
                )));
            }
        };
        Ok(Self(kernel))
    }
}

/// A kernel that takes its constants directly from the table.
fn unit<C: Copy + Send + Sync + 'static>(
    constants: C,
    work: impl Fn(&mut Planes, C, &mut Rng, &Stop) -> Result<()> + Send + Sync + 'static,
) -> Kernel {
    Kernel::Unit(Box::new(move |image, rng, stop| {
        work(image, constants, rng, stop)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_kernel_in_every_set() {
        for name in NAMES {
            for set in [
                Parameters::Cifar,
                Parameters::TinyImageNet,
                Parameters::ImageNet,
            ] {
                for severity in 1..=5 {
                    assert!(Corruption::new(name, severity, set, None).is_ok());
                }
            }
        }
    }
}
