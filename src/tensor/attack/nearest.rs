/*!
The other classes of each image, and how far their boundaries look: as the plane of the
logit difference and its gradient at the image.
*/

use tch::Tensor;

use super::{Network, criterion, query};
use crate::Result;
use crate::core::norm::Norm;

/// Shows one class (n, 1) of each image after the other, with the difference (n,) to its
/// logit plus `margin` and the gradient (n, D): the likeliest `count` first.
pub fn each_class(
    network: &impl Network,
    (images, logits): (&Tensor, &Tensor),
    labels: &Tensor,
    (count, margin): (i64, f64),
    mut visit: impl FnMut(Tensor, Tensor, Tensor) -> Result<()>,
) -> Result<()> {
    let others = criterion::likeliest_others(logits, labels, count)?;
    for rank in 0..count {
        let class = others.f_narrow(1, rank, 1)?;
        let difference = tch::with_grad(|| -> Result<Tensor> {
            let lead = criterion::lead(logits, labels, &class)?;
            Ok(lead.f_add_scalar(margin)?)
        })?;
        let gradient = query::gradient(network, &difference, images, rank + 1 < count)?;
        visit(class, difference.f_detach()?, gradient.f_flatten(1, -1)?)?;
    }
    Ok(())
}

/// The distance (n,) of planes; infinite where there is none.
fn distance(norm: Norm, difference: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    // The distance of a plane is the height over the dual norm of the slope.
    let slope = match norm {
        Norm::Linf => gradient
            .f_abs()?
            .f_sum_dim_intlist([1].as_slice(), false, None)?,
        Norm::L2 => gradient.f_norm_scalaropt_dim(2.0, [1], false)?,
        Norm::L1 | Norm::L0 => gradient.f_abs()?.f_amax([1], false)?,
    };
    let distance = difference.f_div(&slope)?;
    let infinite = distance.f_full_like(f64::INFINITY)?;
    Ok(infinite.f_where_self(&distance.f_isnan()?, &distance)?)
}

/// The likeliest `most` other classes (n, K) of each image, nearest first, and their
/// distances; -1 stands for a class that the model excludes with a logit of -inf.
///
/// # Errors
/// What the model raises; [`crate::Error::Model`] if it returns something other than
/// logits.
pub fn nearest_classes(
    network: &impl Network,
    images: &Tensor,
    labels: &Tensor,
    norm: Norm,
    most: usize,
) -> Result<(Tensor, Tensor)> {
    let images = images.f_detach()?.f_set_requires_grad(true)?;
    let logits = tch::with_grad(|| query::logits(network, &images))?;
    let count = (logits.size()[1] - 1).min(most as i64);
    let (mut classes, mut distances) = (Vec::new(), Vec::new());
    if logits.requires_grad() {
        let both = (&images, &logits);
        each_class(network, both, labels, (count, 0.0), |class, lead, slope| {
            distances.push(distance(norm, &lead.f_clamp_min(0.0)?, &slope)?);
            classes.push(class);
            Ok(())
        })?;
    } else {
        let others = criterion::likeliest_others(&logits, labels, count)?;
        for rank in 0..count {
            classes.push(others.f_narrow(1, rank, 1)?);
            let first = logits.f_select(1, 0)?;
            distances.push(first.f_full_like(f64::INFINITY)?);
        }
    }
    let (classes, distances) = (Tensor::f_cat(&classes, 1)?, Tensor::f_stack(&distances, 1)?);
    let order = distances.f_argsort_stable(true, 1, false)?;
    let classes = classes.f_gather(1, &order, false)?;
    let is_out = logits
        .f_detach()?
        .f_gather(1, &classes, false)?
        .f_eq(f64::NEG_INFINITY)?;
    let none = classes.f_ones_like()?.f_neg()?;
    Ok((
        none.f_where_self(&is_out, &classes)?,
        distances.f_gather(1, &order, false)?,
    ))
}

/// A plane for each image: its distance, the logit difference, and its gradient.
struct Plane {
    distance: Tensor,
    difference: Tensor,
    gradient: Tensor,
}

/// The nearest planes so far, the nearest first.
pub struct Nearest {
    norm: Norm,
    wanted: usize,
    planes: Vec<Plane>,
}

impl Nearest {
    /// No plane yet; as many as `wanted` will be kept.
    pub fn new(norm: Norm, wanted: usize) -> Self {
        Self {
            norm,
            wanted,
            planes: Vec::new(),
        }
    }

    /// Takes the differences (n,) to one more class and their gradients (n, D).
    pub fn consider(&mut self, difference: Tensor, gradient: Tensor) -> Result<()> {
        let distance = distance(self.norm, &difference, &gradient)?;
        let mut next = Plane {
            distance,
            difference,
            gradient,
        };
        for plane in &mut self.planes {
            let is_nearer = next.distance.f_lt_tensor(&plane.distance)?;
            let swapped = swap(&is_nearer, &next.distance, &plane.distance)?;
            (plane.distance, next.distance) = swapped;
            let swapped = swap(&is_nearer, &next.difference, &plane.difference)?;
            (plane.difference, next.difference) = swapped;
            let is_nearer = is_nearer.f_unsqueeze(1)?;
            let swapped = swap(&is_nearer, &next.gradient, &plane.gradient)?;
            (plane.gradient, next.gradient) = swapped;
        }
        if self.planes.len() < self.wanted {
            self.planes.push(next);
        }
        Ok(())
    }

    /// The differences (n, kept) and gradients (n, kept D).
    pub fn planes(&self) -> Result<(Tensor, Tensor)> {
        let differences: Vec<&Tensor> = self.planes.iter().map(|one| &one.difference).collect();
        let gradients: Vec<&Tensor> = self.planes.iter().map(|one| &one.gradient).collect();
        Ok((
            Tensor::f_stack(&differences, 1)?,
            Tensor::f_cat(&gradients, 1)?,
        ))
    }
}

/// `first` where `is_first`, else `second`; and the other way round.
fn swap(is_first: &Tensor, first: &Tensor, second: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((
        first.f_where_self(is_first, second)?,
        second.f_where_self(is_first, first)?,
    ))
}
