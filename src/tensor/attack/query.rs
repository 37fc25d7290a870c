/*!
Questions to a classifier about points, in batches.
*/

use tch::kind::Element;
use tch::{Device, Kind, Tensor};

use super::criterion::{self, Criterion};
use super::nearest::{Nearest, each_class};
use super::{Classify, Task};
use crate::core::attack::{Answer, Ask};
use crate::core::memory;
use crate::core::real::Real;
use crate::{Error, Result};

/// By how many units in the last place of its largest logit a model may round
/// differently in another batch.
const N_UNITS: f64 = 16.0;

/// A pixel that torch knows.
pub trait Pixel: Real + Element {}
impl<T: Real + Element> Pixel for T {}

/// Answers that may still be under way on the device: each tensor has a row for
/// each image.
pub struct Pending {
    /// The difference, and what rounding may change in it.
    values: Tensor,
    /// The gradients, flattened, one after the other.
    gradients: Option<Tensor>,
    /// Of a survey: the differences to the nearest classes.
    differences: Option<Tensor>,
    /// Backward passes.
    n_gradients: i64,
}

/// Answers on the host.
pub struct Answers<T> {
    values: Vec<f64>,
    gradients: Vec<T>,
    differences: Vec<f64>,
    n_gradients: i64,
}

impl Pending {
    /// Waits for the answers.
    pub fn to_host<T: Pixel>(&self) -> Result<Answers<T>> {
        let gradients = self.gradients.as_ref().map(|all| host(all, T::KIND));
        let differences = self.differences.as_ref().map(|all| host(all, Kind::Double));
        Ok(Answers {
            values: host(&self.values, Kind::Double)?,
            gradients: gradients.transpose()?.unwrap_or_default(),
            differences: differences.transpose()?.unwrap_or_default(),
            n_gradients: self.n_gradients,
        })
    }

    /// The answers of several batches as those of one.
    fn joined(parts: &[Self]) -> Result<Self> {
        let joined = |part: fn(&Self) -> Option<&Tensor>| {
            let tensors: Vec<&Tensor> = parts.iter().filter_map(part).collect();
            let joined = (!tensors.is_empty()).then(|| Tensor::f_cat(&tensors, 0));
            joined.transpose()
        };
        let values: Vec<&Tensor> = parts.iter().map(|part| &part.values).collect();
        Ok(Self {
            values: Tensor::f_cat(&values, 0)?,
            gradients: joined(|part| part.gradients.as_ref())?,
            differences: joined(|part| part.differences.as_ref())?,
            n_gradients: parts.first().map_or(0, |part| part.n_gradients),
        })
    }
}

impl<T> Answers<T> {
    /// The answer to the image in row `row`.
    pub fn row(&self, row: usize) -> Answer<'_, T> {
        let n_rows = self.values.len() / 2;
        let (n_pixels, n_classes) = (
            self.gradients.len() / n_rows,
            self.differences.len() / n_rows,
        );
        Answer {
            difference: self.values[2 * row],
            rounding: self.values[2 * row + 1],
            gradient: &self.gradients[row * n_pixels..(row + 1) * n_pixels],
            differences: &self.differences[row * n_classes..(row + 1) * n_classes],
            n_gradients: self.n_gradients,
        }
    }
}

/// A classifier, what is asked of it, and what is known of it.
pub struct Queries<'a, M> {
    /// The classifier.
    pub model: &'a mut M,
    task: &'a Task,
    /// Known after the first answer.
    n_classes: Option<i64>,
}

impl<'a, M: Classify> Queries<'a, M> {
    /// Questions about the images of a task.
    pub fn new(model: &'a mut M, task: &'a Task) -> Self {
        Self {
            model,
            task,
            n_classes: None,
        }
    }

    /// Asks about `points`. `positions` are those of their images in the task.
    pub fn ask<'p, T: Pixel + 'p>(
        &mut self,
        points: impl Iterator<Item = &'p [T]>,
        positions: &[usize],
        ask: Ask,
    ) -> Result<Pending> {
        let mut shape = self.task.images.size();
        shape[0] = positions.len() as i64;
        let lengths: Vec<usize> = shape.iter().map(|&length| length as usize).collect();
        let mut pixels: Vec<T> = memory::reserved("batch of images", &lengths)?;
        points.for_each(|point| pixels.extend_from_slice(point));
        let images = Tensor::f_from_slice(&pixels)?
            .f_view(shape.as_slice())?
            .f_to_device(self.task.images.device())?;
        if !self.task.is_deterministic {
            return self.ask_batch(&images, positions, ask);
        }
        let mut answers = Vec::with_capacity(positions.len());
        for (row, position) in positions.iter().enumerate() {
            let image = images.f_narrow(0, row as i64, 1)?;
            answers.push(self.ask_batch(&image, &[*position], ask)?);
        }
        Pending::joined(&answers)
    }

