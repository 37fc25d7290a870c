/*!
Questions to a classifier about points, in batches.
*/

use tch::kind::Element;
use tch::{Device, Kind, Tensor};

use super::criterion::{self, Criterion};
use super::{Classify, Task};
use crate::core::memory;
use crate::core::real::Real;
use crate::{Error, Result};

/// A pixel that torch knows.
pub trait Pixel: Real + Element {}
impl<T: Real + Element> Pixel for T {}

/// Answers that may still be under way on the device.
pub struct Pending {
    differences: Tensor,
    gradients: Option<Tensor>,
}

impl Pending {
    /// Waits for the differences and, flattened, their gradients.
    pub fn to_host<T: Pixel>(&self) -> Result<(Vec<f64>, Vec<T>)> {
        let differences = host(&self.differences, Kind::Double)?;
        let gradients = match &self.gradients {
            Some(gradients) => host(gradients, T::KIND)?,
            None => Vec::new(),
        };
        Ok((differences, gradients))
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

    /// Asks for the logit differences at `points`, and for their gradients.
    /// `positions` are those of their images in the task.
    pub fn ask<'p, T: Pixel + 'p>(
        &mut self,
        points: impl Iterator<Item = &'p [T]>,
        positions: &[usize],
        with_gradient: bool,
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
            return self.ask_batch(&images, positions, with_gradient);
        }
        let mut answers = Vec::with_capacity(positions.len());
        for (row, position) in positions.iter().enumerate() {
            let image = images.f_narrow(0, row as i64, 1)?;
            answers.push(self.ask_batch(&image, &[*position], with_gradient)?);
        }
        let (differences, gradients): (Vec<_>, Vec<_>) = answers
            .into_iter()
            .map(|answer| (answer.differences, answer.gradients))
            .unzip();
        let gradients: Vec<Tensor> = gradients.into_iter().flatten().collect();
        Ok(Pending {
            differences: Tensor::f_cat(&differences, 0)?,
            gradients: with_gradient
                .then(|| Tensor::f_cat(&gradients, 0))
                .transpose()?,
        })
    }

    fn ask_batch(
        &mut self,
        images: &Tensor,
        positions: &[usize],
        with_gradient: bool,
    ) -> Result<Pending> {
        if !with_gradient {
            let differences = tch::no_grad(|| self.differences(images, positions, false))?;
            return Ok(Pending {
                differences,
                gradients: None,
            });
        }
        let images = images.f_detach()?.f_set_requires_grad(true)?;
        let differences = tch::with_grad(|| self.differences(&images, positions, true))?;
        if !differences.requires_grad() {
            return Err(Error::Model(
                "model: got logits without a graph, expected ones that depend on the images \
                 (is the forward pass detached or under no_grad?)"
                    .to_owned(),
            ));
        }
        let gradient = match self.model.gradient(&differences, &images)? {
            Some(gradient) => gradient,
            // The logits do not depend on the images at all.
            None => images.f_zeros_like()?,
        };
        Ok(Pending {
            differences: differences.f_detach()?,
            gradients: Some(gradient),
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
        positions: &[usize],
        with_gradient: bool,
    ) -> Result<Tensor> {
        let logits = self.logits(images)?;
        match self.task.criterion {
            Criterion::Custom => {
                let index: Vec<i64> = positions.iter().map(|&at| at as i64).collect();
                let index = Tensor::f_from_slice(&index)?.f_to_device(images.device())?;
                let judged = self.model.judge(images, &logits, &index)?;
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
                criterion::difference(&logits, &classes, targets.is_some(), limits)
            }
        }
    }

    /// Logits of usable shape and type.
    fn logits(&mut self, images: &Tensor) -> Result<Tensor> {
        let logits = self.model.logits(images)?;
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
        match self.n_classes {
            None => self.check_classes(shape[1])?,
            Some(known) if known != shape[1] => {
                return Err(Error::Model(format!(
                    "model: got {} classes, expected {known} as in the batch before",
                    shape[1]
                )));
            }
            Some(_) => {}
        }
        self.n_classes = Some(shape[1]);
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
