/*!
Questions to a classifier about points, in batches.
*/

use std::sync::atomic::{AtomicI64, Ordering};

use tch::kind::Element;
use tch::{Device, Kind, Tensor};

use super::criterion::{self, Criterion};
use super::nearest::{Nearest, each_class};
use super::{Network, Task};
use crate::core::attack::{Answer, Ask};
use crate::core::memory;
use crate::core::norm::Norm;
use crate::core::real::Real;
use crate::{Error, Result};

/// By how many units in the last place of its largest logit a model may round
/// differently in another batch.
const N_UNITS: f64 = 16.0;

/// A pixel that torch knows.
pub trait Pixel: Real + Element {}
impl<T: Real + Element> Pixel for T {}

/// Questions about a batch, all on the host.
pub struct Questions {
    /// Images (n, C, H, W).
    pub images: Tensor,
    /// The class that each image is to reach or to leave (n,).
    pub classes: Tensor,
    /// The positions of the images in the task (n,).
    pub positions: Tensor,
}

impl Questions {
    /// Questions about `points`, the images at `positions` of the task.
    pub fn about<'p, T: Pixel + 'p>(
        task: &Task,
        points: impl Iterator<Item = &'p [T]>,
        positions: &[usize],
    ) -> Result<Self> {
        let mut shape = task.images.size();
        shape[0] = positions.len() as i64;
        let lengths: Vec<usize> = shape.iter().map(|&length| length as usize).collect();
        let mut pixels: Vec<T> = memory::reserved("batch of images", &lengths)?;
        points.for_each(|point| pixels.extend_from_slice(point));
        let wanted = task.targets.as_ref().unwrap_or(&task.labels);
        let classes: Vec<i64> = positions.iter().map(|&at| wanted[at]).collect();
        let positions: Vec<i64> = positions.iter().map(|&at| at as i64).collect();
        Ok(Self {
            images: Tensor::f_from_slice(&pixels)?.f_view(shape.as_slice())?,
            classes: Tensor::f_from_slice(&classes)?,
            positions: Tensor::f_from_slice(&positions)?,
        })
    }
}

/// Answers on the host: each row has the difference, its rounding, the differences to
/// the surveyed classes, and one gradient for each of these (or one in all).
pub struct Answers<T> {
    rows: Vec<T>,
    /// The values before the gradients, in double precision.
    heads: Vec<f64>,
    width: usize,
    n_differences: usize,
    n_gradients: i64,
}

impl<T: Pixel> Answers<T> {
    /// Reads the rows that [`Form::answer`] made for images of `n_pixels` values.
    pub fn read(rows: &Tensor, form: &Form, ask: Ask, n_pixels: usize) -> Result<Self> {
        let width = rows.size2()?.1 as usize;
        let n_differences = match ask {
            Ask::Survey => (width - 2) / (1 + n_pixels),
            _ => 0,
        };
        let heads = rows.f_narrow(1, 0, 2 + n_differences as i64)?;
        Ok(Self {
            rows: host(rows, T::KIND)?,
            heads: host(&heads, Kind::Double)?,
            width,
            n_differences,
            n_gradients: form.n_gradients(ask),
        })
    }

    /// The answer to the image in row `row`.
    pub fn row(&self, row: usize) -> Answer<'_, T> {
        let n_heads = 2 + self.n_differences;
        let head = &self.heads[row * n_heads..(row + 1) * n_heads];
        Answer {
            difference: head[0],
            rounding: head[1],
            gradient: &self.rows[row * self.width + n_heads..(row + 1) * self.width],
            differences: &head[2..],
            n_gradients: self.n_gradients,
        }
    }
}

/// What a task asks of a network, whatever the images are.
#[derive(Debug)]
pub struct Form {
    criterion: Criterion,
    is_targeted: bool,
    norm: Norm,
    n_starts: usize,
    n_surveyed: usize,
    /// The largest class of each argument.
    highest: Vec<(&'static str, i64)>,
    /// 0 before the first answer.
    n_classes: AtomicI64,
}

impl Form {
    /// The questions of a task.
    #[must_use]
    pub fn new(task: &Task) -> Self {
        let highest = |classes: &Vec<i64>| classes.iter().copied().max().unwrap_or(0);
        let targets = task.targets.as_ref().map(|all| ("targets", highest(all)));
        Self {
            criterion: task.criterion,
            is_targeted: task.targets.is_some(),
            norm: task.norm,
            n_starts: task.n_starts,
            n_surveyed: task.n_surveyed,
            highest: targets
                .into_iter()
                .chain([("labels", highest(&task.labels))])
                .collect(),
            n_classes: AtomicI64::new(0),
        }
    }