    fn ask_batch(&mut self, images: &Tensor, positions: &[usize], ask: Ask) -> Result<Pending> {
        if ask == Ask::Value {
            let values = tch::no_grad(|| {
                let logits = self.logits(images)?;
                let differences = self.differences(images, &logits, positions, false)?;
                with_rounding(&differences, &logits)
            })?;
            return Ok(Pending {
                values,
                gradients: None,
                differences: None,
                n_gradients: 0,
            });
        }
        let images = images.f_detach()?.f_set_requires_grad(true)?;
        let logits = tch::with_grad(|| self.logits(&images))?;
        let differences = tch::with_grad(|| self.differences(&images, &logits, positions, true))?;
        if !differences.requires_grad() {
            return Err(Error::Model(
                "model: got logits without a graph, expected ones that depend on the images \
                 (is the forward pass detached or under no_grad?)"
                    .to_owned(),
            ));
        }
        let values = with_rounding(&differences, &logits)?;
        if ask == Ask::Survey {
            return self.survey(&images, &logits, positions, values);
        }
        Ok(Pending {
            values,
            gradients: Some(gradient(self.model, &differences, &images, false)?),
            differences: None,
            n_gradients: 1,
        })
    }

    /// The planes that the boundaries to other classes look like from `images`: of the
    /// likeliest `n_surveyed` classes, the `n_starts` nearest in the norm.
    fn survey(
        &mut self,
        images: &Tensor,
        logits: &Tensor,
        positions: &[usize],
        values: Tensor,
    ) -> Result<Pending> {
        let margin = match self.task.criterion {
            Criterion::Logits { margin, .. } => margin,
            Criterion::Custom => 0.0,
        };
        let labels: Vec<i64> = positions.iter().map(|&at| self.task.labels[at]).collect();
        let n_others = (logits.size()[1] - 1).min(self.task.n_surveyed as i64);
        let mut nearest = Nearest::new(self.task.norm, self.task.n_starts.min(n_others as usize));
        let (both, which) = ((images, logits), (n_others, margin));
        each_class(self.model, both, &labels, which, |_, difference, slope| {
            nearest.consider(difference, slope)
        })?;
        let (differences, gradients) = nearest.planes()?;
        Ok(Pending {
            values,
            gradients: Some(gradients),
            differences: Some(differences),
            n_gradients: n_others,
        })
    }

    /// The predicted class of every image, -1 where a logit is NaN.
    pub fn predictions(&mut self, images: &Tensor) -> Result<Vec<i64>> {
        let logits = tch::no_grad(|| self.logits(images))?;
        let broken = logits.f_isnan()?.f_any_dim(1, false)?;
        let classes = logits.f_argmax(1, false)?;
        let none = classes.f_ones_like()?.f_neg()?;
        host(&none.f_where_self(&broken, &classes)?, Kind::Int64)
    }

    fn differences(
        &mut self,
        images: &Tensor,
        logits: &Tensor,
        positions: &[usize],
        with_gradient: bool,
    ) -> Result<Tensor> {
        match self.task.criterion {
            Criterion::Custom => {
                let index: Vec<i64> = positions.iter().map(|&at| at as i64).collect();
                let index = Tensor::f_from_slice(&index)?.f_to_device(images.device())?;
                let judged = self.model.judge(images, logits, &index)?;
                criterion::custom(judged, images.size()[0], with_gradient)
            }
            Criterion::Logits {
                margin,
                probability,
            } => {
                let targets = self.task.targets.as_ref();
                let wanted = targets.unwrap_or(&self.task.labels);
                let classes: Vec<i64> = positions.iter().map(|&at| wanted[at]).collect();
                let limits = (margin, probability);
                criterion::difference(logits, &classes, targets.is_some(), limits)
            }
        }
    }

    /// Logits, with as many classes as before.
    fn logits(&mut self, images: &Tensor) -> Result<Tensor> {
        let logits = logits(self.model, images)?;
        let n_classes = logits.size()[1];
        match self.n_classes {
            None => self.check_classes(n_classes)?,
            Some(known) if known != n_classes => {
                return Err(Error::Model(format!(
                    "model: got {n_classes} classes, expected {known} as in the batch before"
                )));
            }
            Some(_) => {}
        }
        self.n_classes = Some(n_classes);
        Ok(logits)
    }

    fn check_classes(&self, n_classes: i64) -> Result<()> {
        let targets = self.task.targets.iter().map(|targets| ("targets", targets));
        for (name, classes) in targets.chain([("labels", &self.task.labels)]) {
            if let Some(&class) = classes.iter().find(|&&class| class >= n_classes) {
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
pub fn logits(model: &mut impl Classify, images: &Tensor) -> Result<Tensor> {
    let logits = model.logits(images)?;
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
    model: &mut impl Classify,
    differences: &Tensor,
    images: &Tensor,
    keeps_graph: bool,
) -> Result<Tensor> {
    match model.gradient(differences, images, keeps_graph)? {
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
