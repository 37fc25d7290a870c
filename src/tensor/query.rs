/*!
Questions to a classifier about the points of walks.

The answer is the logit difference, negative exactly for adversarial points:
`max_{k != t} z_k - z_t` towards a target `t`, `z_y - max_{k != y} z_k` away
from a label `y`.
*/

use tch::kind::Element;
use tch::{Kind, Tensor};

use super::attack::{Classify, Task};
use crate::core::controller::Walk;
use crate::core::real::Real;
use crate::{Error, Result};

/// A pixel that torch knows.
pub trait Pixel: Real + Element {}
impl<T: Real + Element> Pixel for T {}

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

    /// The logit differences at the walks' points.
    pub fn differences<T: Pixel>(&mut self, walks: &mut [&mut Walk<T>]) -> Result<Vec<f64>> {
        if walks.is_empty() {
            return Ok(Vec::new());
        }
        let images = self.images(walks)?;
        let differences = tch::no_grad(|| self.ask(&images, walks))?;
        to_host(&differences)
    }

    /// The logit differences at the walks' points, and their gradients.
    pub fn gradients<T: Pixel>(
        &mut self,
        walks: &mut [&mut Walk<T>],
    ) -> Result<(Vec<f64>, Vec<Vec<T>>)> {
        if walks.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let images = self.images(walks)?.f_set_requires_grad(true)?;
        let differences = tch::with_grad(|| self.ask(&images, walks))?;
        if !differences.requires_grad() {
            return Err(Error::Model(
                "model: got logits without a graph, expected ones that depend on the images \
                 (is the forward pass detached or under no_grad?)"
                    .to_owned(),
            ));
        }
        let gradient = Tensor::f_run_backward(&[&differences], &[&images], false, false)?;
        let gradients = match gradient.first() {
            Some(gradient) if gradient.defined() => self.pixels(gradient)?,
            // The logits do not depend on the images at all.
            _ => self.pixels(&images.f_zeros_like()?)?,
        };
        Ok((to_host(&differences.f_detach()?)?, gradients))
    }

    /// The predicted class of every image, -1 where the logits are not finite.
    pub fn predictions(&mut self, images: &Tensor) -> Result<Vec<i64>> {
        let logits = tch::no_grad(|| self.logits(images))?;
        let broken = logits.f_isfinite()?.f_all_dim(1, false)?.f_logical_not()?;
        let classes = logits.f_argmax(1, false)?;
        let none = classes.f_ones_like()?.f_neg()?;
        let classes = none.f_where_self(&broken, &classes)?;
        let mut host = vec![0; classes.numel()];
        classes.f_copy_data(&mut host, classes.numel())?;
        Ok(host)
    }

    /// The images of a batch on the host, flattened.
    pub fn pixels<T: Pixel>(&self, images: &Tensor) -> Result<Vec<Vec<T>>> {
        let host = images.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        let mut rows = Vec::new();
        for image in 0..host.size()[0] {
            let image = host.f_select(0, image)?;
            let mut row = vec![<T as Real>::ZERO; image.numel()];
            image.f_copy_data(&mut row, image.numel())?;
            rows.push(row);
        }
        Ok(rows)
    }

    fn images<T: Pixel>(&self, walks: &[&mut Walk<T>]) -> Result<Tensor> {
        let pixels: Vec<T> = walks.iter().flat_map(|walk| &walk.point).copied().collect();
        let mut shape = self.task.images.size();
        shape[0] = walks.len() as i64;
        let images = Tensor::f_from_slice(&pixels)?.f_view(shape.as_slice())?;
        Ok(images.f_to_device(self.task.images.device())?)
    }

    fn ask<T: Pixel>(&mut self, images: &Tensor, walks: &mut [&mut Walk<T>]) -> Result<Tensor> {
        let logits = self.logits(images)?;
        for walk in walks.iter_mut() {
            walk.n_queries += 1;
        }
        let classes: Vec<i64> = walks.iter().map(|walk| walk.class).collect();
        let own_index = Tensor::f_from_slice(&classes)?
            .f_to_device(logits.device())?
            .f_unsqueeze(1)?;
        let is_own = logits
            .f_detach()?
            .f_zeros_like()?
            .f_scatter(1, &own_index, &logits.f_detach()?.f_ones_like()?)?
            .f_to_kind(Kind::Bool)?;
        let lowest = logits.f_detach()?.f_full_like(f64::NEG_INFINITY)?;
        let rival_index = lowest
            .f_where_self(&is_own, &logits.f_detach()?)?
            .f_argmax(1, true)?;
        let own = logits.f_gather(1, &own_index, false)?;
        let rival = logits.f_gather(1, &rival_index, false)?;
        let difference = if self.task.targets.is_some() {
            rival.f_sub(&own)?
        } else {
            own.f_sub(&rival)?
        };
        Ok(difference.f_squeeze_dim(1)?)
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

fn to_host(values: &Tensor) -> Result<Vec<f64>> {
    let values = values
        .f_to_device(tch::Device::Cpu)?
        .f_to_kind(Kind::Double)?;
    let mut host = vec![0.0; values.numel()];
    values.f_copy_data(&mut host, values.numel())?;
    Ok(host)
}