    /// One row for each image, on the device of the images. Nothing is read from the
    /// device, so that the operators can be recorded.
    ///
    /// # Errors
    /// What the network raises; [`Error::Model`] if it returns something other than
    /// logits; [`Error::Value`] for a class that it does not have.
    pub fn answer(
        &self,
        network: &impl Network,
        ask: Ask,
        questions: &Questions,
    ) -> Result<Tensor> {
        if ask == Ask::Value {
            return tch::no_grad(|| {
                let logits = self.logits(network, &questions.images)?;
                let differences = self.differences(network, &logits, questions, false)?;
                with_rounding(&differences, &logits)
            });
        }
        let images = questions.images.f_detach()?.f_set_requires_grad(true)?;
        let questions = &Questions {
            images,
            classes: questions.classes.shallow_clone(),
            positions: questions.positions.shallow_clone(),
        };
        let images = &questions.images;
        let logits = tch::with_grad(|| self.logits(network, images))?;
        let differences = tch::with_grad(|| self.differences(network, &logits, questions, true))?;
        if !differences.requires_grad() {
            return Err(Error::Model(
                "model: got logits without a graph, expected ones that depend on the images \
                 (is the forward pass detached or under no_grad?)"
                    .to_owned(),
            ));
        }
        let values = with_rounding(&differences, &logits)?;
        if ask == Ask::Survey {
            let (differences, gradients) = self.survey(network, &logits, questions)?;
            return Ok(Tensor::f_cat(&[values, differences, gradients], 1)?);
        }
        let gradient = gradient(network, &differences, images, false)?;
        Ok(Tensor::f_cat(&[values, gradient.f_flatten(1, -1)?], 1)?)
    }

    /// How many backward passes an answer took.
    fn n_gradients(&self, ask: Ask) -> i64 {
        match ask {
            Ask::Survey => self.n_others(),
            Ask::Gradient => 1,
            _ => 0,
        }
    }

    /// How many classes a survey looks at.
    fn n_others(&self) -> i64 {
        let n_classes = self.n_classes.load(Ordering::Relaxed);
        (n_classes - 1).min(self.n_surveyed as i64)
    }

    /// The planes that the boundaries to other classes look like from the images: of the
    /// likeliest `n_surveyed` classes, the `n_starts` nearest in the norm. Differences
    /// (n, kept) and gradients (n, kept D).
    fn survey(
        &self,
        network: &impl Network,
        logits: &Tensor,
        questions: &Questions,
    ) -> Result<(Tensor, Tensor)> {
        let margin = match self.criterion {
            Criterion::Logits { margin, .. } => margin,
            Criterion::Custom => 0.0,
        };
        let (labels, n_others) = (&questions.classes, self.n_others());
        let mut nearest = Nearest::new(self.norm, self.n_starts.min(n_others as usize));
        let (both, which) = ((&questions.images, logits), (n_others, margin));
        each_class(network, both, labels, which, |_, difference, slope| {
            nearest.consider(difference, slope)
        })?;
        nearest.planes()
    }

    fn differences(
        &self,
        network: &impl Network,
        logits: &Tensor,
        questions: &Questions,
        with_gradient: bool,
    ) -> Result<Tensor> {
        let Questions {
            images,
            classes,
            positions,
        } = questions;
        match self.criterion {
            Criterion::Custom => {
                let judged = network.judge(images, logits, positions)?;
                criterion::custom(judged, images.size()[0], with_gradient)
            }
            Criterion::Logits {
                margin,
                probability,
            } => {
                let limits = (margin, probability);
                criterion::difference(logits, classes, self.is_targeted, limits)
            }
        }
    }

    /// Logits, with as many classes as before.
    fn logits(&self, network: &impl Network, images: &Tensor) -> Result<Tensor> {
        let logits = logits(network, images)?;
        let n_classes = logits.size()[1];
        match self.n_classes.swap(n_classes, Ordering::Relaxed) {
            0 => self.check_classes(n_classes)?,
            known if known != n_classes => {
                return Err(Error::Model(format!(
                    "model: got {n_classes} classes, expected {known} as in the batch before"
                )));
            }
            _ => {}
        }
        Ok(logits)
    }

    /// The predicted class of every image, -1 where a logit is NaN.
    pub fn predictions(&self, network: &impl Network, images: &Tensor) -> Result<Vec<i64>> {
        let logits = tch::no_grad(|| self.logits(network, images))?;
        let broken = logits.f_isnan()?.f_any_dim(1, false)?;
        let classes = logits.f_argmax(1, false)?;
        let none = classes.f_ones_like()?.f_neg()?;
        host(&none.f_where_self(&broken, &classes)?, Kind::Int64)
    }

    fn check_classes(&self, n_classes: i64) -> Result<()> {
        for &(name, class) in &self.highest {
            if class >= n_classes {
                return Err(Error::value(format!(
                    "{name}: got {class}, expected 0 to {} (the model has {n_classes} classes)",
                    n_classes - 1
                )));
            }
        }
        Ok(())
    }
}

/// Logits of usable shape and type.
pub fn logits(network: &impl Network, images: &Tensor) -> Result<Tensor> {
    let logits = network.logits(images)?;
    let (n, shape) = (images.size()[0], logits.size());
    if shape.len() != 2 || shape[0] != n || shape[1] < 2 {
        return Err(Error::Model(format!(
            "model: got logits of shape {shape:?} for {n} images, \
             expected [{n}, n_classes] with at least 2 classes"
        )));
    }
    if !logits.is_floating_point() {
        return Err(Error::Model(format!(
            "model: got logits of type {:?}, expected floating point",
            logits.kind()
        )));
    }
    Ok(logits)
}

/// The gradient of each image's difference.
pub fn gradient(
    network: &impl Network,
    differences: &Tensor,
    images: &Tensor,
    keeps_graph: bool,
) -> Result<Tensor> {
    match network.gradient(differences, images, keeps_graph)? {
        Some(gradient) => Ok(gradient),
        // The logits do not depend on the images at all.
        None => Ok(images.f_zeros_like()?),
    }
}

/// Differences (n,) beside the rounding of their logits, (n, 2).
fn with_rounding(differences: &Tensor, logits: &Tensor) -> Result<Tensor> {
    let unit = match logits.kind() {
        Kind::Double => f64::EPSILON,
        Kind::Float => f64::from(f32::EPSILON),
        Kind::Half => 2.0_f64.powi(-10),
        _ => 2.0_f64.powi(-7),
    };
    let finite = logits.f_detach()?.f_nan_to_num(0.0, 0.0, 0.0)?;
    let largest = finite.f_abs()?.f_amax([1], false)?;
    let rounding = largest.f_mul_scalar(N_UNITS * unit)?;
    let differences = differences.f_detach()?;
    let rounding = rounding.f_to_kind(differences.kind())?;
    Ok(Tensor::f_stack(&[differences, rounding], 1)?)
}

/// The channels, height and width of each image of a batch.
pub fn shape(images: &Tensor) -> Result<[usize; 3]> {
    let (_, channels, height, width) = images.size4()?;
    Ok([channels, height, width].map(|n| n as usize))
}

/// Row `position` of a batch, flattened, on the host.
pub fn row<T: Pixel>(images: &Tensor, position: usize) -> Result<Vec<T>> {
    host(&images.f_select(0, position as i64)?, T::KIND)
}

/// All values of a tensor, on the host.
pub fn host<T: Element + Copy + Default>(values: &Tensor, kind: Kind) -> Result<Vec<T>> {
    let values = values
        .f_to_device(Device::Cpu)?
        .f_to_kind(kind)?
        .f_contiguous()?;
    let mut host = memory::filled("copy on the host", &[values.numel()], T::default())?;
    values.f_copy_data(&mut host, values.numel())?;
    Ok(host)
}
